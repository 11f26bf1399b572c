// SPDX-License-Identifier: GPL-2.0
/*
 * Is a node balanced? kswapd asks that with a snapshot of the free pages, which
 * has what the CPUs have not folded yet, and subtracts the free CMA pages. Here
 * the writing CPU is given a difference, and kswapd's question is asked with the
 * high mark at each distance from what kernel requests can use.
 *
 * Write "PAGES node=N": so many free CMA pages are in the difference of this CPU,
 * and not (if PAGES is negative: too often) in the counter of the zone, that of N
 * with most of them. Both together stay as they are. Reading tells about the last
 * time: with how many of the marks the answer was wrong.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/vmstat.h>
#include "pageblock_debug.h"

/* Above each count of pages, and no overflow in signed arithmetic */
#define PB_NO_MARK	(LONG_MAX / 4)

static DEFINE_MUTEX(pb_balance_lock);

/**
 * struct pb_balance - what came out of it
 * @zone:	the zone
 * @pages:	difference that this CPU had
 * @usable:	exact number of free pages that kernel requests can use
 * @marks:	high marks that were tried
 * @early:	of these, how often the node was balanced but below the mark
 * @late:	how often it was above, but not balanced
 */
static struct pb_balance {
	struct zone *zone;
	int pages;
	long usable;
	int marks;
	int early;
	int late;
} pb_last;

/* What is set for the question, and put back */
struct pb_marks {
	unsigned long high[MAX_NR_ZONES];
	unsigned long boost[MAX_NR_ZONES];
	unsigned long drift_mark;
	bool unmovable;
};

static const enum zone_stat_item pb_items[] = {
	NR_FREE_PAGES,
	NR_FREE_CMA_PAGES,
#ifdef CONFIG_MIGRATE_HOTREMOVE
	NR_FREE_MOVABLE_ONLY_PAGES,
#endif
};

static long pb_exact(struct zone *zone, enum zone_stat_item item)
{
	long sum = atomic_long_read(&zone->vm_stat[item]);
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(zone->per_cpu_zonestats, cpu)->vm_stat_diff[item];
	return sum;
}

/* Kernel requests can use neither movable-only pages nor the highatomic reserve */
static long pb_usable(struct zone *zone)
{
#ifdef CONFIG_MIGRATE_HOTREMOVE
	enum zone_stat_item item = NR_FREE_MOVABLE_ONLY_PAGES;
#else
	enum zone_stat_item item = NR_FREE_CMA_PAGES;
#endif

	return pb_exact(zone, NR_FREE_PAGES) - pb_exact(zone, item) -
	       zone->nr_free_highatomic;
}

/* The CPU's difference becomes @pages; counter and differences add up as before. */
static void pb_unfold(struct zone *zone, int pages)
{
	s8 *diff;
	int i;

	for (i = 0; i < ARRAY_SIZE(pb_items); i++) {
		diff = this_cpu_ptr(zone->per_cpu_zonestats)->vm_stat_diff + pb_items[i];
		atomic_long_add(*diff - pages, &zone->vm_stat[pb_items[i]]);
		*diff = pages;
	}
}

/*
 * Only @zone can be balanced, by the snapshot, and for a kernel request. Undone
 * by pb_marks_restore().
 */
static void pb_marks_set(struct zone *zone, struct pb_marks *saved)
{
	pg_data_t *pgdat = zone->zone_pgdat;
	int i;

	for (i = 0; i <= zone_idx(zone); i++) {
		struct zone *z = pgdat->node_zones + i;

		saved->high[i] = z->_watermark[WMARK_HIGH];
		saved->boost[i] = z->watermark_boost;
		z->_watermark[WMARK_HIGH] = PB_NO_MARK;
		z->watermark_boost = 0;
	}
	saved->drift_mark = zone->percpu_drift_mark;
	zone->percpu_drift_mark = PB_NO_MARK;
#ifdef CONFIG_MOVABLE_ONLY_RECLAIM
	saved->unmovable = pgdat->kswapd_unmovable;
	WRITE_ONCE(pgdat->kswapd_unmovable, true);
#endif
}

