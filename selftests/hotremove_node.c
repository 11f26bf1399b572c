// SPDX-License-Identifier: GPL-2.0
/*
 * A node whose memory is all hotremove and full of page cache. It has nothing
 * for requests that are not movable, so they must not wake its kswapd, not
 * reclaim its cache and not run out of memory while other nodes have some.
 *
 *   node 0: |--ordinary, free--|    node N: |--HOTREMOVE, page cache--|
 *
 * On a kernel without hotremove pageblocks these tests FAIL rather than skip:
 * `online_hotremove` is the feature under test.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define NR_BLOCKS	2
#define LOAD_BYTES	(64UL << 20)

FIXTURE(node) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	int nid;
	char file[192];
};

FIXTURE_SETUP(node)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (!pb_disk_dir())
		SKIP(return, "need a file system with reclaimable page cache (PB_DISK_DIR, ext4 on /dev/vda), have none");
	PB_NEED_EMPTY_NODE(self->nid);
	snprintf(self->file, sizeof(self->file), "%s/pb-cache",
		 pb_disk_dir());
	PB_HOTADD_OFFLINE(self, "node", NR_BLOCKS * pb_block_mb());
}

FIXTURE_TEARDOWN_PARENT(node)
{
	unlink(self->file);
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

/*
 * Reads a sparse file: page cache without I/O, clean and reclaimable. The
 * task policy says which node; movable requests may well wake its kswapd.
 */
static int fill_with_cache(const char *file, size_t len, int nid)
{
	static char buf[1 << 16];
	size_t done = 0;
	ssize_t got = 0;
	int fd, ret;

	fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || ftruncate(fd, len))
		return -errno;
	ret = pb_prefer_node(nid);
	while (!ret && done < len && (got = read(fd, buf, sizeof(buf))) > 0)
		done += got;
	if (got < 0)
		ret = -errno;
	pb_prefer_node(-1);
	close(fd);
	return ret;
}

/* Until two looks in a row show the same, or @seconds are over */
static bool settles(pid_t kswapd, int seconds)
{
	double end = pb_now() + seconds;
	long was, now = -1;

	do {
		was = now;
		pb_msleep(500);
		now = pb_task_switches(kswapd);
	} while (now != was && pb_now() < end);
	return now == was;
}

struct node_look {
	long ticks, wakes, scanned, stolen, cache, foreign;
};

static void look(int nid, pid_t kswapd, struct node_look *l)
{
	pb_fold_counters();
	l->ticks = pb_task_ticks(kswapd);
	l->wakes = pb_task_switches(kswapd);
	l->scanned = pb_node_vmstat(nid, "pgscan_kswapd") +
		     pb_node_vmstat(nid, "pgscan_direct");
	l->stolen = pb_node_vmstat(nid, "pgsteal_kswapd") +
		    pb_node_vmstat(nid, "pgsteal_direct");
	l->cache = pb_node_vmstat(nid, "nr_file_pages");
	l->foreign = pb_numastat(nid, "numa_foreign");
}

#define ASSERT_NODE_FULL_OF_CACHE(self) do {				\
	long __managed, __cache;					\
	int __i;							\
									\
	for (__i = 0; __i < (self)->dimm.nr; __i++)			\
		ASSERT_ONLINE_HOTREMOVE(&(self)->dimm.block[__i]);	\
	__managed = pb_zoneinfo((self)->nid, NULL, "managed");		\
	ASSERT_GT(__managed, 0);					\
	ASSERT_EQ(0, fill_with_cache((self)->file,			\
				     __managed * getpagesize(),		\
				     (self)->nid));			\
	__cache = pb_node_vmstat((self)->nid, "nr_file_pages");		\
	ASSERT_GT(__cache, __managed * 8 / 10)				\
		TH_LOG("%ld of %ld pages are page cache", __cache,	\
		       __managed);					\
} while (0)

#define ASSERT_KSWAPD(self, kswapd) do {				\
	char __comm[32];						\
									\
	snprintf(__comm, sizeof(__comm), "kswapd%d", (self)->nid);	\
	kswapd = pb_kthread(__comm);					\
	ASSERT_GT(kswapd, 0) TH_LOG("no %s", __comm);			\
	ASSERT_TRUE(settles(kswapd, 20 * pb_timeout_mul()))		\
		TH_LOG("%s does not even sleep without load", __comm);	\
} while (0)

