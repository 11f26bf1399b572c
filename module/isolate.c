// SPDX-License-Identifier: GPL-2.0
/*
 * Isolate ranges of pageblocks and undo it, and know which blocks are ours:
 * only those may be undone here, and for those the audit can check what
 * otherwise nobody can, as the kernel records no owner:
 *
 * - invariant 5, nobody else un-isolates them;
 * - invariant 6, no page is handed out of them: while a block stays isolated,
 *   its free pages can only become more. (Taking a free page that is poisoned
 *   off the buddy allocator breaks this rule on purpose.)
 */
#include <linux/mutex.h>
#include <linux/percpu-rwsem.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include "pageblock_debug.h"

/* Serialises isolation and undo. */
static DEFINE_MUTEX(pb_isolate_lock);

/**
 * struct pb_own_block - a block that is isolated and ours
 * @free:	free pages when last seen
 * @rcu:	looks may still see it when it is ours no more
 */
struct pb_own_block {
	unsigned long free;
	struct rcu_head rcu;
};

/*
 * By number of the pageblock; there only while the block is isolated, so that
 * a look is exact. Looks come with zone->lock held and must not take the
 * xarray's lock, under which memory is allocated: they rely on RCU.
 */
static DEFINE_XARRAY(pb_own);

static void pb_own_del(unsigned long start_pfn, unsigned long end_pfn)
{
	struct pb_own_block *block;
	unsigned long pfn;

	for (pfn = start_pfn; pfn < end_pfn; pfn += pageblock_nr_pages) {
		block = xa_erase(&pb_own, pfn >> pageblock_order);
		if (block)
			kfree_rcu(block, rcu);
	}
}

static int pb_own_add(unsigned long start_pfn, unsigned long end_pfn)
{
	struct pb_own_block *block;
	unsigned long pfn;
	int ret;

	for (pfn = start_pfn; pfn < end_pfn; pfn += pageblock_nr_pages) {
		block = kzalloc(sizeof(*block), GFP_KERNEL);
		ret = block ? xa_err(xa_store(&pb_own, pfn >> pageblock_order,
					      block, GFP_KERNEL)) : -ENOMEM;
		if (ret) {
			kfree(block);
			pb_own_del(start_pfn, pfn);
			return ret;
		}
	}
	return 0;
}

/* Nobody but us may end the isolation of these blocks, so nobody has. */
static bool pb_own_still_isolated(unsigned long start_pfn,
				  unsigned long end_pfn)
{
	unsigned long pfn;

	for (pfn = start_pfn; pfn < end_pfn; pfn += pageblock_nr_pages) {
		if (!pfn_to_online_page(pfn) ||
		    !PB_ISOLATED(pb_block_flags(pfn)))
			return false;
	}
	return true;
}

static bool pb_own_all(unsigned long start_pfn, unsigned long end_pfn)
{
	unsigned long pfn;

	for (pfn = start_pfn; pfn < end_pfn; pfn += pageblock_nr_pages) {
		if (!xa_load(&pb_own, pfn >> pageblock_order))
			return false;
	}
	return true;
}

/**
 * pb_own_look() - compare the blocks that are ours with what they should be
 * @zone:	zone to look at; its lock is held
 * @look:	gets PB_OWN_ISOLATED and PB_OWN_FREE
 */
void pb_own_look(struct zone *zone, struct pb_zone_look *look)
{
	struct pb_own_block *block;
	unsigned long index, pfn, free;

	lockdep_assert_held(&zone->lock);
	guard(rcu)();
	xa_for_each(&pb_own, index, block) {
		pfn = index << pageblock_order;
		/* Isolated memory cannot go offline, unless somebody undid it. */
		if (!pfn_to_online_page(pfn) ||
		    page_zone(pfn_to_page(pfn)) != zone)
			continue;
		look->expected[PB_OWN_ISOLATED]++;
		if (!PB_ISOLATED(pb_block_flags(pfn)))
			continue;
		look->found[PB_OWN_ISOLATED]++;
		free = pb_block_free_pages(zone, pfn, pfn + pageblock_nr_pages);
		if (free < block->free) {
			look->expected[PB_OWN_FREE] += block->free;
			look->found[PB_OWN_FREE] += free;
		}
		block->free = free;
	}
}

