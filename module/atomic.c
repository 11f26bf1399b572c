// SPDX-License-Identifier: GPL-2.0
/*
 * An atomic request for a page of more than one pageblock, whose last block is
 * isolated between the moment at which the page is taken from its free list
 * and the one at which its blocks become a reserve for such requests. The lock
 * of the zone is dropped there, so anybody can isolate the block: for the time
 * being the page is one without references.
 *
 * Writing "node=N" does it once. It needs the conditions under which blocks are
 * reserved: free memory between the min and the low watermark. Both pages and
 * isolation are given back. Reading tells what came of it:
 *
 *	got	there was such a page
 *	met	its last block was isolated at that moment
 *	kept	that block was still isolated at the end
 */
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/mutex.h>
#include <linux/percpu-rwsem.h>
#include "pageblock_debug.h"

#define PB_ATOMIC_ORDER	MAX_PAGE_ORDER
#define PB_ATOMIC_GFP	(GFP_ATOMIC | __GFP_HIGHMEM | __GFP_MOVABLE | \
			 __GFP_THISNODE | __GFP_NOWARN)

/* Serialises writers, protects the result. */
static DEFINE_MUTEX(pb_atomic_lock);
static bool pb_atomic_got, pb_atomic_met, pb_atomic_kept;

/* What the probe compares with; the task is NULL but during the request */
static struct task_struct *pb_atomic_task;
static struct page *pb_atomic_page;

static unsigned long pb_atomic_last_block(void)
{
	return page_to_pfn(pb_atomic_page) + (1UL << PB_ATOMIC_ORDER) -
	       pageblock_nr_pages;
}

/* The lock of the zone is being dropped by the task */
static int pb_atomic_entry(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	return current != pb_atomic_task || pb_atomic_met ||
	       regs_get_kernel_argument(regs, 0) !=
	       (unsigned long)&page_zone(pb_atomic_page)->lock;
}

/* It has been: was the page taken? */
static int pb_atomic_return(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	unsigned long pfn = pb_atomic_last_block();

	if (PageBuddy(pb_atomic_page))
		return 0;
	pb_atomic_met = !pb_sym.start_isolate_page_range(pfn,
					pfn + pageblock_nr_pages,
					PB_ISOLATE_MODE_OTHER);
	return 0;
}

/* The page that the next request will get: movable ones try this zone first. */
static struct page *pb_atomic_next(int nid)
{
	struct zone *zone = &NODE_DATA(nid)->node_zones[ZONE_MOVABLE];
	struct free_area *area = &zone->free_area[PB_ATOMIC_ORDER];

	if (!populated_zone(zone))
		return NULL;
	guard(spinlock_irqsave)(&zone->lock);
	return list_first_entry_or_null(&area->free_list[MIGRATE_MOVABLE],
					struct page, buddy_list);
}

static int pb_atomic_request(int nid)
{
	struct page *page = pb_atomic_next(nid);
	unsigned long pfn;

	if (!page)
		return -ENOMEM;
	pb_atomic_page = page;
	pb_atomic_task = current;
	page = alloc_pages_node(nid, PB_ATOMIC_GFP, PB_ATOMIC_ORDER);
	pb_atomic_task = NULL;

	pfn = pb_atomic_last_block();
	pb_atomic_got = page == pb_atomic_page;
	pb_atomic_kept = PB_ISOLATED(pb_block_flags(pfn));
	if (page)
		__free_pages(page, PB_ATOMIC_ORDER);
	if (pb_atomic_met)
		pb_sym.undo_isolate_page_range(pfn, pfn + pageblock_nr_pages);
	return 0;
}

/* The locks that registering a probe takes come before mem_hotplug_lock */
static int pb_atomic(int nid)
{
	struct kretprobe probe = {
		.kp.symbol_name = "_raw_spin_unlock_irqrestore",
		.entry_handler = pb_atomic_entry,
		.handler = pb_atomic_return,
	};
	int ret;

	pb_atomic_got = pb_atomic_met = pb_atomic_kept = false;
	ret = register_kretprobe(&probe);
	if (ret)
		return ret;
	ret = -EAGAIN;
	if (percpu_down_read_trylock(pb_sym.mem_hotplug_lock)) {
		ret = pb_atomic_request(nid);
		percpu_up_read(pb_sym.mem_hotplug_lock);
	}
	unregister_kretprobe(&probe);
	return ret;
}

static ssize_t atomic_write(struct file *file, const char __user *ubuf,
			    size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[1];
	int argc, nid, ret;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	if (argc != 1 || pb_arg_node(argv[0], &nid))
		return -EINVAL;
	if (PB_ATOMIC_ORDER <= pageblock_order)
		return -EOPNOTSUPP;
	guard(mutex)(&pb_atomic_lock);
	ret = pb_atomic(nid);
	return ret ?: count;
}

static int atomic_show(struct seq_file *m, void *unused)
{
	guard(mutex)(&pb_atomic_lock);
	seq_printf(m, "got=%d met=%d kept=%d\n", pb_atomic_got, pb_atomic_met,
		   pb_atomic_kept);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(atomic);

/**
 * pb_atomic_init() - create "atomic"
 * @dir:	debugfs directory
 */
void pb_atomic_init(struct dentry *dir)
{
	debugfs_create_file("atomic", 0600, dir, NULL, &atomic_fops);
}
