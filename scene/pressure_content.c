// SPDX-License-Identifier: GPL-2.0
/*
 * What memory is full of before the load comes.
 *
 * Page cache is that of holes in a file on ext4: the kernel fills such pages
 * with zeroes and asks no disk, so nothing waits and instruction counts stay
 * exact. Else they are as any clean cache.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pressure.h"
#include "scene.h"

#define FILE_PAGES	(65536UL * PAGES_PER_MB)	/* 64 GB, all of it a hole */
#define PAGE		4096UL
#define ONLY_PAGES	(700UL * PAGES_PER_MB)	/* of "cache700" */
#define ZRAM		"/dev/zram0"
#define SWAP		"/dev/vdb"

static const char *const names[] = {
	"free", "cache4k", "cache700", "cachelarge", "half", "anon", "anonzram",
};

static int cache = -1;		/* the file */
static unsigned long cached;	/* pages of it that were read */

/**
 * content_known - is there such a content?
 * @name: the name
 *
 * Return: true when content_fill() takes it.
 */
bool content_known(const char *name)
{
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(names[i], name))
			return true;
	return false;
}

/**
 * content_needs_disk - does it need a file system on the disk?
 * @name: the name
 *
 * Return: true when it does.
 */
bool content_needs_disk(const char *name)
{
	return !strncmp(name, "cache", 5) || !strcmp(name, "half");
}

static int open_hole(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, FILE_PAGES * PAGE))
		scene_die(SCENE_ENV, "%s: %s", path, strerror(errno));
	return fd;
}

/**
 * cache_read - bring pages of a file into the page cache
 * @fd: the file
 * @from: first page
 * @to: end
 */
void cache_read(int fd, unsigned long from, unsigned long to)
{
	char buf[PAGE];

	for (; from < to; from++)
		if (pread(fd, buf, PAGE, from * PAGE) != (ssize_t)PAGE)
			scene_die(SCENE_FAILED, "read: %s", strerror(errno));
}

static unsigned long reclaimed(void)
{
	return vmstat_value("pgsteal_kswapd") + vmstat_value("pgsteal_direct");
}

/* Is memory full? What would come now replaces what is there. */
static bool full(unsigned long leave)
{
	return vmstat_value("nr_free_pages") <= leave || reclaimed();
}

/* One MB at a time, no more than @max pages */
static void fill_cache(bool large, unsigned long leave, unsigned long max)
{
	cache = open_hole(PRESSURE_DISK "/cache");
	/* No readahead: folios of one page. With it they grow. */
	posix_fadvise(cache, 0, 0, large ? POSIX_FADV_SEQUENTIAL :
		      POSIX_FADV_RANDOM);
	for (; cached < max; cached += PAGES_PER_MB) {
		if (full(leave))
			break;
		cache_read(cache, cached, cached + PAGES_PER_MB);
	}
}

static bool in_range(unsigned long pfn, unsigned long (*range)[2], int nr)
{
	int i;

	for (i = 0; i < nr; i++)
		if (pfn >= range[i][0] && pfn < range[i][1])
			return true;
	return false;
}

/* The movable-only pageblocks, neighbours as one range: the module's map */
static int movable_only_ranges(unsigned long (*range)[2], int max)
{
	FILE *f = fopen(PB_DIR "/map", "re");
	unsigned long pfn, size = pageblock_pages();
	char line[256], zone[16], type[24];
	int nr = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lu %*d %15s %23s", &pfn, zone,
			   type) != 3)
			continue;
		if (strcmp(zone, "Movable") && strcasecmp(type, "cma") &&
		    strcasecmp(type, "hotremove"))
			continue;
		if (nr && range[nr - 1][1] == pfn) {
			range[nr - 1][1] += size;
		} else if (nr < max) {
			range[nr][0] = pfn;
			range[nr++][1] = pfn + size;
		}
	}
	if (f)
		fclose(f);
	return nr;
}

/* Where a page of the file is, by mapping it and looking it up */
static unsigned long pfn_of(int pagemap, const char *addr)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry),
		  (uintptr_t)addr / PAGE * sizeof(entry)) != sizeof(entry))
		return 0;
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

