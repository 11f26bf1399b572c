/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pageblock_debug: looks at the page allocator's free lists, pageblock flags
 * and counters from outside, and compares them.
 *
 * blocks.c	pageblock flags and zones, safe against memory hotplug
 * look.c	one pass over a zone under zone->lock: expected and found values
 * audit.c	when a difference is a violation; periodic audit; log
 * map.c	one line per pageblock, one line per zone
 * alloc.c	held allocations
 * isolate.c	isolation of pageblock ranges, and its ownership
 * owners.c	whose isolation it is, for all users, and who undoes another's
 * contig.c	alloc_contig_range() of a given range
 * unfolded.c	the same while counters of isolated pages are not folded
 * convert.c	converts a given range between kernel and hotremove
 * report.c	isolates a block of a page that is out for page reporting
 * compact.c	direct compaction at its highest priority
 * trace.c	probes on tracepoints
 * events.c	how often pages are allocated and freed
 * nolock.c	frees that must not wait for a lock
 * atomic.c	isolates a block while it is about to be reserved
 * kills.c	what memory was like at the first OOM kill
 * press.c	allocates until none is left, and how long that took
 * slab.c	objects of a slab cache, and slabs that have none in use
 * bios.c	bios, of which each CPU keeps some that are free
 * balance.c	whether kswapd finds a node balanced, for a difference of a CPU
 * throttle.c	whether kswapd helps a direct reclaimer that is throttled
 * poison.c	keeps the lock of memory failures
 * mirror.c	requests for the mirror reserve, and where memory is (if there)
 * fault.c	makes one counter wrong (PB_FAULTS=1 builds only)
 * symbols.c	kernel symbols that are not exported
 *
 * All pfn ranges are half-open: [start_pfn, end_pfn).
 */
#ifndef PAGEBLOCK_DEBUG_H
#define PAGEBLOCK_DEBUG_H

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/compaction.h>
#include <linux/debugfs.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/page-isolation.h>
#include <linux/seq_file.h>

#if !defined(CONFIG_SPARSEMEM) || !defined(CONFIG_MEMORY_HOTPLUG) || \
	!defined(CONFIG_MEMORY_ISOLATION) || !defined(CONFIG_SMP) || \
	!defined(CONFIG_CONTIG_ALLOC) || !defined(CONFIG_COMPACTION)
#error needs SPARSEMEM, MEMORY_HOTPLUG, MEMORY_ISOLATION, CONTIG_ALLOC, COMPACTION and SMP
#endif

/* What an audit compares. pb_counter_name() gives the names users see. */
enum pb_counter {
	PB_FREE_PAGES,		/* NR_FREE_PAGES against all usable lists */
	PB_FREE_PAGES_BLOCKS,	/* NR_FREE_PAGES_BLOCKS: >= pageblock_order */
	PB_FREE_CMA,		/* NR_FREE_CMA_PAGES against the CMA lists */
	PB_UNACCEPTED,		/* NR_UNACCEPTED against its list */
	PB_FREE_HOTREMOVE,	/* NR_FREE_HOTREMOVE_PAGES, if there */
	PB_FREE_MOVABLE_ONLY,	/* NR_FREE_MOVABLE_ONLY_PAGES, if there */
	PB_FREE_ISOLATED,	/* NR_FREE_ISOLATED_PAGES, if there */
	PB_FREE_HIGHATOMIC,	/* zone->nr_free_highatomic */
	PB_ISOLATE_BLOCKS,	/* zone->nr_isolate_pageblock against flags */
	PB_RESERVED_HIGHATOMIC,	/* zone->nr_reserved_highatomic, likewise */
	PB_HOTREMOVE_PAGES,	/* zone->hotremove_pages, likewise, if there */
	PB_LIST_TYPE,		/* pages on a list that is not their block's */
	PB_LIST_CORRUPT,	/* free list entries that make no sense */
	PB_OWN_ISOLATED,	/* our isolated blocks that somebody undid */
	PB_OWN_FREE,		/* free pages taken out of our isolated blocks */
	PB_NR_FREE,		/* free_area[0].nr_free, then one per order */
	PB_NR_COUNTERS = PB_NR_FREE + NR_PAGE_ORDERS,
};

/**
 * struct pb_zone_look - one zone as seen by one pass under zone->lock
 * @expected:	what the free lists and the pageblock flags say
 * @found:	what the counters say
 * @transit:	added to @expected when the block in hotplug transit still counts
 * @pfn:	first page of a list problem, 0 if none
 * @complete:	the pass came to its end within the limit on holding the lock
 * @hold_ns:	how long the lock was held
 */
struct pb_zone_look {
	long expected[PB_NR_COUNTERS];
	long found[PB_NR_COUNTERS];
	long transit[PB_NR_COUNTERS];
	unsigned long pfn;
	bool complete;
	u64 hold_ns;
};

