// SPDX-License-Identifier: GPL-2.0
/*
 * Soak: every user of pageblock types and of isolation at once, for a time,
 * while the auditor looks; then all of them stop and put back what they
 * changed, and the auditor looks again.
 *
 * It measures and tells; scripts/report-soak judges.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "scene.h"
#include "soak.h"

#define SAMPLE_MS	500
#define TELL_MS		60000
#define SETUP_MS	600000
#define SWAP_DEVICE	"/dev/vdb"

/* Parameters */
static unsigned int seconds = 120, audit_ms = 50, load_percent = 40;
static const char *wanted = "contig+atomic+thp";
static const char *kinds = "", *disk = "/dev/vda";
static bool no_grouping;
const char *soak_virtio_mem_online = "online_movable";
int soak_node = -1;

/* The reserve for atomic requests: seen how large, and how often given up */
static unsigned long reserve_max, reserve_last, reserve_drops;

static void sample_reserve(void)
{
	FILE *f = fopen(PB_DIR "/counters", "re");
	unsigned long now = 0;
	char line[512], *at;

	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, " reserved_highatomic=");
		if (at)
			now += strtoul(strchr(at, '=') + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	if (now > reserve_max)
		reserve_max = now;
	if (now < reserve_last)
		reserve_drops++;
	reserve_last = now;
}

static void set_up(void)
{
	double begin = now_ms();

	audit_start(audit_ms);
	dimms_plug(kinds, soak_node < 0 ? 0 : soak_node);
	if (no_grouping)
		grouping_off(soak_node < 0 ? 0 : soak_node);
	if (!access(SWAP_DEVICE, F_OK) && swapon(SWAP_DEVICE, 0))
		scene_die(SCENE_ENV, "swapon: %s", strerror(errno));
	loads_size(load_percent);
	loads_start(soak_node, 15, disk);
	while (!loads_ready()) {
		loads_alive();
		if (now_ms() > begin + SETUP_MS)
			scene_die(SCENE_FAILED, "load not set up in time");
		nap_ms(100);
	}
	scene_step("load runs after %.1f s", (now_ms() - begin) / 1000);
}

static void soak(void)
{
	double begin = now_ms(), told = begin, now;

	events_begin();
	jobs_start();
	while ((now = now_ms()) < begin + seconds * 1e3) {
		loads_alive();
		jobs_alive();
		sample_reserve();
		isolated_sample();
		if (now > told + TELL_MS) {
			scene_step("%.0f of %u s, %.1f million allocations",
				   (now - begin) / 1000, seconds,
				   events_allocs() / 1e6);
			told = now;
		}
		nap_ms(SAMPLE_MS);
	}
	printf("scene soaked seconds=%.1f\n", (now_ms() - begin) / 1000);
	scene_step("stop and put back");
	jobs_stop();
	loads_stop();
	events_report();
	printf("scene reserve max_pages=%lu drops=%lu\n", reserve_max,
	       reserve_drops);
	isolated_report();
	jobs_report();
}

static void rest(void)
{
	int err = 0;

	if (!access(SWAP_DEVICE, F_OK) && swapoff(SWAP_DEVICE))
		err = errno;
	if (err)
		printf("scene rest-note path=swapoff error=\"%s\"\n",
		       strerror(err));
	if (no_grouping && !grouping_stayed_off())
		scene_die(SCENE_FAILED, "grouping by mobility came back on");
	rest_drain();
	audit_stop();
	rest_report();
	counters_print("end", -1);
}

__attribute__((noreturn))
static void usage(void)
{
	fprintf(stderr,
		"usage: soak [-s SECONDS] [-j JOB+JOB] [-m KIND:MB+KIND:MB] [-n NODE]\n"
		"            [-l PERCENT] [-a MS] [-v STATE] [-d DISK] [-g]\n"
		"  -s  how long (%u)\n"
		"  -j  jobs to run (%s)\n"
		"  -m  memory to hot-add, by kind: kernel, movable, hotremove\n"
		"  -n  node for it and for the loads (none: no matter)\n"
		"  -l  size of the loads, percent of the offline scene's (%u)\n"
		"  -a  pause between two looks of the audit in ms (%u)\n"
		"  -v  state of virtio-mem's blocks (%s)\n"
		"  -d  ext4 disk (%s)\n"
		"  -g  switch off grouping by mobility\n",
		seconds, wanted, load_percent, audit_ms,
		soak_virtio_mem_online, disk);
	exit(SCENE_ENV);
}

static unsigned int number(const char *text, unsigned int max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || n > max)
		usage();
	return n;
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:j:m:n:l:a:v:d:g")) != -1) {
		switch (c) {
		case 's': seconds = number(optarg, 86400); break;
		case 'j': wanted = optarg; break;
		case 'm': kinds = optarg; break;
		case 'n': soak_node = number(optarg, 63); break;
		case 'l': load_percent = number(optarg, 100); break;
		case 'a': audit_ms = number(optarg, 10000); break;
		case 'v': soak_virtio_mem_online = optarg; break;
		case 'd': disk = optarg; break;
		case 'g': no_grouping = true; break;
		default: usage();
		}
	}
	if (argc != optind)
		usage();
	jobs_want(wanted);
	printf("scene begin seconds=%u audit_ms=%u node=%d grouping=%s jobs=%s\n",
	       seconds, audit_ms, soak_node, no_grouping ? "off" : "on",
	       wanted);
	set_up();
	soak();
	rest();
	printf("scene end\n");
	return SCENE_OK;
}
