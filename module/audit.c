// SPDX-License-Identifier: GPL-2.0
/*
 * The audit: looks at all zones, decides what is a violation, keeps score.
 *
 * A difference in one look may be a vmstat fold caught between its two steps
 * (see look.c). Folding runs on the per-CPU worker pools, and a pool does not
 * start another work item while one of its workers is runnable. So once a work
 * item of ours ran on every CPU, whatever was folding during the last look has
 * finished. A difference that is the same in PB_SAME looks with such a barrier
 * in between is a violation; one that is ever 0 was a fold. A difference that
 * neither settles nor goes away in PB_TRIES looks is a violation as well:
 * folds are far too rare for that.
 */
#include <linux/cpu.h>
#include <linux/delay.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>
#include "pageblock_debug.h"

#define PB_SAME		4
#define PB_TRIES	20
#define PB_LOOK_TRIES	3
#define PB_LOG_MAX	64
#define PB_REPORT_MAX	64

static unsigned int max_hold_ms = 500;
module_param(max_hold_ms, uint, 0644);
MODULE_PARM_DESC(max_hold_ms, "give a look up when zone->lock is held longer");

/**
 * struct pb_violation - one violation
 * @node:	node of the zone
 * @zone:	name of the zone
 * @counter:	what is wrong
 * @expected:	what lists and flags say
 * @found:	what the counter says
 * @pfn:	where, for list problems
 * @first:	number of the look that saw it first
 * @times:	in how many looks it was seen
 */
struct pb_violation {
	int node;
	const char *zone;
	enum pb_counter counter;
	long expected;
	long found;
	unsigned long pfn;
	unsigned long first;
	unsigned long times;
};

/**
 * struct pb_report - result of one audit
 * @nr:		violations found, of which up to PB_REPORT_MAX are in @v
 * @incomplete:	zones whose look was given up
 * @v:		the violations
 */
struct pb_report {
	unsigned long nr;
	unsigned long incomplete;
	struct pb_violation v[PB_REPORT_MAX];
};

/**
 * struct pb_suspicion - differences of one zone that await a verdict
 * @open:	counters without a verdict
 * @last:	difference in the last look
 * @same:	for how many looks it has been this
 */
struct pb_suspicion {
	DECLARE_BITMAP(open, PB_NR_COUNTERS);
	long last[PB_NR_COUNTERS];
	unsigned int same[PB_NR_COUNTERS];
};

/* Serialises audits and protects everything below. */
static DEFINE_MUTEX(pb_audit_lock);
static struct pb_zone_look pb_cur;
static struct pb_suspicion pb_suspicion;
static struct pb_report pb_report;
static struct pb_violation pb_log[PB_LOG_MAX];
static unsigned int pb_log_nr;
static struct {
	unsigned long looks;
	unsigned long violations;
	unsigned long rechecks;
	unsigned long incomplete;
	unsigned long holds;
	u64 hold_ns;
	u64 max_hold_ns;
} pb_stats;

static struct workqueue_struct *pb_barrier_wq, *pb_audit_wq;
static DEFINE_PER_CPU(struct work_struct, pb_barrier_work);
static unsigned int pb_interval_ms;

static void pb_barrier_fn(struct work_struct *work)
{
}

/* Every fold that was under way when this is called ends before it returns. */
static void pb_barrier(void)
{
	int cpu;

	guard(cpus_read_lock)();
	for_each_online_cpu(cpu)
		queue_work_on(cpu, pb_barrier_wq,
			      per_cpu_ptr(&pb_barrier_work, cpu));
	for_each_online_cpu(cpu)
		flush_work(per_cpu_ptr(&pb_barrier_work, cpu));
}

/*
 * In a virtual machine the time may be the host's: give up only when it was
 * not enough several times in a row.
 */
static bool pb_look_once(struct zone *zone)
{
	int try;

	for (try = 0; try < PB_LOOK_TRIES; try++) {
		if (!pb_look(zone, &pb_cur, max_hold_ms * NSEC_PER_MSEC))
			return false;
		pb_stats.holds++;
		pb_stats.hold_ns += pb_cur.hold_ns;
		pb_stats.max_hold_ns = max(pb_stats.max_hold_ns,
					   pb_cur.hold_ns);
		if (pb_cur.complete)
			return true;
		fsleep(10 * USEC_PER_MSEC);
	}
	return true;
}

static long pb_difference(enum pb_counter c)
{
	long diff = pb_cur.found[c] - pb_cur.expected[c];

	return diff == pb_cur.transit[c] ? 0 : diff;
}

/* Seen under zone->lock alone: no fold can explain these. */
static bool pb_is_exact(enum pb_counter c)
{
	return c == PB_OWN_ISOLATED || c == PB_OWN_FREE;
}

