// SPDX-License-Identifier: GPL-2.0
/*
 * Scene: programs as everybody runs them work in hot-added memory, and verify
 * what they do, while its blocks go off and on and its DIMMs out and in.
 *
 * It measures and tells; scripts/report-jobs judges.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "scene.h"
#include "jobs.h"

#define TELL_MS		60000	/* or rarer: not more than eight times */
#define REPLACE_EACH	4	/* tries to offline for one DIMM replaced */
#define SETUP_MS	600000	/* all data of the loads written */
#define FILL_PCT	80	/* of a block, before it is tried */
#define FILL_MS		5000	/* not to wait for ever for that */
#define LOADS_PCT	50	/* of the size that they have in the offline scene */
#define LOADS_SHARE	5	/* percent of a CPU for each */
#define LOADS_NICE	12
#define MAX_NODE	63
#define DISK		"/dev/vda"
#define SWAP_DEVICE	"/dev/vdb"

/* Parameters */
static unsigned int seconds = 120, audit_ms = 50, timeout_s = 30;
static int node = 1, nr_dimms = 4;
static const char *online = "online_hotremove";

/**
 * vmstat - one number of /proc/vmstat
 * @name: which one
 *
 * Return: the number; the kernel has to have it.
 */
uint64_t vmstat(const char *name)
{
	FILE *f = fopen("/proc/vmstat", "re");
	uint64_t value;
	char word[64];

	while (f && fscanf(f, "%63s %" SCNu64, word, &value) == 2) {
		if (strcmp(word, name))
			continue;
		fclose(f);
		return value;
	}
	scene_die(SCENE_ENV, "need %s in /proc/vmstat, have none", name);
}

/**
 * prefer_node - where the memory of this process and its children comes from
 * @nid: the node
 */
void prefer_node(int nid)
{
	unsigned long mask = 1UL << nid;

	/* The kernel reads maxnode - 1 bits */
	if (syscall(SYS_set_mempolicy, MPOL_PREFERRED, &mask, MAX_NODE + 2))
		scene_die(SCENE_ENV, "prefer node %d: %s", nid,
			  strerror(errno));
}

static void mount_in(const char *what, const char *type, const char *where,
		     const char *options)
{
	char path[96];

	snprintf(path, sizeof(path), ROOT_DIR "%s", where);
	if (mount(what, path, type, MS_NOATIME, options))
		scene_die(SCENE_ENV, "mount %s on %s: %s", what, path,
			  strerror(errno));
}

static void mount_all(void)
{
	mkdir("/run", 0755);
	mkdir(RUN_DIR, 0755);
	mkdir(ROOT_DIR, 0755);
	mount_in(DISK, "ext4", "", NULL);
	if (access(ROOT_DIR "/jobs/common.sh", R_OK))
		scene_die(SCENE_ENV, "%s has no jobs", DISK);
	mount_in("proc", "proc", "/proc", NULL);
	mount_in("sysfs", "sysfs", "/sys", NULL);
	mount_in("cgroup2", "cgroup2", "/sys/fs/cgroup", NULL);
	mount_in("devtmpfs", "devtmpfs", "/dev", NULL);
	mount_in("tmpfs", "tmpfs", "/tmp", "size=256m");
	mkdir(ROOT_DIR "/dev/shm", 01777);
	mount_in("tmpfs", "tmpfs", "/dev/shm", "size=64m");
	/* For the round that lives in a group of its own */
	if (write_text(ROOT_DIR "/sys/fs/cgroup/cgroup.subtree_control",
		       "+memory"))
		scene_die(SCENE_ENV, "cgroup: no memory controller");
	if (swapon(SWAP_DEVICE, 0))
		scene_die(SCENE_ENV, "swapon: %s", strerror(errno));
}

/*
 * What programs allocate comes and goes: the loads of the offline scene keep
 * the blocks full. They give way to the jobs.
 */
static void start_loads(void)
{
	double begin = now_ms();

	setpriority(PRIO_PROCESS, 0, LOADS_NICE);
	loads_size(LOADS_PCT);
	loads_start(node, LOADS_SHARE, DISK);
	setpriority(PRIO_PROCESS, 0, 0);
	while (!loads_ready()) {
		loads_alive();
		if (now_ms() > begin + SETUP_MS)
			scene_die(SCENE_FAILED, "load not set up in time");
		nap_ms(100);
	}
	scene_step("load runs after %.1f s", (now_ms() - begin) / 1000);
}

