// SPDX-License-Identifier: GPL-2.0
/*
 * alloc_contig_range() of a given range, freed again at once: what virtio-mem,
 * CMA and gigantic pages do, but of memory that the caller chooses. It also
 * drains the per-CPU lists of the range's zone.
 *
 * The range may span zones, which alloc_contig_range() does not allow: so one
 * can see that it notices. Memory that is re-onlined to another zone between
 * the look of alloc_contig_pages() and the isolation looks the same to it.
 */
#include <linux/gfp.h>
#include <linux/percpu-rwsem.h>
#include "pageblock_debug.h"

/* Memory, with struct pages; all of it may be offline, that is to be noticed */
static bool pb_is_memory(unsigned long start_pfn, unsigned long end_pfn)
{
	return pfn_valid(start_pfn) && pfn_valid(end_pfn - 1);
}

/**
 * pb_contig() - allocate a range and free it again
 * @start_pfn:	of [start_pfn, end_pfn)
 * @end_pfn:	its end
 *
 * Return: 0, -EINVAL if it is no memory, or what alloc_contig_range() says.
 */
int pb_contig(unsigned long start_pfn, unsigned long end_pfn)
{
	int ret;

	if (!pb_is_memory(start_pfn, end_pfn))
		return -EINVAL;
	ret = alloc_contig_range(start_pfn, end_pfn, ACR_FLAGS_NONE,
				 GFP_KERNEL | __GFP_NOWARN);
	if (!ret)
		free_contig_range(start_pfn, end_pfn - start_pfn);
	return ret;
}

static ssize_t contig_write(struct file *file, const char __user *ubuf,
			    size_t count, loff_t *ppos)
{
	unsigned long start_pfn, end_pfn;
	bool quiet;
	int ret;

	ret = pb_parse_range(ubuf, count, &start_pfn, &end_pfn);
	if (ret)
		return ret;
	/*
	 * As pb_isolate(): no offline begins in between, but one that is under
	 * way is not waited for. Gigantic pages and CMA do not wait either.
	 */
	quiet = percpu_down_read_trylock(pb_sym.mem_hotplug_lock);
	ret = pb_contig(start_pfn, end_pfn);
	if (quiet)
		percpu_up_read(pb_sym.mem_hotplug_lock);
	return ret ?: count;
}

static const struct file_operations contig_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= contig_write,
	.llseek	= noop_llseek,
};

/**
 * pb_contig_init() - create "contig"
 * @dir:	debugfs directory
 */
void pb_contig_init(struct dentry *dir)
{
	debugfs_create_file("contig", 0200, dir, NULL, &contig_fops);
}
