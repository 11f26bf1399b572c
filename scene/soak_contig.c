// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs: contiguous ranges. "contig" takes pageblocks anywhere, by the debug
 * module's trigger; "cma" takes and frees pieces of any size of CMA areas, by
 * the kernel's own debugfs files.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"
#include "soak.h"

#define MAX_RUN		4	/* pageblocks at once */
#define MAX_AREAS	4
#define CMA_DIR		"/sys/kernel/debug/cma"
#define CMA_SHARE	8	/* at most one in so many pages of an area */

static unsigned long run_pages;		/* pages of a pageblock */

static struct area {
	char dir[80];
	unsigned long pages;
	unsigned long step;	/* sizes are multiples of it */
} areas[MAX_AREAS];

static int nr_areas;

static const char *contig_missing(const char *arg)
{
	(void)arg;
	run_pages = pageblock_pages();
	if (!run_pages || access(PB_DIR "/contig", W_OK))
		return job_lacks("pageblock_debug.ko with \"contig\"", "none");
	return NULL;
}

/* Not the first block: zones may meet within it, which ranges must not span */
static void pick_block(unsigned long *start_pfn, unsigned long *pages)
{
	unsigned long blocks;

	*pages = block_pages();
	blocks = boot_end_pfn() / *pages;
	if (job_random(2) && dimms_pick(start_pfn, pages))
		return;
	*start_pfn = (1 + job_random(blocks - 1)) * *pages;
}

static void contig_step(const char *arg)
{
	unsigned long start, pages, nr = 1 + job_random(MAX_RUN);
	char text[64];

	(void)arg;
	pick_block(&start, &pages);
	start += job_random(pages / run_pages - nr + 1) * run_pages;
	snprintf(text, sizeof(text), "%lu %lu", start, start + nr * run_pages);
	/* In use for good, hotplug at work, offline or a hole, no target */
	job_op("contig", write_text(PB_DIR "/contig", text), EBUSY, EAGAIN,
	       EINVAL, ENOMEM, 0);
}

const struct soak_ops contig_ops = {
	.missing = contig_missing, .step = contig_step,
};

static const char *cma_missing(const char *arg)
{
	DIR *dir = opendir(CMA_DIR);
	struct dirent *entry;
	struct area *area;
	char path[512];

	(void)arg;
	while (dir && nr_areas < MAX_AREAS && (entry = readdir(dir))) {
		area = &areas[nr_areas];
		if (entry->d_name[0] == '.' || strlen(entry->d_name) > 32)
			continue;
		snprintf(area->dir, sizeof(area->dir), CMA_DIR "/%.32s",
			 entry->d_name);
		snprintf(path, sizeof(path), "%s/count", area->dir);
		area->pages = read_number(path);
		snprintf(path, sizeof(path), "%s/order_per_bit", area->dir);
		area->step = 1UL << read_number(path);
		if (area->pages)
			nr_areas++;
	}
	if (dir)
		closedir(dir);
	return nr_areas ? NULL :
	       job_lacks("a CMA area (cma= or hugetlb_cma=) in " CMA_DIR,
			 "none");
}

static int cma_write(const struct area *area, const char *file,
		     unsigned long pages)
{
	char path[512], text[24];

	snprintf(path, sizeof(path), "%s/%s", area->dir, file);
	snprintf(text, sizeof(text), "%lu", pages);
	return write_text(path, text);
}

/* All magnitudes are equally frequent */
static void cma_step(const char *arg)
{
	const struct area *area = &areas[job_random(nr_areas)];
	unsigned long max = area->pages / CMA_SHARE, pages;

	(void)arg;
	max >>= job_random(64 - __builtin_clzl(max));
	pages = 1 + job_random(max);
	pages = (pages + area->step - 1) / area->step * area->step;
	if (job_random(5) < 2)
		job_op("free CMA", cma_write(area, "free", pages), 0);
	else
		job_op("allocate CMA", cma_write(area, "alloc", pages),
		       ENOMEM, 0);
	/* Half full is where there is most to do: the rest is in use */
	if (!job_random(20))
		job_op("free CMA", cma_write(area, "free", area->pages), 0);
}

static void cma_stop(const char *arg)
{
	char path[512];
	int i;

	(void)arg;
	for (i = 0; i < nr_areas; i++) {
		cma_write(&areas[i], "free", areas[i].pages);
		snprintf(path, sizeof(path), "%s/used", areas[i].dir);
		job_op("CMA pages still taken", read_number(path) ? EBUSY : 0,
		       0);
	}
}

const struct soak_ops cma_ops = {
	.missing = cma_missing, .step = cma_step, .stop = cma_stop,
};