static void wait_fill(unsigned long block)
{
	double end = now_ms() + FILL_MS, pct;

	loads_hurry(true);
	for (;;) {
		loads_alive();
		map_fill(&block, 1, &pct);
		if (pct >= FILL_PCT || now_ms() > end)
			break;
		nap_ms(200);
	}
	loads_hurry(false);
}

static const char *const events[] = {
	"pgmigrate_success", "pgmigrate_fail", "pswpout", "pswpin", "oom_kill",
	"thp_migration_success",
};

#define NR_EVENTS (sizeof(events) / sizeof(*events))

static void work(void)
{
	uint64_t before[NR_EVENTS];
	double begin, told, now;
	unsigned int tries = 0;
	double tell = seconds * 1e3 / 8 > TELL_MS ? seconds * 1e3 / 8 : TELL_MS;
	size_t e;

	for (e = 0; e < NR_EVENTS; e++)
		before[e] = vmstat(events[e]);
	begin = told = now_ms();
	jobs_start(node);
	while ((now = now_ms()) < begin + seconds * 1e3) {
		/* Another block each time, and another one to be replaced */
		wait_fill(blocks_id(tries % nr_dimms));
		blocks_try(tries % nr_dimms, "jobs");
		if (++tries % REPLACE_EACH == 0)
			blocks_replace(tries / REPLACE_EACH % nr_dimms);
		if (now > told + tell) {
			scene_step("%.0f of %u s, %u tries to offline",
				   (now - begin) / 1000, seconds, tries);
			told = now;
		}
	}
	printf("scene worked seconds=%.1f", (now_ms() - begin) / 1000);
	for (e = 0; e < NR_EVENTS; e++)
		printf(" %s=%" PRIu64, events[e], vmstat(events[e]) - before[e]);
	putchar('\n');
	scene_step("%u tries to offline; jobs end their rounds", tries);
	jobs_stop();
	loads_stop();
}

static void scene(void)
{
	kmsg_open();
	audit_start(audit_ms);
	mount_all();
	blocks_plug(nr_dimms, node, online, timeout_s);
	noio_check(node);
	scene_step("dirty and anonymous pages moved without I/O checked");
	start_loads();
	map_print("before");
	work();
	map_print("after");
	blocks_report();
	if (swapoff(SWAP_DEVICE))
		scene_die(SCENE_FAILED, "swapoff: %s", strerror(errno));
	rest_drain();
	audit_stop();
	rest_report();
}

__attribute__((noreturn))
static void usage(void)
{
	fprintf(stderr,
		"usage: jobs [-k ONLINE] [-s SECONDS] [-t SECONDS] [-n NODE] [-b DIMMS]\n"
		"            [-a MS] [-j JOB+JOB] [-x JOB+JOB]\n"
		"  -k  state to write for online (%s)\n"
		"  -s  how long the jobs work (%u)\n"
		"  -t  time-out of one try to offline in seconds (%u)\n"
		"  -n  node to hot-add to (%d)\n"
		"  -b  DIMMs of one memory block each (%d, at most %d)\n"
		"  -a  pause between two looks of the audit in ms (%u)\n"
		"  -j  only these jobs (all)\n"
		"  -x  self test: damage one byte of what the first round of\n"
		"      these jobs verifies\n",
		online, seconds, timeout_s, node, nr_dimms, MAX_BLOCKS,
		audit_ms);
	exit(SCENE_ENV);
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "k:s:t:n:b:a:j:x:")) != -1) {
		switch (c) {
		case 'k': online = optarg; break;
		case 's': seconds = scene_number(optarg, 1, 864000, usage); break;
		case 't': timeout_s = scene_number(optarg, 1, 600, usage); break;
		case 'n': node = scene_number(optarg, 0, MAX_NODE, usage); break;
		case 'b': nr_dimms = scene_number(optarg, 1, MAX_BLOCKS, usage); break;
		case 'a': audit_ms = scene_number(optarg, 1, 10000, usage); break;
		case 'j': jobs_only(optarg); break;
		case 'x': jobs_damage(optarg); break;
		default: usage();
		}
	}
	if (argc != optind)
		usage();
	printf("scene begin online=%s seconds=%u dimms=%d node=%d timeout_s=%u audit_ms=%u\n",
	       online, seconds, nr_dimms, node, timeout_s, audit_ms);
	scene();
	printf("scene end\n");
	return SCENE_OK;
}
