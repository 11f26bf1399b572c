// SPDX-License-Identifier: GPL-2.0
/*
 * Load: many small files in one directory tree (tmpfs or a disk file system).
 * A file is read and compared, unlinked, and created again with new contents
 * and a new length: page cache, inodes, dentries and, on a disk file system,
 * the journal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

#define PER_DIR 1000UL

static char buf[LOAD_PAGE + 8] __attribute__((aligned(4096)));
static uint32_t *generation;
static unsigned long nr_files;
static int top;

static const char *name(unsigned long nr)
{
	static char path[32];

	snprintf(path, sizeof(path), "%lu/%lu", nr / PER_DIR, nr % PER_DIR);
	return path;
}

/* Half a page and more, so that files of one page are not mostly hole */
static size_t length(unsigned long nr)
{
	return LOAD_PAGE - pattern_key(nr, generation[nr]) % (LOAD_PAGE / 2);
}

static void create(unsigned long nr)
{
	size_t len;
	int fd;

	generation[nr]++;
	len = length(nr);
	pattern_fill(buf, len, pattern_key(nr, generation[nr]));
	fd = openat(top, name(nr), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    0600);
	if (fd < 0)
		load_die("create %s/%s: %s", load_word(0), name(nr),
			 strerror(errno));
	if (write(fd, buf, len) != (ssize_t)len)
		load_die("write %s/%s: %s", load_word(0), name(nr),
			 strerror(errno));
	close(fd);
}

static void check(unsigned long nr)
{
	size_t len = length(nr);
	ssize_t got;
	int fd = openat(top, name(nr), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		load_die("open %s/%s: %s", load_word(0), name(nr),
			 strerror(errno));
	got = read(fd, buf, sizeof(buf));
	if (got < 0)
		load_die("read %s/%s: %s", load_word(0), name(nr),
			 strerror(errno));
	close(fd);
	/* A wrong length shows as wrong data, missing or in excess */
	if (got < (ssize_t)len)
		memset(buf + got, 0, len - got);
	else
		len = got;
	pattern_check(buf, len, pattern_key(nr, generation[nr]), "file", nr);
}

static void remove_file(unsigned long nr)
{
	if (unlinkat(top, name(nr), 0))
		load_die("unlink %s/%s: %s", load_word(0), name(nr),
			 strerror(errno));
}

static void set_up(void)
{
	unsigned long nr;
	char dir[24];

	nr_files = load_arg(1, "FILES", 1, 10000000);
	generation = calloc(nr_files, sizeof(*generation));
	top = open(load_word(0), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!generation || top < 0)
		load_die("%s: %s", load_word(0), strerror(errno));
	for (nr = 0; nr < nr_files; nr++) {
		snprintf(dir, sizeof(dir), "%lu", nr / PER_DIR);
		if (nr % PER_DIR == 0 && mkdirat(top, dir, 0700))
			load_die("mkdir %s/%s: %s", load_word(0), dir,
				 strerror(errno));
		create(nr);
	}
}

int main(int argc, char **argv)
{
	unsigned long nr;

	load_init(argc, argv, "DIR FILES", 2);
	set_up();
	load_ready();
	while (load_running()) {
		nr = load_random(nr_files);
		check(nr);
		if (load_random(4)) {
			remove_file(nr);
			create(nr);
		}
		load_op();
		load_pace();
	}
	for (nr = 0; nr < nr_files; nr++)
		check(nr);
	return load_end();
}