TEST_F_TIMEOUT(node, kswapd_sleeps_while_unmovable_requests_prefer_the_node, 600)
{
	struct node_look a, b;
	struct pb_pipes pipes;
	double end;
	pid_t kswapd;
	long loads = 0;

	ASSERT_NODE_FULL_OF_CACHE(self);
	ASSERT_KSWAPD(self, kswapd);

	look(self->nid, kswapd, &a);
	ASSERT_EQ(0, pb_prefer_node(self->nid));
	end = pb_now() + pb_env("PB_SECONDS", 6);
	do {
		ASSERT_EQ(0, pb_pipes_fill(&pipes, LOAD_BYTES));
		pb_pipes_free(&pipes);
		loads++;
	} while (pb_now() < end);
	ASSERT_EQ(0, pb_prefer_node(-1));
	look(self->nid, kswapd, &b);
	TH_LOG("%ld x %lu MiB unmovable: kswapd%d woken %ld times, %ld ticks; scanned %ld, stolen %ld; cache %ld -> %ld pages; %ld requests went elsewhere",
	       loads, LOAD_BYTES >> 20, self->nid, b.wakes - a.wakes,
	       b.ticks - a.ticks, b.scanned - a.scanned, b.stolen - a.stolen,
	       a.cache, b.cache, b.foreign - a.foreign);

	/* The load did ask this node first */
	ASSERT_GT(b.foreign - a.foreign,
		  (long)(LOAD_BYTES / getpagesize() / 2));
	/* A tick of noise is not a kswapd at work */
	EXPECT_LE(b.wakes - a.wakes, 2);
	EXPECT_LE(b.ticks - a.ticks, 2);
	EXPECT_EQ(0, b.scanned - a.scanned);
	EXPECT_EQ(0, b.stolen - a.stolen);
	EXPECT_GE(b.cache, a.cache - 64);
}

TEST_F_TIMEOUT(node, unmovable_requests_bound_elsewhere_leave_its_cache_alone, 600)
{
	struct node_look a, b;
	struct pb_pipes pipes;
	long oom, free_before;
	pid_t kswapd;

	ASSERT_NODE_FULL_OF_CACHE(self);
	ASSERT_KSWAPD(self, kswapd);
	oom = pb_vmstat("oom_kill");
	free_before = pb_vmstat("nr_free_pages");

	look(self->nid, kswapd, &a);
	ASSERT_EQ(0, pb_prefer_node(self->nid));
	/* Held all at once: a quarter of what the other nodes have free */
	ASSERT_EQ(0, pb_pipes_fill(&pipes,
				   free_before / 4 * getpagesize()));
	ASSERT_EQ(0, pb_prefer_node(-1));
	look(self->nid, kswapd, &b);
	TH_LOG("%zu MiB held: node %d scanned %ld, stolen %ld, cache %ld -> %ld pages, %ld requests went elsewhere",
	       pipes.bytes >> 20, self->nid, b.scanned - a.scanned,
	       b.stolen - a.stolen, a.cache, b.cache, b.foreign - a.foreign);

	ASSERT_GT(b.foreign - a.foreign,
		  (long)(pipes.bytes / getpagesize() * 9 / 10));
	EXPECT_EQ(0, b.scanned - a.scanned);
	EXPECT_EQ(0, b.stolen - a.stolen);
	EXPECT_GE(b.cache, a.cache - 64);
	EXPECT_EQ(oom, pb_vmstat("oom_kill"));
	pb_pipes_free(&pipes);
}

/* Movable requests are the ones that its kswapd is there for */
TEST_F_TIMEOUT(node, kswapd_still_serves_movable_requests, 600)
{
	struct node_look a, b;
	size_t len, i;
	pid_t kswapd;
	char *mem;

	ASSERT_NODE_FULL_OF_CACHE(self);
	ASSERT_KSWAPD(self, kswapd);
	look(self->nid, kswapd, &a);
	len = pb_block_bytes() / 2;
	mem = pb_mmap_node(len, self->nid);
	ASSERT_NE(MAP_FAILED, mem);
	for (i = 0; i < len; i += getpagesize())
		mem[i] = 1;
	look(self->nid, kswapd, &b);
	TH_LOG("scanned %ld, stolen %ld, cache %ld -> %ld pages",
	       b.scanned - a.scanned, b.stolen - a.stolen, a.cache, b.cache);
	EXPECT_GT(b.stolen - a.stolen, 0);
	EXPECT_LT(b.cache, a.cache);
}

#define TIERS	"/sys/devices/virtual/memory_tiering"

/* Is the node in the list of a memory tier? Lists are as "0-1,3" */
static bool in_a_tier(int nid)
{
	char text[256], *at;
	bool found = false;
	glob_t lists;
	int from, to;
	size_t i;

	if (glob(TIERS "/memory_tier*/nodelist", 0, NULL, &lists))
		return false;
	for (i = 0; i < lists.gl_pathc && !found; i++) {
		if (pb_read(lists.gl_pathv[i], text, sizeof(text)) < 0)
			continue;
		for (at = strtok(text, ","); at; at = strtok(NULL, ",")) {
			if (sscanf(at, "%d-%d", &from, &to) < 2)
				to = from = atoi(at);
			found |= nid >= from && nid <= to;
		}
	}
	globfree(&lists);
	return found;
}

/* Tiers, and what is demoted to where, are about all memory: N_MEMORY */
TEST_F(node, is_in_a_memory_tier_as_long_as_it_has_hotremove_memory)
{
	int i;

	if (access(TIERS, F_OK))
		SKIP(return, "need memory tiers (CONFIG_NUMA), have no " TIERS);
	ASSERT_TRUE(in_a_tier(0));
	ASSERT_FALSE(in_a_tier(self->nid));
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[i]);
	EXPECT_TRUE(in_a_tier(self->nid));
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_EQ(0, pb_block_set(&self->dimm.block[i], "offline"));
	EXPECT_FALSE(in_a_tier(self->nid));
}

TEST_HARNESS_MAIN
