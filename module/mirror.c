// SPDX-License-Identifier: GPL-2.0
/*
 * Mirror reserve: requests for it, where they and other kernel memory landed,
 * and what is free in it by a walk over the pages instead of by its counter.
 *
 * Writing "ORDER COUNT KIND [node=N]" allocates and holds; KIND is one of the
 * names below. "free" frees all, and waits for what RCU frees; "mix COUNT SEED
 * [node=N]" allocates and frees small unmovable and reclaimable pages in a
 * random order, and keeps half of the last ones; "mix_plain" does so without
 * the flag; "task PID" looks where the memory of a task is, "memmap START_PFN
 * END_PFN" where struct pages are.
 */
#include <linux/fs_struct.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mirror_reserve.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/vmalloc.h>
#include "pageblock_debug.h"

#define PB_MIRROR_GFP	(__GFP_MIRROR | __GFP_NOWARN | __GFP_COMP)
#define PB_MIX_HELD	24576
#define PB_MIX_ORDERS	4

static const struct {
	const char *name;
	gfp_t gfp;
	bool only;
} pb_mirror_kinds[] = {
	{ "unmovable",	 GFP_KERNEL | __GFP_NORETRY | PB_MIRROR_GFP },
	{ "reclaimable", GFP_KERNEL | __GFP_NORETRY | __GFP_RECLAIMABLE | PB_MIRROR_GFP },
	{ "atomic",	 GFP_ATOMIC | PB_MIRROR_GFP },
	{ "account",	 GFP_KERNEL_ACCOUNT | __GFP_NORETRY | PB_MIRROR_GFP },
	{ "strict",	 GFP_KERNEL | PB_MIRROR_GFP, true },
	/* Requests that must be refused */
	{ "movable",	 GFP_HIGHUSER_MOVABLE | __GFP_NORETRY | PB_MIRROR_GFP },
	{ "highmem",	 GFP_KERNEL | __GFP_HIGHMEM | __GFP_NORETRY | PB_MIRROR_GFP },
	{ "dma",	 GFP_KERNEL | __GFP_DMA32 | __GFP_NORETRY | PB_MIRROR_GFP },
	/* The same without the flag, to compare */
	{ "plain",	 GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN | __GFP_COMP },
	{ "plain_reclaimable", GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN |
			 __GFP_COMP | __GFP_RECLAIMABLE },
};

/* Protects everything below. Held pages are linked through page->lru. */
static DEFINE_MUTEX(pb_mirror_lock);
static LIST_HEAD(pb_mirror_held);
static struct page **pb_mix_page;
static char pb_mirror_found[256];	/* by the last look at a task or memmap */

static struct page *pb_mirror_alloc(unsigned int kind, unsigned int order, int nid)
{
	gfp_t gfp = pb_mirror_kinds[kind].gfp;

	if (nid != NUMA_NO_NODE)
		gfp |= __GFP_THISNODE;
	if (pb_mirror_kinds[kind].only)
		return mirror_alloc_pages(nid, gfp, order);
	return alloc_pages_node(nid, gfp, order);
}

static int pb_mirror_hold(unsigned int kind, unsigned int order,
			  unsigned int count, int nid)
{
	struct page *page;

	while (count--) {
		if (fatal_signal_pending(current))
			return -EINTR;
		page = pb_mirror_alloc(kind, order, nid);
		if (!page)
			return -ENOMEM;
		list_add_tail(&page->lru, &pb_mirror_held);
		cond_resched();
	}
	return 0;
}

static void pb_mirror_free(void)
{
	struct page *page, *next;
	unsigned int i;

	list_for_each_entry_safe(page, next, &pb_mirror_held, lru) {
		list_del(&page->lru);
		__free_pages(page, compound_order(page));
		cond_resched();
	}
	for (i = 0; pb_mix_page && i < PB_MIX_HELD; i++) {
		if (pb_mix_page[i])
			__free_pages(pb_mix_page[i], compound_order(pb_mix_page[i]));
		pb_mix_page[i] = NULL;
	}
}

/*
 * @count steps: a random slot is filled, or emptied if it is full. In the end
 * half of the slots are freed, at random, so that what is held is spread.
 */
