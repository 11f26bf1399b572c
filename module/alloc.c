// SPDX-License-Identifier: GPL-2.0
/*
 * Held allocations: take pages of a chosen kind, keep them, show in which
 * pageblocks they are, give them back.
 *
 * Pages are asked for without invoking the OOM killer. A "movable" page is
 * movable by request only: nobody but this module knows it, so nobody can move
 * it, and it pins its memory block.
 *
 * "nocomp" asks for pages of higher orders that are no compound pages, as
 * drivers and compaction have them: isolation cannot see that such a page
 * spans the border of what it isolates.
 *
 * "drain" empties the per-CPU lists of the LRU and of all zones, so that what
 * was freed is counted and merged.
 */
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include "pageblock_debug.h"

#define PB_ALLOC_FLAGS	(__GFP_RETRY_MAYFAIL | __GFP_NOWARN)

static const struct {
	const char *name;
	gfp_t gfp;
} pb_classes[] = {
	{ "unmovable",	 GFP_KERNEL | PB_ALLOC_FLAGS },
	{ "reclaimable", GFP_KERNEL | __GFP_RECLAIMABLE | PB_ALLOC_FLAGS },
	{ "movable",	 GFP_HIGHUSER_MOVABLE | PB_ALLOC_FLAGS },
	{ "highatomic",	 GFP_ATOMIC | __GFP_NOWARN },
	{ "user",	 GFP_USER | PB_ALLOC_FLAGS },
	{ "highatomic_movable",
	  GFP_ATOMIC | __GFP_HIGHMEM | __GFP_MOVABLE | __GFP_NOWARN },
};

#define PB_NR_CLASSES	ARRAY_SIZE(pb_classes)

/**
 * struct pb_request - what to allocate
 * @order:	order of each page
 * @count:	how many
 * @class:	index into pb_classes[]
 * @nid:	node it must come from, or NUMA_NO_NODE
 * @nocomp:	no compound pages
 */
struct pb_request {
	unsigned int order;
	unsigned int count;
	unsigned int class;
	int nid;
	bool nocomp;
};

/* Protects everything below. Held pages are linked through page->lru. */
static DEFINE_MUTEX(pb_held_lock);
static struct list_head pb_held[PB_NR_CLASSES][NR_PAGE_ORDERS];
static struct pb_request pb_last;
static unsigned int pb_last_got;
static unsigned int pb_last_private;

static int pb_parse_request(char **argv, int argc, struct pb_request *req)
{
	if (argc < 3 || kstrtouint(argv[0], 0, &req->order) ||
	    kstrtouint(argv[1], 0, &req->count))
		return -EINVAL;
	for (req->class = 0; req->class < PB_NR_CLASSES; req->class++) {
		if (!strcmp(argv[2], pb_classes[req->class].name))
			break;
	}
	if (req->class == PB_NR_CLASSES || req->order > MAX_PAGE_ORDER ||
	    !req->count || req->count > totalram_pages() >> req->order)
		return -EINVAL;
	/* The reserve is for high orders only. */
	if ((pb_classes[req->class].gfp & __GFP_HIGH) && !req->order)
		return -EINVAL;

	req->nid = NUMA_NO_NODE;
	req->nocomp = argc > 3 && !strcmp(argv[argc - 1], "nocomp");
	argc -= req->nocomp;
	if (argc > 4)
		return -EINVAL;
	return argc == 4 ? pb_arg_node(argv[3], &req->nid) : 0;
}

/* Pages but the first that do not come with page->private 0, as they should */
static unsigned int pb_count_private(struct page *page, unsigned int order)
{
	unsigned int i, nr = 0;

	for (i = 1; i < 1U << order; i++)
		nr += !!page_private(page + i);
	return nr;
}

static int pb_alloc_held(const struct pb_request *req)
{
	gfp_t gfp = pb_classes[req->class].gfp;
	struct page *page;

	if (req->order && !req->nocomp)
		gfp |= __GFP_COMP;
	if (req->nid != NUMA_NO_NODE)
		gfp |= __GFP_THISNODE;

	pb_last = *req;
	pb_last_private = 0;
	for (pb_last_got = 0; pb_last_got < req->count; pb_last_got++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		page = alloc_pages_node(req->nid, gfp, req->order);
		if (!page)
			return -ENOMEM;
		if (req->nocomp)
			pb_last_private += pb_count_private(page, req->order);
		list_add_tail(&page->lru, &pb_held[req->class][req->order]);
		cond_resched();
	}
	return 0;
}

