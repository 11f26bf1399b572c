// SPDX-License-Identifier: GPL-2.0
/*
 * Direct compaction at its highest priority, which looks at every block for
 * free pages, or at its lowest, which never waits. Allocations only get to the
 * former when all else has failed; here both can be had at once.
 *
 * "ORDER NODE [async]"
 */
#include <linux/compaction.h>
#include <linux/gfp.h>
#include <mm/internal.h>
#include <mm/page_alloc.h>
#include "pageblock_debug.h"

static int pb_compact(int nid, unsigned int order, enum compact_priority prio)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOWARN;
	struct capture_control capc = {};
	struct alloc_context ac = {
		.zonelist = node_zonelist(nid, gfp),
		.highest_zoneidx = gfp_zone(gfp),
		.migratetype = MIGRATE_MOVABLE,
	};

	switch (pb_sym.try_to_compact_pages(gfp, order, ALLOC_WMARK_MIN, &ac,
					    prio, &capc)) {
	case COMPACT_SUCCESS:
		return 0;
	case COMPACT_CONTENDED:
	case COMPACT_PARTIAL_SKIPPED:
	case COMPACT_COMPLETE:
		return -ENOMEM;
	default:
		return -EAGAIN;
	}
}

/* 0: there is such a page now; -ENOMEM: still none; -EAGAIN: nothing done. */
static ssize_t compact_write(struct file *file, const char __user *ubuf,
			     size_t count, loff_t *ppos)
{
	enum compact_priority prio = MIN_COMPACT_PRIORITY;
	char buf[PB_ARGS_LEN], *argv[3];
	unsigned int order;
	int argc, nid, ret;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	if (argc < 2 || kstrtouint(argv[0], 0, &order) || !order ||
	    order > MAX_PAGE_ORDER || pb_arg_node(argv[1], &nid))
		return -EINVAL;
	if (argc == 3) {
		if (strcmp(argv[2], "async"))
			return -EINVAL;
		prio = COMPACT_PRIO_ASYNC;
	}
	ret = pb_compact(nid, order, prio);
	return ret ?: count;
}

static const struct file_operations compact_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= compact_write,
	.llseek	= noop_llseek,
};

/**
 * pb_compact_init() - create "compact"
 * @dir:	debugfs directory
 */
void pb_compact_init(struct dentry *dir)
{
	debugfs_create_file("compact", 0200, dir, NULL, &compact_fops);
}