struct alloc_context;
struct capture_control;

/**
 * struct pb_symbols - kernel functions and objects that are not exported
 * @start_isolate_page_range:	mm/page_isolation.c
 * @undo_isolate_page_range:	mm/page_isolation.c
 * @boot_zonestats:		mm/page_alloc.c; shared by all empty zones
 * @mem_hotplug_lock:		mm/memory_hotplug.c
 * @try_to_compact_pages:	mm/compaction.c
 * @lru_add_drain_all:		mm/swap.c
 * @free_pages_nolock:		mm/page_alloc.c
 * @drain_all_pages:		mm/page_alloc.c
 * @put_task_stack:		kernel/fork.c
 * @mf_mutex:			mm/memory-failure.c
 * @pgdat_balanced:		mm/vmscan.c; NULL if there is no such function
 * @allow_direct_reclaim:	mm/vmscan.c; NULL if there is no such function
 * @lock_device_hotplug:	drivers/base/core.c
 * @unlock_device_hotplug:	drivers/base/core.c
 * @hotremove_convert:		mm/hotremove_convert.c
 */
struct pb_symbols {
	int (*start_isolate_page_range)(unsigned long start_pfn,
					unsigned long end_pfn,
					enum pb_isolate_mode mode);
	void (*undo_isolate_page_range)(unsigned long start_pfn,
					unsigned long end_pfn);
	struct per_cpu_zonestat __percpu *boot_zonestats;
	struct percpu_rw_semaphore *mem_hotplug_lock;
	enum compact_result (*try_to_compact_pages)(gfp_t gfp_mask,
			unsigned int order, unsigned int alloc_flags,
			const struct alloc_context *ac,
			enum compact_priority prio,
			struct capture_control *capc);
	void (*lru_add_drain_all)(void);
	void (*free_pages_nolock)(struct page *page, unsigned int order);
	void (*drain_all_pages)(struct zone *zone);
	void (*put_task_stack)(struct task_struct *task);
#ifdef CONFIG_MEMORY_FAILURE
	struct mutex *mf_mutex;
#endif
	bool (*pgdat_balanced)(pg_data_t *pgdat, int order, int highest_zoneidx);
	bool (*allow_direct_reclaim)(pg_data_t *pgdat);
#ifdef CONFIG_MIGRATE_HOTREMOVE
	void (*lock_device_hotplug)(void);
	void (*unlock_device_hotplug)(void);
	int (*hotremove_convert)(unsigned long start_pfn, unsigned long end_pfn,
				 bool to_hotremove);
#endif
};

extern struct pb_symbols pb_sym;
int pb_symbols_init(void);

/* blocks.c */
#define PB_TYPE(flags)		((flags) & PAGEBLOCK_MIGRATETYPE_MASK)
#define PB_ISOLATED(flags)	(!!((flags) & PAGEBLOCK_ISO_MASK))

/**
 * struct pb_transit - the range that memory hotplug works on at this moment
 * @start_pfn:	first page
 * @end_pfn:	end; equal to @start_pfn when nothing is in transit
 * @unknown:	the module was loaded in the middle of an operation
 */
struct pb_transit {
	unsigned long start_pfn;
	unsigned long end_pfn;
	bool unknown;
};

int pb_blocks_init(void);
void pb_blocks_exit(void);
void pb_transit_settle(void);
void pb_transit_get(struct pb_transit *transit);
const char *pb_type_name(int type);
unsigned long pb_block_flags(unsigned long pfn);
struct zone *pb_page_zone(const struct page *page);
struct zone *pb_first_zone(void);
struct zone *pb_next_zone(struct zone *zone);
unsigned long pb_block_free_pages(struct zone *zone, unsigned long start_pfn,
				  unsigned long end_pfn);

#define pb_for_each_zone(zone) \
	for (zone = pb_first_zone(); zone; zone = pb_next_zone(zone))

/* look.c */
bool pb_look(struct zone *zone, struct pb_zone_look *look, u64 limit_ns);
long pb_zone_stat(struct zone *zone, enum pb_counter counter);
int pb_stat_item(enum pb_counter counter);
unsigned long *pb_zone_field(struct zone *zone, enum pb_counter counter);
const char *pb_counter_name(enum pb_counter counter);

/* audit.c */
int pb_audit_init(struct dentry *dir);
void pb_audit_exit(void);

/* map.c */
void pb_map_init(struct dentry *dir);

/* alloc.c */
void pb_alloc_init(struct dentry *dir);
void pb_alloc_exit(void);

/* isolate.c */
void pb_isolate_init(struct dentry *dir);
void pb_isolate_exit(void);
int pb_isolate(unsigned long start_pfn, unsigned long end_pfn);
int pb_parse_range(const char __user *ubuf, size_t count,
		   unsigned long *start_pfn, unsigned long *end_pfn);
