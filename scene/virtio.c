// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-mem gives all of its memory back, from under a mixed load: how long that
 * takes, and how much of it the guest works.
 *
 *   |-anon 4 KB-|-THP-|-tmpfs-|---page cache---|  of node 1
 *   <------------- requested size ------------>  -> 0
 *
 * A task owns the content, and reads and writes random pages of it all the time. It
 * is compared with what was written, then and once more in the end. All but the
 * page cache has room on node 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

#define VMEM		"/machine/peripheral/vmem0"
#define DISK_DIR	RUN_DIR "/disk"
#define NODE		1
#define PAGE		4096UL
#define NR_KINDS	3	/* without the page cache */
#define KIND_PCT	15	/* each of these, of the memory */
#define CACHE_PCT	43
#define MIN_FILL_PCT	80
#define TOUCHES		64	/* pages between two naps of a millisecond */
#define PLUG_MS		600000
#define FILL_MS		1800000
#define MAX_IDS		1024

struct shared {
	atomic_bool ready, stop;
	atomic_ulong touched, wrong;
};

static unsigned long mb = 1024, limit_s = 1800;
static const char *state = "online_hotremove";

static void ask_host(char *reply, size_t len, const char *cmd)
{
	if (host_request(reply, len, "hmp", cmd, NULL, NULL))
		scene_die(SCENE_ENV, "hmp %s: %s", cmd, reply);
}

static void request_mb(unsigned long size)
{
	char cmd[96], reply[256];

	snprintf(cmd, sizeof(cmd), "qom-set " VMEM " requested-size %luM", size);
	ask_host(reply, sizeof(reply), cmd);
}

static unsigned long host_mb(void)
{
	char reply[256], *at;

	ask_host(reply, sizeof(reply), "qom-get " VMEM " size");
	at = strstr(reply, "ok");
	return at ? strtoul(at + 2, NULL, 10) >> 20 : ~0UL;
}

/* Memory blocks of the node, all or only those online */
static int node_blocks(bool online)
{
	unsigned long ids[MAX_IDS];
	int nr = blocks_present(ids, MAX_IDS), found = 0, i;

	for (i = 0; i < nr; i++)
		found += block_on_node(ids[i], NODE) &&
			 (!online || block_is(ids[i], "online"));
	return found;
}

static unsigned long node_free_mb(void)
{
	char text[4096], *at;

	if (read_text("/sys/devices/system/node/node1/meminfo", text, sizeof(text)) < 0)
		scene_die(SCENE_ENV, "meminfo of node 1: %s", strerror(errno));
	at = strstr(text, "MemFree:");
	return at ? strtoul(at + 8, NULL, 10) >> 10 : 0;
}

/* Time that CPUs did not idle, in ms */
static double busy_ms(void)
{
	unsigned long long v[8] = { 0 };
	char text[4096];

	if (read_text("/proc/stat", text, sizeof(text)) < 0 ||
	    sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2,
		   v + 3, v + 4, v + 5, v + 6, v + 7) != 8)
		scene_die(SCENE_ENV, "/proc/stat: not as expected");
	return (v[0] + v[1] + v[2] + v[5] + v[6]) * 1000.0 / sysconf(_SC_CLK_TCK);
}

static void prefer_node(int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_set_mempolicy, node < 0 ? 0 : 1, node < 0 ? NULL : &mask,
		    node < 0 ? 0 : 64))
		_exit(2);
}

static uint64_t pattern(unsigned long page)
{
	return (page + 1) * 0x9e3779b97f4a7c15ULL;
}

static uint64_t *map_kind(int kind, size_t len)
{
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS |
			 (kind == 2 ? MAP_SHARED : MAP_PRIVATE), -1, 0);

	if (mem == MAP_FAILED)
		_exit(2);
	if (kind < 2)
		madvise(mem, len, kind ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return (uint64_t *)mem;
}

