// SPDX-License-Identifier: GPL-2.0
/*
 * Memory pressure out of the kernel: the task that writes "ORDER COUNT CLASS
 * [node=N]" allocates so many pages, one after the other, of that node only if
 * one is given, and keeps them until somebody writes "free", or "free N" for the
 * last N of them, which everybody can have then. It stops early when an allocation
 * fails (again and again, for atomic requests: kswapd may be at it), which is
 * ENOMEM, or when the OOM killer has chosen it.
 *
 * Reading tells how many pages it got, and what the allocations took, each, in
 * ticks of the time stamp counter: under QEMU's "-icount shift=0" one tick is
 * one instruction, as long as the CPU does not idle. What other tasks did in
 * between is in it; "worst_cpu" is without the time that this task was not running.
 *
 * "before" is what came before the first OOM kill (see kills.c), "harvest" of these
 * what ended after pageblocks had been harvested in the meantime. "boost" is the
 * highest boost of the watermarks that a page's zone had when it was allocated.
 */
#include <linux/bitops.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <asm/tsc.h>
#include "pageblock_debug.h"

/*
 * Pages of pageblock_order in a reserve that is given back the moment the task is
 * chosen by the OOM killer. Killing it frees nothing of what is held, so without
 * that the next request of whomever, be it a kernel thread, finds no victim and
 * panics. So many because the victims before it got some MB from below the min
 * marks.
 */
#define PB_PRESS_RESERVE	6

/* A failed request that may not sleep is repeated, each time after a tick */
#define PB_PRESS_TRIES		50

/* Eight buckets for each power of two: p50 and p99 are good to 12 % */
#define PB_PRESS_FINE		3
#define PB_PRESS_BUCKETS	(64 << PB_PRESS_FINE)

static const struct {
	const char *name;
	gfp_t gfp;
} pb_press_classes[] = {
	{ "kernel",	GFP_KERNEL },
	{ "account",	GFP_KERNEL_ACCOUNT },
	/* Ends, where the kernel's default is to try for ever */
	{ "mayfail",	GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN },
	{ "nofs",	GFP_NOFS | __GFP_RETRY_MAYFAIL | __GFP_NOWARN },
	{ "atomic",	GFP_ATOMIC | __GFP_NOWARN },
	{ "nowait",	GFP_NOWAIT | __GFP_NOWARN },
};

/**
 * struct pb_took - what some of the allocations took
 * @nr:		how many
 * @sum:	ticks of all of them
 * @worst:	ticks of the worst
 * @worst_cpu:	most ticks for one in which the task was on a CPU
 * @worst_at:	which one it was
 * @bucket:	how many by ticks
 */
struct pb_took {
	unsigned long nr;
	u64 sum;
	u64 worst;
	u64 worst_cpu;
	unsigned long worst_at;
	unsigned int bucket[PB_PRESS_BUCKETS];
};

/* Serialises writers, protects what follows. Pages are linked by page->lru. */
static DEFINE_MUTEX(pb_press_lock);
static LIST_HEAD(pb_press_held);
static unsigned int pb_press_order;
static int pb_press_nid = NUMA_NO_NODE;
static unsigned long pb_press_wanted, pb_press_nr_held, pb_press_failed;
static unsigned long pb_press_boost;
static unsigned int pb_press_class;
static const char *pb_press_end;

/*
 * Taken by xchg() and compared with only: the OOM killer takes no mutex. The task
 * is the one that wrote last, also when it has got all it could: what is held
 * still keeps others from memory.
 */
static struct page *pb_press_reserve[PB_PRESS_RESERVE];
static struct task_struct *pb_press_task;

static struct pb_took pb_before, pb_harvest, pb_all;

static unsigned int pb_bucket(u64 ticks)
{
	unsigned int msb = ticks ? __fls(ticks) : 0;

	if (msb < PB_PRESS_FINE)
		return ticks;
	return ((msb - PB_PRESS_FINE + 1) << PB_PRESS_FINE) +
	       ((ticks >> (msb - PB_PRESS_FINE)) &
		(BIT(PB_PRESS_FINE) - 1));
}

/* Smallest value of the next bucket */
static u64 pb_bucket_end(unsigned int bucket)
{
	unsigned int shift = bucket >> PB_PRESS_FINE;
	u64 low = bucket & (BIT(PB_PRESS_FINE) - 1);

	if (!shift)
		return bucket + 1;
	return (BIT(PB_PRESS_FINE) + low + 1) << (shift - 1);
}

static u64 pb_percentile(const struct pb_took *took, unsigned int percent)
{
	unsigned long want = took->nr * percent / 100, seen = 0;
	unsigned int i;

	for (i = 0; i < PB_PRESS_BUCKETS; i++) {
		seen += took->bucket[i];
		if (seen > want)
			return pb_bucket_end(i);
	}
	return took->worst;
}

