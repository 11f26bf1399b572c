// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a hotremove memory block, seen from sysfs: plugged in, online,
 * refused, offline, online as something else, unplugged.
 *
 * On a kernel without hotremove pageblocks these tests FAIL rather than skip:
 * `online_hotremove` is the feature under test.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define OFFLINE_MS	(10000 * pb_timeout_mul())

/* Free pages that per-CPU lists and unfolded differences may hide */
#define SLACK_PAGES	4096L

FIXTURE(hotplug) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *block;		/* the only one of the DIMM */
	int nid;
	bool may_stay;			/* online_kernel: slab may pin it */
};

FIXTURE_SETUP(hotplug)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	self->nid = pb_target_node();
	PB_HOTADD_OFFLINE(self, "state", pb_block_mb());
	self->block = self->dimm.block;
}

FIXTURE_TEARDOWN_PARENT(hotplug)
{
	int ret;

	EXPECT_EQ(0, pb_restore(&self->auto_online));
	ret = pb_hotdel(&self->dimm);
	if (self->may_stay && ret)
		TH_LOG("the kernel block stays: %s", strerror(-ret));
	else
		EXPECT_EQ(0, ret);
}

#define EXPECT_BLOCK(block, file, want) do {				\
	char __have[64] = "";						\
									\
	EXPECT_EQ(0, pb_block_get(block, file, __have, sizeof(__have)))	\
		TH_LOG("memory%u/%s", (block)->id, file);		\
	EXPECT_STREQ(want, __have)					\
		TH_LOG("memory%u/%s", (block)->id, file);		\
} while (0)

/* The module knows the pageblocks; without it sysfs has to do */
#define EXPECT_ALL_HOTREMOVE(block) do {				\
	int __all = pb_map_all_type(block, "Hotremove");		\
									\
	EXPECT_NE(0, __all)						\
		TH_LOG("a pageblock of memory%u is not Hotremove",	\
		       (block)->id);					\
} while (0)

static bool in_kernel_zone(const struct pb_block *block)
{
	char zone[64];

	return !pb_block_get(block, "valid_zones", zone, sizeof(zone)) &&
	       strcmp(zone, "Movable") && strcmp(zone, "none");
}

TEST_F_TIMEOUT(hotplug, online_hotremove_is_read_back, 300)
{
	ASSERT_TRUE(pb_block_is(self->block, "state", "offline"));
	ASSERT_ONLINE_HOTREMOVE(self->block);
	EXPECT_BLOCK(self->block, "state", "online");
	EXPECT_BLOCK(self->block, "online_type", "online_hotremove");
	EXPECT_ALL_HOTREMOVE(self->block);

	ASSERT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
	EXPECT_BLOCK(self->block, "state", "offline");
	EXPECT_BLOCK(self->block, "online_type", "offline");
}

TEST_F_TIMEOUT(hotplug, hotremove_blocks_are_in_a_kernel_zone, 300)
{
	ASSERT_ONLINE_HOTREMOVE(self->block);
	EXPECT_TRUE(in_kernel_zone(self->block));
}

TEST_F_TIMEOUT(hotplug, auto_online_blocks_brings_a_dimm_online_as_hotremove, 300)
{
	double end = pb_now() + 10.0 * pb_timeout_mul();
	struct pb_dimm second;
	char buf[64];
	int ret;

	ret = pb_write(AUTO_ONLINE, "online_hotremove");
	ASSERT_EQ(0, ret)
		TH_LOG("auto_online_blocks: %s%s", strerror(-ret),
		       ret == -EINVAL ?
		       " (this kernel lacks hotremove pageblocks)" : "");
	ASSERT_EQ(0, pb_read(AUTO_ONLINE, buf, sizeof(buf)));
	EXPECT_STREQ("online_hotremove", buf);

	/* What was there before stays as it is */
	EXPECT_BLOCK(self->block, "state", "offline");

	ASSERT_EQ(0, pb_hotadd(&second, "auto", pb_block_mb(), self->nid));
	while (!pb_block_is(&second.block[0], "state", "online") &&
	       pb_now() < end)
		pb_msleep(10);
	EXPECT_BLOCK(&second.block[0], "state", "online");
	EXPECT_BLOCK(&second.block[0], "online_type", "online_hotremove");
	EXPECT_TRUE(in_kernel_zone(&second.block[0]));
	EXPECT_ALL_HOTREMOVE(&second.block[0]);
	EXPECT_EQ(0, pb_hotdel(&second));
}

