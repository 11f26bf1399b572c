// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets a page of a hotremove pageblock: movable requests, and those
 * first; nobody else, at no order, even when everything else is full.
 *
 *   node:  |--HOTREMOVE (first DIMM)--|--ordinary kernel (second DIMM)--|
 *
 * The ordinary block may stay behind when the kernel puts slab into it.
 *
 * On a kernel without hotremove pageblocks these tests FAIL rather than skip:
 * `online_hotremove` is the feature under test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define MIN_FREE	"/proc/sys/vm/min_free_kbytes"
#define ALLOC		PB_DEBUGFS "/alloc"

/* Free pages that per-CPU lists and unfolded differences may hide */
#define SLACK_PAGES	4096L

FIXTURE(fallback) {
	struct pb_saved auto_online;
	struct pb_dimm hot, ordinary;
	int nid;
};

FIXTURE_SETUP(fallback)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	self->nid = pb_target_node();
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->hot, "hot", pb_block_mb(), self->nid));
}

FIXTURE_TEARDOWN_PARENT(fallback)
{
	int ret;

	pb_write(ALLOC, "free");
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	ret = pb_hotdel(&self->ordinary);
	if (ret)
		TH_LOG("the ordinary block stays: %s", strerror(-ret));
	EXPECT_EQ(0, pb_hotdel(&self->hot));
}

#define ASSERT_BOTH_KINDS(self) do {					\
	ASSERT_ONLINE_HOTREMOVE(&(self)->hot.block[0]);			\
	ASSERT_EQ(0, pb_hotadd(&(self)->ordinary, "ord", pb_block_mb(),	\
			       (self)->nid));				\
	ASSERT_EQ(0, pb_block_set(&(self)->ordinary.block[0],		\
				  "online_kernel"));			\
} while (0)

static void touch(char *mem, long pages)
{
	long i;

	for (i = 0; i < pages; i++)
		mem[i * getpagesize()] = i;
}

TEST_F_TIMEOUT(fallback, movable_requests_take_hotremove_first, 300)
{
	const long pages = pb_block_pages() / 4;
	long in_hot, in_ordinary;
	char *mem;

	ASSERT_BOTH_KINDS(self);
	pb_fold_counters();
	ASSERT_GT(pb_zoneinfo(self->nid, NULL, "nr_free_hotremove"),
		  pages + SLACK_PAGES);
	ASSERT_GT(pb_zoneinfo(self->nid, NULL, "nr_free_pages") -
		  pb_zoneinfo(self->nid, NULL, "nr_free_hotremove"),
		  pages + SLACK_PAGES);

	mem = pb_mmap_node(pages * getpagesize(), self->nid);
	ASSERT_NE(MAP_FAILED, mem);
	touch(mem, pages);
	in_hot = pb_pages_in(&self->hot.block[0], mem, pages);
	in_ordinary = pb_pages_in(&self->ordinary.block[0], mem, pages);
	TH_LOG("of %ld pages: hotremove %ld, ordinary %ld", pages, in_hot,
	       in_ordinary);
	/* What was on per-CPU lists before may be ordinary */
	EXPECT_GE(in_hot, pages - SLACK_PAGES / 2);
}

TEST_F_TIMEOUT(fallback, movable_requests_go_on_when_hotremove_is_full, 300)
{
	const long block = pb_block_pages(), pages = block + block / 2;
	long in_hot, in_ordinary;
	char *mem;

	ASSERT_BOTH_KINDS(self);
	mem = pb_mmap_node(pages * getpagesize(), self->nid);
	ASSERT_NE(MAP_FAILED, mem);
	touch(mem, pages);
	in_hot = pb_pages_in(&self->hot.block[0], mem, pages);
	in_ordinary = pb_pages_in(&self->ordinary.block[0], mem, pages);
	TH_LOG("of %ld pages: hotremove %ld, ordinary %ld", pages, in_hot,
	       in_ordinary);
	EXPECT_GE(in_hot, block * 9 / 10);
	EXPECT_GE(in_ordinary, block / 4);
}

