// SPDX-License-Identifier: GPL-2.0
/*
 * Isolation hides the type of a pageblock and gives it back.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/page-isolation.h>
#include <linux/spinlock.h>

#include "../page_alloc.h"

static void free_block(void *page)
{
	__free_pages(page, pageblock_order);
}

/* A whole pageblock that nobody else can free into or allocate from */
static struct page *own_block(struct kunit *test)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_NOWARN,
					pageblock_order);

	if (!page)
		kunit_skip(test, "need a free pageblock, have none");
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_block,
							   page));
	KUNIT_ASSERT_TRUE(test, pageblock_aligned(page_to_pfn(page)));

	return page;
}

static bool isolate(struct page *page)
{
	struct zone *zone = page_zone(page);

	guard(spinlock_irqsave)(&zone->lock);
	return pageblock_isolate_and_move_free_pages(zone, page);
}

static bool unisolate(struct page *page)
{
	struct zone *zone = page_zone(page);

	guard(spinlock_irqsave)(&zone->lock);
	return pageblock_unisolate_and_move_free_pages(zone, page);
}

static int type_of(struct page *page)
{
	return get_pageblock_migratetype(page);
}

static int kept_type_of(struct page *page)
{
	return get_pfnblock_kept_migratetype(page, page_to_pfn(page));
}

static void isolation_keeps_every_type(struct kunit *test)
{
	static const int types[] = {
		MIGRATE_UNMOVABLE, MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE,
		MIGRATE_HIGHATOMIC, MIGRATE_HOTREMOVE,
#ifdef CONFIG_CMA
		MIGRATE_CMA,
#endif
	};
	struct page *page = own_block(test);
	int original = type_of(page);
	int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		init_pageblock_migratetype(page, types[i], false);
		KUNIT_EXPECT_EQ(test, types[i], type_of(page));
		KUNIT_EXPECT_EQ(test, types[i], kept_type_of(page));

		KUNIT_EXPECT_TRUE(test, isolate(page));
		KUNIT_EXPECT_EQ(test, (int)MIGRATE_ISOLATE, type_of(page));
		KUNIT_EXPECT_EQ(test, types[i], kept_type_of(page));

		KUNIT_EXPECT_TRUE(test, unisolate(page));
		KUNIT_EXPECT_EQ(test, types[i], type_of(page));
	}

	/* Before the block is freed: no free page may see another type */
	init_pageblock_migratetype(page, original, false);
}

static void block_can_be_born_isolated_with_its_type(struct kunit *test)
{
	struct page *page = own_block(test);
	struct zone *zone = page_zone(page);
	int original = type_of(page);

	/* As online_pages() does before the first page is freed */
	init_pageblock_migratetype(page, MIGRATE_HOTREMOVE, true);
	KUNIT_EXPECT_EQ(test, (int)MIGRATE_ISOLATE, type_of(page));
	KUNIT_EXPECT_EQ(test, (int)MIGRATE_HOTREMOVE, kept_type_of(page));

	KUNIT_EXPECT_TRUE(test, unisolate(page));
	KUNIT_EXPECT_EQ(test, (int)MIGRATE_HOTREMOVE, type_of(page));
	KUNIT_EXPECT_TRUE(test, zone_spans_pfn(zone, page_to_pfn(page)));

	init_pageblock_migratetype(page, original, false);
}

static void block_that_becomes_hotremove_leaves_the_highatomic_reserve(struct kunit *test)
{
	struct page *page = own_block(test);
	unsigned long reserved, left, nr_new, nr_back;
	struct zone *zone = page_zone(page);
	int original = type_of(page);
	long managed, managed_after;

	KUNIT_ASSERT_TRUE(test, isolate(page));
	scoped_guard(spinlock_irqsave, &zone->lock) {
		managed = atomic_long_read(&zone->movable_only_managed);
		reserved = zone->nr_reserved_highatomic;
		init_pageblock_migratetype(page, MIGRATE_HIGHATOMIC, true);
		zone->nr_reserved_highatomic += pageblock_nr_pages;

		nr_new = set_isolated_hotremove(page);
		zone->hotremove_pages += nr_new;
		left = zone->nr_reserved_highatomic;

		nr_back = hotremove_to_kernel(zone, page);
		managed_after = atomic_long_read(&zone->movable_only_managed);
		/* Whatever it was left at: nothing stays wrong */
		zone->nr_reserved_highatomic = reserved;
	}
	KUNIT_EXPECT_EQ(test, pageblock_nr_pages, nr_new);
	KUNIT_EXPECT_EQ(test, reserved, left);
	KUNIT_EXPECT_EQ(test, pageblock_nr_pages, nr_back);
	KUNIT_EXPECT_EQ(test, managed, managed_after);

	KUNIT_EXPECT_TRUE(test, unisolate(page));
	init_pageblock_migratetype(page, original, false);
}

static struct kunit_case hotremove_isolation_cases[] = {
	KUNIT_CASE(isolation_keeps_every_type),
	KUNIT_CASE(block_can_be_born_isolated_with_its_type),
	KUNIT_CASE(block_that_becomes_hotremove_leaves_the_highatomic_reserve),
	{}
};

static struct kunit_suite hotremove_isolation_suite = {
	.name = "hotremove_isolation",
	.test_cases = hotremove_isolation_cases,
};

kunit_test_suite(hotremove_isolation_suite);
