// SPDX-License-Identifier: GPL-2.0
/*
 * pageblock_bench.ko: what the page allocator's hot paths cost, in ticks of
 * the time stamp counter. Under QEMU's "-icount shift=0" one tick is one guest
 * instruction, exactly; the calibration lines show whether that holds here.
 *
 * Reading debugfs pageblock_bench/bench runs everything and prints
 *
 *	calibration <what> <instructions> <ticks>
 *	bench <op> <gfp> <min> <median>
 *
 * in ticks per operation, two decimals. What makes two runs agree, and two
 * kernels comparable: one CPU, interrupts off around a sample (but for an
 * operation that sleeps, which is so short that few samples meet a timer tick),
 * free lists and per-CPU state without a past before each sample (see
 * bench_settle() and bench_reset()), warm-up, and the minimum and median of many
 * samples. A sample during which another CPU changed the free lists is void.
 */
#include <linux/bitops.h>
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/page-isolation.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/sort.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#define BENCH_SAMPLES	101
#define BENCH_WARM_UP	16
#define BENCH_BATCH	512
#define BENCH_CONTIG	(SZ_8M >> PAGE_SHIFT)
#define BENCH_NOPS	1000
#define BENCH_LOOPS	10000
#define BENCH_MAX_HELD	65536
#define BENCH_MAX_VOID	1000

struct bench_op;
typedef int (*bench_fn)(const struct bench_op *op, gfp_t gfp);

/**
 * struct bench_op - one operation
 * @name:	its name
 * @fn:		does it @reps times, returns 0 or -ENOMEM
 * @order:	order of the pages, where that varies
 * @reps:	how often per sample
 * @unit:	operations per repetition: pages, or pairs of alloc and free
 * @sleeps:	needs interrupts, so cannot be kept free of them
 * @one_gfp:	the request kind is no parameter of it
 */
struct bench_op {
	const char *name;
	bench_fn fn;
	unsigned int order;
	unsigned int reps;
	unsigned int unit;
	bool sleeps;
	bool one_gfp;
};

/* Serialises runs and protects what follows. */
static DEFINE_MUTEX(bench_lock);
static struct page *bench_pages[BENCH_BATCH];
static u64 bench_ticks[BENCH_SAMPLES];
static unsigned long bench_contig_pfn;
static void (*bench_drain_local_pages)(struct zone *zone);
static struct zone *bench_zone;
static LIST_HEAD(bench_held);
static unsigned int bench_nr_held;
static unsigned int bench_nr_void;

static int bench_pair(const struct bench_op *op, gfp_t gfp)
{
	struct page *page;
	unsigned int i;

	if (op->order)
		gfp |= __GFP_COMP;
	for (i = 0; i < op->reps; i++) {
		page = alloc_pages(gfp, op->order);
		if (!page)
			return -ENOMEM;
		__free_pages(page, op->order);
	}
	return 0;
}

/* Larger than any pcp batch: refills from and drains to the free lists. */
static int bench_batch_drain(const struct bench_op *op, gfp_t gfp)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < BENCH_BATCH; i++) {
		bench_pages[i] = alloc_pages(gfp, 0);
		if (!bench_pages[i]) {
			ret = -ENOMEM;
			break;
		}
	}
	while (i--)
		__free_pages(bench_pages[i], 0);
	bench_drain_local_pages(NULL);
	return ret;
}

