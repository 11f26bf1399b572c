// SPDX-License-Identifier: GPL-2.0
/*
 * What there is: one line per pageblock ("map"), one line per zone
 * ("counters").
 *
 * Each line is exact for itself, taken under zone->lock; the lock is released
 * between lines, so a map of a busy system is no snapshot.
 */
#include <linux/memory.h>
#include "pageblock_debug.h"

static unsigned long pb_span_end(void)
{
	unsigned long end_pfn = 0;
	struct zone *zone;

	pb_for_each_zone(zone)
		end_pfn = max(end_pfn, zone_end_pfn(zone));
	return end_pfn;
}

/* First page of the block at *@pfn or, across a hole, of the next block. */
static struct page *pb_map_skip_hole(unsigned long *pfn, unsigned long end_pfn)
{
	for (; *pfn < end_pfn; *pfn += pageblock_nr_pages) {
		struct page *page = pfn_to_online_page(*pfn);

		if (page && pb_page_zone(page))
			return page;
	}
	return NULL;
}

/**
 * struct pb_map_line - one line of the map
 * @zone:	zone of the block's first page
 * @flags:	pageblock flags
 * @free:	free pages
 */
struct pb_map_line {
	struct zone *zone;
	unsigned long flags;
	unsigned long free;
};

static bool pb_map_block(struct page *page, unsigned long pfn,
			 struct pb_map_line *line)
{
	line->zone = pb_page_zone(page);
	if (!line->zone)
		return false;

	/* Online and of this zone under its lock: the section stays. */
	guard(spinlock_irqsave)(&line->zone->lock);
	if (!pfn_to_online_page(pfn) || pb_page_zone(page) != line->zone)
		return false;
	line->flags = pb_block_flags(pfn);
	line->free = PB_MIRROR(line->flags) ? pb_mirror_block_free(pfn) :
		     pb_block_free_pages(line->zone, pfn,
					 pfn + pageblock_nr_pages);
	return true;
}

/* The position is the number of the pageblock plus one; 0 is the header. */
static void *pb_map_pos(loff_t *pos)
{
	unsigned long end = pb_span_end();

	if (*pos && (*pos - 1) << pageblock_order >= end)
		return NULL;
	return pos;
}

static void *map_start(struct seq_file *m, loff_t *pos)
{
	return pb_map_pos(pos);
}

static void *map_next(struct seq_file *m, void *v, loff_t *pos)
{
	unsigned long end = pb_span_end();
	unsigned long pfn;

	pfn = *pos ? ((unsigned long)*pos << pageblock_order) : 0;
	/* A hole gets one line, at its start: skip the rest of it. */
	if (*pos && !pfn_to_online_page(pfn - pageblock_nr_pages))
		pb_map_skip_hole(&pfn, end);
	*pos = (pfn >> pageblock_order) + 1;
	return pb_map_pos(pos);
}

static void map_stop(struct seq_file *m, void *v)
{
}

static int map_show(struct seq_file *m, void *v)
{
	unsigned long pfn = (unsigned long)(*(loff_t *)v - 1) << pageblock_order;
	unsigned long next = pfn, end = pb_span_end();
	struct pb_map_line line;
	struct page *page;

	if (!*(loff_t *)v) {
		seq_printf(m, "# v1 pageblock_order=%u memory_block_pages=%lu\n",
			   (unsigned int)pageblock_order,
			   memory_block_size_bytes() >> PAGE_SHIFT);
		return 0;
	}

	page = pfn_to_online_page(pfn);
	if (page && pb_map_block(page, pfn, &line)) {
		seq_printf(m, "%lu %d %s %s %u %lu/%lu\n", pfn,
			   zone_to_nid(line.zone), line.zone->name,
			   PB_MIRROR(line.flags) ? "Mirror" :
			   pb_type_name(PB_TYPE(line.flags)),
			   PB_ISOLATED(line.flags), line.free,
			   pageblock_nr_pages);
		return 0;
	}

	pb_map_skip_hole(&next, end);
	seq_printf(m, "%lu hole %lu\n", pfn, min(next, end) - pfn);
	return 0;
}

static const struct seq_operations map_sops = {
	.start	= map_start,
	.next	= map_next,
	.stop	= map_stop,
	.show	= map_show,
};
DEFINE_SEQ_ATTRIBUTE(map);

/**
 * struct pb_zone_counters - what "counters" prints, taken in one go
 * @value:	by counter
 * @total_cma:	pages in CMA blocks
 * @present:	present pages
 * @managed:	managed pages
 */
struct pb_zone_counters {
	long value[PB_NR_COUNTERS];
	unsigned long total_cma;
	unsigned long present;
	unsigned long managed;
};

static void pb_read_counters(struct zone *zone, struct pb_zone_counters *c)
{
	enum pb_counter i;

	guard(spinlock_irqsave)(&zone->lock);
	for (i = 0; i < PB_NR_COUNTERS; i++)
		c->value[i] = pb_zone_stat(zone, i);
	c->total_cma = zone_cma_pages(zone);
	c->present = zone->present_pages;
	c->managed = zone_managed_pages(zone);
}

static void pb_show_counter(struct seq_file *m, const char *key,
			    struct zone *zone, const struct pb_zone_counters *c,
			    enum pb_counter i)
{
	if (pb_stat_item(i) < 0 && !pb_zone_field(zone, i))
		seq_printf(m, " %s=absent", key);
	else
		seq_printf(m, " %s=%ld", key, c->value[i]);
}

static int counters_show(struct seq_file *m, void *unused)
{
	struct pb_zone_counters c;
	struct zone *zone;

	pb_for_each_zone(zone) {
		pb_read_counters(zone, &c);
		seq_printf(m, "node=%d zone=%s present=%lu managed=%lu free=%ld usable=%ld",
			   zone_to_nid(zone), zone->name, c.present, c.managed,
			   c.value[PB_FREE_PAGES],
			   c.value[PB_FREE_PAGES] - c.value[PB_FREE_CMA] -
			   c.value[PB_FREE_HOTREMOVE]);
		pb_show_counter(m, "cma", zone, &c, PB_FREE_CMA);
		pb_show_counter(m, "hotremove", zone, &c, PB_FREE_HOTREMOVE);
		pb_show_counter(m, "isolated", zone, &c, PB_FREE_ISOLATED);
		pb_show_counter(m, "highatomic", zone, &c, PB_FREE_HIGHATOMIC);
		pb_show_counter(m, "unaccepted", zone, &c, PB_UNACCEPTED);
		pb_show_counter(m, "free_blocks", zone, &c,
				PB_FREE_PAGES_BLOCKS);
		pb_show_counter(m, "nr_isolate_pageblock", zone, &c,
				PB_ISOLATE_BLOCKS);
		pb_show_counter(m, "reserved_highatomic", zone, &c,
				PB_RESERVED_HIGHATOMIC);
		seq_printf(m, " total_cma=%lu", c.total_cma);
		pb_show_counter(m, "total_hotremove", zone, &c,
				PB_HOTREMOVE_PAGES);
		seq_printf(m, " min=%lu low=%lu high=%lu\n",
			   min_wmark_pages(zone), low_wmark_pages(zone),
			   high_wmark_pages(zone));
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(counters);

/**
 * pb_map_init() - create "map" and "counters"
 * @dir:	debugfs directory
 */
void pb_map_init(struct dentry *dir)
{
	debugfs_create_file("map", 0444, dir, NULL, &map_fops);
	debugfs_create_file("counters", 0444, dir, NULL, &counters_fops);
}