static void pb_log_violation(const struct pb_violation *v)
{
	unsigned int i;

	for (i = 0; i < min(pb_log_nr, PB_LOG_MAX); i++) {
		struct pb_violation *old = &pb_log[i];

		if (old->node == v->node && old->zone == v->zone &&
		    old->counter == v->counter &&
		    old->found - old->expected == v->found - v->expected) {
			old->times++;
			return;
		}
	}

	pr_err("violation: zone %d %s %s expected %ld found %ld\n", v->node,
	       v->zone, pb_counter_name(v->counter), v->expected, v->found);
	pb_log[pb_log_nr++ % PB_LOG_MAX] = *v;
}

static void pb_violation(struct zone *zone, enum pb_counter c)
{
	struct pb_violation v = {
		.node = zone_to_nid(zone),
		.zone = zone->name,
		.counter = c,
		.expected = pb_cur.expected[c],
		.found = pb_cur.found[c],
		.first = pb_stats.looks,
		.times = 1,
	};

	if (c == PB_LIST_TYPE || c == PB_LIST_CORRUPT)
		v.pfn = pb_cur.pfn;
	if (pb_report.nr < PB_REPORT_MAX)
		pb_report.v[pb_report.nr] = v;
	pb_report.nr++;
	pb_log_violation(&v);
}

static void pb_suspect(struct zone *zone)
{
	struct pb_suspicion *s = &pb_suspicion;
	enum pb_counter c;

	bitmap_zero(s->open, PB_NR_COUNTERS);
	for (c = 0; c < PB_NR_COUNTERS; c++) {
		if (!pb_difference(c))
			continue;
		if (pb_is_exact(c)) {
			pb_violation(zone, c);
			continue;
		}
		__set_bit(c, s->open);
		s->last[c] = pb_difference(c);
		s->same[c] = 1;
	}
}

static void pb_judge(struct zone *zone, bool last_try)
{
	struct pb_suspicion *s = &pb_suspicion;
	unsigned int c;

	/* Each look takes note of what is free in blocks of ours: say it now */
	if (pb_difference(PB_OWN_FREE))
		pb_violation(zone, PB_OWN_FREE);
	for_each_set_bit(c, s->open, PB_NR_COUNTERS) {
		long diff = pb_difference(c);

		if (!diff) {
			__clear_bit(c, s->open);
			continue;
		}
		s->same[c] = diff == s->last[c] ? s->same[c] + 1 : 1;
		s->last[c] = diff;
		if (s->same[c] >= PB_SAME || last_try) {
			pb_violation(zone, c);
			__clear_bit(c, s->open);
		}
	}
}

static void pb_audit_zone(struct zone *zone)
{
	int try;

	if (!pb_look_once(zone))
		return;
	if (!pb_cur.complete) {
		pb_report.incomplete++;
		return;
	}

	pb_suspect(zone);
	for (try = 1; try < PB_TRIES; try++) {
		if (bitmap_empty(pb_suspicion.open, PB_NR_COUNTERS))
			return;
		pb_barrier();
		fsleep(500 << min(try, 5));
		pb_stats.rechecks++;
		if (!pb_look_once(zone))
			return;
		if (!pb_cur.complete)
			break;
		pb_judge(zone, try == PB_TRIES - 1);
	}
	if (!bitmap_empty(pb_suspicion.open, PB_NR_COUNTERS))
		pb_report.incomplete++;
}

static void pb_audit(void)
{
	struct zone *zone;

	lockdep_assert_held(&pb_audit_lock);
	pb_report.nr = 0;
	pb_report.incomplete = 0;
	pb_stats.looks++;
	pb_transit_settle();

	zone = pb_first_zone();
	/* Nothing to look at is nothing seen */
	if (!zone)
		pb_report.incomplete++;
	for (; zone; zone = pb_next_zone(zone)) {
		pb_audit_zone(zone);
		cond_resched();
	}

	pb_stats.violations += pb_report.nr;
	pb_stats.incomplete += pb_report.incomplete;
}

static void pb_show_violation(struct seq_file *m, const struct pb_violation *v)
{
	seq_printf(m, "zone %d %s %s %ld %ld", v->node, v->zone,
		   pb_counter_name(v->counter), v->expected, v->found);
	if (v->pfn)
		seq_printf(m, " pfn=%lu", v->pfn);
}

static int audit_show(struct seq_file *m, void *unused)
{
	const char *verdict;
	unsigned long i;

	if (mutex_lock_interruptible(&pb_audit_lock))
		return -ERESTARTSYS;
	pb_audit();
	for (i = 0; i < min(pb_report.nr, PB_REPORT_MAX); i++) {
		pb_show_violation(m, &pb_report.v[i]);
		seq_putc(m, '\n');
	}

	if (pb_report.nr)
		verdict = "FAIL";
	else if (pb_report.incomplete)
		verdict = "INCOMPLETE";
	else
		verdict = "ok";
	seq_printf(m, "%s looks=%lu violations=%lu", verdict, pb_stats.looks,
		   pb_report.nr);
	if (pb_report.incomplete)
		seq_printf(m, " incomplete=%lu", pb_report.incomplete);
	seq_putc(m, '\n');
	mutex_unlock(&pb_audit_lock);
	return 0;
}

