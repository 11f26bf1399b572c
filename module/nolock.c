// SPDX-License-Identifier: GPL-2.0
/*
 * Frees that must not wait for a lock (free_pages_nolock(): BPF, NMI), at the
 * two moments at which they leave a page where no drain finds it:
 *
 * "defer PFN ORDER"	while zone->lock is taken: the page goes to
 *			zone->trylock_free_pages. The order must be one that
 *			has no per-CPU list.
 * "isolate PFN [ORDER]" when the block of the page is about to be isolated, by
 *			whoever does that next: memory offlining has disabled
 *			and drained the per-CPU lists by then. A kprobe does it;
 *			with an order, as "defer" does.
 * "drain"		what direct reclaim does as its last resort.
 * "free"		frees the page that still waits for its isolation.
 *
 * Reading shows the page that waits and those that are deferred.
 */
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/percpu-rwsem.h>
#include "pageblock_debug.h"

/* Serialises writers; the kprobe takes the page without it. */
static DEFINE_MUTEX(pb_nolock_lock);
static struct page *pb_nolock_page;
static unsigned int pb_nolock_order;

static void pb_nolock_free(struct page *page, unsigned int order)
{
	if (!order) {
		pb_sym.free_pages_nolock(page, 0);
		return;
	}
	guard(spinlock_irqsave)(&page_zone(page)->lock);
	pb_sym.free_pages_nolock(page, order);
}

static int pb_nolock_isolating(struct kprobe *kp, struct pt_regs *regs)
{
	struct page *page = READ_ONCE(pb_nolock_page);

	if (page &&
	    page_to_pfn(page) >= regs_get_kernel_argument(regs, 0) &&
	    page_to_pfn(page) < regs_get_kernel_argument(regs, 1) &&
	    cmpxchg(&pb_nolock_page, page, NULL) == page)
		pb_nolock_free(page, pb_nolock_order);
	return 0;
}

static struct kprobe pb_nolock_probe;

static void pb_nolock_disarm(void)
{
	struct page *page;

	if (pb_nolock_probe.pre_handler)
		unregister_kprobe(&pb_nolock_probe);
	pb_nolock_probe = (struct kprobe){};
	page = xchg(&pb_nolock_page, NULL);
	if (page)
		__free_pages(page, pb_nolock_order);
}

/*
 * The page of this order at @pfn, which has to be free or movable. It is no
 * compound page: nobody has a reference to its tails.
 */
static struct page *pb_nolock_take(unsigned long pfn, unsigned int order)
{
	unsigned long i, nr = 1UL << order;
	struct page *page = NULL;

	if (!percpu_down_read_trylock(pb_sym.mem_hotplug_lock))
		return NULL;
	if (IS_ALIGNED(pfn, nr) && pfn_to_online_page(pfn) &&
	    !alloc_contig_range(pfn, pfn + nr, ACR_FLAGS_NONE,
				GFP_KERNEL | __GFP_NOWARN)) {
		page = pfn_to_page(pfn);
		for (i = 1; i < nr; i++)
			page_ref_dec(page + i);
	}
	percpu_up_read(pb_sym.mem_hotplug_lock);
	return page;
}

static int pb_nolock_defer(unsigned long pfn, unsigned int order)
{
	struct page *page = pb_nolock_take(pfn, order);

	if (!page)
		return -EBUSY;
	pb_nolock_free(page, order);
	return 0;
}

static int pb_nolock_arm(unsigned long pfn, unsigned int order)
{
	struct page *page = pb_nolock_take(pfn, order);
	int ret;

	if (!page)
		return -EBUSY;
	pb_nolock_disarm();
	pb_nolock_probe.symbol_name = "start_isolate_page_range";
	pb_nolock_probe.pre_handler = pb_nolock_isolating;
	ret = register_kprobe(&pb_nolock_probe);
	if (ret) {
		pb_nolock_probe = (struct kprobe){};
		__free_pages(page, order);
		return ret;
	}
	pb_nolock_order = order;
	WRITE_ONCE(pb_nolock_page, page);
	return 0;
}

static bool pb_nolock_order_ok(unsigned int order)
{
	return order > PAGE_ALLOC_COSTLY_ORDER && order < pageblock_order;
}

static ssize_t nolock_write(struct file *file, const char __user *ubuf,
			    size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[3];
	unsigned int order = 0;
	unsigned long pfn;
	int argc, ret;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	guard(mutex)(&pb_nolock_lock);
	if (argc == 1 && !strcmp(argv[0], "free")) {
		pb_nolock_disarm();
		return count;
	}
	if (argc == 1 && !strcmp(argv[0], "drain")) {
		pb_sym.drain_all_pages(NULL);
		return count;
	}
	if (argc < 2 || kstrtoul(argv[1], 0, &pfn) ||
	    (argc == 3 && (kstrtouint(argv[2], 0, &order) ||
			   !pb_nolock_order_ok(order))))
		return -EINVAL;
	if (argc == 3 && !strcmp(argv[0], "defer"))
		ret = pb_nolock_defer(pfn, order);
	else if (!strcmp(argv[0], "isolate"))
		ret = pb_nolock_arm(pfn, order);
	else
		ret = -EINVAL;
	return ret ?: count;
}

static void pb_show_deferred(struct seq_file *m, struct zone *zone)
{
	struct llist_node *node;
	struct page *page;

	/* Whoever empties the list holds the lock; adding goes to its head. */
	guard(spinlock_irqsave)(&zone->lock);
	for (node = READ_ONCE(zone->trylock_free_pages.first); node;
	     node = node->next) {
		page = llist_entry(node, struct page, pcp_llist);
		seq_printf(m, "deferred pfn=%lu order=%lu node=%d zone=%s\n",
			   page_to_pfn(page), page->private, zone_to_nid(zone),
			   zone->name);
	}
}

static int nolock_show(struct seq_file *m, void *unused)
{
	struct page *page = READ_ONCE(pb_nolock_page);
	struct zone *zone;

	if (page)
		seq_printf(m, "waiting pfn=%lu\n", page_to_pfn(page));
	pb_for_each_zone(zone)
		pb_show_deferred(m, zone);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(nolock);

/**
 * pb_nolock_init() - create "nolock"
 * @dir:	debugfs directory
 */
void pb_nolock_init(struct dentry *dir)
{
	debugfs_create_file("nolock", 0600, dir, NULL, &nolock_fops);
}

/**
 * pb_nolock_exit() - free the page that waits; the file is gone already
 */
void pb_nolock_exit(void)
{
	pb_nolock_disarm();
}