/* Orders 0 to 3 of three types at once, freed in another order. */
static int bench_mixed(const struct bench_op *op, gfp_t unused)
{
	static const gfp_t gfps[] = {
		GFP_KERNEL,
		GFP_KERNEL | __GFP_RECLAIMABLE,
		GFP_HIGHUSER_MOVABLE,
	};
	const unsigned int nr = 4 * ARRAY_SIZE(gfps);
	unsigned int rep, i, order;
	int ret = 0;

	for (rep = 0; rep < op->reps && !ret; rep++) {
		memset(bench_pages, 0, nr * sizeof(bench_pages[0]));
		for (i = 0; i < nr; i++) {
			order = i / ARRAY_SIZE(gfps);
			bench_pages[i] = alloc_pages(gfps[i % ARRAY_SIZE(gfps)] |
						     (order ? __GFP_COMP : 0),
						     order);
			if (!bench_pages[i])
				ret = -ENOMEM;
		}
		for (i = 0; i < nr; i++) {
			if (bench_pages[i])
				__free_pages(bench_pages[i],
					     i / ARRAY_SIZE(gfps));
		}
	}
	return ret;
}

static int bench_contig(const struct bench_op *op, gfp_t gfp)
{
	unsigned long pfn = bench_contig_pfn;
	int ret;

	ret = alloc_contig_range(pfn, pfn + BENCH_CONTIG, ACR_FLAGS_NONE, gfp);
	if (!ret)
		free_contig_range(pfn, BENCH_CONTIG);
	return ret;
}

static int bench_nothing(const struct bench_op *op, gfp_t gfp)
{
	return 0;
}

static int bench_nops(const struct bench_op *op, gfp_t gfp)
{
	asm volatile(".rept %c0\n\tnop\n.endr" : : "i" (BENCH_NOPS));
	return 0;
}

static int bench_loop(const struct bench_op *op, gfp_t gfp)
{
	unsigned long n = BENCH_LOOPS;

	asm volatile("1:\tdec %0\n\tjnz 1b" : "+r" (n) : : "cc");
	return 0;
}

static const struct bench_op bench_empty = { .fn = bench_nothing };
static const struct bench_op bench_cal_nops = { .fn = bench_nops };
static const struct bench_op bench_cal_loop = { .fn = bench_loop };

static const struct bench_op bench_ops[] = {
	{ "order0_pcp", bench_pair, .order = 0, .reps = 64, .unit = 1 },
	{ "order0_512_drain", bench_batch_drain, .reps = 1,
	  .unit = BENCH_BATCH },
	{ "order3", bench_pair, .order = 3, .reps = 64, .unit = 1 },
	{ "order4", bench_pair, .order = 4, .reps = 64, .unit = 1 },
	{ "order9", bench_pair, .order = 9, .reps = 16, .unit = 1 },
	{ "mixed", bench_mixed, .reps = 8, .unit = 12, .one_gfp = true },
	{ "contig_8mb", bench_contig, .reps = 1, .unit = 1, .sleeps = true },
};

/*
 * This CPU's share of the zone counters. It is folded into the zone's when it
 * exceeds a threshold; how soon depends on what it was before.
 */
static void bench_fold_zone_stats(struct zone *zone)
{
	int i;

	for (i = 0; i < NR_VM_ZONE_STAT_ITEMS; i++) {
		long diff = this_cpu_xchg(zone->per_cpu_zonestats->vm_stat_diff[i],
					  0);

		if (diff)
			zone_page_state_add(diff, zone, i);
	}
}

/* Empty pcp lists that learned nothing from what was before. */
static void bench_reset(void)
{
	struct per_cpu_pages *pcp;
	int nid, zid;

	bench_drain_local_pages(NULL);
	for_each_online_node(nid) {
		for (zid = 0; zid < MAX_NR_ZONES; zid++) {
			struct zone *zone = &NODE_DATA(nid)->node_zones[zid];

			if (!populated_zone(zone))
				continue;
			bench_fold_zone_stats(zone);
			pcp = this_cpu_ptr(zone->per_cpu_pageset);
			guard(spinlock)(&pcp->lock);
			pcp->high = pcp->high_min;
			pcp->alloc_factor = 0;
			pcp->free_count = 0;
			pcp->flags &= ~PCPF_PREV_FREE_HIGH_ORDER;
		}
	}
}