TEST_F_TIMEOUT(fallback, huge_pages_come_from_hotremove, 300)
{
	size_t huge = pb_huge_bytes();
	long pages, in_hot;
	uint64_t flags = 0;
	char *area, *mem;

	if (!huge || huge > pb_block_bytes() / 8)
		SKIP(return, "need transparent huge pages of 1/8 block or less, have %zu bytes",
		     huge);
	ASSERT_BOTH_KINDS(self);
	pages = 4 * huge / getpagesize();
	area = pb_mmap_node(5 * huge, self->nid);
	ASSERT_NE(MAP_FAILED, area);
	mem = (char *)(((uintptr_t)area + huge - 1) & ~(huge - 1));
	ASSERT_EQ(0, madvise(mem, 4 * huge, MADV_HUGEPAGE));
	touch(mem, pages);
	ASSERT_EQ(0, pb_page_flags(pb_pfn(mem), &flags));
	ASSERT_TRUE(flags & PB_KPF_THP) TH_LOG("no huge page at that address");
	in_hot = pb_pages_in(&self->hot.block[0], mem, pages);
	EXPECT_EQ(pages, in_hot);
}

/*
 * More than the ordinary block can hold: the rest has to come from another
 * node, and hotremove memory stays as free as it was.
 */
TEST_F_TIMEOUT(fallback, unmovable_requests_never_take_hotremove, 300)
{
	long before, after, foreign, slab;
	struct pb_pipes pipes;

	ASSERT_BOTH_KINDS(self);
	pb_fold_counters();
	before = pb_zoneinfo(self->nid, NULL, "nr_free_hotremove");
	ASSERT_GT(before, SLACK_PAGES);
	foreign = pb_numastat(self->nid, "numa_foreign");

	ASSERT_EQ(0, pb_prefer_node(self->nid));
	ASSERT_EQ(0, pb_pipes_fill(&pipes, pb_block_bytes() * 3 / 2));
	ASSERT_EQ(0, pb_prefer_node(-1));
	pb_fold_counters();

	/* They asked this node until it had nothing for them */
	EXPECT_GT(pb_numastat(self->nid, "numa_foreign") - foreign,
		  (long)pb_block_pages() / 4);
	after = pb_zoneinfo(self->nid, NULL, "nr_free_hotremove");
	TH_LOG("%zu MiB of pipes, free hotremove pages %ld -> %ld",
	       pipes.bytes >> 20, before, after);
	EXPECT_GE(after, before - SLACK_PAGES);
	slab = pb_count_flags(&self->hot.block[0],
			      PB_KPF_SLAB | PB_KPF_PGTABLE);
	EXPECT_EQ(0, slab);
	pb_pipes_free(&pipes);
}

/*
 * The debug module's allocations: what the kernel itself may ask for, at the
 * orders where the paths part (per-CPU list, THP's per-CPU list, buddy).
 */
static const struct request {
	const char *gfp;
	bool may;		/* be served from hotremove */
} requests[] = {
	{ "unmovable",	 false },
	{ "reclaimable", false },
	{ "highatomic",	 false },
	{ "user",	 false },
	{ "movable",	 true },
};

/* How many of the held allocations are in hotremove blocks; -1: unreadable */
static long held_in_hotremove(char *text, size_t len)
{
	static const char key[] = "type=hotremove count=";
	const char *at = text;
	long sum = 0;

	if (pb_read(ALLOC, text, len))
		return -1;
	while ((at = strcasestr(at, key))) {
		at += strlen(key);
		sum += strtol(at, NULL, 10);
	}
	return sum;
}

