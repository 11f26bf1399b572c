// SPDX-License-Identifier: GPL-2.0
/*
 * The auditor's last word: nothing happens any more, every page that waits on
 * its way has been sent home, so what differs now differs for good.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"

#define SETTLE_MS	2500	/* the vmstat worker folds every second */

static void poke(const char *path, const char *text)
{
	int err = write_text(path, text);

	if (err)
		printf("scene rest-note path=%s error=\"%s\"\n", path,
		       strerror(err));
}

/**
 * rest_drain - send all pages home
 *
 * Dirty pages are written and caches dropped; the memory of processes that
 * have ended is freed; compaction drains the per-CPU lists of each zone.
 */
void rest_drain(void)
{
	sync();
	poke("/proc/sys/vm/drop_caches", "3");
	poke("/proc/sys/vm/compact_memory", "1");
	nap_ms(SETTLE_MS);
	/* Folds all counters, and complains about negative ones */
	poke("/proc/sys/vm/stat_refresh", "1");
}

/* How many pages a difference stands for */
static unsigned long in_pages(const char *counter, long diff)
{
	unsigned long nr = labs(diff), order;

	if (sscanf(counter, "free_area%lu", &order) == 1)
		return nr << order;
	if (!strcmp(counter, "nr_isolate_pageblock") ||
	    !strcmp(counter, "own_isolated"))
		return nr * pageblock_pages();
	return nr;
}

/**
 * rest_report - one line per counter that is wrong, one with the sum
 *
 * "missed" are pages that neither the free lists nor the counters of free
 * pages agree on: NR_FREE_PAGES and NR_FREE_CMA against the lists.
 */
void rest_report(void)
{
	unsigned long pages, drift = 0, missed = 0, wrong = 0;
	char line[512], zone[16], counter[40], verdict[16] = "none";
	FILE *f = fopen(PB_DIR "/audit", "re");
	long expected, found;
	int node;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "zone %d %15s %39s %ld %ld", &node, zone,
			   counter, &expected, &found) != 5) {
			sscanf(line, "%15s", verdict);
			continue;
		}
		pages = in_pages(counter, found - expected);
		drift += pages;
		wrong++;
		if (!strcmp(counter, "nr_free_pages") ||
		    !strcmp(counter, "nr_free_cma"))
			missed += pages;
		printf("scene drift node=%d zone=%s counter=%s expected=%ld found=%ld pages=%lu\n",
		       node, zone, counter, expected, found, pages);
	}
	if (f)
		fclose(f);
	printf("scene rest verdict=%s counters=%lu drift_pages=%lu missed_pages=%lu\n",
	       verdict, wrong, drift, missed);
	fflush(stdout);
}