/*
 * Room for the longest report from the start: seq_file would otherwise throw
 * the text away, enlarge its buffer and run the audit again.
 */
static int audit_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, audit_show, NULL,
				(PB_REPORT_MAX + 2) * 128);
}

static const struct file_operations audit_fops = {
	.owner		= THIS_MODULE,
	.open		= audit_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static u64 pb_avg_hold_us(void)
{
	if (!pb_stats.holds)
		return 0;
	return div64_ul(pb_stats.hold_ns, pb_stats.holds) / NSEC_PER_USEC;
}

static int audit_stats_show(struct seq_file *m, void *unused)
{
	if (mutex_lock_interruptible(&pb_audit_lock))
		return -ERESTARTSYS;
	seq_printf(m, "looks %lu violations %lu rechecks %lu max_hold_us %llu avg_hold_us %llu incomplete %lu\n",
		   pb_stats.looks, pb_stats.violations, pb_stats.rechecks,
		   div_u64(pb_stats.max_hold_ns, NSEC_PER_USEC),
		   pb_avg_hold_us(), pb_stats.incomplete);
	mutex_unlock(&pb_audit_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(audit_stats);

static int audit_log_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	if (mutex_lock_interruptible(&pb_audit_lock))
		return -ERESTARTSYS;
	i = pb_log_nr > PB_LOG_MAX ? pb_log_nr - PB_LOG_MAX : 0;
	for (; i < pb_log_nr; i++) {
		const struct pb_violation *v = &pb_log[i % PB_LOG_MAX];

		pb_show_violation(m, v);
		seq_printf(m, " first_look=%lu times=%lu\n", v->first,
			   v->times);
	}
	mutex_unlock(&pb_audit_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(audit_log);

static void pb_periodic_fn(struct work_struct *work);
static DECLARE_DELAYED_WORK(pb_periodic, pb_periodic_fn);

static void pb_periodic_fn(struct work_struct *work)
{
	unsigned int interval;

	mutex_lock(&pb_audit_lock);
	pb_audit();
	mutex_unlock(&pb_audit_lock);

	interval = READ_ONCE(pb_interval_ms);
	if (interval)
		queue_delayed_work(pb_audit_wq, &pb_periodic,
				   msecs_to_jiffies(interval));
}

static ssize_t audit_interval_ms_write(struct file *file,
				       const char __user *ubuf, size_t count,
				       loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[1];
	unsigned int interval;
	int argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));

	if (argc < 0)
		return argc;
	if (argc != 1 || kstrtouint(argv[0], 0, &interval) ||
	    interval > 3600 * MSEC_PER_SEC)
		return -EINVAL;

	/* A look that is under way reads the new interval when it is done. */
	WRITE_ONCE(pb_interval_ms, interval);
	if (interval)
		mod_delayed_work(pb_audit_wq, &pb_periodic,
				 msecs_to_jiffies(interval));
	else
		cancel_delayed_work_sync(&pb_periodic);
	return count;
}

static int audit_interval_ms_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "%u\n", READ_ONCE(pb_interval_ms));
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(audit_interval_ms);

/**
 * pb_audit_init() - create the audit's files
 * @dir:	debugfs directory
 *
 * Return: 0 or -ENOMEM.
 */
int pb_audit_init(struct dentry *dir)
{
	int cpu;

	/* Both must make progress while memory is short. */
	pb_barrier_wq = alloc_workqueue("pageblock_barrier",
					WQ_PERCPU | WQ_MEM_RECLAIM, 0);
	if (!pb_barrier_wq)
		return -ENOMEM;
	pb_audit_wq = alloc_workqueue("pageblock_audit",
				      WQ_UNBOUND | WQ_MEM_RECLAIM, 1);
	if (!pb_audit_wq) {
		destroy_workqueue(pb_barrier_wq);
		return -ENOMEM;
	}
	for_each_possible_cpu(cpu)
		INIT_WORK(per_cpu_ptr(&pb_barrier_work, cpu), pb_barrier_fn);

	debugfs_create_file("audit", 0444, dir, NULL, &audit_fops);
	debugfs_create_file("audit_stats", 0444, dir, NULL, &audit_stats_fops);
	debugfs_create_file("audit_log", 0444, dir, NULL, &audit_log_fops);
	debugfs_create_file("audit_interval_ms", 0644, dir, NULL,
			    &audit_interval_ms_fops);
	return 0;
}

/**
 * pb_audit_exit() - end the periodic audit; its files are gone already
 */
void pb_audit_exit(void)
{
	WRITE_ONCE(pb_interval_ms, 0);
	cancel_delayed_work_sync(&pb_periodic);
	destroy_workqueue(pb_audit_wq);
	destroy_workqueue(pb_barrier_wq);
}