static void pb_press_account(struct pb_took *took, u64 ticks, u64 cpu)
{
	took->nr++;
	took->sum += ticks;
	took->bucket[pb_bucket(ticks)]++;
	took->worst_cpu = max(took->worst_cpu, cpu);
	if (ticks > took->worst) {
		took->worst = ticks;
		took->worst_at = took->nr;
	}
}

#ifdef CONFIG_MIGRATE_HOTREMOVE
/* Pageblocks that were harvested since boot */
static unsigned long pb_harvested(void)
{
	unsigned long sum = 0;
	int cpu;

	for_each_online_cpu(cpu)
		sum += per_cpu(vm_event_states, cpu).event[HOTREMOVE_HARVEST];
	return sum;
}
#else
#define pb_harvested()	0UL
#endif

/* Who is in pb_press_run(), and the ticks that it was not on a CPU */
static struct task_struct *pb_press_runner;
static u64 pb_press_off, pb_press_off_since;

static void pb_press_switch(void *data, bool preempt, struct task_struct *prev,
			    struct task_struct *next, unsigned int prev_state)
{
	struct task_struct *runner = READ_ONCE(pb_press_runner);

	if (prev == runner)
		pb_press_off_since = rdtsc_ordered();
	else if (next == runner)
		pb_press_off += rdtsc_ordered() - pb_press_off_since;
}

static struct pb_trace pb_traces[] = {
	{ "sched_switch", pb_press_switch },
};

/*
 * Registered at first use, and until the module goes: to unregister them starts
 * work, for which there may be no worker yet, when all memory has just been taken.
 */
static bool pb_press_traced;

/* Both of the same moment */
static void pb_press_clock(u64 *ticks, u64 *off)
{
	guard(preempt)();
	*ticks = rdtsc_ordered();
	*off = pb_press_off;
}

/* One page, and what it took; NULL: there is none to be had */
static struct page *pb_press_one(gfp_t gfp, unsigned int order)
{
	unsigned long harvested = pb_harvested();
	u64 ticks, off, end, end_off;
	struct page *page;

	pb_press_clock(&ticks, &off);
	page = pb_press_nid == NUMA_NO_NODE ? alloc_pages(gfp, order) :
	       alloc_pages_node(pb_press_nid, gfp | __GFP_THISNODE, order);
	pb_press_clock(&end, &end_off);
	ticks = end - ticks;
	off = end_off - off;
	if (!page) {
		pb_press_failed++;
		return NULL;
	}
	pb_press_account(&pb_all, ticks, ticks - off);
	if (!pb_kills_count()) {
		pb_press_account(&pb_before, ticks, ticks - off);
		if (pb_harvested() != harvested)
			pb_press_account(&pb_harvest, ticks, ticks - off);
	}
	return page;
}

static const char *pb_press_run(gfp_t gfp, unsigned int order)
{
	struct page *page;
	int tries = 0;

	while (pb_all.nr < pb_press_wanted) {
		if (fatal_signal_pending(current))
			return "killed";
		page = pb_press_one(gfp, order);
		if (page) {
			tries = 0;
			pb_press_nr_held++;
			pb_press_boost = max(pb_press_boost,
					     READ_ONCE(page_zone(page)->watermark_boost));
			list_add(&page->lru, &pb_press_held);
			cond_resched();
			continue;
		}
		if (gfpflags_allow_blocking(gfp) || ++tries == PB_PRESS_TRIES)
			return "failed";
		schedule_timeout_killable(1);
	}
	return "count";
}

static void pb_press_free(unsigned long nr)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &pb_press_held, lru) {
		if (!nr--)
			return;
		list_del(&page->lru);
		__free_pages(page, pb_press_order);
		pb_press_nr_held--;
		cond_resched();
	}
}

/* Works without, mostly */
static void pb_press_fill_reserve(void)
{
	struct page *page;
	int i;

	for (i = 0; i < PB_PRESS_RESERVE; i++) {
		if (READ_ONCE(pb_press_reserve[i]))
			continue;
		page = alloc_pages(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN,
				   pageblock_order);
		page = page ? xchg(&pb_press_reserve[i], page) : NULL;
		if (page)
			__free_pages(page, pageblock_order);
	}
}

