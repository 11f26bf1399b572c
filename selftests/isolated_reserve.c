// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: a pageblock that is reserved for atomic requests of higher
 * orders must take its share of zone->nr_reserved_highatomic along when it
 * leaves.
 *
 *   |--HighAtomic--|--movable--| ...      reserved 1 block of 1 in a hundred
 *   |--offline-----|--movable--| ...      reserved 1 block: which one?
 *
 * The counter has a limit, about one percent of the zone. What is counted but
 * gone is never given back: after a few offlines the limit is reached, and the
 * zone reserves nothing for atomic requests any more.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define ROUNDS		4
#define MAX_MAP		65536
/* Pages of order 3 to ask for: more than per-CPU lists may have */
#define PAGES		16

FIXTURE(reserve) {
	struct pb_saved auto_online;
	struct pb_saved scale;
	struct pb_dimm dimm;
	long nr;		/* pages of a pageblock */
	char *fill;
	size_t fill_len;
	bool may_stay;		/* in a kernel zone slab may pin the memory */
	int nid;
};

FIXTURE_VARIANT(reserve) {
	const char *online;
	const char *zone;
	const char *class;	/* of "alloc" */
	int blocks;
};

/* The rule is the same in every zone; nothing pins a block of this one */
FIXTURE_VARIANT_ADD(reserve, movable) {
	.online = "online_movable",
	.zone = "Movable",
	.class = "highatomic_movable",
	.blocks = 2,
};

/* Where atomic requests usually end */
FIXTURE_VARIANT_ADD(reserve, kernel) {
	.online = "online_kernel",
	.zone = "Normal",
	.class = "highatomic",
	.blocks = 4,
};

FIXTURE_SETUP(reserve)
{
	int i;

	self->nr = pb_pageblock_pages();
	if (self->nr < 0)
		SKIP(return, "need pageblock_debug.ko, have none");
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	self->nid = pb_target_node();
	if (pb_counter(self->nid, variant->zone, "present") > 0)
		SKIP(return, "need a node without zone %s, have %ld pages of it on node %d",
		     variant->zone,
		     pb_counter(self->nid, variant->zone, "present"),
		     self->nid);
	self->may_stay = !strcmp(variant->online, "online_kernel");
	ASSERT_EQ(0, pb_save(&self->auto_online,
			     PB_SYS_MEMORY "/auto_online_blocks"));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(self->auto_online.path, "offline"));
	/* A wide gap between the low and the min watermark, to stay inside */
	ASSERT_EQ(0, pb_save(&self->scale,
			     "/proc/sys/vm/watermark_scale_factor"));
	ASSERT_EQ(0, pb_write(self->scale.path, "1000"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "reserve",
			       variant->blocks * pb_block_mb(), self->nid));
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_EQ(0, pb_block_set(&self->dimm.block[i],
					  variant->online));
	/* reserve_highatomic_pageblock() wants a block in one percent */
	ASSERT_GE(pb_counter(self->nid, variant->zone, "managed") / 100,
		  self->nr);
}

FIXTURE_TEARDOWN_PARENT(reserve)
{
	int ret;

	pb_debug("alloc", "free");
	EXPECT_EQ(0, pb_undo_all());
	ret = pb_hotdel(&self->dimm);
	if (ret && self->may_stay)
		TH_LOG("the memory stays: %s", strerror(-ret));
	else
		EXPECT_EQ(0, ret);
	EXPECT_EQ(0, pb_restore(&self->scale));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

/* First pageblock of @dimm reserved, if any; returns all their pages */
static long reserved_by_map(const struct pb_dimm *dimm, const char *zone,
			    unsigned long *first)
{
	static struct pb_map map[MAX_MAP];
	long pages = 0;
	int nr, i;

	nr = pb_map_read(dimm->block[0].start_pfn,
			 dimm->block[dimm->nr - 1].end_pfn, map, MAX_MAP);
	for (i = 0; i < nr; i++) {
		if (strcmp(map[i].zone, zone) ||
		    strcmp(map[i].type, "HighAtomic"))
			continue;
		if (!pages && first)
			*first = map[i].pfn;
		pages += map[i].total;
	}
	return nr < 0 ? nr : pages;
}

static const struct pb_block *block_of(const struct pb_dimm *dimm,
				       unsigned long pfn)
{
	int i;

	for (i = 0; i < dimm->nr; i++)
		if (pb_block_has(&dimm->block[i], pfn))
			return &dimm->block[i];
	return NULL;
}

/*
 * Between low and min a request that cannot wait is served, and what serves it
 * is reserved. Everything is given back at once, only the reservation stays.
 */
#define ASSERT_RESERVE(self, variant) do {				\
	long __low = pb_counter((self)->nid, (variant)->zone, "low");	\
	long __min = pb_counter((self)->nid, (variant)->zone, "min");	\
	long __free = pb_counter((self)->nid, (variant)->zone, "free");	\
	long __fill = __free - (__low + __min) / 2;			\
									\
	ASSERT_GT(__low - __min, 2 * (self)->nr);			\
	ASSERT_GT(__fill, 0);						\
	(self)->fill_len = __fill * getpagesize();			\
	(self)->fill = pb_mmap_node((self)->fill_len, (self)->nid);	\
	ASSERT_NE(MAP_FAILED, (self)->fill);				\
	madvise((self)->fill, (self)->fill_len, MADV_NOHUGEPAGE);	\
	memset((self)->fill, 1, (self)->fill_len);			\
	__free = pb_counter((self)->nid, (variant)->zone, "free");	\
	ASSERT_LT(__free, __low);					\
	ASSERT_GT(__free, __min);					\
	ASSERT_EQ(0, pb_debug("alloc", "3 %d %s node=%d", PAGES,	\
			      (variant)->class, (self)->nid));		\
	ASSERT_EQ(0, pb_debug("alloc", "free"));			\
	ASSERT_EQ(0, munmap((self)->fill, (self)->fill_len));		\
} while (0)

