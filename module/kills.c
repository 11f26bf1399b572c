// SPDX-License-Identifier: GPL-2.0
/*
 * What memory was like at the first OOM kill: how much was free, and how much
 * of it an unmovable request could have used; what reclaim had done by then; how
 * long it was since memory first ran short.
 *
 * User space would look too late, and would need memory to look. So what is to
 * be known is copied in the trace point of the kill, by whoever is about to
 * kill. It also goes to the console: after a panic nobody can read anything.
 *
 * Writing 1 starts, 0 stops. Reading gives one line for each moment: "begin"
 * (the write), "short" (the first request that woke kswapd or reclaimed by
 * itself), "kill" (the first one), "now". Kills are counted until it is stopped.
 */
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <asm/tsc.h>
#include "pageblock_debug.h"

enum pb_moment {
	PB_AT_BEGIN,
	PB_AT_SHORT,
	PB_AT_KILL,
	PB_AT_NOW,
	PB_NR_MOMENTS,
};

static const char * const pb_moment_names[] = {
	"begin", "short", "kill", "now",
};

/**
 * struct pb_memory - memory at one moment, in pages unless said
 * @ticks:	time stamp counter, 0: this moment has not come
 * @pid:	the victim of a kill, else who ran
 * @comm:	its name
 * @free:	NR_FREE_PAGES of all zones
 * @cma:	of these in CMA pageblocks
 * @hotremove:	of these in hotremove pageblocks
 * @movable:	of these in ZONE_MOVABLE
 * @lru:	on the LRU lists, or isolated from them
 * @file:	page cache
 * @steal:	reclaimed since boot
 * @scan:	looked at for it
 * @refault:	came back after they had been reclaimed
 * @zspages:	zram, zswap: what has been swapped out, compressed
 * @kswapd_ns:	CPU time of all kswapds
 */
struct pb_memory {
	u64 ticks;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	long free;
	long cma;
	long hotremove;
	long movable;
	long lru;
	long file;
	long steal;
	long scan;
	long refault;
	long zspages;
	u64 kswapd_ns;
};

/* Serialises writers and protects pb_kills_on */
static DEFINE_MUTEX(pb_kills_lock);
static bool pb_kills_on;

/* Protects what follows; taken in trace points, so never around anything */
static DEFINE_RAW_SPINLOCK(pb_memory_lock);
static struct pb_memory pb_memory[PB_NR_MOMENTS];
static atomic_t pb_nr_kills;

/* With the per-CPU differences: 125 pages a CPU are too many to miss here */
static long pb_node_stat(struct pglist_data *pgdat, int item)
{
	long sum = atomic_long_read(&pgdat->vm_stat[item]);
	int cpu;

	for_each_online_cpu(cpu)
		sum += per_cpu_ptr(pgdat->per_cpu_nodestats,
				   cpu)->vm_node_stat_diff[item];
	return sum;
}

static void pb_look_at_node(struct pglist_data *pgdat, struct pb_memory *m)
{
	int i;

	for (i = 0; i < NR_LRU_LISTS; i++)
		m->lru += pb_node_stat(pgdat, NR_LRU_BASE + i);
	m->lru += pb_node_stat(pgdat, NR_ISOLATED_ANON);
	m->lru += pb_node_stat(pgdat, NR_ISOLATED_FILE);
	m->file += pb_node_stat(pgdat, NR_FILE_PAGES);
	for (i = PGSTEAL_KSWAPD; i <= PGSTEAL_PROACTIVE; i++)
		m->steal += pb_node_stat(pgdat, i);
	for (i = PGSCAN_KSWAPD; i <= PGSCAN_PROACTIVE; i++)
		m->scan += pb_node_stat(pgdat, i);
	for (i = WORKINGSET_REFAULT_ANON; i <= WORKINGSET_REFAULT_FILE; i++)
		m->refault += pb_node_stat(pgdat, i);
	/* Without its lock: at most a tick old */
	if (pgdat->kswapd)
		m->kswapd_ns += READ_ONCE(pgdat->kswapd->se.sum_exec_runtime);
}

static void pb_look_at_memory(struct pb_memory *m, struct task_struct *task)
{
	struct zone *zone;
	int nid;

	memset(m, 0, sizeof(*m));
	m->ticks = rdtsc_ordered();
	m->pid = task_pid_nr(task);
	strscpy(m->comm, task->comm);
	pb_for_each_zone(zone) {
		m->free += pb_zone_stat(zone, PB_FREE_PAGES);
		m->cma += pb_zone_stat(zone, PB_FREE_CMA);
		if (pb_stat_item(PB_FREE_HOTREMOVE) >= 0)
			m->hotremove += pb_zone_stat(zone, PB_FREE_HOTREMOVE);
		if (zone_idx(zone) == ZONE_MOVABLE)
			m->movable += pb_zone_stat(zone, PB_FREE_PAGES);
#if IS_ENABLED(CONFIG_ZSMALLOC)
		m->zspages += zone_page_state_snapshot(zone, NR_ZSPAGES);
#endif
	}
	for_each_online_node(nid)
		pb_look_at_node(NODE_DATA(nid), m);
}