static int pb_press(char **argv, int nid)
{
	unsigned int order, class;
	unsigned long count;
	int ret;

	if (kstrtouint(argv[0], 0, &order) || kstrtoul(argv[1], 0, &count))
		return -EINVAL;
	for (class = 0; class < ARRAY_SIZE(pb_press_classes); class++) {
		if (!strcmp(argv[2], pb_press_classes[class].name))
			break;
	}
	if (class == ARRAY_SIZE(pb_press_classes) || order > MAX_PAGE_ORDER)
		return -EINVAL;
	/* All that is held has one order */
	if (pb_press_nr_held)
		return -EBUSY;

	pb_press_order = order;
	pb_press_nid = nid;
	pb_press_class = class;
	pb_press_wanted = count ?: ULONG_MAX;
	pb_press_failed = 0;
	pb_press_boost = 0;
	memset(&pb_all, 0, sizeof(pb_all));
	memset(&pb_before, 0, sizeof(pb_before));
	memset(&pb_harvest, 0, sizeof(pb_harvest));
	if (!pb_press_traced) {
		ret = pb_traces_on(pb_traces, ARRAY_SIZE(pb_traces));
		if (ret)
			return ret;
		pb_press_traced = true;
	}
	/* What a victim was given. Not sooner: it might lie in harvested memory then */
	pb_press_fill_reserve();
	WRITE_ONCE(pb_press_task, current);
	WRITE_ONCE(pb_press_runner, current);
	pb_press_end = pb_press_run(pb_press_classes[class].gfp |
				    (order ? __GFP_COMP : 0), order);
	WRITE_ONCE(pb_press_runner, NULL);
	return strcmp(pb_press_end, "failed") ? 0 : -ENOMEM;
}

static ssize_t press_write(struct file *file, const char __user *ubuf,
			   size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[4];
	int ret, argc, nid = NUMA_NO_NODE;
	unsigned long nr = ULONG_MAX;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	if (mutex_lock_killable(&pb_press_lock))
		return -EINTR;
	if (argc && argc <= 2 && !strcmp(argv[0], "free")) {
		ret = argc == 2 ? kstrtoul(argv[1], 0, &nr) : 0;
		if (!ret)
			pb_press_free(nr);
		/* On the lists of a CPU they are no use to who needs them now */
		if (!ret && argc == 2)
			pb_sym.drain_all_pages(NULL);
	} else {
		ret = argc == 4 ? pb_arg_node(argv[3], &nid) : argc == 3 ? 0 : -EINVAL;
		ret = ret ?: pb_press(argv, nid);
	}
	mutex_unlock(&pb_press_lock);
	return ret ?: count;
}

static void pb_show_took(struct seq_file *m, const char *name,
			 const struct pb_took *took)
{
	seq_printf(m, "took what=%s pages=%lu ticks=%llu p50=%llu p99=%llu worst=%llu worst_at=%lu worst_cpu=%llu\n",
		   name, took->nr << pb_press_order, took->sum,
		   pb_percentile(took, 50), pb_percentile(took, 99),
		   took->worst, took->worst_at, took->worst_cpu);
}

static int press_show(struct seq_file *m, void *unused)
{
	if (mutex_lock_interruptible(&pb_press_lock))
		return -ERESTARTSYS;
	if (pb_press_end) {
		seq_printf(m, "press class=%s order=%u end=%s got=%lu held=%lu failed=%lu boost=%lu\n",
			   pb_press_classes[pb_press_class].name,
			   pb_press_order, pb_press_end, pb_all.nr,
			   pb_press_nr_held, pb_press_failed, pb_press_boost);
		pb_show_took(m, "before", &pb_before);
		pb_show_took(m, "harvest", &pb_harvest);
		pb_show_took(m, "all", &pb_all);
	}
	mutex_unlock(&pb_press_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(press);

static void pb_press_give_back(void)
{
	struct page *page;
	int i;

	for (i = 0; i < PB_PRESS_RESERVE; i++) {
		page = xchg(&pb_press_reserve[i], NULL);
		if (page)
			__free_pages(page, pageblock_order);
	}
}

/**
 * pb_press_victim() - somebody is about to be killed
 * @task:	the victim
 */
void pb_press_victim(struct task_struct *task)
{
	if (task == READ_ONCE(pb_press_task))
		pb_press_give_back();
}

/**
 * pb_press_init() - create "press"
 * @dir:	debugfs directory
 */
void pb_press_init(struct dentry *dir)
{
	/* Now, while there are such large pages */
	pb_press_fill_reserve();
	if (pb_traces_find(pb_traces, ARRAY_SIZE(pb_traces)))
		debugfs_create_file("press", 0600, dir, NULL, &press_fops);
}

/**
 * pb_press_exit() - free what is held; the file is gone already
 */
void pb_press_exit(void)
{
	if (pb_press_traced)
		pb_traces_off(pb_traces, ARRAY_SIZE(pb_traces));
	pb_press_give_back();
	pb_press_free(ULONG_MAX);
}
