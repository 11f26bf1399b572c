// SPDX-License-Identifier: GPL-2.0
/*
 * Load: page cache. One file, read in segments of 1 MiB: from the cache, or
 * dropped and read again from the disk; some are rewritten, so that dirty
 * pages and writeback are part of the load.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

#define SEGMENT (1UL << 20)

static char buf[SEGMENT] __attribute__((aligned(4096)));
static uint64_t *generation;
static unsigned long nr_segments;
static int fd;

static uint64_t key(unsigned long seg, unsigned long i)
{
	return pattern_key(seg * SEGMENT + i, generation[seg]);
}

static void write_segment(unsigned long seg)
{
	unsigned long i;

	generation[seg]++;
	for (i = 0; i < SEGMENT; i += LOAD_PAGE)
		pattern_fill(buf + i, LOAD_PAGE, key(seg, i));
	if (pwrite(fd, buf, SEGMENT, seg * SEGMENT) != (ssize_t)SEGMENT)
		load_die("write %s at %lu MB: %s", load_word(0), seg,
			 strerror(errno));
}

static void read_segment(unsigned long seg)
{
	unsigned long i;

	if (pread(fd, buf, SEGMENT, seg * SEGMENT) != (ssize_t)SEGMENT)
		load_die("read %s at %lu MB: %s", load_word(0), seg,
			 strerror(errno));
	for (i = 0; i < SEGMENT; i += LOAD_PAGE)
		pattern_check(buf + i, LOAD_PAGE, key(seg, i), "file offset",
			      seg * SEGMENT + i);
}

static void advise_segment(unsigned long seg, int advice)
{
	int err = posix_fadvise(fd, seg * SEGMENT, SEGMENT, advice);

	if (err)
		load_die("advise %s at %lu MB: %s", load_word(0), seg,
			 strerror(err));
}

static void set_up(void)
{
	unsigned long seg;

	nr_segments = load_arg(1, "MB", 1, 1UL << 20);
	generation = calloc(nr_segments, sizeof(*generation));
	fd = open(load_word(0), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (!generation || fd < 0)
		load_die("create %s: %s", load_word(0), strerror(errno));
	for (seg = 0; seg < nr_segments; seg++)
		write_segment(seg);
}

int main(int argc, char **argv)
{
	unsigned long seg, what;

	load_init(argc, argv, "FILE MB", 2);
	set_up();
	load_ready();
	while (load_running()) {
		seg = load_random(nr_segments);
		what = load_hurried() ? 0 : load_random(10);
		if (what < 5) {
			advise_segment(seg, POSIX_FADV_DONTNEED);
			advise_segment(seg, POSIX_FADV_WILLNEED);
		}
		read_segment(seg);
		if (what == 9)
			write_segment(seg);
		load_op();
		load_pace();
	}
	for (seg = 0; seg < nr_segments; seg++)
		read_segment(seg);
	return load_end();
}
