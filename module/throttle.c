// SPDX-License-Identifier: GPL-2.0
/*
 * Is a direct reclaimer throttled that kswapd cannot help? It is while a node has
 * too few pages free; and kswapd does something about that unless the node is
 * balanced. Here both questions are asked of a node that has nothing free but what
 * is in zones without LRU pages, while the others have some to reclaim: with the
 * marks as they are; with such that this is enough of a reserve but kswapd has work
 * to do; and once more without that.
 *
 * Write "node=N". All other CPUs stand still meanwhile, and the counters of free
 * pages are put back before they go on: nobody else sees them. Reading tells about
 * the last time.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/stop_machine.h>
#include <linux/vmstat.h>
#include "pageblock_debug.h"

/* Of the page cache, for zones that are not quiet: the guest may have none */
#define PB_LRU_PAGES	1000

static DEFINE_MUTEX(pb_throttle_lock);

/* pgdat_balanced() and allow_direct_reclaim() */
struct pb_answers {
	bool balanced;
	bool allowed;
};

/**
 * struct pb_throttle - what came out of it
 * @pgdat:	the node
 * @asleep:	kswapd was: only then its verdict matters to who is throttled
 * @reserve:	sum of the min marks
 * @quiet:	number of free pages in zones without LRU pages
 * @some:	answers with these alone
 * @work:	the same, all high marks out of reach and low min marks
 * @none:	answers with nothing free at all
 */
static struct pb_throttle {
	pg_data_t *pgdat;
	bool asleep;
	unsigned long reserve;
	long quiet;
	struct pb_answers some;
	struct pb_answers work;
	struct pb_answers none;
} pb_last;

static const enum zone_stat_item pb_free_items[] = {
	NR_FREE_PAGES,
	NR_FREE_CMA_PAGES,
#ifdef CONFIG_MIGRATE_HOTREMOVE
	NR_FREE_MOVABLE_ONLY_PAGES,
#endif
};

struct pb_taken {
	long nr[MAX_NR_ZONES][ARRAY_SIZE(pb_free_items)];
};

static long pb_sum(struct zone *zone, enum zone_stat_item item)
{
	long sum = atomic_long_read(&zone->vm_stat[item]);
	int cpu;

	for_each_online_cpu(cpu)
		sum += per_cpu_ptr(zone->per_cpu_zonestats, cpu)->vm_stat_diff[item];
	return sum;
}

/* Without LRU pages, and not a zone that kernel requests cannot use at all */
static bool pb_is_quiet(struct zone *zone)
{
	enum zone_stat_item item;

	for (item = NR_ZONE_LRU_BASE; item <= NR_ZONE_UNEVICTABLE; item++)
		if (pb_sum(zone, item))
			return false;
	return pb_sum(zone, NR_FREE_PAGES) > pb_sum(zone, NR_FREE_CMA_PAGES);
}

/* Nothing is free any more in @zone, until pb_give() */
static void pb_take(struct zone *zone, struct pb_taken *taken)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(pb_free_items); i++) {
		long *nr = &taken->nr[zone_idx(zone)][i];

		*nr = pb_sum(zone, pb_free_items[i]);
		atomic_long_sub(*nr, &zone->vm_stat[pb_free_items[i]]);
	}
}

static void pb_give(struct zone *zone, const struct pb_taken *taken)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(pb_free_items); i++)
		atomic_long_add(taken->nr[zone_idx(zone)][i],
				&zone->vm_stat[pb_free_items[i]]);
}

static struct pb_answers pb_answer(pg_data_t *pgdat)
{
	int failures = atomic_xchg(&pgdat->kswapd_failures, 0);
	struct pb_answers a;
#ifdef CONFIG_MOVABLE_ONLY_RECLAIM
	bool unmovable = pgdat->kswapd_unmovable;
#endif

	/* First: who is not allowed sets what kswapd goes by */
	a.allowed = pb_sym.allow_direct_reclaim(pgdat);
	a.balanced = pb_sym.pgdat_balanced(pgdat, 0, ZONE_NORMAL);
#ifdef CONFIG_MOVABLE_ONLY_RECLAIM
	pgdat->kswapd_unmovable = unmovable;
#endif
	atomic_set(&pgdat->kswapd_failures, failures);
	return a;
}

/* Set for @work, and put back */
struct pb_min_high {
	unsigned long min[MAX_NR_ZONES];
	unsigned long high[MAX_NR_ZONES];
};

/*
 * The min marks add up to what is free in quiet zones, of which half would do.
 * Undone by pb_marks_restore().
 */
