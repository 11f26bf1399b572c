// SPDX-License-Identifier: GPL-2.0
/*
 * Watermarks and marks of zones that have movable-only pageblocks.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mmzone.h>

#include "../page_alloc.h"

struct min_mark {
	const char *name;
	unsigned long pages_min, ordinary_total, ordinary, movable_only;
	unsigned long expected;
};

/* 4 KiB pages: 1 GiB = 262144; min_free_kbytes of 4 MiB = 1024 pages */
static const struct min_mark min_marks[] = {
	{ "one zone, nothing movable-only",
	  1024, 262144, 262144, 0, 1024 },
	{ "two zones share by size",
	  1024, 262144, 65536, 0, 256 },
	{ "movable-only memory takes no share, and adds none",
	  1024, 262144, 262144, 1048576, 1024 },
	{ "few ordinary pages: the mark that movable-only memory has",
	  1024, 262144, 512, 1048576, 128 },
	{ "all movable-only, large",
	  1024, 262144, 0, 262144, 128 },
	{ "all movable-only, one memory block",
	  1024, 262144, 0, 32768, 32 },
	{ "all movable-only, in between",
	  1024, 262144, 0, 65536, 64 },
	{ "90 % movable-only: the rest keeps its whole reserve",
	  1024, 52429, 52429, 471859, 1024 },
	{ "16 TiB does not overflow",
	  65536, 1UL << 32, 1UL << 32, 1UL << 32, 65536 },
};

