/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the scene "pressure":
 *   pressure.c          options, the order of events, result lines
 *   pressure_zones.c    sizes and marks of the zones, counters of /proc/vmstat
 *   pressure_content.c  what memory is full of before the load
 *   pressure_hot.c      a hot set of page cache, and what became of it
 *   pressure_load.c     who eats memory, and for what
 *   pressure_work.c     movable work, so much of it at a time
 *   pressure_oom.c      what the OOM report says
 *   pressure_harvest.c  what becomes of harvested memory after the load
 */
#ifndef _SCENE_PRESSURE_H
#define _SCENE_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#define PRESSURE_DISK	RUN_DIR "/disk"
#define PAGES_PER_MB	256UL

/**
 * struct zones - sums over all zones, in pages
 * @usable: managed, and of use for any request; without the memory map of
 *	hot-added memory, as that of memory present at boot is not managed
 * @movable_only: CMA, hotremove, ZONE_MOVABLE
 * @movable_only_free: free pages of these
 * @min: min marks of the zones that have usable memory
 * @reserve: lowmem reserve of these zones against kernel requests
 * @unmovable: usable pages that neither are free nor hold movable data
 * @bound: unmovable pages that can be had, at most
 */
struct zones {
	unsigned long usable;
	unsigned long movable_only;
	unsigned long movable_only_free;
	unsigned long min;
	unsigned long reserve;
	unsigned long unmovable;
	unsigned long bound;
};

/* pressure_zones.c */
void zones_read(struct zones *z);
void zones_report(void);
unsigned long vmstat_value(const char *name);
void vmstat_begin(void);
void vmstat_report(void);

/* pressure_content.c */
bool content_known(const char *name);
bool content_needs_disk(const char *name);
void content_fill(const char *name, unsigned long leave_mb);
void content_drop_ordinary(unsigned long mb);
void content_drop_half(void);
void cache_read(int fd, unsigned long from, unsigned long to);

/* pressure_hot.c */
void hot_warm(unsigned long mb);
void hot_report(void);

/* pressure_load.c */
struct eaten {
	uint64_t ops;		/* how often it went well */
	uint64_t worst_ns;
	uint64_t ns;		/* of all of them */
	int error;		/* why it ended, 0: as many as it was told to */
	unsigned long spare;	/* pages that it gave back then, see eat_pages() */
};

bool load_known(const char *name);
void load_eat(const char *name, unsigned long count, const char *gfp,
	      struct eaten *eaten);

/* pressure_work.c */
void work_open(void);
int work_read(unsigned long i);
int work_anon(unsigned long i);
void work_thp_open(void);
int work_thp(unsigned long i);

/* pressure_oom.c */
void oom_report(void);

/* pressure_harvest.c */
void harvest_report(void);

#endif
