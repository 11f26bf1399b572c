// SPDX-License-Identifier: GPL-2.0
/*
 * Whose isolation is it? The kernel records no owner of an isolated pageblock.
 * Probes on the two functions that all users of isolation go through do, for
 * as long as they are armed: who isolated a block is its owner until he undoes
 * it or the block is offline. Whoever else undoes it breaks invariant 5, and
 * so does isolation that succeeds although a block has an owner ("taken").
 *
 * The owner of a block is known only after start_isolate_page_range() has
 * returned, and forgotten before anything is undone. So a violation may be
 * missed, but none is made up.
 */
#include <linux/kprobes.h>
#include <linux/memory.h>
#include <linux/mutex.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/xarray.h>
#include "pageblock_debug.h"

#define PB_FOREIGN_MAX	8

/* Task by number of the pageblock. Its lock is taken in probes: no sleeping. */
static DEFINE_XARRAY_FLAGS(pb_owners, XA_FLAGS_LOCK_IRQ);

/* Serialises arming. */
static DEFINE_MUTEX(pb_owners_mutex);
static bool pb_armed;

/**
 * struct pb_foreign - somebody else's isolation, undone or taken for one's own
 * @pfn:	first of the blocks
 * @nr:		how many blocks of that owner in one go
 * @taken:	isolated once more, or else undone
 * @owner:	who had isolated them
 * @by:		who did it
 * @comm:	and his name
 */
struct pb_foreign {
	unsigned long pfn;
	unsigned long nr;
	bool taken;
	pid_t owner;
	pid_t by;
	char comm[TASK_COMM_LEN];
};

/* Protected by the lock of pb_owners. @taken and @foreign count blocks. */
static struct {
	unsigned long isolations;
	unsigned long refused;
	unsigned long taken;
	unsigned long undos;
	unsigned long foreign;
	unsigned long lost;
	unsigned int nr_log;
	struct pb_foreign log[PB_FOREIGN_MAX];
} pb_owned;

struct pb_range {
	unsigned long start;
	unsigned long end;
};

static int pb_isolate_enter(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct pb_range *range = (void *)ri->data;

	range->start = regs_get_kernel_argument(regs, 0) >> pageblock_order;
	range->end = (regs_get_kernel_argument(regs, 1) +
		      pageblock_nr_pages - 1) >> pageblock_order;
	return 0;
}

static void pb_log_foreign(unsigned long pfn, pid_t owner, bool taken)
{
	struct pb_foreign *f;

	if (pb_owned.nr_log) {
		f = &pb_owned.log[pb_owned.nr_log - 1];
		if (f->owner == owner && f->by == current->pid &&
		    f->taken == taken &&
		    f->pfn + f->nr * pageblock_nr_pages == pfn) {
			f->nr++;
			return;
		}
	}
	if (pb_owned.nr_log == PB_FOREIGN_MAX)
		return;
	f = &pb_owned.log[pb_owned.nr_log++];
	f->pfn = pfn;
	f->nr = 1;
	f->taken = taken;
	f->owner = owner;
	f->by = current->pid;
	strscpy(f->comm, current->comm);
}

static void pb_owner_set(unsigned long index)
{
	void *owner = xa_mk_value(current->pid), *old;

	old = __xa_store(&pb_owners, index, owner, GFP_NOWAIT | __GFP_NOWARN);
	if (xa_err(old)) {
		pb_owned.lost++;
	} else if (old && old != owner) {
		pb_owned.taken++;
		pb_log_foreign(index << pageblock_order, xa_to_value(old),
			       true);
	}
}

static int pb_isolate_return(struct kretprobe_instance *ri,
			     struct pt_regs *regs)
{
	struct pb_range *range = (void *)ri->data;
	unsigned long index, flags;

	xa_lock_irqsave(&pb_owners, flags);
	if ((int)regs_return_value(regs)) {
		pb_owned.refused++;
	} else {
		pb_owned.isolations++;
		for (index = range->start; index < range->end; index++)
			pb_owner_set(index);
	}
	xa_unlock_irqrestore(&pb_owners, flags);
	return 0;
}

static struct kretprobe pb_isolate_probe = {
	.kp.symbol_name	= "start_isolate_page_range",
	.entry_handler	= pb_isolate_enter,
	.handler	= pb_isolate_return,
	.data_size	= sizeof(struct pb_range),
	.maxactive	= 64,
};

static bool pb_block_isolated(unsigned long pfn)
{
	return pfn_to_online_page(pfn) && PB_ISOLATED(pb_block_flags(pfn));
}