static void pb_free_held(void)
{
	unsigned int class, order;
	struct page *page, *next;

	for (class = 0; class < PB_NR_CLASSES; class++) {
		for (order = 0; order < NR_PAGE_ORDERS; order++) {
			list_for_each_entry_safe(page, next,
						 &pb_held[class][order], lru) {
				list_del(&page->lru);
				__free_pages(page, order);
				cond_resched();
			}
		}
	}
}

static ssize_t alloc_write(struct file *file, const char __user *ubuf,
			   size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[5];
	struct pb_request req;
	int ret, argc;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	if (argc == 1 && !strcmp(argv[0], "drain")) {
		pb_sym.lru_add_drain_all();
		pb_sym.drain_all_pages(NULL);
		return count;
	}
	if (argc == 1 && !strcmp(argv[0], "free")) {
		mutex_lock(&pb_held_lock);
		pb_free_held();
		mutex_unlock(&pb_held_lock);
		return count;
	}

	ret = pb_parse_request(argv, argc, &req);
	if (ret)
		return ret;
	if (mutex_lock_killable(&pb_held_lock))
		return -EINTR;
	ret = pb_alloc_held(&req);
	mutex_unlock(&pb_held_lock);
	return ret ?: count;
}

/* Pages of one class and order by node, zone and type of their pageblocks. */
static void pb_show_held(struct seq_file *m, unsigned int class,
			 unsigned int order)
{
	struct list_head *head = &pb_held[class][order];
	struct zone *zone;
	struct page *page;

	pb_for_each_zone(zone) {
		unsigned long nr[MIGRATE_TYPES] = {}, isolated = 0;
		int type;

		list_for_each_entry(page, head, lru) {
			unsigned long flags;

			if (page_zone(page) != zone)
				continue;
			flags = pb_block_flags(page_to_pfn(page));
			nr[PB_TYPE(flags)]++;
			isolated += PB_ISOLATED(flags);
		}
		for (type = 0; type < MIGRATE_TYPES; type++) {
			if (!nr[type])
				continue;
			seq_printf(m, "held %s order=%u node=%d zone=%s type=%s count=%lu\n",
				   pb_classes[class].name, order,
				   zone_to_nid(zone), zone->name,
				   pb_type_name(type), nr[type]);
		}
		if (isolated)
			seq_printf(m, "held %s order=%u node=%d zone=%s isolated count=%lu\n",
				   pb_classes[class].name, order,
				   zone_to_nid(zone), zone->name, isolated);
	}
}

static int alloc_show(struct seq_file *m, void *unused)
{
	unsigned int class, order;

	if (mutex_lock_interruptible(&pb_held_lock))
		return -ERESTARTSYS;
	if (pb_last.count)
		seq_printf(m, "last %s order=%u node=%d wanted=%u got=%u private=%u\n",
			   pb_classes[pb_last.class].name, pb_last.order,
			   pb_last.nid, pb_last.count, pb_last_got,
			   pb_last_private);
	for (class = 0; class < PB_NR_CLASSES; class++) {
		for (order = 0; order < NR_PAGE_ORDERS; order++) {
			if (!list_empty(&pb_held[class][order]))
				pb_show_held(m, class, order);
		}
	}
	mutex_unlock(&pb_held_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(alloc);

/**
 * pb_alloc_init() - create "alloc"
 * @dir:	debugfs directory
 */
void pb_alloc_init(struct dentry *dir)
{
	unsigned int class, order;

	for (class = 0; class < PB_NR_CLASSES; class++) {
		for (order = 0; order < NR_PAGE_ORDERS; order++)
			INIT_LIST_HEAD(&pb_held[class][order]);
	}
	debugfs_create_file("alloc", 0600, dir, NULL, &alloc_fops);
}

/**
 * pb_alloc_exit() - free what is held; the file is gone already
 */
void pb_alloc_exit(void)
{
	pb_free_held();
}
