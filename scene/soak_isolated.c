// SPDX-License-Identifier: GPL-2.0
/*
 * What it would cost not to account each page when its pageblock is isolated.
 *
 * In 2014 it was proposed to leave the free pages of isolated blocks in
 * NR_FREE_PAGES and to correct the counter once, when isolation ends. Until
 * then each watermark check is wrong by what is isolated and free. That is
 * NR_FREE_ISOLATED_PAGES: sampled here, zone by zone, beside the distance
 * between the marks min and low, within which kswapd has to be woken.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "scene.h"
#include "soak.h"

static unsigned long samples, nonzero, max_pages, max_gap, over_gap, over_free;
static unsigned long long sum_pages;

static void one_zone(unsigned long isolated, unsigned long free_pages,
		     unsigned long min, unsigned long low)
{
	samples++;
	sum_pages += isolated;
	nonzero += !!isolated;
	/* Taken for free: kswapd sleeps although the zone is below its mark */
	over_gap += isolated > low - min;
	over_free += isolated && free_pages < low && free_pages + isolated >= low;
	if (isolated > max_pages) {
		max_pages = isolated;
		max_gap = low - min;
	}
}

/** isolated_sample - look at all zones once */
void isolated_sample(void)
{
	unsigned long free_pages = 0, min = 0, low = 0, managed = 0, value;
	FILE *f = fopen("/proc/zoneinfo", "re");
	char line[160], name[40];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " pages free %lu", &value) == 1) {
			free_pages = value;
			continue;
		}
		if (sscanf(line, " %39s %lu", name, &value) != 2)
			continue;
		if (!strcmp(name, "min"))
			min = value;
		else if (!strcmp(name, "low"))
			low = value;
		else if (!strcmp(name, "managed"))
			managed = value;
		else if (!strcmp(name, "nr_free_isolated") && managed)
			one_zone(value, free_pages, min, low);
	}
	if (f)
		fclose(f);
}

/** isolated_report - one line with what the samples say */
void isolated_report(void)
{
	printf("scene deferred samples=%lu nonzero=%lu error_max_pages=%lu gap_there=%lu error_mean_pages=%.1f over_gap=%lu mark_missed=%lu\n",
	       samples, nonzero, max_pages, max_gap,
	       nonzero ? (double)sum_pages / nonzero : 0, over_gap, over_free);
}
