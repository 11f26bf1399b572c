// SPDX-License-Identifier: GPL-2.0
/*
 * Job: grow and shrink a pool of huge pages, of 2 MB (pages of the buddy
 * allocator) or 1 GB (contiguous ranges anywhere), and use some of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scene.h"
#include "soak.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define POOL		"/sys/kernel/mm/hugepages/hugepages-%skB/%s"
#define MAX_SMALL	32	/* pages of 2 MB */
#define MAX_LARGE	1	/* pages of 1 GB: what the movable DIMM has */
#define LARGE_KB	(1UL << 20)
#define HUGE_SHIFT	26	/* of the size's logarithm, MAP_HUGE_SHIFT */

static void pool_file(char *path, size_t len, const char *kb, const char *file)
{
	snprintf(path, len, POOL, kb, file);
}

static const char *hugetlb_missing(const char *kb)
{
	char path[96];

	pool_file(path, sizeof(path), kb, "nr_hugepages");
	return access(path, W_OK) ?
	       job_lacks("huge pages of this size", "no %s", path) : NULL;
}

/* Otherwise gigantic pages stay out of ZONE_MOVABLE, and rarely come about */
static void hugetlb_start(const char *kb)
{
	if (strtoul(kb, NULL, 10) >= LARGE_KB)
		write_text("/proc/sys/vm/movable_gigantic_pages", "1");
}

/* What the pool has then. That it grew counts, that it shrank goes without saying */
static unsigned long pool_set(const char *kb, unsigned long nr, bool grow)
{
	char path[96], text[24];
	unsigned long got;
	int err;

	pool_file(path, sizeof(path), kb, "nr_hugepages");
	snprintf(text, sizeof(text), "%lu", nr);
	err = write_text(path, text);
	got = read_number(path);
	/* The kernel takes fewer pages than asked for without a word */
	if (!err && got < nr)
		err = ENOMEM;
	if (err || grow)
		job_op("nr_hugepages", err, ENOMEM, EAGAIN, EINTR, 0);
	return got;
}

/*
 * Take a page of the pool, if nobody else does first, and give it back. A page
 * that is promised and in an isolated block is not handed out all the same:
 * the kernel would rather send a SIGBUS, which is EFAULT here.
 */
static void use_one(const char *kb)
{
	unsigned long size = strtoul(kb, NULL, 10) << 10;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB |
		    __builtin_ctzl(size) << HUGE_SHIFT;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (p == MAP_FAILED) {
		job_op("map a huge page", errno, ENOMEM, 0);
		return;
	}
	job_op("touch a huge page", madvise(p, size, MADV_POPULATE_WRITE) ?
	       errno : 0, EFAULT, ENOMEM, EAGAIN, 0);
	munmap(p, size);
}

static void hugetlb_step(const char *kb)
{
	bool large = strtoul(kb, NULL, 10) >= LARGE_KB;

	if (pool_set(kb, 1 + job_random(large ? MAX_LARGE : MAX_SMALL), true) &&
	    !large)
		use_one(kb);
	job_nap(large ? 200 : 20);
	pool_set(kb, large ? 0 : job_random(MAX_SMALL / 4), false);
}

static void hugetlb_stop(const char *kb)
{
	if (pool_set(kb, 0, false))
		job_op("huge pages stay", EBUSY, 0);
}

const struct soak_ops hugetlb_ops = {
	.missing = hugetlb_missing, .start = hugetlb_start,
	.step = hugetlb_step, .stop = hugetlb_stop,
};