TEST_F_TIMEOUT(hotplug, block_comes_back_as_movable_and_as_hotremove_again, 300)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_ONLINE_HOTREMOVE(self->block);
		EXPECT_BLOCK(self->block, "online_type", "online_hotremove");
		EXPECT_TRUE(in_kernel_zone(self->block));
		EXPECT_ALL_HOTREMOVE(self->block);
		ASSERT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));

		ASSERT_EQ(0, pb_block_set(self->block, "online_movable"));
		EXPECT_BLOCK(self->block, "online_type", "online_movable");
		EXPECT_BLOCK(self->block, "valid_zones", "Movable");
		EXPECT_NE(1, pb_map_all_type(self->block, "Hotremove"));
		ASSERT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
	}
}

/*
 * The very first page: a block of an otherwise empty node is where the kernel
 * puts its per-node slab first (27 pages of a ZONE_NORMAL block, which pin
 * it). Requests that prefer the node must all end up elsewhere.
 */
TEST_F_TIMEOUT(hotplug, block_of_an_empty_node_takes_no_unmovable_page, 300)
{
	struct pb_pipes pipes;
	long foreign, slab;
	double took;

	PB_NEED_EMPTY_NODE(self->nid);
	ASSERT_ONLINE_HOTREMOVE(self->block);

	foreign = pb_numastat(self->nid, "numa_foreign");
	ASSERT_EQ(0, pb_prefer_node(self->nid));
	ASSERT_EQ(0, pb_pipes_fill(&pipes, 32 << 20));
	ASSERT_EQ(0, pb_prefer_node(-1));
	pb_fold_counters();
	/* They did ask this node: it counts what others had to serve */
	EXPECT_GT(pb_numastat(self->nid, "numa_foreign") - foreign,
		  (long)(pipes.bytes / getpagesize() / 2));

	slab = pb_count_flags(self->block, PB_KPF_SLAB | PB_KPF_PGTABLE);
	EXPECT_EQ(0, slab)
		TH_LOG("slab and page table pages in the block: %ld", slab);
	/* With the unmovable pages still there */
	EXPECT_EQ(0, pb_offline(self->block, OFFLINE_MS, &took));
	pb_pipes_free(&pipes);
}

/* Kernel allocations go by has_normal_memory, user ones by has_memory */
TEST_F_TIMEOUT(hotplug, node_with_only_hotremove_has_memory_but_no_normal_one, 300)
{
	PB_NEED_EMPTY_NODE(self->nid);
	ASSERT_ONLINE_HOTREMOVE(self->block);
	EXPECT_EQ(1, pb_node_in("has_memory", self->nid));
	EXPECT_EQ(0, pb_node_in("has_normal_memory", self->nid));
	ASSERT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
	EXPECT_EQ(0, pb_node_in("has_memory", self->nid));
}

TEST_F_TIMEOUT(hotplug, offline_moves_what_the_block_holds, 300)
{
	size_t len = pb_block_bytes() / 2, i, inside;
	char *p;

	ASSERT_ONLINE_HOTREMOVE(self->block);
	p = pb_mmap_node(len, self->nid);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < len; i += getpagesize())
		*(size_t *)(p + i) = i ^ 0x5a5a5a5a;
	inside = pb_pages_in(self->block, p, len / getpagesize());
	ASSERT_GT(inside * getpagesize(), len / 2)
		TH_LOG("%zu pages in the block", inside);
	EXPECT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
	for (i = 0; i < len; i += getpagesize())
		ASSERT_EQ(i ^ 0x5a5a5a5a, *(size_t *)(p + i));
	EXPECT_EQ(0, pb_pages_in(self->block, p, len / getpagesize()));
}

/*
 * |--HOTREMOVE--| -> |--ISOLATED, one page held--| -> signal -> as before
 */
TEST_F_TIMEOUT(hotplug, given_up_offline_leaves_a_hotremove_block, 300)
{
	struct pb_hold hold;
	pid_t off;

	ASSERT_ONLINE_HOTREMOVE(self->block);
	ASSERT_EQ(0, pb_hold_page(&hold, self->nid));
	ASSERT_TRUE(pb_block_has(self->block, hold.pfn));

	off = pb_offline_start(self->block);
	ASSERT_GT(off, 0);
	ASSERT_TRUE(pb_going_offline(self->block));
	pb_msleep(200);
	EXPECT_EQ(-ETIMEDOUT, pb_offline_wait(off, 0, NULL));

	EXPECT_BLOCK(self->block, "state", "online");
	EXPECT_BLOCK(self->block, "online_type", "online_hotremove");
	EXPECT_ALL_HOTREMOVE(self->block);
	EXPECT_EQ(0, pb_zoneinfo(self->nid, NULL, "nr_free_isolated"));
	pb_release_page(&hold);
	EXPECT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
}

