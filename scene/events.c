// SPDX-License-Identifier: GPL-2.0
/*
 * How much happened: calls of the page allocator, as the debug module counts
 * them, pages, and the events that show that something was at work.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "scene.h"

#define MAX_EVENTS	24

static const char *const events[MAX_EVENTS] = {
	"pgfree", "pgmigrate_success", "pgmigrate_fail", "compact_stall",
	"compact_isolated", "pswpin", "pswpout", "pgsteal_kswapd",
	"pgsteal_direct", "thp_fault_alloc", "thp_split_page",
	"thp_collapse_alloc", "htlb_buddy_alloc_success", "cma_alloc_success",
	"cma_alloc_fail", "balloon_inflate", "balloon_deflate",
	"balloon_migrate", "oom_kill",
};

struct sample {
	uint64_t event[MAX_EVENTS];
	uint64_t pgalloc;	/* pages, of all zones */
	uint64_t alloc, free;	/* calls */
};

static struct sample first;

static void take_calls(struct sample *s)
{
	FILE *f = fopen(PB_DIR "/events", "re");

	if (!f || fscanf(f, "alloc %" SCNu64 " failed %*u free %" SCNu64,
			 &s->alloc, &s->free) != 2)
		scene_die(SCENE_ENV, PB_DIR "/events: %s", strerror(errno));
	fclose(f);
}

static void take_sample(struct sample *s)
{
	FILE *f = fopen("/proc/vmstat", "re");
	uint64_t value;
	char name[64];
	int i;

	memset(s, 0, sizeof(*s));
	while (f && fscanf(f, "%63s %" SCNu64, name, &value) == 2) {
		if (!strncmp(name, "pgalloc_", 8))
			s->pgalloc += value;
		for (i = 0; i < MAX_EVENTS && events[i]; i++)
			if (!strcmp(name, events[i]))
				s->event[i] = value;
	}
	if (f)
		fclose(f);
	take_calls(s);
}

/** events_begin - count from now on */
void events_begin(void)
{
	int err = write_text(PB_DIR "/events", "1");

	if (err)
		scene_die(SCENE_ENV, PB_DIR "/events: %s", strerror(err));
	take_sample(&first);
}

/**
 * events_allocs - how often pages were allocated since events_begin()
 *
 * Return: number of calls, whatever their order.
 */
uint64_t events_allocs(void)
{
	struct sample now;

	take_calls(&now);
	return now.alloc - first.alloc;
}

/** events_report - one line with all that happened since events_begin() */
void events_report(void)
{
	struct sample now;
	int i;

	take_sample(&now);
	printf("scene events alloc=%" PRIu64 " free=%" PRIu64 " pgalloc=%"
	       PRIu64, now.alloc - first.alloc, now.free - first.free,
	       now.pgalloc - first.pgalloc);
	for (i = 0; i < MAX_EVENTS && events[i]; i++)
		printf(" %s=%" PRIu64, events[i],
		       now.event[i] - first.event[i]);
	putchar('\n');
	fflush(stdout);
}
