// SPDX-License-Identifier: GPL-2.0
/*
 * Pageblocks and zones, safe against memory hotplug without its lock.
 *
 * A debug module must be able to look *while* an offline attempt runs, and
 * that attempt holds mem_hotplug_lock for writing until it ends, if it ends.
 * What makes looking safe without it:
 *
 * - struct zone is part of struct pglist_data and never freed.
 * - A section leaves a zone in this order: marked offline, its pages taken
 *   off the free lists under zone->lock, memory map removed. So whoever holds
 *   zone->lock and finds a section of that zone online may use its memory map
 *   and flags until the lock is released.
 * - The zone of a page is only known from its memory map; to look at a map
 *   of somebody else's zone, read it such that a fault is harmless.
 * - zone->zone_start_pfn and ->spanned_pages change without any lock; at worst
 *   one look sees a torn span, and one look is not a violation.
 * - zone->per_cpu_zonestats is freed when a zone becomes empty; see look.c.
 */
#include <linux/memory.h>
#include <linux/percpu-rwsem.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include "pageblock_debug.h"

static DEFINE_SPINLOCK(pb_transit_lock);
static struct pb_transit pb_transit;

/**
 * pb_type_name() - name of a migratetype, as in /proc/pagetypeinfo
 * @type:	the type
 *
 * Return: the name, "?" for a value that no type has.
 */
const char *pb_type_name(int type)
{
	switch (type) {
	case MIGRATE_UNMOVABLE:
		return "Unmovable";
	case MIGRATE_MOVABLE:
		return "Movable";
	case MIGRATE_RECLAIMABLE:
		return "Reclaimable";
	case MIGRATE_HIGHATOMIC:
		return "HighAtomic";
#ifdef CONFIG_CMA
	case MIGRATE_CMA:
		return "CMA";
#endif
#ifdef CONFIG_MIGRATE_HOTREMOVE
	case MIGRATE_HOTREMOVE:
		return "Hotremove";
#endif
	case MIGRATE_ISOLATE:
		return "Isolate";
	default:
		return "?";
	}
}

/**
 * pb_block_flags() - flags of a pageblock: PB_TYPE() and PB_ISOLATED()
 * @pfn:	a page in the block; its section must be there
 *
 * Return: the flags. They are stable only under zone->lock.
 */
unsigned long pb_block_flags(unsigned long pfn)
{
	unsigned long *bitmap, bit;

	bitmap = section_to_usemap(__pfn_to_section(pfn));
	bit = pfn & (PAGES_PER_SECTION - 1);
	bit = (bit >> pageblock_order) * NR_PAGEBLOCK_BITS;
	return (READ_ONCE(bitmap[bit / BITS_PER_LONG]) >>
		(bit & (BITS_PER_LONG - 1))) & (BIT(NR_PAGEBLOCK_BITS) - 1);
}

/**
 * pb_page_zone() - zone of a page whose memory map may go away
 * @page:	the page
 *
 * Return: the zone, NULL when the memory map is not there.
 */
struct zone *pb_page_zone(const struct page *page)
{
	memdesc_flags_t flags;
	int nid, zid;

	if (get_kernel_nofault(flags, &page->flags))
		return NULL;
	nid = memdesc_nid(&flags);
	zid = memdesc_zonenum(&flags);
	if (!node_online(nid) || zid >= MAX_NR_ZONES)
		return NULL;
	return &NODE_DATA(nid)->node_zones[zid];
}

static bool pb_zone_wanted(struct zone *zone)
{
	return zone_is_initialized(zone) && !zone_is_zone_device(zone) &&
	       READ_ONCE(zone->spanned_pages);
}

static struct zone *pb_find_zone(int nid, int zid)
{
	for (; nid < MAX_NUMNODES; nid = next_online_node(nid), zid = 0) {
		for (; zid < MAX_NR_ZONES; zid++) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[zid];

			if (pb_zone_wanted(zone))
				return zone;
		}
	}
	return NULL;
}

/**
 * pb_first_zone() - first zone that has memory, of the first node
 *
 * Return: the zone, NULL if there is none. Zones of device memory have no
 * free lists and are left out.
 */
struct zone *pb_first_zone(void)
{
	return pb_find_zone(first_online_node, 0);
}

/**
 * pb_next_zone() - the zone after this one
 * @zone:	this one
 *
 * Return: the zone, NULL if @zone is the last.
 */
