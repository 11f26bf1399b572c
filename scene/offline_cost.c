// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to take one memory block offline, by what is in it: guest
 * instructions where they are counted (--icount), else cycles.
 *
 * usage: offline_cost STATE DIR	(e.g. online_movable; DIR on a disk)
 *
 * The block is the only one of a node without CPUs, so that nothing else lives
 * there, and there is room for its pages on node 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>
#include "scene.h"

#define NODE		1
#define ROUNDS		3
#define MPOL_DEFAULT	0
#define MPOL_PREFERRED	1
#define MIN_FILL_PCT	80.0

static const char *disk;

static void prefer_node(int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_set_mempolicy, node < 0 ? MPOL_DEFAULT : MPOL_PREFERRED,
		    node < 0 ? NULL : &mask, node < 0 ? 0 : 64))
		scene_die(SCENE_FAILED, "set_mempolicy: %s", strerror(errno));
}

/* Leaves 1/16 of the block free: what it brings along needs some */
static size_t content_bytes(void)
{
	return block_pages() * sysconf(_SC_PAGESIZE) / 16 * 15;
}

static void *fill_nothing(void)
{
	return NULL;
}

static void *fill_anon(int advice)
{
	size_t len = content_bytes(), i;
	char *mem;

	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED || madvise(mem, len, advice))
		scene_die(SCENE_FAILED, "memory for content: %s", strerror(errno));
	prefer_node(NODE);
	for (i = 0; i < len; i += sysconf(_SC_PAGESIZE))
		mem[i] = 1;
	prefer_node(-1);
	return mem;
}

static void *fill_anon4k(void)
{
	return fill_anon(MADV_NOHUGEPAGE);
}

static void *fill_thp(void)
{
	return fill_anon(MADV_HUGEPAGE);
}

/* A sparse file: page cache without I/O. In small reads: folios of 4 KB mostly */
static void *fill_cache(void)
{
	size_t len = content_bytes(), i;
	static char buf[4096], path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/content", disk);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, len) ||
	    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		scene_die(SCENE_FAILED, "%s: %s", path, strerror(errno));
	prefer_node(NODE);
	for (i = 0; i < len; i += sizeof(buf))
		if (pread(fd, buf, sizeof(buf), i) != sizeof(buf))
			scene_die(SCENE_FAILED, "%s: %s", path, strerror(errno));
	prefer_node(-1);
	close(fd);
	return NULL;
}

static void clear(void *mem)
{
	char path[128];

	if (mem)
		munmap(mem, content_bytes());
	snprintf(path, sizeof(path), "%s/content", disk);
	unlink(path);
}

static const struct {
	const char *name;
	void *(*fill)(void);
} contents[] = {
	{ "free", fill_nothing },
	{ "anon4k", fill_anon4k },
	{ "thp", fill_thp },
	{ "cache", fill_cache },
};

static unsigned long find_block(void)
{
	unsigned long ids[256];
	int nr = blocks_present(ids, 256);

	while (nr-- > 0)
		if (block_on_node(ids[nr], NODE))
			return ids[nr];
	scene_die(SCENE_ENV, "node %d has no memory block", NODE);
}

static void measure(unsigned long id, const char *state, int content)
{
	bool full = contents[content].fill != fill_nothing;
	unsigned long long ticks;
	char path[96];
	double pct, ms;
	void *mem;
	int err;

	err = block_set(id, state, 60, &ms);
	if (err)
		scene_die(SCENE_FAILED, "memory%lu %s: %s", id, state, strerror(err));
	mem = contents[content].fill();
	/* What is on its way to the LRU arrives there */
	write_text("/proc/sys/vm/stat_refresh", "1");
	map_fill(&id, 1, &pct);
	if (full && pct < MIN_FILL_PCT)
		scene_die(SCENE_FAILED, "%s: the block is %.1f %% full, need %.0f",
			  contents[content].name, pct, MIN_FILL_PCT);

	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%lu/state", id);
	ticks = __rdtsc();
	err = write_text(path, "offline");
	ticks = __rdtsc() - ticks;
	if (err)
		scene_die(SCENE_FAILED, "memory%lu offline, %s: %s", id,
			  contents[content].name, strerror(err));
	printf("scene cost state=%s content=%s fill=%.1f ticks=%llu\n", state,
	       contents[content].name, pct, ticks);
	clear(mem);
}

int main(int argc, char **argv)
{
	unsigned long id;
	size_t i;
	int round;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 3)
		scene_die(SCENE_ENV, "usage: offline_cost STATE DIR");
	disk = argv[2];
	id = find_block();
	for (round = 0; round < ROUNDS; round++)
		for (i = 0; i < sizeof(contents) / sizeof(*contents); i++)
			measure(id, argv[1], i);
	return SCENE_OK;
}