static const struct {
	int type;
	gfp_t gfp;
} bench_types[] = {
	{ MIGRATE_UNMOVABLE, GFP_KERNEL },
	{ MIGRATE_RECLAIMABLE, GFP_KERNEL | __GFP_RECLAIMABLE },
	{ MIGRATE_MOVABLE, GFP_HIGHUSER_MOVABLE },
};

/* The lowest order of free pages of that type, -1 when there are none. */
static int bench_smallest_order(int type)
{
	int order;

	for (order = 0; order < NR_PAGE_ORDERS; order++) {
		if (!list_empty(&bench_zone->free_area[order].free_list[type]))
			return order;
	}
	return -1;
}

static bool bench_is_settled(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(bench_types); i++) {
		if (bench_smallest_order(bench_types[i].type) != MAX_PAGE_ORDER)
			return false;
	}
	return true;
}

static struct page *bench_alloc(gfp_t gfp, int order)
{
	struct page *page = alloc_pages(gfp | (order ? __GFP_COMP : 0), order);

	bench_drain_local_pages(NULL);
	return page;
}

/*
 * How far an allocation must split, and a free can merge, depends on what is
 * on the free lists, thus on all that happened since boot. Take every free page
 * of less than the largest order out of the way, and see that there are some of
 * the largest, so that each operation starts from whole pages of the largest
 * order and merges them again. Draining the pcp lists returns what was taken
 * beyond the page asked for. bench_unsettle() gives everything back.
 */
static int bench_settle_type(int type, gfp_t gfp, struct list_head *claimed)
{
	struct page *page;
	int order;

	bench_drain_local_pages(NULL);
	while ((order = bench_smallest_order(type)) != MAX_PAGE_ORDER) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (bench_nr_held >= BENCH_MAX_HELD)
			return -ENOSPC;
		/* Claims a block of another type when there is nothing left. */
		page = bench_alloc(gfp, order < 0 ? MAX_PAGE_ORDER : order);
		if (!page)
			return -ENOMEM;
		if (order < 0) {
			list_add(&page->lru, claimed);
			return 0;
		}
		set_page_private(page, order);
		list_add(&page->lru, &bench_held);
		bench_nr_held++;
	}
	return 0;
}

static int bench_settle(void)
{
	struct page *page, *next;
	int i, ret = 0;

	/* Settling one type may take a block from another that was settled. */
	while (!ret && !bench_is_settled()) {
		LIST_HEAD(claimed);

		for (i = 0; i < ARRAY_SIZE(bench_types) && !ret; i++)
			ret = bench_settle_type(bench_types[i].type,
						bench_types[i].gfp, &claimed);
		/*
		 * Blocks claimed for one type are the first that the next would
		 * claim, were they free before all have one.
		 */
		list_for_each_entry_safe(page, next, &claimed, lru) {
			list_del(&page->lru);
			__free_pages(page, MAX_PAGE_ORDER);
		}
	}
	return ret;
}

static noinline int bench_sample_once(const struct bench_op *op, gfp_t gfp,
				      u64 *ticks)
{
	u64 start = rdtsc();
	int ret = op->fn(op, gfp);

	*ticks = rdtsc() - start;
	return ret;
}

/* -EAGAIN: the free lists are not what they should be, the sample is void. */
static int bench_sample_irqs_off(const struct bench_op *op, gfp_t gfp,
				 u64 *ticks)
{
	int ret;

	guard(irqsave)();
	bench_reset();
	if (!bench_is_settled())
		return -EAGAIN;
	/* The pcp lists as the operation itself leaves them */
	op->fn(op, gfp);
	ret = bench_sample_once(op, gfp, ticks);
	bench_reset();
	if (!ret && !bench_is_settled())
		return -EAGAIN;
	return ret;
}

