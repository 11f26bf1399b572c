// SPDX-License-Identifier: GPL-2.0
/*
 * Movable work, a fixed amount of it at a time, in memory that is full of other
 * things: what does it cost? None of it is kept.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pressure.h"
#include "scene.h"

#define RING_MB		128UL
#define MB		(1UL << 20)
#define HUGE_MB		2UL
#define WORK_FILE	PRESSURE_DISK "/work"
#define WORK_PAGES	(4096UL * PAGES_PER_MB)

static int file;

/** work_open - a file of holes to read */
void work_open(void)
{
	file = open(WORK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0 || ftruncate(file, WORK_PAGES * 4096))
		scene_die(SCENE_ENV, WORK_FILE ": %s", strerror(errno));
	posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM);
}

/**
 * work_read - read a MB that is not in the page cache
 * @i: which one
 *
 * Return: 0.
 */
int work_read(unsigned long i)
{
	cache_read(file, i * PAGES_PER_MB, (i + 1) * PAGES_PER_MB);
	return 0;
}

/* New pages in place of those that were there one round of the ring before */
static int touch(unsigned long i, unsigned long mb, int advice)
{
	static char *ring;
	char *at;

	if (!ring) {
		ring = mmap(NULL, RING_MB * MB + HUGE_MB * MB,
			    PROT_READ | PROT_WRITE, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (ring == MAP_FAILED)
			return errno;
		ring += -(unsigned long)ring & (HUGE_MB * MB - 1);
		if (madvise(ring, RING_MB * MB, advice))
			return errno;
	}
	at = ring + i * mb * MB % (RING_MB * MB);
	if (madvise(at, mb * MB, MADV_DONTNEED))
		return errno;
	memset(at, 1, mb * MB);
	return 0;
}

/**
 * work_anon - touch a MB of new pages
 * @i: which one
 *
 * Return: 0 or an error number.
 */
int work_anon(unsigned long i)
{
	return touch(i, 1, MADV_NOHUGEPAGE);
}

/** work_thp_open - undo what boot does to a machine of 512 MB, to which the rest was added */
void work_thp_open(void)
{
	static const char * const file[][2] = {
		{ "/sys/kernel/mm/transparent_hugepage/enabled", "always" },
		{ "/sys/kernel/mm/transparent_hugepage/defrag", "madvise" },
	};
	unsigned int i;
	int err;

	for (i = 0; i < sizeof(file) / sizeof(file[0]); i++) {
		err = write_text(file[i][0], file[i][1]);
		if (err)
			scene_die(SCENE_ENV, "%s: %s", file[i][0], strerror(err));
	}
}

/**
 * work_thp - touch a new huge page
 * @i: which one
 *
 * Return: 0 or an error number.
 */
int work_thp(unsigned long i)
{
	return touch(i, HUGE_MB, MADV_HUGEPAGE);
}