static int pb_undo_enter(struct kprobe *p, struct pt_regs *regs)
{
	unsigned long index = regs_get_kernel_argument(regs, 0) >>
			      pageblock_order;
	unsigned long end = (regs_get_kernel_argument(regs, 1) +
			     pageblock_nr_pages - 1) >> pageblock_order;
	unsigned long flags;
	void *owner;

	xa_lock_irqsave(&pb_owners, flags);
	pb_owned.undos++;
	for (; index < end; index++) {
		owner = __xa_erase(&pb_owners, index);
		if (owner && xa_to_value(owner) != current->pid &&
		    pb_block_isolated(index << pageblock_order)) {
			pb_owned.foreign++;
			pb_log_foreign(index << pageblock_order,
				       xa_to_value(owner), false);
		}
	}
	xa_unlock_irqrestore(&pb_owners, flags);
	return 0;
}

static struct kprobe pb_undo_probe = {
	.symbol_name	= "undo_isolate_page_range",
	.pre_handler	= pb_undo_enter,
};

/**
 * pb_owners_forget() - nobody owns the isolation of these blocks any more
 * @start_pfn:	first page
 * @end_pfn:	end
 *
 * For isolation that has an end without an undo, and for that of this module,
 * which any task may undo.
 */
void pb_owners_forget(unsigned long start_pfn, unsigned long end_pfn)
{
	unsigned long index = start_pfn >> pageblock_order, flags;

	xa_lock_irqsave(&pb_owners, flags);
	for (; index < end_pfn >> pageblock_order; index++)
		__xa_erase(&pb_owners, index);
	xa_unlock_irqrestore(&pb_owners, flags);
}

/* Memory that went offline stays isolated, until it is online again. */
static int pb_owners_notify(struct notifier_block *nb, unsigned long action,
			    void *data)
{
	struct memory_notify *arg = data;

	if (action == MEM_OFFLINE || action == MEM_GOING_ONLINE)
		pb_owners_forget(arg->start_pfn, arg->start_pfn + arg->nr_pages);
	return NOTIFY_OK;
}

static struct notifier_block pb_owners_nb = {
	.notifier_call = pb_owners_notify,
};

static void pb_disarm(void)
{
	if (!pb_armed)
		return;
	unregister_kprobe(&pb_undo_probe);
	unregister_kretprobe(&pb_isolate_probe);
	unregister_memory_notifier(&pb_owners_nb);
	xa_destroy(&pb_owners);
	pb_armed = false;
}

/* A probe that was registered once has to be clean to be registered again. */
static int pb_arm(void)
{
	int ret;

	pb_disarm();
	memset(&pb_owned, 0, sizeof(pb_owned));
	pb_undo_probe.addr = NULL;
	pb_undo_probe.flags = 0;
	pb_isolate_probe.kp.addr = NULL;
	pb_isolate_probe.kp.flags = 0;
	pb_isolate_probe.nmissed = 0;

	ret = register_memory_notifier(&pb_owners_nb);
	if (ret)
		return ret;
	ret = register_kretprobe(&pb_isolate_probe);
	if (ret)
		goto err_notifier;
	ret = register_kprobe(&pb_undo_probe);
	if (ret)
		goto err_kretprobe;
	pb_armed = true;
	return 0;

err_kretprobe:
	unregister_kretprobe(&pb_isolate_probe);
err_notifier:
	unregister_memory_notifier(&pb_owners_nb);
	xa_destroy(&pb_owners);
	return ret;
}

/* 1: forget everything and begin; 0: end, what was seen can still be read. */
static ssize_t owners_write(struct file *file, const char __user *ubuf,
			    size_t count, loff_t *ppos)
{
	bool on;
	int ret;

	ret = kstrtobool_from_user(ubuf, count, &on);
	if (ret)
		return ret;
	mutex_lock(&pb_owners_mutex);
	if (on)
		ret = pb_arm();
	else
		pb_disarm();
	mutex_unlock(&pb_owners_mutex);
	return ret ?: count;
}

static int owners_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	guard(mutex)(&pb_owners_mutex);
	xa_lock_irq(&pb_owners);
	seq_printf(m, "isolations %lu refused %lu taken %lu undos %lu foreign %lu lost %lu\n",
		   pb_owned.isolations, pb_owned.refused, pb_owned.taken,
		   pb_owned.undos, pb_owned.foreign,
		   pb_owned.lost + pb_isolate_probe.nmissed);
	for (i = 0; i < pb_owned.nr_log; i++) {
		const struct pb_foreign *f = &pb_owned.log[i];

		seq_printf(m, "%s pfn=%lu blocks=%lu owner=%d by=%d %s\n",
			   f->taken ? "taken" : "foreign", f->pfn, f->nr,
			   f->owner, f->by, f->comm);
	}
	xa_unlock_irq(&pb_owners);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(owners);

/**
 * pb_owners_init() - create "owners"
 * @dir:	debugfs directory
 */
void pb_owners_init(struct dentry *dir)
{
	debugfs_create_file("owners", 0600, dir, NULL, &owners_fops);
}

/**
 * pb_owners_exit() - end the watch; the file is gone already
 */
void pb_owners_exit(void)
{
	pb_disarm();
}