/* A sparse file, in small reads: page cache without I/O */
static void read_cache(size_t len)
{
	static char buf[PAGE];
	int fd = open(DISK_DIR "/content", O_RDWR | O_CREAT | O_TRUNC, 0600);
	size_t i;

	if (fd < 0 || ftruncate(fd, len) || posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		_exit(2);
	for (i = 0; i < len; i += PAGE)
		if (pread(fd, buf, PAGE, i) != (ssize_t)PAGE)
			_exit(2);
	close(fd);
}

static void user(struct shared *shared)
{
	size_t len = (mb << 20) / 100 * KIND_PCT / PAGE * PAGE, i;
	unsigned long nr = len / PAGE, seed = 1;
	uint64_t *mem[NR_KINDS], *at;
	int kind, n = 0;

	prefer_node(NODE);
	for (kind = 0; kind < NR_KINDS; kind++) {
		mem[kind] = map_kind(kind, len);
		for (i = 0; i < nr; i++)
			mem[kind][i * PAGE / 8] = pattern(i);
	}
	read_cache((mb << 20) / 100 * CACHE_PCT / PAGE * PAGE);
	prefer_node(-1);
	atomic_store(&shared->ready, true);
	while (!atomic_load(&shared->stop)) {
		seed = seed * 6364136223846793005UL + 1442695040888963407UL;
		i = (seed >> 33) % nr;
		at = mem[(seed >> 20) % NR_KINDS] + i * PAGE / 8;
		if (*at != pattern(i))
			atomic_fetch_add(&shared->wrong, 1);
		*(volatile uint64_t *)at = pattern(i);
		atomic_fetch_add(&shared->touched, 1);
		if (++n % TOUCHES == 0)
			usleep(1000);
	}
	for (kind = 0; kind < NR_KINDS; kind++)
		for (i = 0; i < nr; i++)
			if (mem[kind][i * PAGE / 8] != pattern(i))
				atomic_fetch_add(&shared->wrong, 1);
	_exit(0);
}

static void wait_user(struct shared *shared, pid_t pid)
{
	double end = now_ms() + FILL_MS;

	while (!atomic_load(&shared->ready)) {
		if (waitpid(pid, NULL, WNOHANG) || now_ms() > end)
			scene_die(SCENE_FAILED, "the content is not there");
		nap_ms(50);
	}
	write_text("/proc/sys/vm/stat_refresh", "1");
	printf("scene filled free_mb=%lu of_mb=%lu\n", node_free_mb(), mb);
	if (node_free_mb() > mb * (100 - MIN_FILL_PCT) / 100)
		scene_die(SCENE_FAILED, "node 1 is not %d %% full", MIN_FILL_PCT);
}

static void grow(void)
{
	int want = mb / (block_pages() >> 8);
	double end = now_ms() + PLUG_MS;

	if (node_blocks(false))
		scene_die(SCENE_ENV, "node 1 has memory already");
	if (write_text("/sys/devices/system/memory/auto_online_blocks", state))
		scene_die(SCENE_ENV, "this kernel lacks %s", state);
	request_mb(mb);
	while (node_blocks(true) < want) {
		if (now_ms() > end)
			scene_die(SCENE_FAILED, "%d of %d memory blocks came online",
				  node_blocks(true), want);
		nap_ms(50);
	}
}

static void shrink(void)
{
	double begin = now_ms(), busy = busy_ms(), end = begin + limit_s * 1e3;
	int left;

	request_mb(0);
	while ((left = node_blocks(false)) && now_ms() < end)
		nap_ms(20);
	begin = now_ms() - begin;
	busy = busy_ms() - busy;
	printf("scene shrunk blocks_left=%d host_mb=%lu ms=%.0f busy_ms=%.0f\n", left,
	       host_mb(), begin, busy);
}

static void scene(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	int status;
	pid_t pid;

	mkdir(RUN_DIR, 0700);
	mkdir(DISK_DIR, 0755);
	if (shared == MAP_FAILED || mount("/dev/vda", DISK_DIR, "ext4", MS_NOATIME, NULL))
		scene_die(SCENE_ENV, "disk or memory: %s", strerror(errno));
	grow();
	scene_step("virtio: %lu MB, %s", mb, state);
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		scene_die(SCENE_ENV, "fork: %s", strerror(errno));
	if (!pid)
		user(shared);
	wait_user(shared, pid);
	scene_step("virtio: full, back to nothing");
	shrink();
	atomic_store(&shared->stop, true);
	if (waitpid(pid, &status, 0) != pid || status)
		scene_die(SCENE_FAILED, "the task that owns the content: status %#x", status);
	printf("scene data touched=%lu wrong=%lu\n", atomic_load(&shared->touched),
	       atomic_load(&shared->wrong));
}

int main(int argc, char **argv)
{
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "m:o:t:")) != -1) {
		switch (c) {
		case 'm': mb = strtoul(optarg, NULL, 10); break;
		case 'o': state = optarg; break;
		case 't': limit_s = strtoul(optarg, NULL, 10); break;
		default: optind = argc + 1;
		}
	}
	if (optind != argc || mb < 128 || mb % 128 || !limit_s) {
		fprintf(stderr, "usage: virtio [-m MB] [-o online_TYPE] [-t SECONDS]\n");
		return SCENE_ENV;
	}
	scene();
	audit_start(200);
	nap_ms(2000);
	audit_stop();
	printf("scene end\n");
	return SCENE_OK;
}
