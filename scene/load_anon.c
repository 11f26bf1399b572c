// SPDX-License-Identifier: GPL-2.0
/*
 * Load: anonymous memory. Segments of 2 MiB are freed and filled again,
 * rewritten in place (writes that meet pages under migration), or only read.
 * Each fourth segment asks for huge pages, the others refuse them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "load.h"

#define SEGMENT		(2UL << 20)
#define HUGE_EACH	4
#define PICKS		8
#define NAP_US		10000

static char *base;
static unsigned long nr_segments;
static uint64_t *generation;

static void fill(unsigned long seg)
{
	char *p = base + seg * SEGMENT;
	unsigned long i;

	generation[seg]++;
	for (i = 0; i < SEGMENT; i += LOAD_PAGE)
		pattern_fill(p + i, LOAD_PAGE,
			     pattern_key((uintptr_t)p + i, generation[seg]));
}

static void check(unsigned long seg)
{
	char *p = base + seg * SEGMENT;
	unsigned long i;

	for (i = 0; i < SEGMENT; i += LOAD_PAGE)
		pattern_check(p + i, LOAD_PAGE,
			      pattern_key((uintptr_t)p + i, generation[seg]),
			      "page", (uintptr_t)p + i);
}

static void drop(unsigned long seg)
{
	if (madvise(base + seg * SEGMENT, SEGMENT, MADV_DONTNEED))
		load_die("free segment %lu: %s", seg, strerror(errno));
}

/* Does the segment begin on another node than the one that is preferred? */
static bool elsewhere(unsigned long seg)
{
	void *page = base + seg * SEGMENT;
	int node = -1;

	if (load_node() < 0)
		return false;
	if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &node, 0))
		load_die("node of segment %lu: %s", seg, strerror(errno));
	return node != load_node();
}

/* Memory that lies elsewhere comes first: it is what refills the node */
static unsigned long pick(void)
{
	unsigned long seg = load_random(nr_segments);
	int i;

	for (i = 0; i < PICKS && !elsewhere(seg); i++)
		seg = load_random(nr_segments);
	/* All is where it should be: leave the CPU to the others */
	if (i == PICKS && load_hurried())
		usleep(NAP_US);
	return seg;
}

static void set_up(unsigned long mb)
{
	size_t len = (mb << 20) + SEGMENT;
	unsigned long seg;

	nr_segments = (mb << 20) / SEGMENT;
	generation = calloc(nr_segments, sizeof(*generation));
	base = mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!generation || base == MAP_FAILED)
		load_die("%lu MB of memory: %s", mb, strerror(errno));
	base = (char *)(((uintptr_t)base + SEGMENT - 1) & ~(SEGMENT - 1));
	for (seg = 0; seg < nr_segments; seg++) {
		/* A kernel without THP refuses both; all pages are small then */
		if (madvise(base + seg * SEGMENT, SEGMENT, seg % HUGE_EACH ?
			    MADV_NOHUGEPAGE : MADV_HUGEPAGE) && errno != EINVAL)
			load_die("huge page advice: %s", strerror(errno));
		fill(seg);
	}
}

int main(int argc, char **argv)
{
	unsigned long seg, what;

	load_init(argc, argv, "MB", 1);
	set_up(load_arg(0, "MB", 2, 1UL << 20));
	load_ready();
	while (load_running()) {
		seg = pick();
		check(seg);
		what = elsewhere(seg) ? 0 : load_random(4);
		if (what == 0)
			drop(seg);
		if (what <= 1)
			fill(seg);
		load_op();
		load_pace();
	}
	for (seg = 0; seg < nr_segments; seg++)
		check(seg);
	return load_end();
}