static int pb_mirror_mix(unsigned int count, unsigned int seed, bool plain,
			 int nid)
{
	const unsigned int first = plain ? 8 : 0;
	struct rnd_state rnd;
	unsigned int i, slot;

	if (!pb_mix_page)
		pb_mix_page = kvcalloc(PB_MIX_HELD, sizeof(*pb_mix_page), GFP_KERNEL);
	if (!pb_mix_page)
		return -ENOMEM;
	prandom_seed_state(&rnd, seed);
	for (i = 0; i < count; i++) {
		slot = prandom_u32_state(&rnd) % PB_MIX_HELD;
		if (pb_mix_page[slot]) {
			__free_pages(pb_mix_page[slot],
				     compound_order(pb_mix_page[slot]));
			pb_mix_page[slot] = NULL;
		} else {
			/* A slot has its kind for good, like a cache has */
			pb_mix_page[slot] =
				pb_mirror_alloc(first + slot % 2,
						prandom_u32_state(&rnd) % PB_MIX_ORDERS,
						nid);
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	for (slot = 0; slot < PB_MIX_HELD; slot++) {
		if (pb_mix_page[slot] && prandom_u32_state(&rnd) % 2) {
			__free_pages(pb_mix_page[slot],
				     compound_order(pb_mix_page[slot]));
			pb_mix_page[slot] = NULL;
		}
	}
	return 0;
}

/* "in" or "out": is that address of the kernel in the reserve? */
static const char *pb_mirror_where(const void *addr)
{
	struct page *page = is_vmalloc_addr(addr) ? vmalloc_to_page(addr) :
						    virt_to_page(addr);

	return page_in_mirror_reserve(page) ? "in" : "out";
}

/* Which lower page table an entry points to, if it points to one */
#define pb_table_of(entry, level)					\
	(!level##_none(entry) && level##_present(entry) &&		\
	 !level##_leaf(entry) ? level##_page(entry) : NULL)

/* The lowest page tables of user space that are in the reserve, and the others */
static void pb_mirror_tables(struct mm_struct *mm, unsigned long *in, unsigned long *out)
{
	unsigned long addr, next;
	struct page *table;
	pgd_t *pgd;
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	for (addr = 0; addr < mm->task_size; addr = next) {
		pgd = pgd_offset(mm, addr);
		next = pgd_addr_end(addr, mm->task_size);
		if (pgd_none(*pgd) || !pgd_present(*pgd))
			continue;
		p4d = p4d_offset(pgd, addr);
		next = p4d_addr_end(addr, mm->task_size);
		if (!pb_table_of(*p4d, p4d))
			continue;
		pud = pud_offset(p4d, addr);
		next = pud_addr_end(addr, mm->task_size);
		if (!pb_table_of(*pud, pud))
			continue;
		pmd = pmd_offset(pud, addr);
		next = pmd_addr_end(addr, mm->task_size);
		table = pb_table_of(*pmd, pmd);
		if (table)
			page_in_mirror_reserve(table) ? ++*in : ++*out;
	}
}

static int pb_mirror_look_task(unsigned int nr)
{
	unsigned long tables_in = 0, tables_out = 0;
	unsigned int in = 0, out = 0, i;
	struct task_struct *task;
	struct mm_struct *mm;
	struct pid *pid;
	struct path pwd;
	void *stack;
	int len;

	pid = find_get_pid(nr);
	task = get_pid_task(pid, PIDTYPE_PID);
	put_pid(pid);
	if (!task)
		return -ESRCH;
	stack = try_get_task_stack(task);
	for (i = 0; stack && i < THREAD_SIZE; i += PAGE_SIZE)
		*pb_mirror_where(stack + i) == 'i' ? in++ : out++;
	if (stack)
		pb_sym.put_task_stack(task);
	mm = get_task_mm(task);
	if (mm) {
		guard(mmap_read_lock)(mm);
		pb_mirror_tables(mm, &tables_in, &tables_out);
	}
	len = scnprintf(pb_mirror_found, sizeof(pb_mirror_found),
			"task %u stack_in=%u stack_out=%u tables_in=%lu tables_out=%lu task=%s mm=%s pgd=%s",
			nr, in, out, tables_in, tables_out, pb_mirror_where(task),
			mm ? pb_mirror_where(mm) : "none",
			mm ? pb_mirror_where(mm->pgd) : "none");
	if (mm)
		mmput(mm);
	task_lock(task);
	if (task->fs) {
		get_fs_pwd(task->fs, &pwd);
		task_unlock(task);
		scnprintf(pb_mirror_found + len, sizeof(pb_mirror_found) - len,
			  " dentry=%s inode=%s\n", pb_mirror_where(pwd.dentry),
			  pb_mirror_where(d_inode(pwd.dentry)));
		path_put(&pwd);
	} else {
		task_unlock(task);
		scnprintf(pb_mirror_found + len, sizeof(pb_mirror_found) - len, "\n");
	}
	put_task_struct(task);
	return 0;
}

/*
 * The pages that the struct pages of [start_pfn, end_pfn) are in. They are
 * mapped as vmalloc memory is, in pages or larger, and by nothing else here
 * that vmalloc_to_page() would mind, CONFIG_DEBUG_VIRTUAL apart. The lock keeps
 * them there: hot-remove takes the mapping away.
 */
static int pb_mirror_look_memmap(unsigned long start_pfn, unsigned long end_pfn)
{
	unsigned long in = 0, out = 0, addr, end, pfn;
	struct page *page;
	int ret = 0;

	if (IS_ENABLED(CONFIG_DEBUG_VIRTUAL) || !IS_ENABLED(CONFIG_SPARSEMEM_VMEMMAP))
		return -EOPNOTSUPP;
	if (start_pfn >= end_pfn || end_pfn - start_pfn > MAX_ORDER_NR_PAGES * 1024UL)
		return -EINVAL;
	if (!percpu_down_read_trylock(pb_sym.mem_hotplug_lock))
		return -EBUSY;
	for (pfn = start_pfn; pfn < end_pfn && !ret; pfn++)
		ret = pfn_valid(pfn) ? 0 : -ENXIO;
	addr = ALIGN_DOWN((unsigned long)pfn_to_page(start_pfn), PAGE_SIZE);
	end = (unsigned long)pfn_to_page(end_pfn);
	for (; addr < end && !ret; addr += PAGE_SIZE) {
		page = vmalloc_to_page((void *)addr);
		if (!page)
			ret = -ENXIO;
		else if (page_in_mirror_reserve(page))
			in++;
		else
			out++;
	}
	percpu_up_read(pb_sym.mem_hotplug_lock);
	if (!ret)
		scnprintf(pb_mirror_found, sizeof(pb_mirror_found),
			  "memmap %lu-%lu in=%lu out=%lu\n", start_pfn, end_pfn,
			  in, out);
	return ret;
}

static ssize_t mirror_write(struct file *file, const char __user *ubuf,
			    size_t count, loff_t *ppos)
{
	char buf[PB_ARGS_LEN], *argv[5];
	unsigned long start_pfn, end_pfn;
	unsigned int order, nr, kind;
	int argc, ret, nid = NUMA_NO_NODE;

	argc = pb_args(ubuf, count, buf, argv, ARRAY_SIZE(argv));
	if (argc < 0)
		return argc;
	if (mutex_lock_killable(&pb_mirror_lock))
		return -EINTR;
	ret = -EINVAL;
	if (argc == 1 && !strcmp(argv[0], "free")) {
		pb_mirror_free();
		/* Page tables of tasks that have ended come home by RCU */
		rcu_barrier();
		ret = 0;
	} else if (argc == 2 && !strcmp(argv[0], "task")) {
		if (!kstrtouint(argv[1], 10, &nr))
			ret = pb_mirror_look_task(nr);
	} else if (argc == 3 && !strcmp(argv[0], "memmap")) {
		if (!kstrtoul(argv[1], 10, &start_pfn) &&
		    !kstrtoul(argv[2], 10, &end_pfn))
			ret = pb_mirror_look_memmap(start_pfn, end_pfn);
	} else if ((argc == 3 || argc == 4) &&
		   (!strcmp(argv[0], "mix") || !strcmp(argv[0], "mix_plain"))) {
		if (!kstrtouint(argv[1], 10, &nr) && !kstrtouint(argv[2], 10, &order) &&
		    (argc == 3 || !pb_arg_node(argv[3], &nid)))
			ret = pb_mirror_mix(nr, order, !strcmp(argv[0], "mix_plain"),
					    nid);
	} else if (argc >= 3 && !kstrtouint(argv[0], 10, &order) &&
		   order <= MAX_PAGE_ORDER && !kstrtouint(argv[1], 10, &nr) &&
		   (argc == 3 || !pb_arg_node(argv[3], &nid))) {
		for (kind = 0; kind < ARRAY_SIZE(pb_mirror_kinds); kind++) {
			if (strcmp(argv[2], pb_mirror_kinds[kind].name))
				continue;
			ret = argc > 4 ? -EINVAL : pb_mirror_hold(kind, order, nr, nid);
			break;
		}
	}
	mutex_unlock(&pb_mirror_lock);
	return ret ?: count;
}

/* Pages from here to the end of the free chunk that starts here, 0 if none does */
static unsigned long pb_mirror_chunk(struct page *page)
{
	unsigned long order = page_private(page);

	if (!PageMirrorFree(page))
		return 0;
	/* A single page kept apart has an order that none can have */
	return order <= MAX_PAGE_ORDER ? 1UL << order : 1;
}

/**
 * pb_mirror_block_free() - count the free pages of a block of a reserve
 * @start_pfn:	first page of the block, whose section is online
 *
 * Return: the number of pages; may be wrong while the block is used.
 */
unsigned long pb_mirror_block_free(unsigned long start_pfn)
{
	unsigned long unit = ALIGN_DOWN(start_pfn, MAX_ORDER_NR_PAGES);
	unsigned long pfn, nr, free = 0;

	/* A chunk may start blocks before this one, in the same unit */
	for (pfn = unit; pfn < start_pfn; pfn += pageblock_nr_pages) {
		if (pfn + pb_mirror_chunk(pfn_to_page(pfn)) > start_pfn)
			return pageblock_nr_pages;
	}
	for (pfn = start_pfn; pfn < start_pfn + pageblock_nr_pages; pfn += max(nr, 1UL)) {
		nr = pb_mirror_chunk(pfn_to_page(pfn));
		free += min(nr, start_pfn + pageblock_nr_pages - pfn);
	}
	return free;
}

/* Nobody else uses memory of the reserve while this walks, or it is no proof */
static void pb_mirror_show_node(struct seq_file *m, int nid)
{
	unsigned long pfn, end = pgdat_end_pfn(NODE_DATA(nid));
	unsigned long pages = 0, free = 0, largest = 0, nr, step;
	struct page *page;

	for (pfn = NODE_DATA(nid)->node_start_pfn; pfn < end; pfn += step) {
		/* A node may start in the middle of a block */
		step = pageblock_end_pfn(pfn) - pfn;
		page = pfn_to_online_page(pfn);
		if (!page || page_to_nid(page) != nid || !page_in_mirror_reserve(page))
			continue;
		nr = pb_mirror_chunk(page);
		step = max(nr, 1UL);
		pages += step;
		free += nr;
		largest = max(largest, nr);
	}
	if (pages)
		seq_printf(m, "node=%d pages=%lu free=%lu largest=%lu nr_free=%ld\n",
			   nid, pages, free, largest,
			   atomic_long_read(&NODE_DATA(nid)->vm_stat[NR_FREE_MIRROR]));
}

static int mirror_show(struct seq_file *m, void *unused)
{
	unsigned long in = 0, out = 0, blocks = 0;
	struct page *page;
	int nid;

	if (mutex_lock_interruptible(&pb_mirror_lock))
		return -ERESTARTSYS;
	list_for_each_entry(page, &pb_mirror_held, lru) {
		if (page_in_mirror_reserve(page))
			in += compound_nr(page);
		else
			out += compound_nr(page);
		blocks++;
	}
	seq_printf(m, "held in=%lu out=%lu requests=%lu\n", in, out, blocks);
	for_each_online_node(nid)
		pb_mirror_show_node(m, nid);
	seq_puts(m, pb_mirror_found);
	mutex_unlock(&pb_mirror_lock);
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(mirror);

/**
 * pb_mirror_init() - create "mirror"
 * @dir:	debugfs directory
 */
void pb_mirror_init(struct dentry *dir)
{
	debugfs_create_file("mirror", 0600, dir, NULL, &mirror_fops);
}

/**
 * pb_mirror_exit() - free what is held; the file is gone already
 */
void pb_mirror_exit(void)
{
	pb_mirror_free();
	kvfree(pb_mix_page);
}
