// SPDX-License-Identifier: GPL-2.0
/* The memory under test: its blocks go off and on, its DIMMs out and in. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dimm.h"
#include "scene.h"
#include "jobs.h"

static struct dimm dimms[MAX_BLOCKS];
static int nr_dimms, node, timeout_s;
static const char *online;
static unsigned int removed, added;

/**
 * blocks_plug - hot-add memory and put it online
 * @nr: how many DIMMs of one memory block each
 * @nid: node to add it to
 * @state: what to write for online
 * @timeout: of one try to offline, in seconds
 */
void blocks_plug(int nr, int nid, const char *state, int timeout)
{
	int i;

	nr_dimms = nr;
	node = nid;
	online = state;
	timeout_s = timeout;
	if (write_text("/sys/devices/system/memory/auto_online_blocks",
		       "offline"))
		scene_die(SCENE_ENV, "auto_online_blocks: cannot be set");
	for (i = 0; i < nr; i++) {
		snprintf(dimms[i].id, sizeof(dimms[i].id), "d%d", i);
		dimm_plug(&dimms[i], node);
	}
	for (i = 0; i < nr; i++)
		block_online(dimms[i].block, online, timeout_s);
}

/** blocks_nr - Return: how many blocks are under test. */
int blocks_nr(void)
{
	return nr_dimms;
}

/**
 * blocks_id - number of a block under test
 * @i: which one
 *
 * Return: as in sysfs.
 */
unsigned long blocks_id(int i)
{
	return dimms[i].block;
}

/**
 * blocks_try - take a block offline, and online again
 * @i: which one
 * @phase: of the scene, to be told
 *
 * A miss is told with the pages that held the block, and its kinds of pages.
 *
 * Return: true when it went offline.
 */
bool blocks_try(int i, const char *phase)
{
	static unsigned int tries;
	unsigned long block = dimms[i].block;
	double fill, ms;
	bool ok;
	int err;

	map_fill(&block, 1, &fill);
	kmsg_mark();
	err = block_set(block, "offline", timeout_s, &ms);
	ok = !err && block_is(block, "offline");
	printf("scene try phase=%s nr=%u block=%lu ok=%d errno=%s ms=%.1f fill_pct=%.1f\n",
	       phase, ++tries, block, ok, err ? strerrorname_np(err) : "0", ms,
	       fill);
	fflush(stdout);
	if (ok) {
		block_online(block, online, timeout_s);
		return true;
	}
	kmsg_explain(block, tries);
	block_contents(block);
	return false;
}

/**
 * blocks_replace - have a DIMM removed while its memory is in use, and a new one added
 * @i: which one
 */
void blocks_replace(int i)
{
	if (!dimm_unplug(&dimms[i], timeout_s))
		return;
	removed++;
	dimm_plug(&dimms[i], node);
	added++;
	block_online(dimms[i].block, online, timeout_s);
}

/** blocks_report - how many DIMMs went out and in */
void blocks_report(void)
{
	printf("scene dimms removed=%u added=%u\n", removed, added);
}
