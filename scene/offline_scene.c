// SPDX-License-Identifier: GPL-2.0
/*
 * Scene: hot-added memory blocks under a mixed load are offlined, onlined
 * again, and in the end unplugged while the load still runs.
 *
 * It measures and tells; what the figures mean is the host's business
 * (scripts/report-run). It fails by itself when a step does not work that is
 * not under test: no DIMM arrives, a block does not go online, a block does
 * not fill up, a load program dies or sees wrong data.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dimm.h"
#include "scene.h"

#define POLL_MS		100
#define SETUP_MS	600000	/* all load data written, on a busy host, too */
#define LEAST_LOOKS	1000	/* as scripts/report-run demands */
#define SAMPLE_MS	200	/* pause between two looks at the map */
#define TELL_MS		60000	/* between two signs of life */

static struct dimm dimms[MAX_BLOCKS];
static unsigned long ids[MAX_BLOCKS];

/* Parameters, with the values that scripts/run relies on */
static const char *online = "online_hotremove";
static const char *disk = "/dev/vda";
static int nr_dimms = 4, rounds = 5, timeout_s = 30, node = 1, share;
static int fill_pct = 80, fill_s = 120, audit_ms = 20;

/*
 * All DIMMs are plugged before the first one goes online: the memory maps of
 * the later ones must not lie in the earlier ones. That spares online_kernel
 * its worst case.
 */
static void plug_all(void)
{
	int i;

	if (write_text("/sys/devices/system/memory/auto_online_blocks",
		       "offline"))
		scene_die(SCENE_ENV, "auto_online_blocks: cannot be set");
	for (i = 0; i < nr_dimms; i++) {
		snprintf(dimms[i].id, sizeof(dimms[i].id), "d%d", i);
		dimm_plug(&dimms[i], node);
		ids[i] = dimms[i].block;
	}
	for (i = 0; i < nr_dimms; i++)
		block_online(ids[i], online, timeout_s);
}

static void start_load(void)
{
	double begin = now_ms(), told = begin;

	loads_start(node, share, disk);
	while (!loads_ready()) {
		loads_alive();
		if (now_ms() > begin + SETUP_MS)
			scene_die(SCENE_FAILED, "load not set up after %d s",
				  SETUP_MS / 1000);
		if (now_ms() > told + TELL_MS) {
			scene_step("load: still setting up");
			told = now_ms();
		}
		nap_ms(POLL_MS);
	}
}

/* Fill of the least filled block; that of each one in @pct */
static double least_fill(double *pct)
{
	double least = 100;
	int i;

	map_fill(ids, nr_dimms, pct);
	for (i = 0; i < nr_dimms; i++)
		if (pct[i] < least)
			least = pct[i];
	return least;
}

/* Wait for every block of the node, not only for the one to be tried */
static double wait_fill(double *pct, double *waited_ms)
{
	double begin = now_ms(), least;

	loads_hurry(true);
	while ((least = least_fill(pct)) < fill_pct &&
	       now_ms() < begin + fill_s * 1e3) {
		loads_alive();
		nap_ms(SAMPLE_MS);
	}
	loads_hurry(false);
	*waited_ms = now_ms() - begin;
	return least;
}

static bool try_block(int round, int i)
{
	double pct[MAX_BLOCKS], least, waited, ms;
	bool ok;
	int err;

	loads_alive();
	least = wait_fill(pct, &waited);
	kmsg_mark();
	err = block_set(ids[i], "offline", timeout_s, &ms);
	ok = !err && block_is(ids[i], "offline");
	printf("scene try round=%d block=%lu ok=%d errno=%s timed_out=%d ms=%.1f fill_pct=%.1f least_pct=%.1f waited_ms=%.0f\n",
	       round, ids[i], ok, err ? strerrorname_np(err) : "0",
	       err == EINTR, ms, pct[i], least, waited);
	if (ok) {
		block_online(ids[i], online, timeout_s);
		return true;
	}
	kmsg_explain(ids[i], round);
	block_contents(ids[i]);
	return false;
}

