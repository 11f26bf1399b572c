// SPDX-License-Identifier: GPL-2.0
/*
 * Job: bursts of atomic requests of higher orders, by the debug module. Where
 * memory is below the low mark the kernel reserves pageblocks for them, and
 * gives them up again when others have nothing left: now and then the job
 * takes the kernel zones of a node to that point.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"
#include "soak.h"

#define MAX_ORDER	4
#define MAX_PAGES	1024	/* per burst, in pages of order 0 */
#define MAX_HELD	8	/* bursts before all is freed */
#define SQUEEZE_EACH	100	/* steps */
#define MAX_SQUEEZE	100000L	/* pages: others must live on what is left */
#define LAST_PAGES	2000L	/* from between low and min to nothing */

static const char *atomic_missing(const char *arg)
{
	(void)arg;
	return access(PB_DIR "/alloc", W_OK) ?
	       job_lacks("pageblock_debug.ko with \"alloc\"", "none") : NULL;
}

/* All may end early: there is no more, or the job is told to stop */
static int take(unsigned long order, long nr, const char *class, int node)
{
	char text[96], where[24] = "";
	int err;

	if (node >= 0)
		snprintf(where, sizeof(where), " node=%d", node);
	snprintf(text, sizeof(text), "%lu %ld %s%s", order, nr, class, where);
	err = write_text(PB_DIR "/alloc", text);
	job_op(text, err, ENOMEM, 0);
	return err;
}

static void give_back(void)
{
	job_op("free", write_text(PB_DIR "/alloc", "free"), 0);
}

static long word(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	return at ? strtol(at + strlen(key), NULL, 10) : 0;
}

/* Pages that kernel requests can have until they are halfway from low to min */
static long pages_to_squeeze(int node)
{
	FILE *f = fopen(PB_DIR "/counters", "re");
	char line[512], want[24];
	long sum = 0, more;

	snprintf(want, sizeof(want), "node=%d ", node);
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, want) || strstr(line, " zone=Movable "))
			continue;
		more = word(line, " usable=") -
		       (word(line, " low=") + word(line, " min=")) / 2;
		if (more > 0)
			sum += more;
	}
	if (f)
		fclose(f);
	return sum;
}

static void squeeze(void)
{
	int node = soak_node < 0 ? 0 : soak_node, i;
	long pages = pages_to_squeeze(node);

	if (pages > MAX_SQUEEZE)
		return;
	if (pages)
		take(0, pages, "unmovable", node);
	for (i = 0; i < MAX_HELD; i++)
		take(1 + job_random(MAX_ORDER), 1 + job_random(16),
		     "highatomic", node);
	if (job_random(2))
		take(0, LAST_PAGES, "unmovable", node);
	give_back();
}

static void atomic_step(const char *arg)
{
	static unsigned int steps, held;
	unsigned long order = 1 + job_random(MAX_ORDER);

	(void)arg;
	if (held++ == MAX_HELD) {
		give_back();
		held = 0;
		return;
	}
	if (++steps % SQUEEZE_EACH == 0) {
		squeeze();
		held = 0;
		return;
	}
	take(order, 1 + job_random(MAX_PAGES >> order), "highatomic", -1);
}

static void atomic_stop(const char *arg)
{
	(void)arg;
	give_back();
}

const struct soak_ops atomic_ops = {
	.missing = atomic_missing, .step = atomic_step, .stop = atomic_stop,
};