void pb_own_look(struct zone *zone, struct pb_zone_look *look);
#ifdef PB_FAULTS
int pb_own_fault(enum pb_counter c, long delta);
#endif

/* owners.c */
#ifdef CONFIG_KRETPROBES
void pb_owners_init(struct dentry *dir);
void pb_owners_exit(void);
void pb_owners_forget(unsigned long start_pfn, unsigned long end_pfn);
#else
static inline void pb_owners_init(struct dentry *dir) { }
static inline void pb_owners_exit(void) { }
static inline void pb_owners_forget(unsigned long start_pfn,
				    unsigned long end_pfn) { }
#endif

/* contig.c */
int pb_contig(unsigned long start_pfn, unsigned long end_pfn);
void pb_contig_init(struct dentry *dir);

/* convert.c */
#ifdef CONFIG_MIGRATE_HOTREMOVE
void pb_convert_init(struct dentry *dir);
#else
static inline void pb_convert_init(struct dentry *dir) { }
#endif

/* report.c */
#ifdef CONFIG_PAGE_REPORTING
void pb_report_init(struct dentry *dir);
#else
static inline void pb_report_init(struct dentry *dir) { }
#endif

/* compact.c */
void pb_compact_init(struct dentry *dir);

/**
 * struct pb_trace - a probe on a tracepoint
 * @name:	of the tracepoint
 * @probe:	called with NULL and what the tracepoint has
 * @tp:		the tracepoint, once pb_traces_find() has found it
 */
struct pb_trace {
	const char *name;
	void *probe;
	struct tracepoint *tp;
};

/* trace.c */
bool pb_traces_find(struct pb_trace *trace, unsigned int nr);
int pb_traces_on(struct pb_trace *trace, unsigned int nr);
void pb_traces_off(struct pb_trace *trace, unsigned int nr);

/* events.c */
#ifdef CONFIG_TRACEPOINTS
void pb_events_init(struct dentry *dir);
void pb_events_exit(void);
#else
static inline void pb_events_init(struct dentry *dir) { }
static inline void pb_events_exit(void) { }
#endif

/* unfolded.c */
#ifdef CONFIG_TRACEPOINTS
void pb_unfolded_init(struct dentry *dir);
#else
static inline void pb_unfolded_init(struct dentry *dir) { }
#endif

/* nolock.c */
void pb_nolock_init(struct dentry *dir);
void pb_nolock_exit(void);

/* atomic.c */
void pb_atomic_init(struct dentry *dir);

/* kills.c */
#ifdef CONFIG_TRACEPOINTS
void pb_kills_init(struct dentry *dir);
void pb_kills_exit(void);
int pb_kills_count(void);
#else
static inline void pb_kills_init(struct dentry *dir) { }
static inline void pb_kills_exit(void) { }
static inline int pb_kills_count(void) { return 0; }
#endif

/* mirror.c */
#ifdef CONFIG_MIRROR_RESERVE
#define PB_MIRROR(flags)	(!!((flags) & BIT(PB_mirror_reserve)))
unsigned long pb_mirror_block_free(unsigned long start_pfn);
void pb_mirror_init(struct dentry *dir);
void pb_mirror_exit(void);
#else
#define PB_MIRROR(flags)	false
static inline unsigned long pb_mirror_block_free(unsigned long start_pfn)
{
	return 0;
}

static inline void pb_mirror_init(struct dentry *dir)
{
}

static inline void pb_mirror_exit(void)
{
}
#endif

/* press.c */
void pb_press_init(struct dentry *dir);
void pb_press_exit(void);
void pb_press_victim(struct task_struct *task);

/* balance.c */
void pb_balance_init(struct dentry *dir);

/* throttle.c */
void pb_throttle_init(struct dentry *dir);

/* poison.c */
#ifdef CONFIG_MEMORY_FAILURE
void pb_poison_init(struct dentry *dir);
#else
static inline void pb_poison_init(struct dentry *dir) { }
#endif

/* slab.c */
void pb_slab_init(struct dentry *dir);
void pb_slab_exit(void);

/* bios.c */
#ifdef CONFIG_BLOCK
void pb_bios_init(struct dentry *dir);
void pb_bios_exit(void);
#else
static inline void pb_bios_init(struct dentry *dir) { }
static inline void pb_bios_exit(void) { }
#endif

/* fault.c */
#ifdef PB_FAULTS
void pb_fault_init(struct dentry *dir);
void pb_fault_exit(void);
#else
static inline void pb_fault_init(struct dentry *dir) { }
static inline void pb_fault_exit(void) { }
#endif

/* main.c */
#define PB_ARGS_LEN	80
int pb_args(const char __user *ubuf, size_t count, char *buf, char **argv,
	    int max);
int pb_arg_node(const char *arg, int *nid);

#endif /* PAGEBLOCK_DEBUG_H */
