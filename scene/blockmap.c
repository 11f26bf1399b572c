// SPDX-License-Identifier: GPL-2.0
/* Pageblock map, counters and audit: the files of pageblock_debug.ko. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"

static FILE *pb_open(const char *name)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), PB_DIR "/%s", name);
	f = fopen(path, "re");
	if (!f)
		scene_die(SCENE_ENV, "%s: %s (pageblock_debug.ko loaded?)",
			  path, strerror(errno));
	return f;
}

static void pb_copy(const char *name, const char *prefix)
{
	FILE *f = pb_open(name);
	char line[512];

	while (fgets(line, sizeof(line), f))
		printf("%s%s", prefix, line);
	fclose(f);
}

/**
 * map_print - put the raw map into the job's log
 * @title: which moment it shows
 */
void map_print(const char *title)
{
	printf("scene map-begin %s\n", title);
	pb_copy("map", "");
	printf("scene map-end %s\n", title);
	fflush(stdout);
}

/**
 * map_fill - how full are these memory blocks?
 * @ids: numbers of the blocks
 * @nr: how many
 * @pct: for each, percent of its pages that are not free; -1 when the map
 *	does not have the block
 */
void map_fill(const unsigned long *ids, int nr, double *pct)
{
	unsigned long used[MAX_BLOCKS] = { 0 }, all[MAX_BLOCKS] = { 0 };
	unsigned long nr_free, total, per_block = block_pages();
	FILE *f = pb_open("map");
	char line[256];
	long pfn;
	int i;

	/* pfn node zone type isolated free/total */
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%li %*s %*s %*s %*s %lu/%lu", &pfn,
			   &nr_free, &total) != 3)
			continue;	/* header, hole */
		for (i = 0; i < nr; i++) {
			if ((unsigned long)pfn / per_block != ids[i])
				continue;
			used[i] += total - nr_free;
			all[i] += total;
		}
	}
	fclose(f);
	for (i = 0; i < nr; i++)
		pct[i] = all[i] ? 100.0 * used[i] / all[i] : -1;
}

/**
 * pageblock_pages - size of a pageblock of this kernel
 *
 * Return: number of pages.
 */
unsigned long pageblock_pages(void)
{
	FILE *f = pb_open("map");
	unsigned int order;
	int got = fscanf(f, "# v1 pageblock_order=%u", &order);

	fclose(f);
	return got == 1 ? 1UL << order : 0;
}

/**
 * audit_start - have the module look every few milliseconds
 * @interval_ms: pause between two looks
 */
void audit_start(unsigned int interval_ms)
{
	char text[16];
	int err;

	snprintf(text, sizeof(text), "%u", interval_ms);
	err = write_text(PB_DIR "/audit_interval_ms", text);
	if (err)
		scene_die(SCENE_ENV, "start the audit: %s", strerror(err));
}

/** audit_looks - how often the module has looked */
unsigned long audit_looks(void)
{
	unsigned long value, looks = 0;
	FILE *f = pb_open("audit_stats");
	char name[32];

	while (fscanf(f, "%31s %lu", name, &value) == 2)
		if (!strcmp(name, "looks"))
			looks = value;
	fclose(f);
	return looks;
}

/** audit_report - one line with the sums, and the violations if any */
void audit_report(void)
{
	unsigned long value, violations = 1;
	FILE *f = pb_open("audit_stats");
	char name[32];

	printf("scene audit");
	while (fscanf(f, "%31s %lu", name, &value) == 2) {
		printf(" %s=%lu", name, value);
		if (!strcmp(name, "violations"))
			violations = value;
	}
	putchar('\n');
	fclose(f);
	if (violations)
		pb_copy("audit_log", "scene violation ");
	fflush(stdout);
}

/** audit_stop - no more looks; reports the sums */
void audit_stop(void)
{
	int err = write_text(PB_DIR "/audit_interval_ms", "0");

	if (err)
		scene_die(SCENE_ENV, "stop the audit: %s", strerror(err));
	audit_report();
}

static void print_vmstat(const char *when)
{
	static const char *const names[] = {
		"nr_free_pages", "nr_free_cma", "nr_free_hotremove",
		"nr_free_isolated", "pgmigrate_success", "pgmigrate_fail",
		"compact_stall", "pgsteal_kswapd", "pgsteal_direct",
		"oom_kill",
	};
	FILE *f = fopen("/proc/vmstat", "re");
	char name[64];
	unsigned long value;
	size_t i;

	if (!f)
		scene_die(SCENE_ENV, "/proc/vmstat: %s", strerror(errno));
	printf("scene vmstat when=%s", when);
	while (fscanf(f, "%63s %lu", name, &value) == 2)
		for (i = 0; i < sizeof(names) / sizeof(*names); i++)
			if (!strcmp(name, names[i]))
				printf(" %s=%lu", name, value);
	putchar('\n');
	fclose(f);
}

/**
 * counters_print - the module's counters of a node and some of vmstat
 * @when: which moment they show
 * @node: only zones of this node; -1: of all
 */
void counters_print(const char *when, int node)
{
	FILE *f = pb_open("counters");
	char line[512], want[16];

	snprintf(want, sizeof(want), node < 0 ? "node=" : "node=%d ", node);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, want))
			printf("scene counters when=%s %s", when, line);
	fclose(f);
	print_vmstat(when);
	fflush(stdout);
}