TEST_F_TIMEOUT(fallback, each_request_kind_keeps_the_rule_at_every_order, 300)
{
	static const int orders[] = { 0, 1, 3, 9 };
	char cmd[64], text[8192];
	unsigned int i, j;
	long held;
	int ret;

	if (access(ALLOC, W_OK))
		SKIP(return, "need " ALLOC " of pageblock_debug.ko, have none");
	ASSERT_BOTH_KINDS(self);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		for (j = 0; j < ARRAY_SIZE(orders); j++) {
			/* Its reserve is for high orders only */
			if (!orders[j] && !strcmp(requests[i].gfp, "highatomic"))
				continue;
			snprintf(cmd, sizeof(cmd), "%d %d %s node=%d",
				 orders[j], 512 >> orders[j] ?: 4,
				 requests[i].gfp, self->nid);
			ret = pb_write(ALLOC, cmd);
			ASSERT_EQ(0, ret)
				TH_LOG("'%s': %s", cmd, strerror(-ret));
			held = held_in_hotremove(text, sizeof(text));
			ASSERT_EQ(0, pb_write(ALLOC, "free"));
			if (requests[i].may) {
				EXPECT_GT(held, 0)
					TH_LOG("'%s' took none: %s", cmd, text);
			} else {
				EXPECT_EQ(0, held)
					TH_LOG("'%s' took some: %s", cmd, text);
			}
		}
	}
}

/*
 * A boost raises the watermarks by up to a pageblock and more, so that kswapd makes
 * room before pageblocks have to be mixed again. Free hotremove memory is no cover
 * for it: a boost for which only that is left would fail requests for which there
 * is memory. Without hotremove memory the same request does boost.
 */
FIXTURE(boost) {
	struct pb_saved auto_online, min_free;
	struct pb_dimm dimm;
	int nid;
};

FIXTURE_VARIANT(boost) {
	bool hotremove;
};

FIXTURE_VARIANT_ADD(boost, mostly_hotremove) {
	.hotremove = true,
};

/* Last: the first memory of a node attracts slab, which keeps it */
FIXTURE_VARIANT_ADD(boost, ordinary_memory_only) {
	.hotremove = false,
};

FIXTURE_SETUP(boost)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (!pb_debug_has("press"))
		SKIP(return, "need the debug module's press, have none");
	PB_NEED_EMPTY_NODE(self->nid);
	ASSERT_EQ(0, pb_save(&self->min_free, MIN_FREE));
	PB_HOTADD_OFFLINE(self, "boost", 3 * pb_block_mb());
	if (variant->hotremove) {
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[2]);
	}
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[0], "online_kernel"));
	/* High marks below what a pageblock has */
	ASSERT_EQ(0, pb_write(MIN_FREE, "1024"));
}

FIXTURE_TEARDOWN_PARENT(boost)
{
	int ret;

	pb_debug("press", "free");
	pb_debug("alloc", "free");
	EXPECT_EQ(0, pb_restore(&self->min_free));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	ret = pb_hotdel(&self->dimm);
	if (ret)
		TH_LOG("the ordinary block stays: %s", strerror(-ret));
}

/* Free ordinary pages of the node on the lists of a type, in pieces below @order */
static long free_of_type(int nid, const char *type, int below)
{
	long sum = 0;
	int order;

	for (order = 0; order < below; order++)
		sum += pb_free_of_order(nid, "Normal", type, order) << order;
	return sum;
}

/* Free pages of ordinary pageblocks that are in use already */
static long partly_used(int nid)
{
	int below = __builtin_ctzl(pb_pageblock_pages());

	return free_of_type(nid, "Unmovable", below) +
	       free_of_type(nid, "Movable", below) +
	       free_of_type(nid, "Reclaimable", below);
}