#ifdef PB_FAULTS
static int pb_fault_block(unsigned long pfn, enum pb_counter c, long delta)
{
	unsigned long *bitmap = section_to_usemap(__pfn_to_section(pfn));
	unsigned long bit = pfn & (PAGES_PER_SECTION - 1);
	struct page *page = pfn_to_page(pfn);
	bool set = delta > 0;

	bit = (bit >> pageblock_order) * NR_PAGEBLOCK_BITS +
	      PB_migrate_isolate;
	if (c == PB_OWN_ISOLATED) {
		if (test_bit(bit, bitmap) == set)
			return -ERANGE;
		change_bit(bit, bitmap);
		return 0;
	}
	if (!PageBuddy(page) || page_private(page) + delta > MAX_PAGE_ORDER)
		return -ERANGE;
	set_page_private(page, page_private(page) + delta);
	return 0;
}

/**
 * pb_own_fault() - damage the first block that is ours
 * @c:		PB_OWN_ISOLATED: flips the isolate bit; PB_LIST_CORRUPT: shifts
 *		the order of the free page at its start; PB_OWN_FREE: shifts the
 *		number of free pages remembered
 * @delta:	by how much, 1 or -1 for the isolate bit
 *
 * For a block that is free and isolated, in a system at rest: nobody else may
 * come across the damage.
 *
 * Return: 0; -ENOENT when no block is ours; -ERANGE when the block is not in
 * the state to be damaged, or mended, in this way.
 */
int pb_own_fault(enum pb_counter c, long delta)
{
	unsigned long index = 0, pfn;
	struct pb_own_block *block;
	struct zone *zone;

	guard(mutex)(&pb_isolate_lock);
	block = xa_find(&pb_own, &index, ULONG_MAX, XA_PRESENT);
	if (!block)
		return -ENOENT;
	pfn = index << pageblock_order;
	zone = page_zone(pfn_to_page(pfn));
	guard(spinlock_irqsave)(&zone->lock);
	if (c == PB_OWN_FREE) {
		block->free += delta;
		return 0;
	}
	return pb_fault_block(pfn, c, delta);
}
#endif

/**
 * pb_parse_range() - two pfns, a range of whole pageblocks
 * @ubuf:	what was written
 * @count:	and how much
 * @start_pfn:	filled in
 * @end_pfn:	filled in
 *
 * Return: 0, -EINVAL or -EFAULT.
 */
int pb_parse_range(const char __user *ubuf, size_t count,
		   unsigned long *start_pfn, unsigned long *end_pfn)
{
	char buf[PB_ARGS_LEN], *argv[2];
	int argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));

	if (argc < 0)
		return argc;
	if (argc != 2 || kstrtoul(argv[0], 0, start_pfn) ||
	    kstrtoul(argv[1], 0, end_pfn))
		return -EINVAL;
	if (!pageblock_aligned(*start_pfn) || !pageblock_aligned(*end_pfn) ||
	    *start_pfn >= *end_pfn)
		return -EINVAL;
	return 0;
}

/* start_isolate_page_range() trusts its caller to pass memory of one zone. */
static bool pb_range_in_one_zone(unsigned long start_pfn, unsigned long end_pfn)
{
	struct zone *zone = NULL;
	unsigned long pfn;

	for (pfn = start_pfn; pfn < end_pfn; pfn += pageblock_nr_pages) {
		struct page *page = pfn_to_online_page(pfn);

		if (!page)
			return false;
		if (!zone)
			zone = pb_page_zone(page);
		if (!zone || zone_is_zone_device(zone) ||
		    pb_page_zone(page) != zone ||
		    !zone_spans_pfn(zone, pfn) ||
		    !zone_spans_pfn(zone, pfn + pageblock_nr_pages - 1))
			return false;
	}
	return true;
}

