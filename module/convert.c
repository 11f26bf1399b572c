// SPDX-License-Identifier: GPL-2.0
/*
 * Converts a range of online memory, of the caller's choice, between kernel and
 * hotremove pageblocks. sysfs does that with whole memory blocks only:
 * "START END online_kernel|online_hotremove", pfns.
 *
 * Everything else is as for online_type in sysfs: the same lock, errors and log.
 */
#include <linux/hotremove.h>
#include <linux/memory.h>
#include "pageblock_debug.h"

static int pb_parse_convert(char *const *argv, unsigned long *start_pfn,
			    unsigned long *end_pfn, bool *to_hotremove)
{
	if (kstrtoul(argv[0], 0, start_pfn) || kstrtoul(argv[1], 0, end_pfn))
		return -EINVAL;
	if (!strcmp(argv[2], "online_hotremove"))
		*to_hotremove = true;
	else if (!strcmp(argv[2], "online_kernel"))
		*to_hotremove = false;
	else
		return -EINVAL;
	return 0;
}

/*
 * -EINVAL: not three words, no numbers, no type that memory is converted to;
 * not whole pageblocks, empty, not online, of several zones, CMA. -EBUSY: a
 * page is in the way. -EINTR: a signal. Nothing has changed then.
 */
static ssize_t convert_write(struct file *file, const char __user *ubuf,
			     size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[3];
	unsigned long start_pfn, end_pfn;
	bool to_hotremove;
	int ret;

	ret = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (ret < 0)
		return ret;
	if (ret != ARRAY_SIZE(argv))
		return -EINVAL;
	ret = pb_parse_convert(argv, &start_pfn, &end_pfn, &to_hotremove);
	if (ret)
		return ret;

	pb_sym.lock_device_hotplug();
	ret = pb_sym.hotremove_convert(start_pfn, end_pfn, to_hotremove);
	pb_sym.unlock_device_hotplug();
	return ret ?: count;
}

static const struct file_operations convert_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= convert_write,
	.llseek	= noop_llseek,
};

/**
 * pb_convert_init() - create "convert"
 * @dir:	debugfs directory
 */
void pb_convert_init(struct dentry *dir)
{
	debugfs_create_file("convert", 0200, dir, NULL, &convert_fops);
}