TEST_F_TIMEOUT(hotplug, counters_follow_the_block_and_its_pages, 300)
{
	const long page_kb = getpagesize() / 1024, pages = pb_block_pages();
	const long some = pages / 4;
	long total0, total, node_free, hotremove;
	size_t i;
	char *p;

	total0 = pb_meminfo("HotremoveTotal");
	EXPECT_GE(total0, 0) TH_LOG("no HotremoveTotal in meminfo");
	EXPECT_GE(pb_meminfo("HotremoveFree"), 0);
	EXPECT_GE(pb_vmstat("nr_free_hotremove"), 0);
	EXPECT_EQ(0, pb_vmstat("nr_free_isolated"));

	ASSERT_ONLINE_HOTREMOVE(self->block);
	pb_fold_counters();
	total = pb_meminfo("HotremoveTotal");
	EXPECT_EQ(pages * page_kb, total - total0);
	EXPECT_LE(pb_meminfo("HotremoveFree"), total);
	hotremove = pb_zoneinfo(self->nid, NULL, "nr_free_hotremove");
	node_free = pb_zoneinfo(self->nid, NULL, "nr_free_pages");
	EXPECT_GE(hotremove, pages - SLACK_PAGES);
	EXPECT_LE(hotremove, node_free);

	p = pb_mmap_node(some * getpagesize(), self->nid);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < (size_t)some; i++)
		p[i * getpagesize()] = 1;
	pb_fold_counters();
	EXPECT_LE(pb_zoneinfo(self->nid, NULL, "nr_free_hotremove"),
		  hotremove - some + SLACK_PAGES);
	EXPECT_LE(pb_meminfo("HotremoveFree"),
		  total - (some - SLACK_PAGES) * page_kb);
	EXPECT_EQ(total, pb_meminfo("HotremoveTotal"));

	munmap(p, some * getpagesize());
	pb_fold_counters();
	EXPECT_GE(pb_zoneinfo(self->nid, NULL, "nr_free_hotremove"),
		  hotremove - SLACK_PAGES);

	EXPECT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
	pb_fold_counters();
	EXPECT_EQ(total0, pb_meminfo("HotremoveTotal"));
	EXPECT_EQ(0, pb_vmstat("nr_free_isolated"));
}

/* Isolated free pages are nobody's: not free, not hotremove, but counted */
TEST_F_TIMEOUT(hotplug, isolated_free_pages_have_their_own_counter, 300)
{
	const long pages = pb_block_pages();
	long node_free, hotremove, isolated = -1;
	double end = pb_now() + 5.0 * pb_timeout_mul();
	struct pb_hold hold;
	pid_t off;

	ASSERT_ONLINE_HOTREMOVE(self->block);
	ASSERT_EQ(0, pb_hold_page(&hold, self->nid));
	ASSERT_TRUE(pb_block_has(self->block, hold.pfn));
	pb_fold_counters();
	node_free = pb_zoneinfo(self->nid, NULL, "nr_free_pages");
	hotremove = pb_zoneinfo(self->nid, NULL, "nr_free_hotremove");
	EXPECT_EQ(0, pb_zoneinfo(self->nid, NULL, "nr_free_isolated"));

	off = pb_offline_start(self->block);
	ASSERT_GT(off, 0);
	ASSERT_TRUE(pb_going_offline(self->block));
	while (pb_now() < end && isolated < pages - SLACK_PAGES) {
		pb_msleep(50);
		pb_fold_counters();
		isolated = pb_zoneinfo(self->nid, NULL, "nr_free_isolated");
	}
	EXPECT_GE(isolated, pages - SLACK_PAGES);
	EXPECT_LT(isolated, pages);
	EXPECT_LE(pb_zoneinfo(self->nid, NULL, "nr_free_pages"),
		  node_free - pages + SLACK_PAGES);
	EXPECT_LE(pb_zoneinfo(self->nid, NULL, "nr_free_hotremove"),
		  hotremove - pages + SLACK_PAGES);
	pb_release_page(&hold);
	EXPECT_EQ(0, pb_offline_wait(off, OFFLINE_MS, NULL));
	pb_fold_counters();
	EXPECT_EQ(0, pb_vmstat("nr_free_isolated"));
}

/* Last: slab may pin the block once it is the kernel's, and the DIMM stays */
TEST_F_TIMEOUT(hotplug, block_comes_back_as_kernel, 300)
{
	ASSERT_ONLINE_HOTREMOVE(self->block);
	ASSERT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
	self->may_stay = true;
	ASSERT_EQ(0, pb_block_set(self->block, "online_kernel"));
	EXPECT_BLOCK(self->block, "online_type", "online_kernel");
	EXPECT_TRUE(in_kernel_zone(self->block));
	EXPECT_NE(1, pb_map_all_type(self->block, "Hotremove"));
	pb_fold_counters();
	EXPECT_EQ(0, pb_zoneinfo(self->nid, NULL, "nr_free_hotremove"));
}

TEST_HARNESS_MAIN
