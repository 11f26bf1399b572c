// SPDX-License-Identifier: GPL-2.0
/*
 * The pool of the mirror reserve, on the reserve that this kernel was booted
 * with. Others may use it meanwhile (mirror_users=), so nothing here depends on
 * its counters standing still.
 */
#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/gfp.h>
#include <linux/mirror_reserve.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "../mirror_reserve.h"
#include "../page_alloc.h"

static int reserve_nid(void)
{
	int nid;

	for_each_online_node(nid) {
		if (node_page_state_pages(NODE_DATA(nid), NR_FREE_MIRROR) >=
		    4 * MAX_ORDER_NR_PAGES)
			return nid;
	}
	return NUMA_NO_NODE;
}

static int mirror_pool_test_init(struct kunit *test)
{
	int nid = reserve_nid();

	if (nid == NUMA_NO_NODE)
		kunit_skip(test, "need a node with %lu free pages of reserve (mirror_reserve=), have a reserve of %lu in all",
			   4 * (unsigned long)MAX_ORDER_NR_PAGES, mirror_reserve_pages());
	test->priv = (void *)(long)nid;
	return 0;
}

#define test_nid(test)	((int)(long)(test)->priv)

static struct page *take(struct kunit *test, gfp_t gfp, unsigned int order)
{
	struct page *page = mirror_alloc_pages(test_nid(test), gfp | __GFP_THISNODE |
					       (order ? __GFP_COMP : 0), order);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_TRUE(test, page_in_mirror_reserve(page));
	return page;
}

static void every_order_is_served_from_the_reserve(struct kunit *test)
{
	unsigned int order;
	struct page *page;

	for (order = 0; order <= MAX_PAGE_ORDER; order++) {
		page = take(test, GFP_KERNEL, order);
		KUNIT_EXPECT_EQ(test, 1, page_count(page));
		KUNIT_EXPECT_EQ(test, order, compound_order(page));
		KUNIT_EXPECT_FALSE(test, mirror_page_is_free(page));
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(page_to_pfn(page), 1UL << order));
		__free_pages(page, order);
		KUNIT_EXPECT_TRUE(test, mirror_page_is_free(page));
	}
}

static void a_page_that_is_split_comes_home_in_pieces(struct kunit *test)
{
	struct page *page = mirror_alloc_pages(test_nid(test), GFP_KERNEL | __GFP_THISNODE,
					       pageblock_order);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(test, page);
	split_page(page, pageblock_order);
	for (i = 0; i < pageblock_nr_pages; i++) {
		KUNIT_EXPECT_TRUE(test, page_in_mirror_reserve(page + i));
		__free_page(page + i);
	}
	for (i = 0; i < pageblock_nr_pages; i++)
		KUNIT_EXPECT_TRUE(test, mirror_page_is_free(page + i));
	/* And they are one again: nothing else is left of that pageblock */
	page = take(test, GFP_KERNEL, MAX_PAGE_ORDER);
	__free_pages(page, MAX_PAGE_ORDER);
}

static void kinds_of_requests_do_not_share_pageblocks(struct kunit *test)
{
	struct page *unmovable = take(test, GFP_KERNEL, 0);
	struct page *reclaimable = take(test, GFP_KERNEL | __GFP_RECLAIMABLE, 0);

	KUNIT_EXPECT_EQ(test, MIGRATE_UNMOVABLE,
			(int)get_pfnblock_kept_migratetype(unmovable, page_to_pfn(unmovable)));
	KUNIT_EXPECT_EQ(test, MIGRATE_RECLAIMABLE,
			(int)get_pfnblock_kept_migratetype(reclaimable, page_to_pfn(reclaimable)));
	KUNIT_EXPECT_NE(test, pageblock_start_pfn(page_to_pfn(unmovable)),
			pageblock_start_pfn(page_to_pfn(reclaimable)));
	__free_page(unmovable);
	__free_page(reclaimable);
}

static bool has_type_of_free_blocks(struct page *page)
{
	return get_pfnblock_kept_migratetype(page, page_to_pfn(page)) == MIGRATE_MOVABLE;
}

/*
 * Chunks of less than a pageblock are listed by its type. If that can be the one
 * under which wholly free pageblocks are listed, chunks are looked for, and taken
 * off, on the wrong list when the pageblock gets another one.
 */
