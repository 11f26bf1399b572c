// SPDX-License-Identifier: GPL-2.0
/*
 * A slab cache of this module's own: "COUNT node=N" allocates so many objects
 * from that node, "free [KEEP]" frees all of them but KEEP, the oldest.
 *
 * A cache keeps some slabs without an object in use, and free objects at hand on
 * each CPU and node. This one is never asked to give them up before the module
 * goes; only the kernel does so, on its own account. "quarantine" says that KASAN
 * keeps freed objects from being free, for as long as it likes.
 */
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "pageblock_debug.h"

/* Two to a page at least, so that no object is a page of its own */
#define PB_OBJECT_SIZE	1024

struct pb_object {
	struct list_head list;
	char rest[PB_OBJECT_SIZE - sizeof(struct list_head)];
};

/* Protects everything below */
static DEFINE_MUTEX(pb_slab_lock);
static LIST_HEAD(pb_objects);
static unsigned long pb_nr_objects;
static struct kmem_cache *pb_cache;

static int pb_slab_alloc(unsigned int count, int nid)
{
	struct pb_object *object;

	if (!pb_cache)
		return -ENOMEM;
	while (count--) {
		if (fatal_signal_pending(current))
			return -EINTR;
		object = kmem_cache_alloc_node(pb_cache, GFP_KERNEL | __GFP_THISNODE |
					       __GFP_RETRY_MAYFAIL | __GFP_NOWARN, nid);
		if (!object)
			return -ENOMEM;
		list_add_tail(&object->list, &pb_objects);
		pb_nr_objects++;
		cond_resched();
	}
	return 0;
}

static void pb_slab_free(unsigned int keep)
{
	struct pb_object *object, *prev;

	list_for_each_entry_safe_reverse(object, prev, &pb_objects, list) {
		if (pb_nr_objects <= keep)
			return;
		list_del(&object->list);
		kmem_cache_free(pb_cache, object);
		pb_nr_objects--;
		cond_resched();
	}
}

static ssize_t slab_write(struct file *file, const char __user *ubuf,
			  size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[2];
	unsigned int nr = 0;
	int argc, nid, ret = -EINVAL;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	if (mutex_lock_killable(&pb_slab_lock))
		return -EINTR;
	if (argc && !strcmp(argv[0], "free")) {
		if (argc == 1 || !kstrtouint(argv[1], 10, &nr)) {
			pb_slab_free(nr);
			ret = 0;
		}
	} else if (argc == 2 && !kstrtouint(argv[0], 10, &nr) &&
		   !pb_arg_node(argv[1], &nid)) {
		ret = pb_slab_alloc(nr, nid);
	}
	mutex_unlock(&pb_slab_lock);
	return ret ?: count;
}

static int slab_show(struct seq_file *m, void *unused)
{
	if (mutex_lock_interruptible(&pb_slab_lock))
		return -ERESTARTSYS;
	seq_printf(m, "slab objects=%lu size=%zu quarantine=%d\n", pb_nr_objects,
		   sizeof(struct pb_object), IS_ENABLED(CONFIG_KASAN_GENERIC));
	mutex_unlock(&pb_slab_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(slab);

/**
 * pb_slab_init() - create "slab", and the cache
 * @dir:	debugfs directory
 *
 * The cache is created now: memory that goes online later then has nothing in it
 * that describes the cache and is in use as long as that.
 */
void pb_slab_init(struct dentry *dir)
{
	pb_cache = kmem_cache_create("pageblock_debug", sizeof(struct pb_object), 0,
				     SLAB_NO_MERGE, NULL);
	debugfs_create_file("slab", 0600, dir, NULL, &slab_fops);
}

/**
 * pb_slab_exit() - free the objects and the cache; the file is gone already
 */
void pb_slab_exit(void)
{
	pb_slab_free(0);
	kmem_cache_destroy(pb_cache);
}
