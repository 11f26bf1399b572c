// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducers: a free page that is larger than a pageblock must come back to
 * the free lists block by block, for each block may be isolated, or not, on
 * its own.
 *
 *   |----- block 0: movable -----|----- block 1: ISOLATED -----|
 *   <----- one page, taken from or on its way to a free list --->
 *
 * Put back as one page by the type of block 0, all of it is counted as usable
 * and can be allocated, block 1 included. When the isolation of block 1 is
 * undone (or the block goes offline) its pages are counted again, or
 * subtracted again, for good.
 *
 * Three ways to get there: page reporting, which has the page out while it
 * tells the host; the end of an isolation, which merges blocks again; and a
 * page of the order of a transparent huge page on a per-CPU list, where
 * pageblocks are smaller than that.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define ZONE	"Movable"

/* Left alone when the zone is emptied, so that nobody has to reclaim */
#define SPARE_PAGES	512L

FIXTURE(pieces) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *mem;	/* the only memory of its zone */
	unsigned long nr;	/* pages of a pageblock */
	int order;		/* its order */
	int max_order;
	int nid;
};

FIXTURE_SETUP(pieces)
{
	long nr = pb_pageblock_pages();

	if (nr < 0 || !pb_debug_has("contig"))
		SKIP(return, "need pageblock_debug.ko with its triggers, have none");
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	self->nr = nr;
	self->order = __builtin_ctzl(nr);
	self->max_order = pb_max_order();
	ASSERT_GT(self->max_order, 0);
	self->nid = pb_target_node();
	PB_HOTADD_OFFLINE(self, "pieces", pb_block_mb());
	self->mem = &self->dimm.block[0];
	ASSERT_EQ(0, pb_block_set(self->mem, "online_movable"));
	ASSERT_EQ((long)pb_block_pages(),
		  pb_counter(self->nid, ZONE, "present"))
		TH_LOG("need a zone of this one memory block");
	ASSERT_EQ(0, pb_audit_count("list_type"));
}

FIXTURE_TEARDOWN_PARENT(pieces)
{
	pb_debug("alloc", "free");
	EXPECT_EQ(0, pb_undo_all());
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

/*
 * Block [@start, @start + nr) is isolated and free, and has to stay so: its
 * pages are on the list of isolated ones, nobody gets one of them, however
 * much is asked for, and the end of the isolation leaves no trace.
 */
#define CHECK_OUT_OF_REACH(self, start) do {				\
	unsigned long __start = (start), __nr = (self)->nr;		\
	long __free;							\
									\
	EXPECT_EQ(0, pb_audit_count("list_type"))			\
		TH_LOG("free pages are not on the list of their block"); \
	__free = pb_counter((self)->nid, ZONE, "free");			\
	ASSERT_GT(__free, 2 * SPARE_PAGES);				\
	ASSERT_EQ(0, pb_debug("alloc", "0 %ld movable node=%d",		\
			      __free - SPARE_PAGES, (self)->nid));	\
	EXPECT_EQ((long)__nr, pb_map_free(__start, __start + __nr))	\
		TH_LOG("pages were handed out of an isolated block");	\
	ASSERT_EQ(0, pb_debug("alloc", "free"));			\
	ASSERT_EQ(0, pb_debug_range("undo", __start, __start + __nr));	\
	EXPECT_EQ(0, pb_audit_count(""))				\
		TH_LOG("a counter is off for good");			\
} while (0)

/* The run of pageblocks without a free page: the one page that is allocated */
static int find_used(const struct pb_block *mem, unsigned long *start,
		     unsigned long *end)
{
	static struct pb_map map[65536];
	int nr, i;

	*start = *end = 0;
	nr = pb_map_read(mem->start_pfn, mem->end_pfn, map, 65536);
	for (i = 0; i < nr; i++) {
		if (map[i].free)
			continue;
		if (*end && *end != map[i].pfn)
			return -EEXIST;
		if (!*end)
			*start = map[i].pfn;
		*end = map[i].pfn + map[i].total;
	}
	return nr < 0 ? nr : *end ? 0 : -ENODATA;
}