TEST_F_TIMEOUT(boost, is_not_for_what_only_hotremove_memory_would_cover, 300)
{
	const long block = pb_pageblock_pages(), rest = block * 7 / 8;
	long usable, hot, left, before, after, boost;
	char text[512], *at;
	int ret;

	/*
	 * All that is free and ordinary shall be the rest of one pageblock, and what
	 * the first memory of a node has attracted leaves of another one. No order
	 * that per-CPU lists have: they would keep some of it.
	 */
	pb_fold_counters();
	usable = pb_zoneinfo(self->nid, "Normal", "nr_free_pages");
	hot = variant->hotremove ?
	      pb_zoneinfo(self->nid, "Normal", "nr_free_hotremove") : 0;
	ASSERT_GE(hot, variant->hotremove ? (long)pb_block_pages() : 0);
	usable -= hot;
	ASSERT_GT(usable, 16 * block);
	left = rest + partly_used(self->nid);
	ASSERT_LT(left, rest + 2 * block);
	ASSERT_EQ(0, pb_debug("alloc", "4 %ld reclaimable node=%d",
			      (usable - left) >> 4, self->nid))
		TH_LOG("%ld pages usable, %ld hotremove; marks %ld to %ld", usable, hot,
		       pb_zoneinfo(self->nid, "Normal", "min"),
		       pb_zoneinfo(self->nid, "Normal", "high"));
	pb_fold_counters();
	before = free_of_type(self->nid, "Reclaimable", pb_max_order() + 1);
	ASSERT_GT(before, rest / 2);
	ASSERT_LT(before, block);
	ASSERT_EQ(0, pb_zoneinfo(self->nid, "Normal", "boost"));
	ASSERT_LT(pb_zoneinfo(self->nid, "Normal", "high"), left);

	ret = pb_debug("press", "4 %ld mayfail node=%d",
		       (left - rest * 3 / 8) >> 4, self->nid);
	/* Where it is right to boost, the last of them may be below the mark */
	if (variant->hotremove || ret != -ENOMEM)
		ASSERT_EQ(0, ret);
	/* They had to take it from another type */
	after = free_of_type(self->nid, "Reclaimable", pb_max_order() + 1);
	EXPECT_LT(after, before / 2);
	ASSERT_EQ(0, pb_read(PB_DEBUGFS "/press", text, sizeof(text)));
	at = strstr(text, " boost=");
	ASSERT_NE(NULL, at);
	boost = atol(at + strlen(" boost="));
	TH_LOG("%ld pages free and usable, %ld hotremove; watermarks boosted by %ld",
	       left, hot, boost);
	if (variant->hotremove) {
		EXPECT_EQ(0, boost);
		EXPECT_TRUE(pb_press_ended("count"));
	} else {
		EXPECT_GE(boost, block);
	}
}

/*
 * A list that is served again and again gets up to 32 batches at a time. That is
 * well while there is plenty, see the first loop. But a request that finds its zone
 * below the min mark fails, and gets nothing of what is on its own list.
 */
TEST_F_TIMEOUT(boost, memory_that_is_short_is_not_left_on_per_cpu_lists, 120)
{
	const long batches = pb_zoneinfo(self->nid, "Normal", "batch:");
	const long usable = pb_block_pages() / 2;
	long nr, most = 0, left = 0;
	int i;

	if (!variant->hotremove)
		SKIP(return, "need a zone that is mostly movable-only, have one that is not");
	ASSERT_LT(0, batches);
	/* Precondition: lists do grow */
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, pb_debug("press", "0 %ld nowait node=%d",
				      usable + i * batches / 2, self->nid));
		nr = pb_zoneinfo(self->nid, "Normal", "count:");
		most = nr > most ? nr : most;
		EXPECT_EQ(0, pb_debug("press", "free"));
	}
	ASSERT_GT(most, 4 * batches) TH_LOG("never got many pages at a time");

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, pb_debug("alloc", "drain"));
		EXPECT_EQ(-ENOMEM, pb_debug("press", "0 0 nowait node=%d", self->nid));
		EXPECT_TRUE(pb_press_ended("failed"));
		nr = pb_zoneinfo(self->nid, "Normal", "count:");
		left = nr > left ? nr : left;
		EXPECT_EQ(0, pb_debug("press", "free"));
		/* The last refill begins elsewhere each time */
		EXPECT_EQ(0, pb_debug("alloc", "0 %d unmovable node=%d", 150, self->nid));
	}
	EXPECT_LE(left, 2 * batches) TH_LOG("with plenty they had up to %ld", most);
	TH_LOG("%ld pages left on lists, with plenty %ld; batches of %ld", left, most,
	       batches);
}

TEST_HARNESS_MAIN
