// SPDX-License-Identifier: GPL-2.0
/*
 * Bios that nobody submits: "COUNT" allocates so many, by the memory policy of who
 * writes, "free" frees them all. Each CPU keeps some of those that are freed, for
 * later. Shows the slab cache that they are objects of.
 */
#include <linux/bio.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "pageblock_debug.h"

/* More than any CPU keeps; a megabyte or so */
#define PB_MAX_BIOS	4096

/* Protects the list, the last one first, and its length */
static DEFINE_MUTEX(pb_bios_lock);
static struct bio *pb_bios;
static unsigned int pb_nr_bios;

static int pb_bios_alloc(unsigned int count)
{
	struct bio *bio;

	if (count > PB_MAX_BIOS - pb_nr_bios)
		return -ERANGE;
	while (count--) {
		if (fatal_signal_pending(current))
			return -EINTR;
		/* Does not wait: the pool behind it is for who submits them */
		bio = bio_alloc(NULL, 1, REQ_OP_READ, GFP_NOWAIT);
		if (!bio)
			return -ENOMEM;
		bio->bi_next = pb_bios;
		pb_bios = bio;
		pb_nr_bios++;
		cond_resched();
	}
	return 0;
}

static void pb_bios_free(void)
{
	struct bio *bio;

	while ((bio = pb_bios)) {
		pb_bios = bio->bi_next;
		bio->bi_next = NULL;
		bio_put(bio);
		pb_nr_bios--;
		cond_resched();
	}
}

static ssize_t bios_write(struct file *file, const char __user *ubuf,
			  size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[1];
	unsigned int nr;
	int argc, ret = -EINVAL;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	if (mutex_lock_killable(&pb_bios_lock))
		return -EINTR;
	if (argc == 1 && !strcmp(argv[0], "free")) {
		pb_bios_free();
		ret = 0;
	} else if (argc == 1 && !kstrtouint(argv[0], 10, &nr) && nr) {
		ret = pb_bios_alloc(nr);
	}
	mutex_unlock(&pb_bios_lock);
	return ret ?: count;
}

static int bios_show(struct seq_file *m, void *unused)
{
	if (mutex_lock_interruptible(&pb_bios_lock))
		return -ERESTARTSYS;
	seq_printf(m, "bios held=%u cache=bio-%u\n", pb_nr_bios,
		   kmem_cache_size(fs_bio_set.bio_slab));
	mutex_unlock(&pb_bios_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(bios);

/**
 * pb_bios_init() - create "bios"
 * @dir:	debugfs directory
 */
void pb_bios_init(struct dentry *dir)
{
	debugfs_create_file("bios", 0600, dir, NULL, &bios_fops);
}

/**
 * pb_bios_exit() - free the bios; the file is gone already
 */
void pb_bios_exit(void)
{
	pb_bios_free();
}
