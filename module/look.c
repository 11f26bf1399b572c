// SPDX-License-Identifier: GPL-2.0
/*
 * One look at a zone: walk its free lists and its pageblock flags under
 * zone->lock, and put what they say beside what the counters say.
 *
 * All counters compared here change under zone->lock only, together with the
 * lists. Two things still differ for a moment without being wrong:
 *
 * - The vmstat worker moves a CPU's difference into zone->vm_stat without
 *   zone->lock, in two steps; a look in between misses it on both sides.
 * - Memory hotplug sets up a zone that nobody uses yet, or any more.
 *
 * So a difference in one look is a suspicion; audit.c decides.
 */
#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/uaccess.h>
#include "pageblock_debug.h"

/* Look at the clock once in so many list entries or blocks. */
#define PB_CLOCK_STEPS	256

/**
 * struct pb_walk - state of the walk over one zone
 * @zone:	the zone, its lock is held
 * @look:	what was found
 * @start_pfn:	first page of the zone's span
 * @end_pfn:	and its end
 * @deadline:	give up after this
 * @steps:	entries and blocks visited
 * @total:	pages seen on the lists, more than the zone spans is nonsense
 * @pages:	pages seen on the lists by type
 * @entries:	list lengths by order
 * @blocks:	pages on usable lists of pageblock_order and more
 */
struct pb_walk {
	struct zone *zone;
	struct pb_zone_look *look;
	unsigned long start_pfn;
	unsigned long end_pfn;
	u64 deadline;
	unsigned int steps;
	unsigned long total;
	unsigned long pages[MIGRATE_TYPES];
	unsigned long entries[NR_PAGE_ORDERS];
	unsigned long blocks;
};

static const char * const pb_counter_names[PB_NR_COUNTERS] = {
	[PB_FREE_PAGES]			= "nr_free_pages",
	[PB_FREE_PAGES_BLOCKS]		= "nr_free_pages_blocks",
	[PB_FREE_CMA]			= "nr_free_cma",
	[PB_UNACCEPTED]			= "nr_unaccepted",
	[PB_FREE_HOTREMOVE]		= "nr_free_hotremove",
	[PB_FREE_MOVABLE_ONLY]		= "nr_free_movable_only",
	[PB_FREE_ISOLATED]		= "nr_free_isolated",
	[PB_FREE_HIGHATOMIC]		= "nr_free_highatomic",
	[PB_ISOLATE_BLOCKS]		= "nr_isolate_pageblock",
	[PB_RESERVED_HIGHATOMIC]	= "nr_reserved_highatomic",
	[PB_HOTREMOVE_PAGES]		= "hotremove_pages",
	[PB_LIST_TYPE]			= "list_type",
	[PB_LIST_CORRUPT]		= "list_corrupt",
	[PB_OWN_ISOLATED]		= "own_isolated",
	[PB_OWN_FREE]			= "own_isolated_free",
	[PB_NR_FREE + 0]		= "free_area0",
	[PB_NR_FREE + 1]		= "free_area1",
	[PB_NR_FREE + 2]		= "free_area2",
	[PB_NR_FREE + 3]		= "free_area3",
	[PB_NR_FREE + 4]		= "free_area4",
	[PB_NR_FREE + 5]		= "free_area5",
	[PB_NR_FREE + 6]		= "free_area6",
	[PB_NR_FREE + 7]		= "free_area7",
	[PB_NR_FREE + 8]		= "free_area8",
	[PB_NR_FREE + 9]		= "free_area9",
	[PB_NR_FREE + 10]		= "free_area10",
};

/**
 * pb_counter_name() - the name users see and write
 * @counter:	the counter
 *
 * Return: the name.
 */
const char *pb_counter_name(enum pb_counter counter)
{
	/* Kernels with a larger MAX_PAGE_ORDER have more than are named. */
	return pb_counter_names[counter] ?: "free_area";
}

/**
 * pb_stat_item() - zone_stat_item behind a counter
 * @counter:	the counter
 *
 * Return: the item, or -1 when the counter is none or this kernel lacks it.
 */
