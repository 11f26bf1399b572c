// SPDX-License-Identifier: GPL-2.0
/*
 * Keeps the lock of everything that poisons and unpoisons pages for so many
 * milliseconds, or until its writer is killed, so that it can be seen what they
 * make of what happens meanwhile.
 */
#include <linux/mutex.h>
#include <linux/sched.h>
#include "pageblock_debug.h"

/* An hour: tests wait for longer where everything takes longer */
#define PB_POISON_MAX_MS	3600000

static ssize_t poison_lock_write(struct file *file, const char __user *ubuf,
				 size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[1];
	unsigned int ms;

	if (pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv)) != 1 ||
	    kstrtouint(argv[0], 10, &ms) || !ms || ms > PB_POISON_MAX_MS)
		return -EINVAL;

	guard(mutex)(pb_sym.mf_mutex);
	schedule_timeout_killable(msecs_to_jiffies(ms));
	return fatal_signal_pending(current) ? -EINTR : count;
}

static const struct file_operations poison_lock_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= poison_lock_write,
	.llseek	= noop_llseek,
};

/**
 * pb_poison_init() - create "poison_lock"
 * @dir:	debugfs directory
 */
void pb_poison_init(struct dentry *dir)
{
	debugfs_create_file("poison_lock", 0200, dir, NULL, &poison_lock_fops);
}
