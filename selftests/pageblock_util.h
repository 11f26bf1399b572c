/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the pageblock selftests share: memory blocks, hot-add through the host
 * of a VM, counters, and readers that say where a page is and whose it is.
 *
 * Every function that can fail returns 0 (or a value >= 0) or -errno; none of
 * them decides about the test. pfn ranges are half-open: [start, end).
 */
#ifndef __PAGEBLOCK_UTIL_H
#define __PAGEBLOCK_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PB_SYS_MEMORY	"/sys/devices/system/memory"
#define PB_SYS_NODE	"/sys/devices/system/node"
#define PB_DEBUGFS	"/sys/kernel/debug/pageblock"
#define PB_MAX_BLOCKS	64	/* of one DIMM of ours */
#define PB_SCAN_BLOCKS	4096	/* of the whole system */

/* Bits of /proc/kpageflags, as in linux/kernel-page-flags.h */
#define PB_KPF_SLAB	(1ULL << 7)
#define PB_KPF_BUDDY	(1ULL << 10)
#define PB_KPF_COMPOUND	(3ULL << 15)	/* head or tail */
#define PB_KPF_HWPOISON	(1ULL << 19)
#define PB_KPF_THP	(1ULL << 22)
#define PB_KPF_OFFLINE	(1ULL << 23)
#define PB_KPF_PGTABLE	(1ULL << 26)

/* One memory block of sysfs, memory<id> */
struct pb_block {
	unsigned int id;
	unsigned long start_pfn;
	unsigned long end_pfn;
};

/* A DIMM that the host plugged in for us and the memory blocks it brought */
struct pb_dimm {
	char id[32];
	int nid;
	int nr;
	struct pb_block block[PB_MAX_BLOCKS];
};

/* A sysfs or procfs value to put back */
struct pb_saved {
	char path[192];
	char value[64];
};

/* Memory that is used and verified piece by piece; zeroed before the first step */
struct pb_load {
	unsigned char *mem;
};

/* How a child ended that may be in the kernel for good */
enum pb_end { PB_BY_ITSELF, PB_BY_SIGNAL, PB_NEVER };

/* One line of the debug module's map */
struct pb_map {
	unsigned long pfn;
	int nid;
	char zone[16];
	char type[16];
	int isolated;
	unsigned long free;
	unsigned long total;
};

/* What page_owner knows about one allocation */
struct pb_owner {
	unsigned long pfn;
	unsigned int order;
	bool movable;
	char comm[32];
	char gfp[160];
};

/* Unmovable pages of this process: pipes, filled to the brim */
struct pb_pipes {
	int nr;
	int (*fd)[2];
	size_t bytes;
};

/* A page with a short-term reference, which no migration gets past */
struct pb_hold {
	char *page;
	unsigned long pfn;
	int pipe[2];
};

/* Time and text files */
double pb_now(void);
void pb_msleep(unsigned int ms);
int pb_timeout_mul(void);
int pb_slow(void);
long pb_env(const char *name, long def);
int pb_read(const char *path, char *buf, size_t len);
int pb_write(const char *path, const char *text);
int pb_save(struct pb_saved *saved, const char *path);
int pb_save_choice(struct pb_saved *saved, const char *path);
void pb_let_go_of_output(void);
int pb_restore(struct pb_saved *saved);

/* Memory blocks and nodes */
unsigned long pb_block_bytes(void);
unsigned long pb_block_pages(void);
int pb_all_blocks(struct pb_block *block, int max);
int pb_node_blocks(int nid, struct pb_block *block, int max);
int pb_block_get(const struct pb_block *block, const char *file, char *buf,
		 size_t len);
int pb_block_set(const struct pb_block *block, const char *state);
bool pb_block_is(const struct pb_block *block, const char *file,
		 const char *want);
int pb_blocks_of_kind(const struct pb_dimm *dimm, const char *kind);
bool pb_block_has(const struct pb_block *block, unsigned long pfn);
int pb_target_node(void);
int pb_node_has_memory(int nid);
int pb_node_in(const char *file, int nid);

/* Offlining in a child, so that it can be given up by a signal */
pid_t pb_offline_start(const struct pb_block *block);
int pb_offline_wait(pid_t pid, unsigned int ms, double *took);
int pb_offline(const struct pb_block *block, unsigned int ms, double *took);
bool pb_going_offline(const struct pb_block *block);
enum pb_end pb_child_end(pid_t pid, double seconds);

