// SPDX-License-Identifier: GPL-2.0
/*
 * Counts how often pages are allocated and freed, of any order: the events
 * that a drift is to be measured against. pgalloc_* and pgfree of vmstat count
 * pages, 512 for one huge page, and say little about that.
 *
 * Only while it is switched on, because it is on the hot paths then. Bulk
 * allocations have no trace point and are not counted, their frees are.
 */
#include <linux/mutex.h>
#include <linux/percpu.h>
#include "pageblock_debug.h"

struct pb_events {
	unsigned long alloc;
	unsigned long failed;
	unsigned long free;
};

static DEFINE_PER_CPU(struct pb_events, pb_events);
static DEFINE_MUTEX(pb_events_lock);
static bool pb_events_on;

static void pb_probe_alloc(void *data, struct page *page, unsigned int order,
			   gfp_t gfp, int migratetype)
{
	if (page)
		this_cpu_inc(pb_events.alloc);
	else
		this_cpu_inc(pb_events.failed);
}

static void pb_probe_free(void *data, struct page *page, unsigned int order)
{
	this_cpu_inc(pb_events.free);
}

static struct pb_trace pb_traces[] = {
	{ "mm_page_alloc", pb_probe_alloc },
	{ "mm_page_free", pb_probe_free },
};

static int pb_events_switch(bool on)
{
	int ret = 0;

	lockdep_assert_held(&pb_events_lock);
	if (on == pb_events_on)
		return 0;
	if (on)
		ret = pb_traces_on(pb_traces, ARRAY_SIZE(pb_traces));
	else
		pb_traces_off(pb_traces, ARRAY_SIZE(pb_traces));
	if (!ret)
		pb_events_on = on;
	return ret;
}

static ssize_t events_write(struct file *file, const char __user *ubuf,
			    size_t count, loff_t *ppos)
{
	bool on;
	int ret;

	ret = kstrtobool_from_user(ubuf, count, &on);
	if (ret)
		return ret;
	guard(mutex)(&pb_events_lock);
	ret = pb_events_switch(on);
	return ret ?: count;
}

static int events_show(struct seq_file *m, void *unused)
{
	struct pb_events sum = {};
	int cpu;

	for_each_possible_cpu(cpu) {
		struct pb_events *one = per_cpu_ptr(&pb_events, cpu);

		sum.alloc += READ_ONCE(one->alloc);
		sum.failed += READ_ONCE(one->failed);
		sum.free += READ_ONCE(one->free);
	}
	seq_printf(m, "alloc %lu failed %lu free %lu\n", sum.alloc, sum.failed,
		   sum.free);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(events);

/**
 * pb_events_init() - create "events"
 * @dir:	debugfs directory
 */
void pb_events_init(struct dentry *dir)
{
	if (pb_traces_find(pb_traces, ARRAY_SIZE(pb_traces)))
		debugfs_create_file("events", 0600, dir, NULL, &events_fops);
}

/**
 * pb_events_exit() - count no more; the file is gone already
 */
void pb_events_exit(void)
{
	guard(mutex)(&pb_events_lock);
	pb_events_switch(false);
}
