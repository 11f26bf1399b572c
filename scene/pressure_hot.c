// SPDX-License-Identifier: GPL-2.0
/*
 * A hot set: pages of a file that are read again and again before the load, and
 * once more after it. How many had to be fetched anew, and how many of these
 * the kernel took for refaults?
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pressure.h"
#include "scene.h"

#define PAGE	4096UL
#define PASSES	4	/* active on the second, not just referenced */

static int hot = -1;
static unsigned long hot_pages;

/**
 * hot_warm - make a hot set
 * @mb: its size
 */
void hot_warm(unsigned long mb)
{
	int pass;

	hot_pages = mb * PAGES_PER_MB;
	hot = open(PRESSURE_DISK "/hot", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (hot < 0 || ftruncate(hot, hot_pages * PAGE))
		scene_die(SCENE_ENV, "hot set: %s", strerror(errno));
	posix_fadvise(hot, 0, 0, POSIX_FADV_RANDOM);
	for (pass = 0; pass < PASSES; pass++)
		cache_read(hot, 0, hot_pages);
}

static unsigned long resident(void)
{
	unsigned char *vec = malloc(hot_pages);
	unsigned long i, sum = 0;
	char *map;

	map = mmap(NULL, hot_pages * PAGE, PROT_READ, MAP_SHARED, hot, 0);
	if (!vec || map == MAP_FAILED || mincore(map, hot_pages * PAGE, vec))
		scene_die(SCENE_ENV, "mincore: %s", strerror(errno));
	for (i = 0; i < hot_pages; i++)
		sum += vec[i] & 1;
	munmap(map, hot_pages * PAGE);
	free(vec);
	return sum;
}

static unsigned long refaults(void)
{
	return vmstat_value("workingset_refault_file") +
	       vmstat_value("workingset_refault_anon");
}

/** hot_report - read it again; a line with what was lost */
void hot_report(void)
{
	unsigned long left, before;

	if (hot < 0)
		return;
	left = resident();
	before = refaults();
	cache_read(hot, 0, hot_pages);
	printf("scene hot pages=%lu resident=%lu refaults=%lu\n", hot_pages,
	       left, refaults() - before);
}