static void no_pageblock_has_the_type_that_free_ones_are_listed_by(struct kunit *test)
{
	struct page *unit[3];
	unsigned long i;
	int n;

	/* Most of them have not been used since boot */
	for (n = 0; n < ARRAY_SIZE(unit); n++)
		unit[n] = take(test, GFP_KERNEL, MAX_PAGE_ORDER);
	for (n = 0; n < ARRAY_SIZE(unit); n++) {
		for (i = 0; i < MAX_ORDER_NR_PAGES; i += pageblock_nr_pages)
			KUNIT_EXPECT_FALSE(test, has_type_of_free_blocks(unit[n] + i));
		__free_pages(unit[n], MAX_PAGE_ORDER);
	}
}

#ifdef CONFIG_MEMORY_FAILURE
static void a_page_taken_off_leaves_the_rest_of_its_pageblock_free(struct kunit *test)
{
	struct page *page = take(test, GFP_KERNEL, MAX_PAGE_ORDER);
	struct page *bad = page + 5;
	unsigned long i;

	__free_pages(page, MAX_PAGE_ORDER);
	KUNIT_ASSERT_TRUE(test, mirror_take_page_off(bad));
	KUNIT_EXPECT_FALSE(test, has_type_of_free_blocks(bad));
	KUNIT_EXPECT_FALSE(test, mirror_page_is_free(bad));
	for (i = 0; i < pageblock_nr_pages; i++)
		KUNIT_EXPECT_EQ(test, page + i != bad, mirror_page_is_free(page + i));

	ClearPageHWPoisonTakenOff(bad);
	KUNIT_EXPECT_EQ(test, 0, mirror_reserve_free(bad, 0, false));
	/* And they are one again */
	page = take(test, GFP_KERNEL, MAX_PAGE_ORDER);
	__free_pages(page, MAX_PAGE_ORDER);
}
#endif

static void the_reserve_reads_as_isolated_and_cannot_be(struct kunit *test)
{
	struct page *page = take(test, GFP_KERNEL, pageblock_order);
	unsigned long pfn = page_to_pfn(page);

	KUNIT_EXPECT_EQ(test, MIGRATE_ISOLATE, (int)get_pageblock_migratetype(page));
	KUNIT_EXPECT_FALSE(test, get_pageblock_isolate(page));
	KUNIT_EXPECT_EQ(test, -EBUSY,
			start_isolate_page_range(pfn, pfn + pageblock_nr_pages,
						 PB_ISOLATE_MODE_OTHER));
	KUNIT_EXPECT_FALSE(test, get_pageblock_isolate(page));
	__free_pages(page, pageblock_order);
}

static void an_atomic_request_is_served(struct kunit *test)
{
	unsigned long flags;
	struct page *page;

	local_irq_save(flags);
	page = alloc_pages_node(test_nid(test), GFP_ATOMIC | __GFP_MIRROR | __GFP_THISNODE, 0);
	local_irq_restore(flags);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, page_in_mirror_reserve(page));
	__free_page(page);
}

static void a_request_that_cannot_wait_is_served(struct kunit *test)
{
	struct page *page = alloc_pages_nolock(__GFP_MIRROR, test_nid(test), 0);

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_TRUE(test, page_in_mirror_reserve(page));
	free_pages_nolock(page, 0);
	KUNIT_EXPECT_TRUE(test, mirror_page_is_free(page));
}

/* Not for what can be moved, nor for what may have no address of the kernel's */
static void user_requests_are_refused_the_reserve(struct kunit *test)
{
	static const gfp_t wrong[] = {
		GFP_HIGHUSER_MOVABLE, GFP_KERNEL | __GFP_MOVABLE,
		GFP_KERNEL | __GFP_HIGHMEM,
	};
	struct page *page, *strict;
	int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		kunit_warning_suppress(test) {
			page = alloc_pages_node(test_nid(test), wrong[i] | __GFP_MIRROR, 0);
			strict = mirror_alloc_pages(test_nid(test), wrong[i], 0);
		}
		KUNIT_ASSERT_NOT_NULL(test, page);
		KUNIT_EXPECT_FALSE(test, page_in_mirror_reserve(page));
		KUNIT_EXPECT_NULL(test, strict);
		__free_page(page);
	}
}