int pb_stat_item(enum pb_counter counter)
{
	switch (counter) {
	case PB_FREE_PAGES:
		return NR_FREE_PAGES;
	case PB_FREE_PAGES_BLOCKS:
		return NR_FREE_PAGES_BLOCKS;
	case PB_FREE_CMA:
		return NR_FREE_CMA_PAGES;
#ifdef CONFIG_UNACCEPTED_MEMORY
	case PB_UNACCEPTED:
		return NR_UNACCEPTED;
#endif
#ifdef CONFIG_MIGRATE_HOTREMOVE
	case PB_FREE_HOTREMOVE:
		return NR_FREE_HOTREMOVE_PAGES;
	case PB_FREE_MOVABLE_ONLY:
		return NR_FREE_MOVABLE_ONLY_PAGES;
#endif
#ifdef CONFIG_PAGE_ISOLATION_STAT
	case PB_FREE_ISOLATED:
		return NR_FREE_ISOLATED_PAGES;
#endif
	default:
		return -1;
	}
}

/**
 * pb_zone_field() - field of struct zone behind a counter
 * @zone:	the zone
 * @counter:	the counter
 *
 * Return: the field, NULL when the counter is none or this kernel lacks it.
 */
unsigned long *pb_zone_field(struct zone *zone, enum pb_counter counter)
{
	if (counter >= PB_NR_FREE)
		return &zone->free_area[counter - PB_NR_FREE].nr_free;

	switch (counter) {
	case PB_FREE_HIGHATOMIC:
		return &zone->nr_free_highatomic;
	case PB_ISOLATE_BLOCKS:
		return &zone->nr_isolate_pageblock;
	case PB_RESERVED_HIGHATOMIC:
		return &zone->nr_reserved_highatomic;
#ifdef CONFIG_MIGRATE_HOTREMOVE
	case PB_HOTREMOVE_PAGES:
		return &zone->hotremove_pages;
#endif
	default:
		return NULL;
	}
}

/*
 * Read a vmstat counter with all per-CPU differences. Offline CPUs were folded
 * and have none. Empty zones share boot_zonestats, which says nothing about
 * any of them. Memory hotplug frees per_cpu_zonestats when the zone becomes
 * empty, without a lock that could be taken here: a stale pointer must not
 * fault, and the nonsense it may give does not last into the next look.
 */
static long pb_read_stat(struct zone *zone, int item)
{
	struct per_cpu_zonestat __percpu *stats;
	long sum = atomic_long_read(&zone->vm_stat[item]);
	s8 *p, diff;
	int cpu;

	stats = READ_ONCE(zone->per_cpu_zonestats);
	if (stats == pb_sym.boot_zonestats)
		return sum;

	for_each_possible_cpu(cpu) {
		p = &per_cpu_ptr(stats, cpu)->vm_stat_diff[item];
		if (!get_kernel_nofault(diff, p))
			sum += diff;
	}
	return sum;
}

/**
 * pb_zone_stat() - value of a counter
 * @zone:	the zone
 * @counter:	the counter
 *
 * Return: the value, exact under zone->lock but for a difference that is just
 * being folded; 0 when this kernel lacks it.
 */
long pb_zone_stat(struct zone *zone, enum pb_counter counter)
{
	unsigned long *field = pb_zone_field(zone, counter);
	int item = pb_stat_item(counter);

	if (field)
		return READ_ONCE(*field);
	return item < 0 ? 0 : pb_read_stat(zone, item);
}

static bool pb_out_of_time(struct pb_walk *walk)
{
	if (++walk->steps % PB_CLOCK_STEPS)
		return false;
	return ktime_get_mono_fast_ns() > walk->deadline;
}

static void pb_problem(struct pb_walk *walk, enum pb_counter counter,
		       unsigned long nr, unsigned long pfn)
{
	walk->look->found[counter] += nr;
	if (!walk->look->pfn)
		walk->look->pfn = pfn;
}

/*
 * Is this list entry a free page of this order in this zone? Trust nothing:
 * the module is there for the day when lists are corrupt. @prev pointing back
 * rules out cycles and entries that are on two lists.
 */
static bool pb_entry_ok(struct pb_walk *walk, struct page *page,
			unsigned int order, struct list_head *prev,
			struct list_head **next)
{
	unsigned long pfn = page_to_pfn(page);
	struct page copy;

