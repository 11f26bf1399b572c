// SPDX-License-Identifier: GPL-2.0
/*
 * Hot-added memory, a DIMM for each kind (kernel, movable, hotremove), and the
 * job that offlines its blocks and onlines them again as what they were.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"
#include "soak.h"

#define MAX_DIMMS	4
#define PLUG_MS		30000
#define TRY_S		5	/* time-out of one attempt to offline */
#define SYSMEM		"/sys/devices/system/memory"

static struct dimm {
	char kind[16];
	unsigned long first;	/* memory block */
	unsigned long nr;
	bool refused;		/* this kernel does not know the kind */
} dimms[MAX_DIMMS];

static int nr_dimms;
static unsigned long boot_blocks;	/* number of the first hot-added one */

static struct dimm *dimm_of(const char *kind)
{
	int i;

	for (i = 0; i < nr_dimms; i++)
		if (!strcmp(dimms[i].kind, kind))
			return &dimms[i];
	return NULL;
}

static void plug(struct dimm *dimm, unsigned long mb, int node)
{
	unsigned long long addr, bytes = block_pages() << 12;
	char reply[256], id[20], size[24], where[16];
	double end = now_ms() + PLUG_MS;
	unsigned long i;

	snprintf(id, sizeof(id), "d-%.15s", dimm->kind);
	snprintf(size, sizeof(size), "%lu", mb);
	snprintf(where, sizeof(where), "%d", node);
	if (host_request(reply, sizeof(reply), "add", id, size, where) ||
	    sscanf(reply, "ok addr=%llx", &addr) != 1)
		scene_die(SCENE_ENV, "hot-add %s: %s", id, reply);
	dimm->first = addr / bytes;
	dimm->nr = (mb << 20) / bytes;
	for (i = 0; i < dimm->nr; i++)
		while (block_gone(dimm->first + i)) {
			if (now_ms() > end)
				scene_die(SCENE_FAILED, "hot-add %s: memory%lu did not come",
					  id, dimm->first + i);
			nap_ms(20);
		}
}

static int go_online(const struct dimm *dimm, unsigned long block)
{
	char word[32];
	double ms;

	snprintf(word, sizeof(word), "online_%.15s", dimm->kind);
	return block_set(block, word, TRY_S, &ms);
}

/* Only the kernel knows whether it knows hotremove blocks */
static void online(struct dimm *dimm)
{
	unsigned long i;
	int err;

	for (i = 0; i < dimm->nr; i++) {
		err = go_online(dimm, dimm->first + i);
		if (err == EINVAL && !strcmp(dimm->kind, "hotremove")) {
			dimm->refused = true;
			return;
		}
		if (err)
			scene_die(SCENE_FAILED, "memory%lu: online_%s: %s",
				  dimm->first + i, dimm->kind, strerror(err));
	}
}

/**
 * dimms_plug - hot-add memory and online it
 * @kinds: "KIND:MB" separated by "+", or nothing
 * @node: where to
 *
 * All DIMMs come before the first one goes online: the memory maps of the
 * later ones must not lie in the earlier ones.
 */
void dimms_plug(const char *kinds, int node)
{
	char *copy = strdup(kinds), *word, *rest = copy;
	unsigned long ids[1024], mb;
	struct dimm *dimm;
	int nr, i;

	nr = blocks_present(ids, 1024);
	for (i = 0; i < nr; i++)
		if (ids[i] >= boot_blocks)
			boot_blocks = ids[i] + 1;
	if (write_text(SYSMEM "/auto_online_blocks", "offline"))
		scene_die(SCENE_ENV, "auto_online_blocks: cannot be set");
	while ((word = strsep(&rest, "+")) && *word) {
		dimm = &dimms[nr_dimms];
		if (nr_dimms++ == MAX_DIMMS ||
		    sscanf(word, "%15[a-z]:%lu", dimm->kind, &mb) != 2)
			scene_die(SCENE_ENV, "not KIND:MB: '%s'", word);
		plug(dimm, mb, node);
	}
	free(copy);
	for (i = 0; i < nr_dimms; i++)
		online(&dimms[i]);
}

/**
 * dimms_pick - one memory block of those that were hot-added
 * @start_pfn: its first page
 * @pages: its size
 *
 * Return: false when there is none.
 */
bool dimms_pick(unsigned long *start_pfn, unsigned long *pages)
{
	const struct dimm *dimm;

	if (!nr_dimms)
		return false;
	dimm = &dimms[job_random(nr_dimms)];
	*pages = block_pages();
	*start_pfn = (dimm->first + job_random(dimm->nr)) * *pages;
	return true;
}

/**
 * boot_end_pfn - where the memory ends that was there at boot
 *
 * Return: a pfn; all memory blocks that may go offline lie behind it.
 */
unsigned long boot_end_pfn(void)
{
	return boot_blocks * block_pages();
}

static const char *blocks_missing(const char *kind)
{
	const struct dimm *dimm = dimm_of(kind);

	if (!dimm)
		return job_lacks("hot-added memory", "none of kind %s", kind);
	if (dimm->refused)
		return job_lacks("a kernel that has online_hotremove",
				 "one that refuses it");
	return NULL;
}

static void blocks_step(const char *kind)
{
	const struct dimm *dimm = dimm_of(kind);
	unsigned long block = dimm->first + job_random(dimm->nr);
	double ms;
	int err;

	err = block_set(block, "offline", TRY_S, &ms);
	if (err == EINTR)
		job_timeout();
	else
		job_op("offline", err, EBUSY, EAGAIN, 0);
	if (err)
		return;
	job_nap(100);
	err = go_online(dimm, block);
	job_op("online", err, 0);
}

/* A step leaves its block online; whatever is not is an error */
static void blocks_stop(const char *kind)
{
	const struct dimm *dimm = dimm_of(kind);
	unsigned long i;

	for (i = 0; i < dimm->nr; i++)
		if (!block_is(dimm->first + i, "online"))
			job_op("online in the end",
			       go_online(dimm, dimm->first + i), 0);
}

const struct soak_ops blocks_ops = {
	.missing = blocks_missing, .step = blocks_step, .stop = blocks_stop,
};
