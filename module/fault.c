// SPDX-License-Identifier: GPL-2.0
/*
 * Makes one counter wrong, to show that the audit notices: a checker that was
 * never seen to fail proves nothing. Built with PB_FAULTS=1 only.
 *
 * Writing the opposite amount mends it. What is no counter but a state of the
 * free lists is damaged in the first block that "isolate" holds.
 */
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include "pageblock_debug.h"

#define PB_FAULT_MAX	BIT(20)

static DEFINE_MUTEX(pb_fault_lock);

/* What has been added to each counter of the zone since the module was loaded. */
struct pb_fault {
	struct list_head node;
	struct zone *zone;
	long sum[PB_NR_COUNTERS];
};

static LIST_HEAD(pb_faults);

static struct pb_fault *pb_fault_get(struct zone *zone)
{
	struct pb_fault *f;

	list_for_each_entry(f, &pb_faults, node) {
		if (f->zone == zone)
			return f;
	}
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (f) {
		f->zone = zone;
		list_add(&f->node, &pb_faults);
	}
	return f;
}

/* Fields of struct zone are unsigned: do not let them wrap. */
static int pb_shift(struct zone *zone, enum pb_counter c, long delta)
{
	unsigned long *field = pb_zone_field(zone, c);
	int item = pb_stat_item(c);

	if (c == PB_OWN_ISOLATED || c == PB_OWN_FREE || c == PB_LIST_CORRUPT)
		return pb_own_fault(c, delta);

	guard(spinlock_irqsave)(&zone->lock);
	if (field) {
		if ((long)*field + delta < 0)
			return -ERANGE;
		*field += delta;
		return 0;
	}
	if (item < 0)
		return -EOPNOTSUPP;
	__mod_zone_page_state(zone, item, delta);
	return 0;
}

static int pb_find_counter(const char *name, enum pb_counter *counter)
{
	enum pb_counter c;

	for (c = 0; c < PB_NR_COUNTERS; c++) {
		if (!strcmp(name, pb_counter_name(c))) {
			*counter = c;
			return 0;
		}
	}
	return -EINVAL;
}

/* The zone with the most memory, of one node or of all. */
static struct zone *pb_largest_zone(int nid)
{
	struct zone *zone, *largest = NULL;

	pb_for_each_zone(zone) {
		if (nid != NUMA_NO_NODE && zone_to_nid(zone) != nid)
			continue;
		if (!largest ||
		    zone_managed_pages(zone) > zone_managed_pages(largest))
			largest = zone;
	}
	return largest;
}

static int pb_fault(int nid, enum pb_counter c, long delta)
{
	struct zone *zone = pb_largest_zone(nid);
	struct pb_fault *f;
	int ret;

	if (!zone)
		return -EINVAL;

	guard(mutex)(&pb_fault_lock);
	f = pb_fault_get(zone);
	if (!f)
		return -ENOMEM;
	ret = pb_shift(zone, c, delta);
	if (!ret)
		f->sum[c] += delta;
	return ret;
}

static ssize_t fault_write(struct file *file, const char __user *ubuf,
			   size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[3];
	int argc, ret, nid = NUMA_NO_NODE;
	enum pb_counter c;
	long delta;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	if (argc < 2 || pb_find_counter(argv[0], &c) ||
	    kstrtol(argv[1], 0, &delta))
		return -EINVAL;
	if (!delta || abs(delta) > PB_FAULT_MAX)
		return -EINVAL;
	if (argc == 3 && pb_arg_node(argv[2], &nid))
		return -EINVAL;

	ret = pb_fault(nid, c, delta);
	return ret ?: count;
}

/* The faults that are in place. */
static int fault_show(struct seq_file *m, void *unused)
{
	struct pb_fault *f;
	enum pb_counter c;

	guard(mutex)(&pb_fault_lock);
	list_for_each_entry(f, &pb_faults, node) {
		for (c = 0; c < PB_NR_COUNTERS; c++) {
			if (f->sum[c])
				seq_printf(m, "zone %d %s %s %ld\n",
					   zone_to_nid(f->zone), f->zone->name,
					   pb_counter_name(c), f->sum[c]);
		}
	}
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(fault);

/**
 * pb_fault_init() - create "fault"
 * @dir:	debugfs directory
 */
void pb_fault_init(struct dentry *dir)
{
	debugfs_create_file("fault", 0600, dir, NULL, &fault_fops);
}

/**
 * pb_fault_exit() - put right what was made wrong; the file is gone already
 */
void pb_fault_exit(void)
{
	struct pb_fault *f, *next;
	enum pb_counter c;

	list_for_each_entry_safe(f, next, &pb_faults, node) {
		for (c = 0; c < PB_NR_COUNTERS; c++) {
			if (f->sum[c])
				pb_shift(f->zone, c, -f->sum[c]);
		}
		list_del(&f->node);
		kfree(f);
	}
}
