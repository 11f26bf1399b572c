// SPDX-License-Identifier: GPL-2.0
/* DIMMs of one memory block each: added and removed by the host. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dimm.h"
#include "scene.h"

#define POLL_MS		100
#define PLUG_MS		30000	/* hot-add request to memory block */

/* The memory block that exists now and is not in the list */
static bool new_block(const unsigned long *old, int nr_old, unsigned long *id)
{
	unsigned long now[1024];
	int nr = blocks_present(now, 1024), i, j;

	for (i = 0; i < nr; i++) {
		for (j = 0; j < nr_old && old[j] != now[i]; j++)
			;
		if (j == nr_old) {
			*id = now[i];
			return true;
		}
	}
	return false;
}

/**
 * dimm_plug - have the host add a DIMM and wait for its memory block
 * @dimm: its id is given; gets the number of the block
 * @node: where to
 *
 * The block is offline afterwards: auto_online_blocks has to say so.
 */
void dimm_plug(struct dimm *dimm, int node)
{
	unsigned long old[1024];
	int nr_old = blocks_present(old, 1024);
	char reply[256], size[24], node_text[16];
	double end = now_ms() + PLUG_MS;

	snprintf(size, sizeof(size), "%lu", block_pages() >> 8);
	snprintf(node_text, sizeof(node_text), "%d", node);
	if (host_request(reply, sizeof(reply), "add", dimm->id, size,
			 node_text))
		scene_die(SCENE_ENV, "hot-add %s: %s", dimm->id, reply);
	while (!new_block(old, nr_old, &dimm->block)) {
		if (now_ms() > end)
			scene_die(SCENE_FAILED, "hot-add %s: no block came",
				  dimm->id);
		nap_ms(20);
	}
	/* The kernel links it to its node a moment after it has made it */
	while (!block_on_node(dimm->block, node)) {
		if (now_ms() > end)
			scene_die(SCENE_FAILED, "hot-add %s: memory%lu not on node %d",
				  dimm->id, dimm->block, node);
		nap_ms(20);
	}
	if (!block_is(dimm->block, "offline"))
		scene_die(SCENE_FAILED, "memory%lu went online by itself",
			  dimm->block);
}

/* Gone in the guest, and the host agrees */
static bool unplugged(const struct dimm *dimm)
{
	char reply[256];

	if (!block_gone(dimm->block))
		return false;
	if (host_request(reply, sizeof(reply), "query", dimm->id, NULL, NULL))
		scene_die(SCENE_ENV, "query %s: %s", dimm->id, reply);
	return !strcmp(reply, "ok absent");
}

static bool pending;

/**
 * dimm_eject_pending - is the kernel still trying to remove a DIMM?
 *
 * It removes one after the other: none comes after that one.
 */
bool dimm_eject_pending(void)
{
	return pending;
}

/* The kernel will not get through a power-off either: init has to know */
static void eject_pending(void)
{
	int fd = open("/run/eject-pending", O_CREAT | O_WRONLY, 0600);

	if (fd < 0)
		scene_die(SCENE_ENV, "/run/eject-pending: %s", strerror(errno));
	close(fd);
	pending = true;
}

/**
 * dimm_unplug - have the host remove a DIMM whose memory is in use
 * @dimm: the DIMM
 * @timeout_s: time-out of one try to offline
 *
 * The kernel offlines and ejects by itself when the host asks it to. It says
 * so when it has given up; otherwise it goes on trying, without a limit, and
 * is left alone after twice the time-out of a try. Tells how it went.
 *
 * Return: true when the DIMM is gone.
 */
bool dimm_unplug(const struct dimm *dimm, int timeout_s)
{
	char reply[256], failed[64];
	double begin = now_ms();
	bool ok, gave_up = false;

	kmsg_mark();
	snprintf(failed, sizeof(failed), "memory%lu: Offline failed",
		 dimm->block);
	if (host_request(reply, sizeof(reply), "del", dimm->id, NULL, NULL))
		scene_die(SCENE_ENV, "unplug %s: %s", dimm->id, reply);
	while (!(ok = unplugged(dimm)) && !gave_up &&
	       now_ms() < begin + 2 * timeout_s * 1e3) {
		nap_ms(POLL_MS);
		gave_up = kmsg_saw(failed);
	}
	if (!ok && !gave_up)
		eject_pending();
	printf("scene unplug id=%s block=%lu ok=%d timed_out=%d ms=%.0f\n",
	       dimm->id, dimm->block, ok, !ok && !gave_up, now_ms() - begin);
	if (!ok)
		block_contents(dimm->block);
	return ok;
}
