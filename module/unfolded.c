// SPDX-License-Identifier: GPL-2.0
/*
 * alloc_contig_range() while the counter of isolated pages says that some are, and
 * none is: what each CPU has subtracted is not folded into it yet. That is how it
 * is left after migration whose end ran on other CPUs than its beginning.
 *
 * "node=N START_PFN END_PFN" with a range of that node; shows what came out of it
 * the last time. Best after a fold of all counters (stat_refresh). Nothing has to
 * be undone: the sum is what it was.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/percpu-rwsem.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/vmstat.h>
#include "pageblock_debug.h"

/* Protects all below */
static DEFINE_MUTEX(pb_unfolded_lock);
static long pb_read_as;		/* isolated pages, as the counter says */
static long pb_exact;		/* and as there were */
static long pb_lru;		/* LRU pages of the node: an eighth is the limit at most */
static unsigned long pb_waits;	/* of alloc_contig_range(), for isolated pages */

static struct task_struct *pb_waiter;

static void pb_probe_throttled(void *data, int nid, int usec_timeout,
			       int usec_delayed, int reason)
{
	if (current == pb_waiter && reason == VMSCAN_THROTTLE_ISOLATED)
		pb_waits++;
}

static struct pb_trace pb_traces[] = {
	{ "mm_vmscan_throttled", pb_probe_throttled },
};

/* Whatever is not more than the threshold stays pending */
static void pb_subtract(void *pgdat)
{
	struct per_cpu_nodestat *stat =
		this_cpu_ptr(((pg_data_t *)pgdat)->per_cpu_nodestats);

	mod_node_page_state(pgdat, NR_ISOLATED_ANON, -stat->stat_threshold);
}

static long pb_pending(pg_data_t *pgdat, enum node_stat_item item)
{
	long sum = 0;
	int cpu;

	for_each_online_cpu(cpu)
		sum += per_cpu_ptr(pgdat->per_cpu_nodestats, cpu)->vm_node_stat_diff[item];
	return sum;
}

static long pb_sum(pg_data_t *pgdat, enum node_stat_item first,
		   enum node_stat_item last, bool exact)
{
	enum node_stat_item item;
	long sum = 0;

	for (item = first; item <= last; item++) {
		sum += atomic_long_read(&pgdat->vm_stat[item]);
		if (exact)
			sum += pb_pending(pgdat, item);
	}
	return sum;
}

static int pb_unfolded(pg_data_t *pgdat, unsigned long start_pfn, unsigned long end_pfn)
{
	long sum = 0;
	int cpu, ret;

	if (num_online_cpus() < 2)
		return -EOPNOTSUPP;
	pb_waits = 0;
	pb_waiter = current;
	ret = pb_traces_on(pb_traces, ARRAY_SIZE(pb_traces));
	if (ret)
		return ret;
	cpus_read_lock();
	for_each_online_cpu(cpu)
		sum += per_cpu_ptr(pgdat->per_cpu_nodestats, cpu)->stat_threshold;
	/* More than the threshold of one CPU is folded at once */
	mod_node_page_state(pgdat, NR_ISOLATED_ANON, sum);
	on_each_cpu(pb_subtract, pgdat, true);
	cpus_read_unlock();
	pb_read_as = pb_sum(pgdat, NR_ISOLATED_ANON, NR_ISOLATED_FILE, false);
	pb_exact = pb_sum(pgdat, NR_ISOLATED_ANON, NR_ISOLATED_FILE, true);
	pb_lru = pb_sum(pgdat, NR_LRU_BASE, NR_ACTIVE_FILE, true);
	ret = pb_contig(start_pfn, end_pfn);
	pb_traces_off(pb_traces, ARRAY_SIZE(pb_traces));
	return ret;
}

static ssize_t unfolded_write(struct file *file, const char __user *ubuf,
			      size_t count, loff_t *ppos)
{
	unsigned long start_pfn, end_pfn;
	char buf[PB_ARGS_LEN], *argv[3];
	int argc, nid, ret;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	if (argc != 3 || pb_arg_node(argv[0], &nid) ||
	    kstrtoul(argv[1], 0, &start_pfn) || kstrtoul(argv[2], 0, &end_pfn) ||
	    start_pfn >= end_pfn)
		return -EINVAL;
	if (mutex_lock_killable(&pb_unfolded_lock))
		return -EINTR;
	ret = pb_unfolded(NODE_DATA(nid), start_pfn, end_pfn);
	mutex_unlock(&pb_unfolded_lock);
	return ret ?: count;
}

static int unfolded_show(struct seq_file *m, void *unused)
{
	if (mutex_lock_interruptible(&pb_unfolded_lock))
		return -ERESTARTSYS;
	seq_printf(m, "isolated %ld exact %ld lru %ld waits %lu\n", pb_read_as,
		   pb_exact, pb_lru, pb_waits);
	mutex_unlock(&pb_unfolded_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(unfolded);

/**
 * pb_unfolded_init() - create "unfolded"
 * @dir:	debugfs directory
 */
void pb_unfolded_init(struct dentry *dir)
{
	if (pb_traces_find(pb_traces, ARRAY_SIZE(pb_traces)))
		debugfs_create_file("unfolded", 0600, dir, NULL, &unfolded_fops);
}
