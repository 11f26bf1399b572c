// SPDX-License-Identifier: GPL-2.0
/* Sizes and marks of the zones, and counters. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pressure.h"
#include "scene.h"

#define MAX_NAMES	400
#define ZONE_NORMAL	2	/* highest zone of a kernel request: x86-64 */

/* One zone as /proc/zoneinfo has it */
struct zone {
	char name[16];
	unsigned long free, min, low, high, managed, cma, hotremove, reserve;
};

static struct {
	char name[48];
	unsigned long value;
} first[MAX_NAMES];

static void zone_add(struct zones *z, const struct zone *zone)
{
	unsigned long only = zone->cma + zone->hotremove;

	if (!zone->managed)
		return;
	if (!strcmp(zone->name, "Movable")) {
		z->movable_only += zone->managed;
		z->movable_only_free += zone->free;
		return;
	}
	z->movable_only += only;
	z->usable += zone->managed - only;
	z->min += zone->min;
	z->reserve += zone->reserve;
}

static void zone_line(struct zone *zone, const char *line)
{
	unsigned long n, p[ZONE_NORMAL + 1];

	if (sscanf(line, " pages free %lu", &n) == 1)
		zone->free = n;
	else if (sscanf(line, " min %lu", &n) == 1)
		zone->min = n;
	else if (sscanf(line, " low %lu", &n) == 1)
		zone->low = n;
	else if (sscanf(line, " high %lu", &n) == 1 && !zone->managed)
		zone->high = n;		/* per-CPU lists have one, too */
	else if (sscanf(line, " managed %lu", &n) == 1)
		zone->managed = n;
	else if (sscanf(line, " cma %lu", &n) == 1)
		zone->cma = n;
	else if (sscanf(line, " hotremove %lu", &n) == 1)
		zone->hotremove = n;
	else if (sscanf(line, " protection: (%lu, %lu, %lu", p, p + 1,
			p + 2) == 3)
		zone->reserve = p[ZONE_NORMAL];
}

static void zone_print(const struct zone *zone)
{
	if (zone->managed)
		printf("scene zone name=%s managed=%lu cma=%lu hotremove=%lu min=%lu low=%lu high=%lu reserve=%lu\n",
		       zone->name, zone->managed, zone->cma, zone->hotremove,
		       zone->min, zone->low, zone->high, zone->reserve);
}

static void zones_walk(struct zones *z)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	struct zone zone = { .name = "" };
	char line[256], name[16];

	if (!f)
		scene_die(SCENE_ENV, "/proc/zoneinfo: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %*d, zone %15s", name) != 1) {
			zone_line(&zone, line);
			continue;
		}
		if (z)
			zone_add(z, &zone);
		else
			zone_print(&zone);
		memset(&zone, 0, sizeof(zone));
		memcpy(zone.name, name, sizeof(name));
	}
	if (z)
		zone_add(z, &zone);
	else
		zone_print(&zone);
	fclose(f);
}

/** zones_report - a line for each zone */
void zones_report(void)
{
	zones_walk(NULL);
}

/* Differences that are still with the CPUs are up to 125 pages each */
static FILE *vmstat_open(void)
{
	FILE *f;

	write_text("/proc/sys/vm/stat_refresh", "1");
	f = fopen("/proc/vmstat", "re");
	if (!f)
		scene_die(SCENE_ENV, "/proc/vmstat: %s", strerror(errno));
	return f;
}

/**
 * vmstat_value - one counter
 * @name: as /proc/vmstat has it
 *
 * Return: its value, 0 when there is none of that name.
 */
unsigned long vmstat_value(const char *name)
{
	unsigned long value = 0;
	char word[64];
	FILE *f = vmstat_open();

	while (fscanf(f, "%63s %lu", word, &value) == 2 && strcmp(word, name))
		value = 0;
	fclose(f);
	return value;
}

/* All that is movable and not in movable-only memory is in ordinary memory */
static void zones_bound(struct zones *z)
{
	static const char *const lists[] = {
		"nr_inactive_anon", "nr_active_anon", "nr_inactive_file",
		"nr_active_file", "nr_unevictable", "nr_isolated_anon",
		"nr_isolated_file",
	};
	unsigned long lru = 0, used = z->movable_only - z->movable_only_free;
	unsigned long usable_free, off;
	unsigned int i;

	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		lru += vmstat_value(lists[i]);
	usable_free = vmstat_value("nr_free_pages") - z->movable_only_free;
	/* Of what is in movable-only memory not all is on an LRU list */
	z->unmovable = z->usable - usable_free - (lru > used ? lru - used : 0);
	off = z->min + z->reserve + z->unmovable;
	z->bound = z->usable > off ? z->usable - off : 0;
}

/**
 * zones_read - sum up /proc/zoneinfo
 * @z: for the sums
 */
void zones_read(struct zones *z)
{
	memset(z, 0, sizeof(*z));
	zones_walk(z);
	z->usable -= vmstat_value("nr_memmap_pages");
	z->movable_only_free += vmstat_value("nr_free_cma") +
				vmstat_value("nr_free_hotremove");
	zones_bound(z);
}

/** vmstat_begin - remember all counters */
void vmstat_begin(void)
{
	FILE *f = vmstat_open();
	int i = 0;

	while (i < MAX_NAMES && fscanf(f, "%47s %lu", first[i].name,
				       &first[i].value) == 2)
		i++;
	fclose(f);
}

/** vmstat_report - what has changed since vmstat_begin(), by name */
void vmstat_report(void)
{
	unsigned long value;
	FILE *f = vmstat_open();
	char name[64];
	int i;

	printf("scene vmstat");
	while (fscanf(f, "%63s %lu", name, &value) == 2) {
		for (i = 0; i < MAX_NAMES && strcmp(first[i].name, name); i++)
			;
		/* Those of evacuation are of interest even when nothing was */
		if (i < MAX_NAMES && (value != first[i].value ||
				      !strncmp(name, "evacuate_", 9)))
			printf(" %s=%ld", name,
			       (long)(value - first[i].value));
	}
	putchar('\n');
	fclose(f);
}