struct zone *pb_next_zone(struct zone *zone)
{
	return pb_find_zone(zone_to_nid(zone), zone_idx(zone) + 1);
}

/* A free page larger than a block starts in front of it. */
static bool pb_block_in_large_buddy(unsigned long start_pfn)
{
	unsigned int order;

	for (order = pageblock_order; order <= MAX_PAGE_ORDER; order++) {
		unsigned long pfn = ALIGN_DOWN(start_pfn, 1UL << order);
		struct page *page = pfn_to_page(pfn);

		/* A smaller one says nothing about the rest of the block */
		if (PageBuddy(page) && page_private(page) >= pageblock_order)
			return pfn + (1UL << page_private(page)) > start_pfn;
	}
	return false;
}

/**
 * pb_block_free_pages() - count the free pages of a block
 * @zone:	zone of the block; its lock is held
 * @start_pfn:	first page
 * @end_pfn:	end; both within one pageblock of an online section
 *
 * Return: the number of pages in the buddy allocator.
 */
unsigned long pb_block_free_pages(struct zone *zone, unsigned long start_pfn,
				  unsigned long end_pfn)
{
	unsigned long pfn, nr, free = 0;

	lockdep_assert_held(&zone->lock);

	if (pageblock_aligned(start_pfn) && pb_block_in_large_buddy(start_pfn))
		return end_pfn - start_pfn;

	for (pfn = start_pfn; pfn < end_pfn; pfn += nr) {
		struct page *page = pfn_to_page(pfn);

		nr = 1;
		if (!PageBuddy(page) || page_zone(page) != zone)
			continue;
		nr = min(1UL << page_private(page), end_pfn - pfn);
		free += nr;
	}
	return free;
}

/*
 * Between GOING_ONLINE and ONLINE, and between GOING_OFFLINE and OFFLINE,
 * the counters derived from pageblock flags and the sections' online marks
 * change one after the other, with preemption in between. Remember the range,
 * so that a look can tell which of the two states such a counter may be in.
 */
static int pb_memory_notify(struct notifier_block *nb, unsigned long action,
			    void *data)
{
	struct memory_notify *arg = data;

	guard(spinlock_irqsave)(&pb_transit_lock);
	switch (action) {
	case MEM_GOING_ONLINE:
	case MEM_GOING_OFFLINE:
		pb_transit.start_pfn = arg->start_pfn;
		pb_transit.end_pfn = arg->start_pfn + arg->nr_pages;
		break;
	case MEM_ONLINE:
	case MEM_CANCEL_ONLINE:
	case MEM_OFFLINE:
	case MEM_CANCEL_OFFLINE:
		memset(&pb_transit, 0, sizeof(pb_transit));
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block pb_memory_nb = {
	.notifier_call = pb_memory_notify,
};

/**
 * pb_transit_settle() - know more about an operation that was not announced
 *
 * What was under way when the module was loaded is over once nobody changes
 * memory. Not every such operation announces its end.
 */
void pb_transit_settle(void)
{
	if (!READ_ONCE(pb_transit.unknown) ||
	    !percpu_down_read_trylock(pb_sym.mem_hotplug_lock))
		return;
	scoped_guard(spinlock_irqsave, &pb_transit_lock)
		pb_transit.unknown = false;
	percpu_up_read(pb_sym.mem_hotplug_lock);
}

/**
 * pb_transit_get() - what memory hotplug works on at this moment
 * @transit:	filled in
 */
void pb_transit_get(struct pb_transit *transit)
{
	guard(spinlock_irqsave)(&pb_transit_lock);
	*transit = pb_transit;
}

/**
 * pb_blocks_init() - start watching memory hotplug
 *
 * An operation that is already under way was not announced to us. Do not wait
 * for it, it may be the very thing that somebody wants to look at: what
 * depends on its range is left alone until it ends.
 *
 * Return: 0 or an error.
 */
int pb_blocks_init(void)
{
	bool quiet = percpu_down_read_trylock(pb_sym.mem_hotplug_lock);
	int ret;

	pb_transit.unknown = !quiet;
	ret = register_memory_notifier(&pb_memory_nb);
	if (quiet)
		percpu_up_read(pb_sym.mem_hotplug_lock);
	return ret;
}

/**
 * pb_blocks_exit() - undo pb_blocks_init()
 */
void pb_blocks_exit(void)
{
	unregister_memory_notifier(&pb_memory_nb);
}