static void try_all(void)
{
	int round, i, ok = 0, sum = 0;
	double told = now_ms();

	for (round = 1; round <= rounds; round++) {
		for (i = 0; i < nr_dimms; i++, sum++)
			ok += try_block(round, i);
		if (round < rounds && now_ms() < told + TELL_MS)
			continue;
		scene_step("offline: round %d of %d, %d of %d ok", round,
			   rounds, ok, sum);
		told = now_ms();
	}
}

/* A quick machine is through with its tries before the audit has seen enough */
static void wait_looks(void)
{
	double begin = now_ms();

	while (audit_looks() < LEAST_LOOKS && now_ms() < begin + fill_s * 1e3) {
		loads_alive();
		nap_ms(SAMPLE_MS);
	}
}

static void unplug_all(void)
{
	int i, ok = 0;

	for (i = 0; i < nr_dimms && !dimm_eject_pending(); i++) {
		loads_alive();
		ok += dimm_unplug(&dimms[i], timeout_s);
	}
	scene_step("unplug: %d of %d DIMMs removed%s", ok, nr_dimms,
		   dimm_eject_pending() ? ", one is still being tried" : "");
	loads_alive();
}

static void scene(void)
{
	double pct[MAX_BLOCKS], waited, begin = now_ms();

	kmsg_open();
	audit_start(audit_ms);
	plug_all();
	start_load();
	wait_fill(pct, &waited);
	scene_step("%d x %lu MB on node %d, load runs after %.1f s, least filled block %.1f %%",
		   nr_dimms, block_pages() >> 8, node,
		   (now_ms() - begin) / 1000, least_fill(pct));
	map_print("before");
	counters_print("before", node);
	try_all();
	wait_looks();
	wait_fill(pct, &waited);
	map_print("after");
	counters_print("after", node);
	unplug_all();
	map_print("unplugged");
	counters_print("unplugged", node);
	loads_stop();
	audit_stop();
}

__attribute__((noreturn))
static void usage(void)
{
	fprintf(stderr,
		"usage: offline_scene [-k ONLINE] [-r ROUNDS] [-t SECONDS] [-n NODE]\n"
		"                     [-b BLOCKS] [-c SHARE] [-a MS] [-d DISK]\n"
		"  -k  state to write for online (%s)\n"
		"  -r  tries per block (%d)\n"
		"  -t  time-out of one try in seconds (%d)\n"
		"  -n  node to hot-add to (%d)\n"
		"  -b  DIMMs of one memory block each (%d, at most %d)\n"
		"  -c  percent of one CPU for each load program (half of all\n"
		"      CPUs together)\n"
		"  -a  pause between two looks of the audit in ms (%d)\n"
		"  -d  ext4 disk (%s)\n",
		online, rounds, timeout_s, node, nr_dimms, MAX_BLOCKS,
		audit_ms, disk);
	exit(SCENE_ENV);
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "k:r:t:n:b:c:a:d:")) != -1) {
		switch (c) {
		case 'k':
			online = optarg;
			break;
		case 'r':
			rounds = scene_number(optarg, 1, 1000, usage);
			break;
		case 't':
			timeout_s = scene_number(optarg, 1, 600, usage);
			break;
		case 'n':
			node = scene_number(optarg, 0, 63, usage);
			break;
		case 'b':
			nr_dimms = scene_number(optarg, 1, MAX_BLOCKS, usage);
			break;
		case 'c':
			share = scene_number(optarg, 1, 100, usage);
			break;
		case 'a':
			audit_ms = scene_number(optarg, 1, 10000, usage);
			break;
		case 'd':
			disk = optarg;
			break;
		default:
			usage();
		}
	}
	if (argc != optind)
		usage();
	/* Half of the CPUs, shared by four programs of one thread each */
	if (!share)
		share = sysconf(_SC_NPROCESSORS_ONLN) * 50 / 4;
	if (share > 100)
		share = 100;
	printf("scene begin online=%s rounds=%d blocks=%d node=%d timeout_s=%d share_pct=%d audit_ms=%d need_fill_pct=%d\n",
	       online, rounds, nr_dimms, node, timeout_s, share, audit_ms,
	       fill_pct);
	scene();
	printf("scene end\n");
	return SCENE_OK;
}