/*
 * The page of two or more blocks is with the device that gets the reports,
 * and meanwhile somebody isolates its second block.
 */
TEST_F_TIMEOUT(pieces, page_of_a_report_goes_back_block_by_block, 300)
{
	unsigned long start, end;

	if (!pb_debug_has("report"))
		SKIP(return, "need CONFIG_PAGE_REPORTING, have none");
	if (self->order >= self->max_order)
		SKIP(return, "need free pages larger than a pageblock of order %d, have order %d",
		     self->order, self->max_order);

	ASSERT_EQ(0, pb_debug_range("report", self->mem->start_pfn,
				    self->mem->end_pfn))
		TH_LOG("no page larger than a block was reported and isolated");
	ASSERT_EQ(0, pb_isolated_range(&start, &end));
	ASSERT_EQ(self->nr, end - start);
	ASSERT_TRUE(pb_block_has(self->mem, start));
	/* All of the page has been put back */
	ASSERT_EQ(2 * (long)self->nr, pb_map_free(start - self->nr, end));
	CHECK_OUT_OF_REACH(self, start);
}

/*
 * Two isolated blocks that have merged, beside a free page of the same size
 * that is not isolated. The isolation of the first ends, that of the second
 * does not.
 */
TEST_F_TIMEOUT(pieces, end_of_isolation_takes_one_block_only, 300)
{
	unsigned long start, end;

	if (self->order + 2 > self->max_order)
		SKIP(return, "need pageblocks of an order up to %d, have %d (CONFIG_PAGE_BLOCK_MAX_ORDER)",
		     self->max_order - 2, self->order);

	ASSERT_EQ(0, pb_debug("alloc", "%d 1 movable node=%d", self->order + 1,
			      self->nid));
	ASSERT_EQ(0, find_used(self->mem, &start, &end));
	ASSERT_EQ(2 * self->nr, end - start);
	ASSERT_EQ(0, pb_debug_range("isolate", start, end));
	/* Free pages of isolated blocks merge when they are freed */
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(1, pb_free_of_order(self->nid, ZONE, "Isolate",
				      self->order + 1));

	ASSERT_EQ(0, pb_debug_range("undo", start, start + self->nr));
	ASSERT_EQ(2 * (long)self->nr, pb_map_free(start, end));
	CHECK_OUT_OF_REACH(self, start + self->nr);
}

/*
 * A page of the order of a huge page has a per-CPU list. It is no compound
 * page, as those of compaction or of a driver, so that isolation can begin in
 * the middle of it.
 */
TEST_F_TIMEOUT(pieces, page_of_a_per_cpu_list_is_freed_block_by_block, 300)
{
	int thp = __builtin_ctzl(pb_huge_bytes() / getpagesize() ?: 1);
	unsigned long start, end, other;

	if (thp <= self->order)
		SKIP(return, "need huge pages larger than a pageblock of order %d, have order %d (CONFIG_PAGE_BLOCK_MAX_ORDER)",
		     self->order, thp);

	ASSERT_EQ(0, pb_debug("alloc", "%d 1 movable node=%d nocomp", thp,
			      self->nid));
	/* Not to be taken for it: pages that came to the per-CPU list with it */
	if (pb_debug_range("contig", self->mem->end_pfn - self->nr,
			   self->mem->end_pfn))
		ASSERT_EQ(0, pb_debug_range("contig", self->mem->start_pfn,
					    self->mem->start_pfn + self->nr));
	ASSERT_EQ(0, find_used(self->mem, &start, &end));
	ASSERT_EQ(1UL << thp, end - start);
	ASSERT_EQ(0, pb_debug_range("isolate", end - self->nr, end));
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	/* Far from the page; drains the per-CPU lists of the zone */
	other = start == self->mem->start_pfn ?
		self->mem->end_pfn - self->nr : self->mem->start_pfn;
	ASSERT_EQ(0, pb_debug_range("contig", other, other + self->nr));

	ASSERT_EQ((long)(end - start), pb_map_free(start, end));
	CHECK_OUT_OF_REACH(self, end - self->nr);
}

TEST_HARNESS_MAIN