/* The host of the VM */
bool pb_host(void);
int pb_host_request(char *reply, size_t len, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
unsigned int pb_block_mb(void);
int pb_hotadd(struct pb_dimm *dimm, const char *tag, unsigned int mb, int nid);
int pb_hotdel(struct pb_dimm *dimm);

/* Memory that gigantic pages can come from */
unsigned long pb_gigantic_bytes(void);
int pb_gigantic_run(struct pb_dimm *dimm, const char *tag,
		    struct pb_block *run);
int pb_block_node(const struct pb_block *block);
void pb_gigantic_pool(char *path, size_t len, int nid);

/* Counters: a missing one is -ENOENT */
long pb_vmstat(const char *name);
long pb_node_vmstat(int nid, const char *name);
long pb_numastat(int nid, const char *name);
long pb_meminfo(const char *name);
long pb_zoneinfo(int nid, const char *zone, const char *name);
void pb_fold_counters(void);
long pb_usable_free(void);

/* Pages */
unsigned long pb_huge_bytes(void);
void pb_pfns(const void *addr, size_t nr, unsigned long *pfn);
unsigned long pb_pfn(const void *addr);
size_t pb_pages_in(const struct pb_block *block, const void *addr, size_t nr);
int pb_page_flags(unsigned long pfn, uint64_t *flags);
long pb_count_flags(const struct pb_block *block, uint64_t any);
int pb_ring_with_buffer(void *mem, size_t len);
long pb_balloon_mb(void);
int pb_balloon_resize(long mb, double seconds);
long pb_find_flags(const struct pb_block *block, uint64_t any);
int pb_poison(unsigned long pfn);
int pb_map_read(unsigned long start_pfn, unsigned long end_pfn,
		struct pb_map *map, int max);
int pb_map_type(unsigned long pfn, char *type, size_t len);
int pb_map_all_type(const struct pb_block *block, const char *type);
bool pb_owner_on(void);
long pb_owner_walk(unsigned long start_pfn, unsigned long end_pfn,
		   int (*fn)(const struct pb_owner *owner, void *arg),
		   void *arg);
int pb_owner_stack(unsigned long pfn, char *buf, size_t len);

/* The debug module: triggers, counters, audit. No module: -ENOENT */
int pb_debug(const char *file, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int pb_debug_range(const char *file, unsigned long start_pfn,
		   unsigned long end_pfn);
bool pb_debug_has(const char *file);
long pb_debug_value(const char *file, const char *key);
bool pb_press_ended(const char *how);
long pb_pageblock_pages(void);
int pb_max_order(void);
long pb_free_of_order(int nid, const char *zone, const char *type, int order);
long pb_counter(int nid, const char *zone, const char *key);
long pb_map_free(unsigned long start_pfn, unsigned long end_pfn);
long pb_audit_count(const char *what);
long pb_owners(const char *key);
int pb_isolated_range(unsigned long *start_pfn, unsigned long *end_pfn);
int pb_undo_all(void);

/* Mirror reserve */
long pb_mirror_kb(int nid, const char *file);
int pb_mirror_resize(int nid, long kb);

/* The kernel's log */
int pb_kmsg_open_end(void);
bool pb_kmsg_next(int fd, char *record, size_t len);

/* Loads */
void *pb_mmap_node(size_t len, int nid);
int pb_prefer_node(int nid);
int pb_load_step(struct pb_load *load, size_t bytes, int nid, bool huge);
int pb_hold_at(struct pb_hold *hold, char *page);
int pb_hold_page(struct pb_hold *hold, int nid);
void pb_release_page(struct pb_hold *hold);
int pb_pipes_fill(struct pb_pipes *pipes, size_t bytes);
void pb_pipes_free(struct pb_pipes *pipes);
const char *pb_disk_dir(void);
pid_t pb_kthread(const char *comm);
long pb_task_ticks(pid_t pid);
long pb_task_switches(pid_t pid);
bool pb_task_sleeps(pid_t pid, double seconds);
void pb_die_with(pid_t parent);

/*
 * The feature under test is missing: that is a failure, not a skip. A kernel
 * without online_hotremove answers -EINVAL, as to any unknown word.
 */
#define ASSERT_ONLINE_HOTREMOVE(block) do {				\
	int __pb_err = pb_block_set(block, "online_hotremove");		\
									\
	ASSERT_EQ(0, __pb_err)						\
		TH_LOG("online_hotremove of memory%u: %s%s",		\
		       (block)->id, strerror(-__pb_err),		\
		       __pb_err == -EINVAL ?				\
		       " (this kernel lacks hotremove pageblocks)" : "");\
} while (0)

#endif /* __PAGEBLOCK_UTIL_H */