/* Drops the pages of one MB of the file that are where they are unwanted */
static void drop_mb(unsigned long page, bool movable_only, int pagemap,
		    unsigned long (*range)[2], int nr)
{
	bool drop[PAGES_PER_MB];
	unsigned long pfn, i;
	char *map;

	map = mmap(NULL, PAGES_PER_MB * PAGE, PROT_READ, MAP_SHARED |
		   MAP_POPULATE, cache, page * PAGE);
	if (map == MAP_FAILED)
		scene_die(SCENE_ENV, "mmap: %s", strerror(errno));
	for (i = 0; i < PAGES_PER_MB; i++) {
		pfn = pfn_of(pagemap, map + i * PAGE);
		drop[i] = pfn && in_range(pfn, range, nr) == movable_only;
	}
	munmap(map, PAGES_PER_MB * PAGE);
	for (i = 0; i < PAGES_PER_MB; i++)
		if (drop[i])
			posix_fadvise(cache, (page + i) * PAGE, PAGE,
				      POSIX_FADV_DONTNEED);
}

static unsigned long free_of(bool movable_only)
{
	struct zones z;

	zones_read(&z);
	return movable_only ? z.movable_only_free :
	       vmstat_value("nr_free_pages") - z.movable_only_free;
}

/*
 * Until so much is free, in movable-only or in ordinary memory: no way of filling
 * leads there on every kernel, dropping what is in the wrong place does.
 */
static void drop(bool movable_only, unsigned long nr_free)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), nr;
	unsigned long range[64][2], page;

	nr = movable_only_ranges(range, 64);
	for (page = 0; page < cached; page += PAGES_PER_MB) {
		if (free_of(movable_only) >= nr_free)
			break;
		drop_mb(page, movable_only, pagemap, range, nr);
	}
	close(pagemap);
}

/**
 * content_drop_ordinary - drop cache that is in ordinary memory
 * @mb: how much; what comes next will be there, as all else is full
 */
void content_drop_ordinary(unsigned long mb)
{
	if (cache >= 0)
		drop(false, free_of(false) + mb * PAGES_PER_MB);
}

/** content_drop_half - drop cache until half of the movable-only memory is free */
void content_drop_half(void)
{
	struct zones z;

	zones_read(&z);
	drop(true, z.movable_only / 2);
}

/* 700 MB of cache, and none of it in ordinary memory */
static void fill_cache_only(unsigned long leave)
{
	unsigned long before = vmstat_value("nr_file_pages"), got;

	fill_cache(false, leave, ONLY_PAGES);
	drop(false, ULONG_MAX);
	got = vmstat_value("nr_file_pages") - before;
	if (got < ONLY_PAGES / 100 * 98)
		scene_die(SCENE_FAILED, "need %lu pages of cache in movable-only memory, have %lu",
			  ONLY_PAGES, got);
}

static void swap_on(bool zram)
{
	int status;

	if (zram) {
		if (write_text("/sys/block/zram0/disksize", "2G"))
			scene_die(SCENE_ENV, "zram0: disksize");
		status = system("mkswap " ZRAM " >/dev/null");
		if (status)
			scene_die(SCENE_ENV, "mkswap " ZRAM ": %d", status);
	}
	if (swapon(zram ? ZRAM : SWAP, 0))
		scene_die(SCENE_ENV, "swapon: %s", strerror(errno));
}

/* Half of each page is noise: zram gets it down to about that */
static void fill_anon(bool zram, unsigned long leave)
{
	unsigned long max = FILE_PAGES, page, i;
	char *map;

	swap_on(zram);
	map = mmap(NULL, max * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED || madvise(map, max * PAGE, MADV_NOHUGEPAGE))
		scene_die(SCENE_ENV, "anon: %s", strerror(errno));
	srandom(1);
	for (page = 0; page < max; page++) {
		if (page % PAGES_PER_MB == 0 && full(leave))
			break;
		for (i = 0; i < PAGE / 2; i += sizeof(int))
			*(int *)(map + page * PAGE + i) = random();
	}
}

/**
 * content_fill - fill memory
 * @name: with what
 * @leave_mb: until no more than this is free, or reclaim begins
 */
void content_fill(const char *name, unsigned long leave_mb)
{
	unsigned long leave = leave_mb * PAGES_PER_MB;

	/* "half" is to be dropped later */
	if (!strcmp(name, "half"))
		fill_cache(false, leave, FILE_PAGES);
	else if (!strcmp(name, "cache700"))
		fill_cache_only(leave);
	else if (!strncmp(name, "cache", 5))
		fill_cache(!strcmp(name, "cachelarge"), leave, FILE_PAGES);
	else if (!strncmp(name, "anon", 4))
		fill_anon(!strcmp(name, "anonzram"), leave);
}