static void pb_marks_set(struct pb_throttle *t, struct pb_min_high *saved)
{
	struct zone *zone = t->pgdat->node_zones;
	int i, nr = 0;

	for (i = 0; i <= ZONE_NORMAL; i++)
		nr += managed_zone(zone + i);
	for (i = 0; i <= ZONE_NORMAL; i++) {
		saved->min[i] = zone[i]._watermark[WMARK_MIN];
		saved->high[i] = zone[i]._watermark[WMARK_HIGH];
		zone[i]._watermark[WMARK_MIN] = t->quiet / nr;
		zone[i]._watermark[WMARK_HIGH] = LONG_MAX / 4;
	}
}

static void pb_marks_restore(struct pb_throttle *t, const struct pb_min_high *saved)
{
	struct zone *zone = t->pgdat->node_zones;
	int i;

	for (i = 0; i <= ZONE_NORMAL; i++) {
		zone[i]._watermark[WMARK_MIN] = saved->min[i];
		zone[i]._watermark[WMARK_HIGH] = saved->high[i];
	}
}

/* All other CPUs stand still */
static int pb_throttle_ask(void *data)
{
	struct pb_throttle *t = data;
	struct zone *zone, *end = t->pgdat->node_zones + ZONE_NORMAL + 1;
	struct pb_taken loud = {}, quiet = {};
	struct pb_min_high saved;
	unsigned long lru = 0;

	for (zone = t->pgdat->node_zones; zone < end; zone++) {
		t->reserve += zone->_watermark[WMARK_MIN];
		if (managed_zone(zone) && pb_is_quiet(zone))
			t->quiet += pb_sum(zone, NR_FREE_PAGES);
	}
	if (!t->quiet)
		return -ENODATA;
	t->asleep = waitqueue_active(&t->pgdat->kswapd_wait);

	for (zone = t->pgdat->node_zones; zone < end; zone++) {
		if (managed_zone(zone) && !pb_is_quiet(zone)) {
			pb_take(zone, &loud);
			atomic_long_add(PB_LRU_PAGES,
					&zone->vm_stat[NR_ZONE_INACTIVE_FILE]);
			lru |= BIT(zone_idx(zone));
		}
	}
	t->some = pb_answer(t->pgdat);
	pb_marks_set(t, &saved);
	t->work = pb_answer(t->pgdat);
	pb_marks_restore(t, &saved);
	for (zone = t->pgdat->node_zones; zone < end; zone++)
		if (managed_zone(zone))
			pb_take(zone, &quiet);
	t->none = pb_answer(t->pgdat);
	for (zone = t->pgdat->node_zones; zone < end; zone++) {
		pb_give(zone, &quiet);
		pb_give(zone, &loud);
		if (lru & BIT(zone_idx(zone)))
			atomic_long_sub(PB_LRU_PAGES,
					&zone->vm_stat[NR_ZONE_INACTIVE_FILE]);
	}
	return 0;
}

/* -ENODATA: each zone of the node has LRU pages, or nothing free. */
static ssize_t throttle_write(struct file *file, const char __user *ubuf,
			      size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[1];
	struct pb_throttle t = {};
	int nid, ret;

	if (pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv)) != 1 ||
	    pb_arg_node(argv[0], &nid))
		return -EINVAL;

	guard(mutex)(&pb_throttle_lock);
	t.pgdat = NODE_DATA(nid);
	ret = stop_machine(pb_throttle_ask, &t, NULL);
	if (ret)
		return ret;
	pb_last = t;
	return count;
}

static int throttle_show(struct seq_file *m, void *unused)
{
	guard(mutex)(&pb_throttle_lock);
	if (!pb_last.pgdat)
		return 0;
	seq_printf(m, "node %d asleep=%d reserve=%lu quiet=%ld balanced=%d allowed=%d work: balanced=%d allowed=%d without: balanced=%d allowed=%d\n",
		   pb_last.pgdat->node_id, pb_last.asleep, pb_last.reserve,
		   pb_last.quiet,
		   pb_last.some.balanced, pb_last.some.allowed,
		   pb_last.work.balanced, pb_last.work.allowed,
		   pb_last.none.balanced, pb_last.none.allowed);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(throttle);

/**
 * pb_throttle_init() - create "throttle"
 * @dir:	debugfs directory
 */
void pb_throttle_init(struct dentry *dir)
{
	if (pb_sym.pgdat_balanced && pb_sym.allow_direct_reclaim)
		debugfs_create_file("throttle", 0600, dir, NULL, &throttle_fops);
	else
		pr_info("no function allow_direct_reclaim: no \"throttle\"\n");
}