static void a_folio_of_the_page_cache_is_ordinary_memory(struct kunit *test)
{
	struct folio *folio;

	kunit_warning_suppress(test)
		folio = filemap_alloc_folio(GFP_KERNEL | __GFP_MIRROR, 0, NULL);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_FALSE(test, page_in_mirror_reserve(&folio->page));
	folio_put(folio);
}

static void a_request_for_a_dma_zone_is_not_served(struct kunit *test)
{
	struct page *page = alloc_pages_node(test_nid(test), GFP_KERNEL |
					     __GFP_DMA32 | __GFP_MIRROR, 0);

	if (!page)
		kunit_skip(test, "need a page of ZONE_DMA32, have none");
	KUNIT_EXPECT_FALSE(test, page_in_mirror_reserve(page));
	__free_page(page);
}

/* What the strict call cannot get is not taken elsewhere */
static void strict_is_null_when_the_reserve_is_empty(struct kunit *test)
{
	unsigned long fallback = 0, i, nr = 0, outside = 0;
	struct page *page, *next;
	LIST_HEAD(held);

	for (i = 0; i < (1UL << 24); i++) {
		page = mirror_alloc_pages(test_nid(test), GFP_KERNEL, 0);
		if (!page)
			break;
		outside += !page_in_mirror_reserve(page);
		list_add(&page->lru, &held);
		nr++;
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, 0UL, outside);
	KUNIT_EXPECT_GT(test, nr, 0UL);

	/* The other call takes ordinary memory then */
	page = alloc_pages_node(test_nid(test), GFP_KERNEL | __GFP_MIRROR, 0);
	KUNIT_EXPECT_NOT_NULL(test, page);
	if (page) {
		fallback = !page_in_mirror_reserve(page);
		__free_page(page);
	}
	KUNIT_EXPECT_EQ(test, 1UL, fallback);
	list_for_each_entry_safe(page, next, &held, lru) {
		list_del(&page->lru);
		__free_page(page);
	}
}

static void a_slab_cache_of_the_reserve_stays_in_it(struct kunit *test)
{
	struct kmem_cache *cache, *plain;
	void *object[64];
	int i;

	plain = kmem_cache_create("mirror_kunit_plain", 200, 0, 0, NULL);
	cache = kmem_cache_create("mirror_kunit", 200, 0, SLAB_MIRROR, NULL);
	KUNIT_ASSERT_NOT_NULL(test, plain);
	KUNIT_ASSERT_NOT_NULL(test, cache);
	KUNIT_EXPECT_PTR_NE(test, cache, plain);
	for (i = 0; i < ARRAY_SIZE(object); i++) {
		object[i] = kmem_cache_alloc_node(cache, GFP_KERNEL, test_nid(test));
		KUNIT_ASSERT_NOT_NULL(test, object[i]);
		KUNIT_EXPECT_TRUE(test, page_in_mirror_reserve(virt_to_page(object[i])));
	}
	for (i = 0; i < ARRAY_SIZE(object); i++)
		kmem_cache_free(cache, object[i]);
	kmem_cache_destroy(cache);
	kmem_cache_destroy(plain);
}

static struct kunit_case mirror_pool_cases[] = {
	KUNIT_CASE(every_order_is_served_from_the_reserve),
	KUNIT_CASE(a_page_that_is_split_comes_home_in_pieces),
	KUNIT_CASE(kinds_of_requests_do_not_share_pageblocks),
	KUNIT_CASE(no_pageblock_has_the_type_that_free_ones_are_listed_by),
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(a_page_taken_off_leaves_the_rest_of_its_pageblock_free),
#endif
	KUNIT_CASE(the_reserve_reads_as_isolated_and_cannot_be),
	KUNIT_CASE(an_atomic_request_is_served),
	KUNIT_CASE(a_request_that_cannot_wait_is_served),
	KUNIT_CASE(user_requests_are_refused_the_reserve),
	KUNIT_CASE(a_folio_of_the_page_cache_is_ordinary_memory),
	KUNIT_CASE(a_request_for_a_dma_zone_is_not_served),
	KUNIT_CASE(strict_is_null_when_the_reserve_is_empty),
	KUNIT_CASE(a_slab_cache_of_the_reserve_stays_in_it),
	{}
};

static struct kunit_suite mirror_pool_suite = {
	.name = "mirror_pool",
	.init = mirror_pool_test_init,
	.test_cases = mirror_pool_cases,
};

kunit_test_suite(mirror_pool_suite);