static void min_mark_desc(const struct min_mark *m, char *desc)
{
	strscpy(desc, m->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(min_mark, min_marks, min_mark_desc);

static void min_mark_follows_usable_memory(struct kunit *test)
{
	const struct min_mark *m = test->param_value;

	/* The share by total size must not matter: pass a wrong one */
	KUNIT_EXPECT_EQ(test, m->expected,
			lowmem_min_mark(ULONG_MAX, m->pages_min,
					m->ordinary_total, m->ordinary,
					m->movable_only));
}

static void min_mark_without_ordinary_memory_is_the_share(struct kunit *test)
{
	/* Nothing to spread over: no division, the caller's share stands */
	KUNIT_EXPECT_EQ(test, 77UL, lowmem_min_mark(77, 1024, 0, 0, 1));
}

struct thp_reserve {
	const char *name;
	unsigned long recommended, usable, movable_only;
	unsigned long expected;
};

/* 4 KiB pages: 512 MiB = 131072 */
static const struct thp_reserve thp_reserves[] = {
	{ "as recommended", 11264, 1048576, 0, 11264 },
	{ "at most 5 percent", 11264, 200000, 0, 10000 },
	{ "a small machine whose owner wants huge pages",
	  11264, 100000, 0, 5000 },
	{ "the same with a small CMA area", 11264, 100000, 4096, 5000 },
	{ "small because the rest is movable-only", 11264, 100000, 400000, 0 },
	{ "just small because of that", 11264, 131071, 1, 0 },
	{ "large, most of it movable-only", 11264, 131072, 1048576, 6553 },
};

static void thp_reserve_desc(const struct thp_reserve *r, char *desc)
{
	strscpy(desc, r->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(thp_reserve, thp_reserves, thp_reserve_desc);

static void little_usable_memory_keeps_nothing_for_huge_pages(struct kunit *test)
{
	const struct thp_reserve *r = test->param_value;

	KUNIT_EXPECT_EQ(test, r->expected,
			thp_min_free(r->recommended, r->usable, r->movable_only));
}

static struct zone *fake_zone(struct kunit *test)
{
	struct zone *zone = kunit_kzalloc(test, sizeof(*zone), GFP_KERNEL);
	struct list_head *list;
	int order;

	KUNIT_ASSERT_NOT_NULL(test, zone);
	for_each_free_list(list, zone, order)
		INIT_LIST_HEAD(list);

	return zone;
}

struct zone_size {
	const char *name;
	long managed;
	unsigned long hotremove;	/* present; a balloon may hold some of it */
	long movable_only_managed;
	unsigned long ordinary;
	bool movable_only;
};

static const struct zone_size zone_sizes[] = {
	{ "empty",			0,	0,	0,	0,	false },
	{ "ordinary",			1000,	0,	0,	1000,	false },
	{ "mixed",			1000,	600,	600,	400,	false },
	{ "mixed, ballooned",		600,	600,	200,	400,	false },
	{ "all hotremove",		1000,	1000,	1000,	0,	true },
	{ "all hotremove, ballooned",	900,	1000,	900,	0,	true },
};

static void zone_size_desc(const struct zone_size *s, char *desc)
{
	strscpy(desc, s->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(zone_size, zone_sizes, zone_size_desc);

static void ordinary_pages_are_what_is_left(struct kunit *test)
{
	const struct zone_size *s = test->param_value;
	struct zone *zone = fake_zone(test);

	atomic_long_set(&zone->managed_pages, s->managed);
	zone->hotremove_pages = s->hotremove;
	atomic_long_set(&zone->movable_only_managed, s->movable_only_managed);

	KUNIT_EXPECT_EQ(test, s->ordinary, zone_ordinary_pages(zone));
	KUNIT_EXPECT_EQ(test, s->movable_only, zone_is_movable_only(zone));
	KUNIT_EXPECT_EQ(test, s->movable_only,
			zone_never_usable(zone, ALLOC_DEFAULT));
	KUNIT_EXPECT_FALSE(test, zone_never_usable(zone, ALLOC_MOVABLE_ONLY));
}

struct watermark {
	const char *name;
	long free, movable_only, reserve;
	unsigned long mark;
	unsigned int alloc_flags;
	bool ok;
};

static const struct watermark watermarks[] = {
	{ "plenty", 1000, 0, 0, 100, ALLOC_DEFAULT, true },
	{ "at the mark is below it", 100, 0, 0, 100, ALLOC_DEFAULT, false },
	{ "90 % free, but movable-only, for the kernel",
	  1000, 900, 0, 100, ALLOC_DEFAULT, false },
	{ "the same for a movable request",
	  1000, 900, 0, 100, ALLOC_MOVABLE_ONLY, true },
	{ "one page above the mark is enough for the kernel",
	  1000, 899, 0, 100, ALLOC_DEFAULT, true },
	{ "all free is movable-only", 1000, 1000, 0, 0, ALLOC_DEFAULT, false },
	{ "the lowmem reserve adds up",
	  1000, 800, 150, 100, ALLOC_DEFAULT, false },
	{ "reserves of critical requests do not reach movable-only memory",
	  1000, 960, 0, 100, ALLOC_MIN_RESERVE, false },
	{ "and do reach the ordinary part",
	  1000, 940, 0, 100, ALLOC_MIN_RESERVE, true },
};

static void watermark_desc(const struct watermark *w, char *desc)
{
	strscpy(desc, w->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(watermark, watermarks, watermark_desc);

static void watermark_counts_what_the_request_can_use(struct kunit *test)
{
	const struct watermark *w = test->param_value;
	struct zone *zone = fake_zone(test);

	atomic_long_set(&zone->vm_stat[NR_FREE_MOVABLE_ONLY_PAGES],
			w->movable_only);
	zone->lowmem_reserve[ZONE_NORMAL] = w->reserve;

	KUNIT_EXPECT_EQ(test, w->ok,
			__zone_watermark_ok(zone, 0, w->mark, ZONE_NORMAL,
					    w->alloc_flags, w->free));
}

static void high_order_watermark_looks_at_usable_lists(struct kunit *test)
{
	struct zone *zone = fake_zone(test);
	struct page *page = kunit_kzalloc(test, sizeof(*page), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	zone->free_area[3].nr_free = 1;
	list_add(&page->buddy_list, &zone->free_area[3].free_list[MIGRATE_HOTREMOVE]);

	KUNIT_EXPECT_FALSE(test, __zone_watermark_ok(zone, 3, 0, ZONE_NORMAL,
						     ALLOC_DEFAULT, 1000));
	KUNIT_EXPECT_TRUE(test, __zone_watermark_ok(zone, 3, 0, ZONE_NORMAL,
						    ALLOC_MOVABLE_ONLY, 1000));

	list_move(&page->buddy_list, &zone->free_area[3].free_list[MIGRATE_UNMOVABLE]);
	KUNIT_EXPECT_TRUE(test, __zone_watermark_ok(zone, 3, 0, ZONE_NORMAL,
						    ALLOC_DEFAULT, 1000));
}

static void reserves_of_this_system_grow_with_the_request(struct kunit *test)
{
	struct zone *zone;
	int j;

	for_each_populated_zone(zone) {
		for (j = zone_idx(zone) + 2; j < MAX_NR_ZONES; j++)
			KUNIT_EXPECT_GE(test, zone->lowmem_reserve[j],
					zone->lowmem_reserve[j - 1]);
		KUNIT_EXPECT_LE(test, min_wmark_pages(zone), low_wmark_pages(zone));
		KUNIT_EXPECT_LE(test, low_wmark_pages(zone), high_wmark_pages(zone));
	}
}

static struct kunit_case hotremove_marks_cases[] = {
	KUNIT_CASE_PARAM(min_mark_follows_usable_memory, min_mark_gen_params),
	KUNIT_CASE(min_mark_without_ordinary_memory_is_the_share),
	KUNIT_CASE_PARAM(little_usable_memory_keeps_nothing_for_huge_pages,
			 thp_reserve_gen_params),
	KUNIT_CASE_PARAM(ordinary_pages_are_what_is_left, zone_size_gen_params),
	KUNIT_CASE_PARAM(watermark_counts_what_the_request_can_use,
			 watermark_gen_params),
	KUNIT_CASE(high_order_watermark_looks_at_usable_lists),
	KUNIT_CASE(reserves_of_this_system_grow_with_the_request),
	{}
};

static struct kunit_suite hotremove_marks_suite = {
	.name = "hotremove_marks",
	.test_cases = hotremove_marks_cases,
};

kunit_test_suite(hotremove_marks_suite);
