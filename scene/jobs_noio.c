// SPDX-License-Identifier: GPL-2.0
/*
 * Nothing else happens, and no timer writes anything back: blocks full of dirty
 * page cache and of anonymous memory go offline. To move a page is to copy it;
 * nothing has to be written, to the disk or to swap.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "scene.h"
#include "jobs.h"

/* Together seven eighths of four blocks: none of them is nearly empty */
#define FILE_PAGES	57344UL
#define ANON_PAGES	57344UL
#define DATA		ROOT_DIR "/work/noio"
#define BIT(n)		(1ULL << (n))

/* Who would write: saved, set and put back */
static struct knob {
	const char *path, *quiet;
	char before[32];
} knobs[] = {
	/* In this order: the first of the two has to be below the second */
	{ .path = "/proc/sys/vm/dirty_ratio",			.quiet = "95" },
	{ .path = "/proc/sys/vm/dirty_background_ratio",	.quiet = "90" },
	{ .path = "/proc/sys/vm/dirty_expire_centisecs",	.quiet = "360000" },
	{ .path = "/proc/sys/vm/dirty_writeback_centisecs",	.quiet = "0" },
};

#define NR_KNOBS (sizeof(knobs) / sizeof(*knobs))

static void turn(struct knob *knob, bool quiet)
{
	int err;

	if (quiet && read_text(knob->path, knob->before,
			       sizeof(knob->before)) <= 0)
		scene_die(SCENE_ENV, "%s: %s", knob->path, strerror(errno));
	err = write_text(knob->path, quiet ? knob->quiet : knob->before);
	if (err)
		scene_die(SCENE_ENV, "%s: %s", knob->path, strerror(err));
}

/* The journal commits every five seconds, unless it is told not to */
static void journal(const char *options)
{
	if (mount(NULL, ROOT_DIR, NULL, MS_REMOUNT | MS_NOATIME, options))
		scene_die(SCENE_ENV, "remount with %s: %s", options,
			  strerror(errno));
}

static void count(unsigned long block, unsigned long *dirty,
		  unsigned long *anon)
{
	unsigned long per_block = block_pages(), i;
	ssize_t len = per_block * sizeof(uint64_t);
	uint64_t *flags = malloc(len);
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);

	if (!flags || fd < 0 || pread(fd, flags, len, block * len) != len)
		scene_die(SCENE_ENV, "/proc/kpageflags: %s", strerror(errno));
	close(fd);
	*dirty = *anon = 0;
	for (i = 0; i < per_block; i++) {
		if (flags[i] & BIT(KPF_ANON))
			++*anon;
		else if (flags[i] & BIT(KPF_DIRTY))
			++*dirty;
	}
	free(flags);
}

/* A page of the file has its number in its key, one of memory a higher one */
static void verify(int fd, const char *anon)
{
	static char page[LOAD_PAGE] __attribute__((aligned(8)));
	unsigned long i, wrong = 0;

	for (i = 0; i < FILE_PAGES; i++)
		if (pread(fd, page, LOAD_PAGE, i * LOAD_PAGE) !=
		    (ssize_t)LOAD_PAGE ||
		    !pattern_check(page, LOAD_PAGE, pattern_key(i, 0), "file",
				   i))
			wrong++;
	for (i = 0; i < ANON_PAGES; i++)
		if (!pattern_check(anon + i * LOAD_PAGE, LOAD_PAGE,
				   pattern_key(FILE_PAGES + i, 0), "anon", i))
			wrong++;
	printf("scene noio-data verified_mb=%lu wrong=%lu\n",
	       (FILE_PAGES + ANON_PAGES) >> 8, wrong);
}

static void try_each(void)
{
	unsigned long dirty, anon, left_dirty, left_anon;
	uint64_t out, swap, in, moved;
	int i;

	for (i = 0; i < blocks_nr(); i++) {
		count(blocks_id(i), &dirty, &anon);
		out = vmstat("pgpgout");
		swap = vmstat("pswpout");
		in = vmstat("pgpgin");
		moved = vmstat("pgmigrate_success");
		blocks_try(i, "noio");
		count(blocks_id(i), &left_dirty, &left_anon);
		printf("scene noio block=%lu dirty=%lu anon=%lu moved=%" PRIu64
		       " left=%lu pgpgout_kb=%" PRIu64 " pswpout=%" PRIu64
		       " pgpgin_kb=%" PRIu64 " nr_dirty=%" PRIu64 "\n",
		       blocks_id(i), dirty, anon,
		       vmstat("pgmigrate_success") - moved,
		       left_dirty + left_anon, vmstat("pgpgout") - out,
		       vmstat("pswpout") - swap, vmstat("pgpgin") - in,
		       vmstat("nr_dirty"));
	}
}

__attribute__((noreturn))
static void check(int node)
{
	static char page[LOAD_PAGE] __attribute__((aligned(8)));
	int fd = open(DATA, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	unsigned long i;
	char *anon;

	prefer_node(node);
	anon = mmap(NULL, ANON_PAGES * LOAD_PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || anon == MAP_FAILED)
		scene_die(SCENE_ENV, "%s: %s", DATA, strerror(errno));
	/* By turns: each block gets both */
	for (i = 0; i < FILE_PAGES; i++) {
		pattern_fill(page, LOAD_PAGE, pattern_key(i, 0));
		if (pwrite(fd, page, LOAD_PAGE, i * LOAD_PAGE) !=
		    (ssize_t)LOAD_PAGE)
			scene_die(SCENE_FAILED, "write %s: %s", DATA,
				  strerror(errno));
		pattern_fill(anon + i * LOAD_PAGE, LOAD_PAGE,
			     pattern_key(FILE_PAGES + i, 0));
	}
	try_each();
	verify(fd, anon);
	fflush(stdout);
	_exit(SCENE_OK);
}

/**
 * noio_check - move dirty and anonymous pages, and count what is written
 * @node: of the blocks under test
 */
void noio_check(int node)
{
	int status;
	size_t i;
	pid_t pid;

	sync();
	for (i = 0; i < NR_KNOBS; i++)
		turn(&knobs[i], true);
	journal("commit=3000");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		scene_die(SCENE_ENV, "fork: %s", strerror(errno));
	if (!pid)
		check(node);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	journal("commit=5");
	/* The other way round, for the same reason */
	for (i = NR_KNOBS; i--;)
		turn(&knobs[i], false);
	if (unlink(DATA) && errno != ENOENT)
		scene_die(SCENE_FAILED, "%s: %s", DATA, strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		scene_die(WIFEXITED(status) ? WEXITSTATUS(status) :
			  SCENE_FAILED, "no-I/O check ended by status %#x",
			  status);
}