static int pb_isolate_range(unsigned long start_pfn, unsigned long end_pfn)
{
	int ret;

	lockdep_assert_held(&pb_isolate_lock);
	if (!pb_range_in_one_zone(start_pfn, end_pfn))
		return -EINVAL;
	ret = pb_sym.start_isolate_page_range(start_pfn, end_pfn,
					      PB_ISOLATE_MODE_OTHER);
	if (ret)
		return ret;
	ret = pb_own_add(start_pfn, end_pfn);
	if (ret)
		pb_sym.undo_isolate_page_range(start_pfn, end_pfn);
	return ret;
}

/**
 * pb_isolate() - isolate pageblocks, which are ours from then on
 * @start_pfn:	first page
 * @end_pfn:	end; both aligned to pageblocks
 *
 * Return: 0 or an error.
 */
int pb_isolate(unsigned long start_pfn, unsigned long end_pfn)
{
	bool quiet;
	int ret;

	guard(mutex)(&pb_isolate_lock);
	/*
	 * Keep the range from going offline between the check and the
	 * isolation, but do not wait for an offline attempt: isolating beside
	 * one is something to test. The blocks it works on are isolated
	 * already and give -EBUSY.
	 */
	quiet = percpu_down_read_trylock(pb_sym.mem_hotplug_lock);
	ret = pb_isolate_range(start_pfn, end_pfn);
	if (quiet)
		percpu_up_read(pb_sym.mem_hotplug_lock);
	return ret;
}

static ssize_t isolate_write(struct file *file, const char __user *ubuf,
			     size_t count, loff_t *ppos)
{
	unsigned long start_pfn, end_pfn;
	int ret;

	ret = pb_parse_range(ubuf, count, &start_pfn, &end_pfn);
	if (ret)
		return ret;
	ret = pb_isolate(start_pfn, end_pfn);
	return ret ?: count;
}

/* -ESTALE: done, but somebody else had undone some of it before */
static ssize_t undo_write(struct file *file, const char __user *ubuf,
			  size_t count, loff_t *ppos)
{
	unsigned long start_pfn, end_pfn;
	int ret;

	ret = pb_parse_range(ubuf, count, &start_pfn, &end_pfn);
	if (ret)
		return ret;
	mutex_lock(&pb_isolate_lock);
	if (pb_own_all(start_pfn, end_pfn)) {
		if (!pb_own_still_isolated(start_pfn, end_pfn))
			ret = -ESTALE;
		pb_own_del(start_pfn, end_pfn);
		pb_owners_forget(start_pfn, end_pfn);
		pb_sym.undo_isolate_page_range(start_pfn, end_pfn);
	} else {
		ret = -EINVAL;
	}
	mutex_unlock(&pb_isolate_lock);
	return ret ?: count;
}

/* One line per run of blocks that are ours. */
static int isolate_show(struct seq_file *m, void *unused)
{
	unsigned long index, start = 0, end = 0;
	void *entry;

	mutex_lock(&pb_isolate_lock);
	xa_for_each(&pb_own, index, entry) {
		if (index != end) {
			if (end)
				seq_printf(m, "%lu %lu\n",
					   start << pageblock_order,
					   end << pageblock_order);
			start = index;
		}
		end = index + 1;
	}
	if (end)
		seq_printf(m, "%lu %lu\n", start << pageblock_order,
			   end << pageblock_order);
	mutex_unlock(&pb_isolate_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(isolate);

static const struct file_operations undo_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= undo_write,
	.llseek	= noop_llseek,
};

/**
 * pb_isolate_init() - create "isolate" and "undo"
 * @dir:	debugfs directory
 */
void pb_isolate_init(struct dentry *dir)
{
	debugfs_create_file("isolate", 0600, dir, NULL, &isolate_fops);
	debugfs_create_file("undo", 0200, dir, NULL, &undo_fops);
}

/**
 * pb_isolate_exit() - undo what is still isolated; the files are gone already
 */
void pb_isolate_exit(void)
{
	unsigned long index;
	void *entry;

	xa_for_each(&pb_own, index, entry) {
		unsigned long pfn = index << pageblock_order;

		pb_own_del(pfn, pfn + pageblock_nr_pages);
		pb_sym.undo_isolate_page_range(pfn, pfn + pageblock_nr_pages);
	}
	xa_destroy(&pb_own);
}
