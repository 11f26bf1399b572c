// SPDX-License-Identifier: GPL-2.0
/*
 * Job: anonymous memory, more of it than there is, so that reclaim and swap
 * are at work all the time. It looks at what is left and stays away from the
 * OOM killer, whose first choice it would be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "scene.h"
#include "soak.h"

#define PAGE		4096UL
#define CHUNK		(2UL << 20)
#define MAX_CHUNKS	4096UL	/* of address space */
#define KEEP_KB		(48UL << 10)	/* memory and swap to leave alone */
#define KEEP_SWAP_KB	(96UL << 10)

static char *base;
static unsigned long nr_chunks;

static unsigned long meminfo(const char *name)
{
	char line[128], key[32];
	unsigned long kb = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%31[^:]: %lu", key, &kb) == 2 &&
		    !strcmp(key, name))
			break;
	if (f)
		fclose(f);
	return kb;
}

static const char *swap_missing(const char *arg)
{
	(void)arg;
	return meminfo("SwapTotal") ? NULL : job_lacks("swap", "none");
}

static void swap_start(const char *arg)
{
	(void)arg;
	base = mmap(NULL, MAX_CHUNKS * CHUNK, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		scene_die(SCENE_ENV, "swap: map: %s", strerror(errno));
}

/* Each page differs, so that nobody can store it for nothing */
static void touch(unsigned long chunk, unsigned long step)
{
	char *p = base + chunk * CHUNK;
	unsigned long i;

	for (i = 0; i < CHUNK; i += step)
		(*(unsigned long *)(p + i))++;
}

static void drop(unsigned long chunk)
{
	job_op("free", madvise(base + chunk * CHUNK, CHUNK, MADV_DONTNEED) ?
	       errno : 0, 0);
}

static void swap_step(const char *arg)
{
	(void)arg;
	if (meminfo("SwapFree") < KEEP_SWAP_KB ||
	    meminfo("MemAvailable") + meminfo("SwapFree") < KEEP_KB +
	    KEEP_SWAP_KB) {
		unsigned long less = nr_chunks / 4;

		while (nr_chunks > less * 3)
			drop(--nr_chunks);
		return;
	}
	if (nr_chunks < MAX_CHUNKS)
		touch(nr_chunks++, PAGE);
	/* Back from swap, here and there */
	touch(job_random(nr_chunks), 16 * PAGE);
	job_op("touch", 0, 0);
}

static void swap_stop(const char *arg)
{
	(void)arg;
	job_op("unmap", munmap(base, MAX_CHUNKS * CHUNK) ? errno : 0, 0);
}

const struct soak_ops swap_ops = {
	.missing = swap_missing, .start = swap_start, .step = swap_step,
	.stop = swap_stop,
};