TEST_F_TIMEOUT(reserve, ends_with_the_block_that_goes_offline, 300)
{
	const struct pb_block *block;
	unsigned long pfn;
	int round, gone = 0, ret;
	long counted, mapped;

	for (round = 0; round < ROUNDS; round++) {
		ASSERT_RESERVE(self, variant);
		mapped = reserved_by_map(&self->dimm, variant->zone, &pfn);
		ASSERT_GE(mapped, 0);
		counted = pb_counter(self->nid, variant->zone,
				     "reserved_highatomic");
		/* Nothing but what has gone can have used up the limit */
		ASSERT_GT(mapped, 0)
			TH_LOG("round %d: no block is reserved, yet %ld pages are counted as such: the zone reserves no more",
			       round, counted);
		EXPECT_EQ(mapped, counted);

		block = block_of(&self->dimm, pfn);
		ASSERT_NE(NULL, block);
		ret = pb_offline(block, 5000 * pb_timeout_mul(), NULL);
		if (ret && self->may_stay) {
			TH_LOG("round %d: memory%u is pinned: %s", round,
			       block->id, strerror(-ret));
			break;
		}
		ASSERT_EQ(0, ret);
		gone++;
		EXPECT_EQ(reserved_by_map(&self->dimm, variant->zone, NULL),
			  pb_counter(self->nid, variant->zone,
				     "reserved_highatomic"))
			TH_LOG("round %d: the counter did not follow", round);
		/* Offlining has drained the per-CPU lists of the zone */
		ASSERT_EQ(0, pb_block_set(block, variant->online));
	}
	if (!gone)
		SKIP(return, "need a reserved block that can go offline, have it pinned by the kernel's own pages");
}

/*
 * The other side of the rule: isolation keeps the type of a block, and what
 * is reserved stays so when the isolation is undone. It costs no reserve to
 * try and fail to take a range that a reserved block is in.
 */
TEST_F_TIMEOUT(reserve, outlasts_isolation_that_is_undone, 120)
{
	unsigned long pfn = 0;
	long mapped;

	ASSERT_RESERVE(self, variant);
	mapped = reserved_by_map(&self->dimm, variant->zone, &pfn);
	ASSERT_GT(mapped, 0);
	ASSERT_EQ(mapped, pb_counter(self->nid, variant->zone,
				     "reserved_highatomic"));
	if (pb_debug_range("isolate", pfn, pfn + self->nr)) {
		ASSERT_TRUE(self->may_stay);
		SKIP(return, "need a reserved block that can be isolated, have it pinned by the kernel's own pages");
	}
	EXPECT_EQ(mapped, reserved_by_map(&self->dimm, variant->zone, NULL));
	EXPECT_EQ(mapped, pb_counter(self->nid, variant->zone,
				     "reserved_highatomic"));
	ASSERT_EQ(0, pb_debug_range("undo", pfn, pfn + self->nr));
	EXPECT_EQ(mapped, reserved_by_map(&self->dimm, variant->zone, NULL));
	EXPECT_EQ(mapped, pb_counter(self->nid, variant->zone,
				     "reserved_highatomic"));
}

/*
 * A page may have more than one block, and not all of them need be what they
 * were when it was taken. An isolated block does not become a reserve: that
 * would end the isolation of somebody else.
 */
TEST_F_TIMEOUT(reserve, is_no_block_that_was_isolated_meanwhile, 120)
{
	long min = pb_counter(self->nid, variant->zone, "min");
	long low = pb_counter(self->nid, variant->zone, "low");
	long isolated = pb_counter(self->nid, variant->zone,
				   "nr_isolate_pageblock");
	long page = 1L << pb_max_order(), fill;
	int got, met, kept;
	char line[64];

	if (page <= self->nr)
		SKIP(return, "need free pages larger than a pageblock, have %ld and %ld pages",
		     page, self->nr);
	if (strcmp(variant->zone, "Movable"))
		SKIP(return, "need zone Movable, have %s", variant->zone);
	/* Such a page must be had from the reserves only */
	fill = pb_counter(self->nid, variant->zone, "free") -
	       (low + min) / 2 - page;
	ASSERT_GT(low - min, page);
	ASSERT_GT(fill, 0);
	self->fill_len = fill * getpagesize();
	self->fill = pb_mmap_node(self->fill_len, self->nid);
	ASSERT_NE(MAP_FAILED, self->fill);
	madvise(self->fill, self->fill_len, MADV_NOHUGEPAGE);
	memset(self->fill, 1, self->fill_len);

	ASSERT_EQ(0, pb_debug("atomic", "node=%d", self->nid));
	ASSERT_EQ(0, pb_read(PB_DEBUGFS "/atomic", line, sizeof(line)));
	TH_LOG("%s", line);
	ASSERT_EQ(3, sscanf(line, "got=%d met=%d kept=%d", &got, &met, &kept));
	ASSERT_EQ(1, got);
	ASSERT_EQ(1, met);
	EXPECT_EQ(1, kept);
	EXPECT_EQ(isolated, pb_counter(self->nid, variant->zone,
				       "nr_isolate_pageblock"));
	EXPECT_EQ(reserved_by_map(&self->dimm, variant->zone, NULL),
		  pb_counter(self->nid, variant->zone, "reserved_highatomic"));
	EXPECT_EQ(0, munmap(self->fill, self->fill_len));
}

TEST_HARNESS_MAIN