	if (pfn < walk->start_pfn || pfn >= walk->end_pfn ||
	    pfn_to_page(pfn) != page)
		return false;
	if (get_kernel_nofault(copy, page))
		return false;
	if (copy.buddy_list.prev != prev || !PageBuddy(&copy) ||
	    page_private(&copy) != order || !IS_ALIGNED(pfn, 1UL << order))
		return false;
	if (memdesc_nid(&copy.flags) != zone_to_nid(walk->zone) ||
	    memdesc_zonenum(&copy.flags) != zone_idx(walk->zone))
		return false;

	walk->total += 1UL << order;
	*next = copy.buddy_list.next;
	return walk->total <= walk->end_pfn - walk->start_pfn;
}

/*
 * Invariant 3: a free page is on the list of each block that it covers, and one
 * of the mirror reserve on none of a zone.
 */
static void pb_check_blocks(struct pb_walk *walk, unsigned long start_pfn,
			    unsigned int order, int list_type)
{
	unsigned long end_pfn = start_pfn + (1UL << order);
	unsigned long step = min(1UL << order, pageblock_nr_pages);
	unsigned long pfn, flags;
	int type;

	for (pfn = start_pfn; pfn < end_pfn; pfn += step) {
		flags = pb_block_flags(pfn);
		type = PB_ISOLATED(flags) ? MIGRATE_ISOLATE : PB_TYPE(flags);
		if (type != list_type || PB_MIRROR(flags))
			pb_problem(walk, PB_LIST_TYPE, step, pfn);
	}
}

static bool pb_walk_list(struct pb_walk *walk, unsigned int order, int type)
{
	struct list_head *head = &walk->zone->free_area[order].free_list[type];
	struct list_head *prev = head, *entry = head->next, *next;

	for (; entry != head; prev = entry, entry = next) {
		struct page *page = list_entry(entry, struct page, buddy_list);

		if (!pb_entry_ok(walk, page, order, prev, &next)) {
			pb_problem(walk, PB_LIST_CORRUPT, 1, page_to_pfn(page));
			return true;
		}
		pb_check_blocks(walk, page_to_pfn(page), order, type);
		walk->entries[order]++;
		walk->pages[type] += 1UL << order;
		if (order >= pageblock_order && type != MIGRATE_ISOLATE)
			walk->blocks += 1UL << order;
		if (pb_out_of_time(walk))
			return false;
	}
	return true;
}

static bool pb_walk_lists(struct pb_walk *walk)
{
	unsigned int order;
	int type;

	for (order = 0; order < NR_PAGE_ORDERS; order++) {
		for (type = 0; type < MIGRATE_TYPES; type++) {
			if (!pb_walk_list(walk, order, type))
				return false;
		}
	}
	return true;
}

/* Unaccepted pages are on a list of their own and count as free. */
static unsigned long pb_unaccepted(struct zone *zone)
{
#ifdef CONFIG_UNACCEPTED_MEMORY
	return list_count_nodes(&zone->unaccepted_pages) * MAX_ORDER_NR_PAGES;
#else
	return 0;
#endif
}

static void pb_expect_lists(struct pb_walk *walk)
{
	long *expected = walk->look->expected;
	unsigned int order;
	int type;

	expected[PB_UNACCEPTED] = pb_unaccepted(walk->zone);
	expected[PB_FREE_PAGES] = expected[PB_UNACCEPTED];
	for (type = 0; type < MIGRATE_TYPES; type++) {
		if (type != MIGRATE_ISOLATE)
			expected[PB_FREE_PAGES] += walk->pages[type];
	}
	expected[PB_FREE_PAGES_BLOCKS] = walk->blocks;
#ifdef CONFIG_CMA
	expected[PB_FREE_CMA] = walk->pages[MIGRATE_CMA];
#endif
#ifdef CONFIG_MIGRATE_HOTREMOVE
	expected[PB_FREE_HOTREMOVE] = walk->pages[MIGRATE_HOTREMOVE];
#endif
	expected[PB_FREE_MOVABLE_ONLY] = expected[PB_FREE_CMA] +
					 expected[PB_FREE_HOTREMOVE];
	expected[PB_FREE_ISOLATED] = walk->pages[MIGRATE_ISOLATE];
	expected[PB_FREE_HIGHATOMIC] = walk->pages[MIGRATE_HIGHATOMIC];
	for (order = 0; order < NR_PAGE_ORDERS; order++)
		expected[PB_NR_FREE + order] = walk->entries[order];
}