static int bench_sample(const struct bench_op *op, gfp_t gfp, u64 *ticks)
{
	int ret;

	if (op->sleeps)
		return bench_sample_once(op, gfp, ticks);

	while ((ret = bench_sample_irqs_off(op, gfp, ticks)) == -EAGAIN) {
		if (++bench_nr_void > BENCH_MAX_VOID)
			return -EBUSY;
		ret = bench_settle();
		if (ret)
			return ret;
	}
	return ret;
}

static int bench_cmp(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Fills bench_ticks[] with sorted samples. */
static int bench_samples(const struct bench_op *op, gfp_t gfp)
{
	int i, ret;

	for (i = -BENCH_WARM_UP; i < BENCH_SAMPLES; i++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		ret = bench_sample(op, gfp, &bench_ticks[max(i, 0)]);
		if (ret)
			return ret;
		cond_resched();
	}
	sort(bench_ticks, BENCH_SAMPLES, sizeof(bench_ticks[0]), bench_cmp,
	     NULL);
	return 0;
}

static void bench_print_ticks(struct seq_file *m, u64 ticks,
			      const struct bench_op *op)
{
	u64 hundredths = div_u64(ticks * 100, op->reps * op->unit);
	u32 rest;

	hundredths = div_u64_rem(hundredths, 100, &rest);
	seq_printf(m, " %llu.%02u", hundredths, rest);
}

static int bench_run_op(struct seq_file *m, const struct bench_op *op,
			const char *kind, gfp_t gfp, u64 empty)
{
	int ret = bench_samples(op, gfp);

	if (ret) {
		seq_printf(m, "error %s %s %d\n", op->name, kind, ret);
		return ret == -EINTR ? ret : 0;
	}
	seq_printf(m, "bench %s %s", op->name, kind);
	bench_print_ticks(m, bench_ticks[0] - empty, op);
	bench_print_ticks(m, bench_ticks[BENCH_SAMPLES / 2] - empty, op);
	seq_putc(m, '\n');
	return 0;
}

/* Ticks that an empty sample takes; shows what a tick is. */
static int bench_calibrate(struct seq_file *m, u64 *empty)
{
	int ret = bench_samples(&bench_empty, 0);

	if (ret)
		return ret;
	*empty = bench_ticks[0];
	seq_printf(m, "calibration empty 0 %llu\n", *empty);
	ret = bench_samples(&bench_cal_nops, 0);
	if (ret)
		return ret;
	seq_printf(m, "calibration nops %u %llu\n", BENCH_NOPS,
		   bench_ticks[0] - *empty);
	ret = bench_samples(&bench_cal_loop, 0);
	if (ret)
		return ret;
	seq_printf(m, "calibration loop %u %llu\n", 2 * BENCH_LOOPS + 1,
		   bench_ticks[0] - *empty);
	return 0;
}

static void bench_unsettle(void)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, &bench_held, lru) {
		unsigned int order = page_private(page);

		list_del(&page->lru);
		set_page_private(page, 0);
		__free_pages(page, order);
	}
	bench_nr_held = 0;
}

/* The zone that requests of this CPU are served from. */
static struct zone *bench_find_zone(void)
{
	struct page *page = alloc_page(GFP_HIGHUSER_MOVABLE);
	struct zone *zone;

	if (!page)
		return NULL;
	zone = page_zone(page);
	__free_page(page);
	return zone;
}

/* Two free pages of the largest order side by side. */
static unsigned long bench_find_contig(void)
{
	struct zone *zone = bench_zone;
	unsigned long pfn, start;
	struct page *page;

	start = ALIGN(zone->zone_start_pfn, BENCH_CONTIG);
	pfn = ALIGN_DOWN(zone_end_pfn(zone), BENCH_CONTIG);
	while (pfn > start) {
		unsigned long i, free = 0;

		pfn -= BENCH_CONTIG;
		for (i = pfn; i < pfn + BENCH_CONTIG; i += MAX_ORDER_NR_PAGES) {
			page = pfn_to_online_page(i);
			if (page && page_zone(page) == zone &&
			    PageBuddy(page) &&
			    page_private(page) == MAX_PAGE_ORDER)
				free += MAX_ORDER_NR_PAGES;
		}
		if (free == BENCH_CONTIG)
			return pfn;
	}
	return 0;
}

