// SPDX-License-Identifier: GPL-2.0
/*
 * Job: pages are taken out of use (soft offline) and given back (unpoison).
 * Only pages that were there at boot: the kernel refuses to online a memory
 * block that went offline with such a page in it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scene.h"
#include "soak.h"

#define SOFT_OFFLINE	"/sys/devices/system/memory/soft_offline_page"
#define UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"
#define PAGE		4096UL
#define REGION		(4UL << 20)
#define MAX_HELD	16	/* poisoned pages at a time */
#define STOP_MS		60000	/* for all of them to be let go of */
#define PFN_MASK	((1ULL << 55) - 1)
#define PRESENT		(1ULL << 63)

static char *base;
static unsigned long held[MAX_HELD];
static int nr_held, pagemap;

static const char *poison_missing(const char *arg)
{
	(void)arg;
	return access(UNPOISON, W_OK) ?
	       job_lacks("CONFIG_HWPOISON_INJECT", "no " UNPOISON) : NULL;
}

static void poison_start(const char *arg)
{
	(void)arg;
	pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	base = mmap(NULL, REGION, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pagemap < 0 || base == MAP_FAILED)
		scene_die(SCENE_ENV, "poison: %s", strerror(errno));
}

static unsigned long pfn_of(const char *p)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry),
		  (uintptr_t)p / PAGE * sizeof(entry)) != sizeof(entry) ||
	    !(entry & PRESENT))
		return 0;
	return entry & PFN_MASK;
}

/* EBUSY: the page is on its way; it is tried again */
static void unpoison(int i)
{
	char text[24];
	int err;

	snprintf(text, sizeof(text), "%lu", held[i]);
	err = write_text(UNPOISON, text);
	job_op("unpoison", err, EBUSY, EAGAIN, 0);
	if (!err)
		held[i] = held[--nr_held];
}

static void poison(void)
{
	char *p = base + job_random(REGION / PAGE) * PAGE, text[24];
	unsigned long pfn;
	int err;

	*p = 1;
	pfn = pfn_of(p);
	if (!pfn || pfn >= boot_end_pfn())
		return;
	/* Not by its address: somebody else may have moved it just now */
	snprintf(text, sizeof(text), "%#lx", pfn * PAGE);
	err = write_text(SOFT_OFFLINE, text);
	job_op("soft offline", err, EBUSY, EAGAIN, EIO, ENOMEM, 0);
	if (!err)
		held[nr_held++] = pfn;
}

static void poison_step(const char *arg)
{
	(void)arg;
	if (nr_held == MAX_HELD || (nr_held && job_random(3) == 0))
		unpoison(job_random(nr_held));
	else
		poison();
	/* A fresh page each time, sometimes a part of a huge one */
	if (!job_random(16))
		madvise(base, REGION, MADV_DONTNEED);
}

static void poison_stop(const char *arg)
{
	double end = now_ms() + STOP_MS;

	(void)arg;
	while (nr_held && now_ms() < end) {
		unpoison(0);
		if (nr_held)
			nap_ms(50);
	}
	job_op("pages stay poisoned", nr_held ? EBUSY : 0, 0);
}

const struct soak_ops poison_ops = {
	.missing = poison_missing, .start = poison_start, .step = poison_step,
	.stop = poison_stop,
};