static void pb_marks_restore(struct zone *zone, const struct pb_marks *saved)
{
	pg_data_t *pgdat = zone->zone_pgdat;
	int i;

	for (i = 0; i <= zone_idx(zone); i++) {
		pgdat->node_zones[i]._watermark[WMARK_HIGH] = saved->high[i];
		pgdat->node_zones[i].watermark_boost = saved->boost[i];
	}
	zone->percpu_drift_mark = saved->drift_mark;
#ifdef CONFIG_MOVABLE_ONLY_RECLAIM
	WRITE_ONCE(pgdat->kswapd_unmovable, saved->unmovable);
#endif
}

/* zone->lock keeps all counters and their sums; interrupts off, the CPU. */
static void pb_ask(struct zone *zone, struct pb_balance *b)
{
	long distance = 2 * abs(b->pages), i;
	struct pb_marks saved;

	guard(spinlock_irqsave)(&zone->lock);
	pb_unfold(zone, b->pages);
	pb_marks_set(zone, &saved);
	b->usable = pb_usable(zone);
	for (i = -distance; i < distance; i++) {
		bool below = i >= 0, balanced;

		zone->_watermark[WMARK_HIGH] = b->usable + i;
		balanced = pb_sym.pgdat_balanced(zone->zone_pgdat, 0, zone_idx(zone));
		b->early += balanced && below;
		b->late += !balanced && !below;
		b->marks++;
	}
	pb_marks_restore(zone, &saved);
}

/* Of the zones of @nid, the one with most free CMA pages */
static struct zone *pb_cma_zone(int nid)
{
	struct zone *zone, *best = NULL;

	pb_for_each_zone(zone) {
		if (zone_to_nid(zone) != nid)
			continue;
		if (!best || pb_exact(zone, NR_FREE_CMA_PAGES) >
			     pb_exact(best, NR_FREE_CMA_PAGES))
			best = zone;
	}
	return best;
}

/* -ERANGE: more than a CPU may keep to itself, or than the zone has. */
static ssize_t balance_write(struct file *file, const char __user *ubuf,
			     size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[2];
	struct pb_balance b = {};
	int nid;

	if (pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv)) != 2 ||
	    kstrtoint(argv[0], 10, &b.pages) || !b.pages ||
	    pb_arg_node(argv[1], &nid))
		return -EINVAL;

	guard(mutex)(&pb_balance_lock);
	b.zone = pb_cma_zone(nid);
	if (!b.zone)
		return -ENODEV;
	if (b.pages < -S8_MAX || b.pages > S8_MAX ||
	    2 * S8_MAX > pb_exact(b.zone, NR_FREE_CMA_PAGES) ||
	    4 * S8_MAX > pb_usable(b.zone))
		return -ERANGE;
	pb_ask(b.zone, &b);
	pb_last = b;
	return count;
}

static int balance_show(struct seq_file *m, void *unused)
{
	guard(mutex)(&pb_balance_lock);
	if (!pb_last.zone)
		return 0;
	seq_printf(m, "node %d zone %s pages=%d usable=%ld marks=%d early=%d late=%d\n",
		   zone_to_nid(pb_last.zone), pb_last.zone->name, pb_last.pages,
		   pb_last.usable, pb_last.marks, pb_last.early, pb_last.late);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(balance);

/**
 * pb_balance_init() - create "balance"
 * @dir:	debugfs directory
 */
void pb_balance_init(struct dentry *dir)
{
	if (pb_sym.pgdat_balanced)
		debugfs_create_file("balance", 0600, dir, NULL, &balance_fops);
	else
		pr_info("no function pgdat_balanced: no \"balance\"\n");
}
