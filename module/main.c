// SPDX-License-Identifier: GPL-2.0
/*
 * pageblock_debug.ko: debugfs directory "pageblock". The interface is
 * described in README; what each file does is in the file that creates it.
 */
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include "pageblock_debug.h"

static struct dentry *pb_dir;

/**
 * pb_args() - split what user space wrote into words
 * @ubuf:	what was written
 * @count:	and how much
 * @buf:	PB_ARGS_LEN bytes that will hold the words
 * @argv:	the words
 * @max:	how many words fit @argv
 *
 * Return: the number of words, or -EINVAL for too much text, too many words,
 * or a zero byte, -EFAULT.
 */
int pb_args(const char __user *ubuf, size_t count, char *buf, char **argv,
	    int max)
{
	int argc = 0;
	char *word;

	if (count >= PB_ARGS_LEN)
		return -EINVAL;
	if (copy_from_user(buf, ubuf, count))
		return -EFAULT;
	buf[count] = '\0';
	if (strlen(buf) != count)
		return -EINVAL;

	while ((word = strsep(&buf, " \t\n"))) {
		if (!*word)
			continue;
		if (argc == max)
			return -EINVAL;
		argv[argc++] = word;
	}
	return argc;
}

/**
 * pb_arg_node() - read a word of the form node=N
 * @arg:	the word
 * @nid:	the node
 *
 * Return: 0, or -EINVAL when it is something else or N is not online.
 */
int pb_arg_node(const char *arg, int *nid)
{
	unsigned int node;

	if (strncmp(arg, "node=", 5) || kstrtouint(arg + 5, 10, &node))
		return -EINVAL;
	if (node >= MAX_NUMNODES || !node_online(node))
		return -EINVAL;
	*nid = node;
	return 0;
}

static int __init pb_init(void)
{
	int ret;

	ret = pb_symbols_init();
	if (ret)
		return ret;

	ret = pb_blocks_init();
	if (ret)
		return ret;

	pb_dir = debugfs_create_dir("pageblock", NULL);
	if (IS_ERR(pb_dir)) {
		ret = PTR_ERR(pb_dir);
		goto err_blocks;
	}

	ret = pb_audit_init(pb_dir);
	if (ret)
		goto err_dir;
	pb_map_init(pb_dir);
	pb_alloc_init(pb_dir);
	pb_isolate_init(pb_dir);
	pb_owners_init(pb_dir);
	pb_contig_init(pb_dir);
	pb_convert_init(pb_dir);
	pb_report_init(pb_dir);
	pb_compact_init(pb_dir);
	pb_events_init(pb_dir);
	pb_nolock_init(pb_dir);
	pb_atomic_init(pb_dir);
	pb_kills_init(pb_dir);
	pb_press_init(pb_dir);
	pb_balance_init(pb_dir);
	pb_throttle_init(pb_dir);
	pb_unfolded_init(pb_dir);
	pb_poison_init(pb_dir);
	pb_slab_init(pb_dir);
	pb_bios_init(pb_dir);
	pb_mirror_init(pb_dir);
	pb_fault_init(pb_dir);
	return 0;

err_dir:
	debugfs_remove(pb_dir);
err_blocks:
	pb_blocks_exit();
	return ret;
}

/* Nothing this module did to the system outlives it. */
static void __exit pb_exit(void)
{
	debugfs_remove(pb_dir);
	pb_audit_exit();
	pb_events_exit();
	pb_kills_exit();
	pb_fault_exit();
	pb_owners_exit();
	pb_isolate_exit();
	pb_nolock_exit();
	pb_alloc_exit();
	pb_press_exit();
	pb_slab_exit();
	pb_bios_exit();
	pb_mirror_exit();
	pb_blocks_exit();
}

module_init(pb_init);
module_exit(pb_exit);
MODULE_DESCRIPTION("Audit of page allocator counters, pageblock map, triggers");
MODULE_LICENSE("GPL");