/* The first time only */
static void pb_remember(enum pb_moment moment, struct task_struct *task)
{
	guard(raw_spinlock_irqsave)(&pb_memory_lock);
	if (!pb_memory[moment].ticks)
		pb_look_at_memory(&pb_memory[moment], task);
}

static void pb_probe_victim(void *data, struct task_struct *task, uid_t uid)
{
	struct pb_memory *m = &pb_memory[PB_AT_KILL];

	pb_remember(PB_AT_KILL, task);
	pb_press_victim(task);
	if (atomic_inc_return(&pb_nr_kills) == 1)
		pr_crit("first kill: %s, %ld pages free (cma %ld, hotremove %ld, movable zone %ld), reclaimed %ld, scanned %ld since boot\n",
			m->comm, m->free, m->cma, m->hotremove, m->movable,
			m->steal, m->scan);
}

static void pb_probe_wake(void *data, int nid, int zid, int order, gfp_t gfp)
{
	if (!READ_ONCE(pb_memory[PB_AT_SHORT].ticks))
		pb_remember(PB_AT_SHORT, current);
}

static void pb_probe_reclaim(void *data, gfp_t gfp, int order,
			     struct mem_cgroup *memcg)
{
	if (!READ_ONCE(pb_memory[PB_AT_SHORT].ticks))
		pb_remember(PB_AT_SHORT, current);
}

static struct pb_trace pb_traces[] = {
	{ "mark_victim", pb_probe_victim },
	{ "mm_vmscan_wakeup_kswapd", pb_probe_wake },
	{ "mm_vmscan_direct_reclaim_begin", pb_probe_reclaim },
};

static void pb_kills_stop(void)
{
	lockdep_assert_held(&pb_kills_lock);
	if (pb_kills_on)
		pb_traces_off(pb_traces, ARRAY_SIZE(pb_traces));
	pb_kills_on = false;
}

static int pb_kills_start(void)
{
	int ret;

	lockdep_assert_held(&pb_kills_lock);
	memset(pb_memory, 0, sizeof(pb_memory));
	atomic_set(&pb_nr_kills, 0);
	pb_remember(PB_AT_BEGIN, current);
	ret = pb_traces_on(pb_traces, ARRAY_SIZE(pb_traces));
	pb_kills_on = !ret;
	return ret;
}

static ssize_t kills_write(struct file *file, const char __user *ubuf,
			   size_t count, loff_t *ppos)
{
	bool on;
	int ret;

	ret = kstrtobool_from_user(ubuf, count, &on);
	if (ret)
		return ret;
	guard(mutex)(&pb_kills_lock);
	pb_kills_stop();
	ret = on ? pb_kills_start() : 0;
	return ret ?: count;
}

static void pb_show_memory(struct seq_file *m, enum pb_moment moment)
{
	struct pb_memory *mem = &pb_memory[moment];

	if (!mem->ticks)
		return;
	seq_printf(m, "memory at=%s ticks=%llu pid=%d comm=\"%s\" free=%ld cma_free=%ld hotremove_free=%ld movable_zone_free=%ld usable_free=%ld lru=%ld file=%ld steal=%ld scan=%ld refault=%ld zspages=%ld kswapd_ns=%llu\n",
		   pb_moment_names[moment], mem->ticks, mem->pid, mem->comm,
		   mem->free, mem->cma, mem->hotremove, mem->movable,
		   mem->free - mem->cma - mem->hotremove - mem->movable,
		   mem->lru, mem->file, mem->steal, mem->scan, mem->refault,
		   mem->zspages, mem->kswapd_ns);
}

static int kills_show(struct seq_file *m, void *unused)
{
	int i;

	guard(mutex)(&pb_kills_lock);
	pb_memory[PB_AT_NOW].ticks = 0;
	pb_remember(PB_AT_NOW, current);
	for (i = 0; i < PB_NR_MOMENTS; i++)
		pb_show_memory(m, i);
	seq_printf(m, "kills nr=%d\n", pb_kills_count());
	return 0;
}
DEFINE_SHOW_STORE_ATTRIBUTE(kills);

/**
 * pb_kills_count() - OOM kills since they are being counted
 *
 * Return: their number.
 */
int pb_kills_count(void)
{
	return atomic_read(&pb_nr_kills);
}

/**
 * pb_kills_init() - create "kills"
 * @dir:	debugfs directory
 */
void pb_kills_init(struct dentry *dir)
{
	if (pb_traces_find(pb_traces, ARRAY_SIZE(pb_traces)))
		debugfs_create_file("kills", 0600, dir, NULL, &kills_fops);
}

/**
 * pb_kills_exit() - count no more; the file is gone already
 */
void pb_kills_exit(void)
{
	guard(mutex)(&pb_kills_lock);
	pb_kills_stop();
}