static int bench_run(struct seq_file *m)
{
	u64 empty;
	int i, ret;

	/* With interrupts off, an allocation must never have to reclaim. */
	if (global_zone_page_state(NR_FREE_PAGES) << PAGE_SHIFT < SZ_256M)
		return -ENOMEM;
	bench_zone = bench_find_zone();
	if (!bench_zone)
		return -ENOMEM;

	bench_nr_void = 0;
	ret = bench_settle();
	if (ret)
		return ret;
	bench_contig_pfn = bench_find_contig();
	if (!bench_contig_pfn)
		return -ENOMEM;

	ret = bench_calibrate(m, &empty);
	for (i = 0; i < ARRAY_SIZE(bench_ops) && !ret; i++) {
		const struct bench_op *op = &bench_ops[i];

		if (op->one_gfp) {
			ret = bench_run_op(m, op, "all", 0, empty);
			continue;
		}
		ret = bench_run_op(m, op, "kernel", GFP_KERNEL, empty);
		if (!ret)
			ret = bench_run_op(m, op, "movable",
					   GFP_HIGHUSER_MOVABLE, empty);
	}
#ifdef CONFIG_MIRROR_RESERVE
	/* Pairs as order0_pcp, but served from the reserve, if there is one */
	if (!ret && global_node_page_state(NR_FREE_MIRROR))
		ret = bench_run_op(m, &bench_ops[0], "mirror",
				   GFP_KERNEL | __GFP_MIRROR, empty);
#endif
	seq_printf(m, "settled %s held %u void %u\n", bench_zone->name,
		   bench_nr_held, bench_nr_void);
	return ret;
}

static int bench_show(struct seq_file *m, void *unused)
{
	cpumask_var_t before;
	int ret;

	if (!alloc_cpumask_var(&before, GFP_KERNEL))
		return -ENOMEM;
	if (mutex_lock_interruptible(&bench_lock)) {
		free_cpumask_var(before);
		return -ERESTARTSYS;
	}
	cpumask_copy(before, current->cpus_ptr);
	ret = set_cpus_allowed_ptr(current, cpumask_of(0));
	if (!ret) {
		ret = bench_run(m);
		bench_unsettle();
		WARN_ON(set_cpus_allowed_ptr(current, before));
	}
	mutex_unlock(&bench_lock);
	free_cpumask_var(before);
	return ret;
}

/* Room for all lines at once: seq_file would run it again otherwise. */
static int bench_open(struct inode *inode, struct file *file)
{
	return single_open_size(file, bench_show, NULL, SZ_8K);
}

static const struct file_operations bench_fops = {
	.owner		= THIS_MODULE,
	.open		= bench_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= single_release,
};

static struct dentry *bench_dir;

/* The only function needed that is not exported; see symbols.c. */
static int __init bench_init(void)
{
	struct kprobe kp = { .symbol_name = "drain_local_pages" };
	int ret = register_kprobe(&kp);

	if (ret) {
		pr_err("kernel has no symbol %s\n", kp.symbol_name);
		return ret;
	}
	bench_drain_local_pages = (void *)kp.addr;
	unregister_kprobe(&kp);

	bench_dir = debugfs_create_dir("pageblock_bench", NULL);
	if (IS_ERR(bench_dir))
		return PTR_ERR(bench_dir);
	debugfs_create_file("bench", 0400, bench_dir, NULL, &bench_fops);
	return 0;
}

static void __exit bench_exit(void)
{
	debugfs_remove(bench_dir);
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_DESCRIPTION("Instruction counts of page allocator operations");
MODULE_LICENSE("GPL");
