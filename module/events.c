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
#include <linux/tracepoint.h>
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

static struct pb_trace {
	const char *name;
	void *probe;
	struct tracepoint *tp;
} pb_traces[] = {
	{ "mm_page_alloc", pb_probe_alloc },
	{ "mm_page_free", pb_probe_free },
};

static void pb_find_trace(struct tracepoint *tp, void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pb_traces); i++) {
		if (!strcmp(tp->name, pb_traces[i].name))
			pb_traces[i].tp = tp;
	}
}

/* Waits until no probe runs: the module may go away after it. */
static void pb_events_remove(unsigned int nr)
{
	while (nr--)
		tracepoint_probe_unregister(pb_traces[nr].tp,
					    pb_traces[nr].probe, NULL);
	tracepoint_synchronize_unregister();
}

static int pb_events_switch(bool on)
{
	unsigned int i;
	int ret;

	lockdep_assert_held(&pb_events_lock);
	if (on == pb_events_on)
		return 0;
	pb_events_on = on;
	if (!on) {
		pb_events_remove(ARRAY_SIZE(pb_traces));
		return 0;
	}
	for (i = 0; i < ARRAY_SIZE(pb_traces); i++) {
		ret = tracepoint_probe_register(pb_traces[i].tp,
						pb_traces[i].probe, NULL);
		if (ret) {
			pb_events_remove(i);
			pb_events_on = false;
			return ret;
		}
	}
	return 0;
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
	unsigned int i;

	for_each_kernel_tracepoint(pb_find_trace, NULL);
	for (i = 0; i < ARRAY_SIZE(pb_traces); i++) {
		if (!pb_traces[i].tp)
			return;
	}
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