static void pb_count_block(long *sum, unsigned long flags)
{
	/* Isolation does not change what a block is reserved for. */
	if (PB_ISOLATED(flags))
		sum[PB_ISOLATE_BLOCKS]++;
	if (PB_TYPE(flags) == MIGRATE_HIGHATOMIC)
		sum[PB_RESERVED_HIGHATOMIC] += pageblock_nr_pages;
#ifdef CONFIG_MIGRATE_HOTREMOVE
	if (PB_TYPE(flags) == MIGRATE_HOTREMOVE)
		sum[PB_HOTREMOVE_PAGES] += pageblock_nr_pages;
#endif
}

static bool pb_in_transit(const struct pb_transit *transit, unsigned long pfn)
{
	return pfn >= transit->start_pfn && pfn < transit->end_pfn;
}

/*
 * Invariant 4. Blocks of offline sections have stale flags and do not count;
 * whether a block in hotplug transit does depends on how far it is.
 */
static bool pb_walk_blocks(struct pb_walk *walk,
			   const struct pb_transit *transit)
{
	unsigned long pfn = pageblock_start_pfn(walk->start_pfn);
	long *sum;

	for (; pfn < walk->end_pfn; pfn += pageblock_nr_pages) {
		unsigned long first = max(pfn, walk->start_pfn);

		if (pb_out_of_time(walk))
			return false;
		if (pfn_to_online_page(first)) {
			sum = walk->look->expected;
		} else if (pb_in_transit(transit, first) && pfn_valid(first)) {
			sum = walk->look->transit;
		} else {
			pfn = ALIGN(first + 1, PAGES_PER_SECTION) -
			      pageblock_nr_pages;
			continue;
		}
		if (pb_page_zone(pfn_to_page(first)) == walk->zone)
			pb_count_block(sum, pb_block_flags(first));
	}
	return true;
}

static bool pb_walk_zone(struct pb_walk *walk)
{
	struct pb_zone_look *look = walk->look;
	struct pb_transit transit;
	enum pb_counter c;

	pb_transit_get(&transit);
	walk->start_pfn = walk->zone->zone_start_pfn;
	walk->end_pfn = zone_end_pfn(walk->zone);

	if (!pb_walk_lists(walk) || !pb_walk_blocks(walk, &transit))
		return false;

	pb_expect_lists(walk);
	for (c = 0; c < PB_NR_COUNTERS; c++) {
		if (pb_stat_item(c) >= 0 || pb_zone_field(walk->zone, c))
			look->found[c] = pb_zone_stat(walk->zone, c);
		else if (c != PB_LIST_TYPE && c != PB_LIST_CORRUPT)
			look->found[c] = look->expected[c];
	}
	if (transit.unknown) {
		for (c = PB_ISOLATE_BLOCKS; c <= PB_HOTREMOVE_PAGES; c++)
			look->expected[c] = look->found[c];
	}
	pb_own_look(walk->zone, look);
	return true;
}

/**
 * pb_look() - one look at a zone
 * @zone:	the zone
 * @look:	filled in
 * @limit_ns:	how long zone->lock may be held
 *
 * The look is exact because nothing can change during it, so it cannot let the
 * lock go and resume. On a zone so large and fragmented that the limit does not
 * suffice it gives up instead: such a zone can only be audited at rest, with a
 * limit to suit.
 *
 * Return: true, or false when the zone has no memory (any more).
 */
bool pb_look(struct zone *zone, struct pb_zone_look *look, u64 limit_ns)
{
	struct pb_walk walk = { .zone = zone, .look = look };
	unsigned long flags;
	u64 start;

	memset(look, 0, sizeof(*look));

	/*
	 * When the last memory of a node goes and memory comes again, the
	 * node's zones are initialised anew, locks included. That takes longer
	 * than the walk, but must not begin between this test and the lock.
	 */
	local_irq_save(flags);
	if (!node_online(zone_to_nid(zone)) || !READ_ONCE(zone->spanned_pages)) {
		local_irq_restore(flags);
		return false;
	}
	spin_lock(&zone->lock);
	start = ktime_get_mono_fast_ns();
	walk.deadline = start + limit_ns;
	look->complete = pb_walk_zone(&walk);
	look->hold_ns = ktime_get_mono_fast_ns() - start;
	spin_unlock(&zone->lock);
	local_irq_restore(flags);
	return true;
}
