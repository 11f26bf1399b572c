// SPDX-License-Identifier: GPL-2.0
/*
 * Job: transparent huge pages that are made, split by freeing a part of them,
 * collapsed again, swapped out, and freed in one piece.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "scene.h"
#include "soak.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define HUGE		(2UL << 20)
#define PAGE		4096UL
#define NR_HUGE		24

static char *base;

static const char *thp_missing(const char *arg)
{
	char text[64];

	(void)arg;
	if (read_text("/sys/kernel/mm/transparent_hugepage/enabled", text,
		      sizeof(text)) <= 0)
		return job_lacks("transparent huge pages", "none");
	return NULL;
}

static void thp_start(const char *arg)
{
	(void)arg;
	base = mmap(NULL, (NR_HUGE + 1) * HUGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		scene_die(SCENE_ENV, "thp: map: %s", strerror(errno));
	base = (char *)(((uintptr_t)base + HUGE - 1) & ~(HUGE - 1));
	job_op("advise huge pages",
	       madvise(base, NR_HUGE * HUGE, MADV_HUGEPAGE) ? errno : 0, 0);
}

static void advise(char *p, size_t len, int advice, const char *what)
{
	/* The page may be locked, isolated, swapped, or memory short */
	job_op(what, madvise(p, len, advice) ? errno : 0, EAGAIN, EBUSY,
	       ENOMEM, EINVAL, 0);
}

static void thp_step(const char *arg)
{
	char *p = base + job_random(NR_HUGE) * HUGE;
	unsigned long i, first;

	(void)arg;
	switch (job_random(6)) {
	case 0:
		advise(p, HUGE, MADV_DONTNEED, "free a huge page");
		break;
	case 1:
		first = job_random(HUGE / PAGE / 2);
		advise(p + first * PAGE, HUGE / 2, MADV_DONTNEED,
		       "free half of a huge page");
		break;
	case 2:
		advise(p, HUGE, MADV_COLLAPSE, "collapse");
		break;
	case 3:
		if (!job_random(8))
			advise(p, HUGE, MADV_PAGEOUT, "page out");
		break;
	default:
		for (i = 0; i < HUGE; i += PAGE)
			p[i]++;
		job_op("touch", 0, 0);
	}
}

static void thp_stop(const char *arg)
{
	(void)arg;
	job_op("unmap", munmap(base, NR_HUGE * HUGE) ? errno : 0, 0);
}

const struct soak_ops thp_ops = {
	.missing = thp_missing, .start = thp_start, .step = thp_step,
	.stop = thp_stop,
};
