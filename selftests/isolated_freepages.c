// SPDX-License-Identifier: GPL-2.0
/*
 * Regression tests: free pages and the isolation of pageblocks. Kernels up to
 * 3.18 had six problems here (a series by Joonsoo Kim, 2014, names them); each
 * has a test below and a note how the kernel avoids it today, or where not.
 *
 * They pass on any kernel that is right, with fixes of later bugs or without.
 *
 *   |--movable--|--ISOLATED: free pages on a list of their own--|--movable--|
 *
 * A free page of an isolated block is not counted as free, as nobody can have
 * it. So what isolation takes out of the counters, undo has to bring back, to
 * the page, whatever happens to the pages in between. What does not fail at
 * once stays as an error in NR_FREE_PAGES for good: all watermarks are wrong
 * by it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define ZONE	"Movable"

/* Left alone when the zone is emptied, so that nobody has to reclaim */
#define SPARE_PAGES	512L
#define MAX_USED	256

FIXTURE(freepages) {
	struct pb_saved auto_online, stat_interval;
	struct pb_dimm dimm;
	struct pb_block *mem;	/* the only memory of its zone */
	unsigned long nr;	/* pages of a pageblock */
	int order;		/* its order */
	int max_order;
	long guards;		/* beside a single page that is allocated */
	int nid;
};

FIXTURE_SETUP(freepages)
{
	long nr = pb_pageblock_pages();
	char interval[16];

	if (nr < 0 || pb_debug("alloc", "drain"))
		SKIP(return, "need pageblock_debug.ko with its triggers, have none");
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	self->nr = nr;
	self->order = __builtin_ctzl(nr);
	self->max_order = pb_max_order();
	ASSERT_GT(self->max_order, 0);
	self->nid = pb_target_node();
	ASSERT_EQ(0, pb_audit_count(""))
		TH_LOG("counters were off before this test");
	ASSERT_EQ(0, pb_save(&self->auto_online,
			     PB_SYS_MEMORY "/auto_online_blocks"));
	ASSERT_EQ(0, pb_save(&self->stat_interval,
			     "/proc/sys/vm/stat_interval"));
	PB_TEARDOWN_FROM_HERE();
	/* The per-CPU lists of a node without CPUs are drained at the third of them */
	snprintf(interval, sizeof(interval), "%d", 20 * pb_timeout_mul());
	ASSERT_EQ(0, pb_write(self->stat_interval.path, interval));
	ASSERT_EQ(0, pb_write(self->auto_online.path, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "freepages", pb_block_mb(),
			       self->nid));
	self->mem = &self->dimm.block[0];
	ASSERT_EQ(0, pb_block_set(self->mem, "online_movable"));
	ASSERT_EQ((long)pb_block_pages(),
		  pb_counter(self->nid, ZONE, "present"))
		TH_LOG("need a zone of this one memory block");
	/* Nothing on per-CPU lists: what is not free and not ours is guard */
	ASSERT_EQ(0, pb_debug("alloc", "0 1 movable node=%d", self->nid));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	self->guards = pb_block_pages() - 1 -
		       pb_map_free(self->mem->start_pfn, self->mem->end_pfn);
	ASSERT_GE(self->guards, 0);
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
}

FIXTURE_TEARDOWN_PARENT(freepages)
{
	pb_debug("alloc", "free");
	EXPECT_EQ(0, pb_undo_all());
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_EQ(0, pb_restore(&self->stat_interval));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

/* With guard pages no number of pages taken or free is what was asked for */
#define NEED_NO_GUARDS(self) do {					\
	if ((self)->guards)						\
		SKIP(return, "need debug_guardpage_minorder=0, have %ld guard pages beside each page", \
		     (self)->guards);					\
} while (0)

/* What isolation changes. @isolated is -ENOENT where it is not counted */
struct counts {
	long free;
	long free_blocks;
	long isolated;
	long nr_blocks;
};

static struct counts count(int nid)
{
	struct counts c = {
		.free = pb_counter(nid, ZONE, "free"),
		.free_blocks = pb_counter(nid, ZONE, "free_blocks"),
		.isolated = pb_counter(nid, ZONE, "isolated"),
		.nr_blocks = pb_counter(nid, ZONE, "nr_isolate_pageblock"),
	};

	return c;
}

/* @before, with @pages in @blocks isolated; @whole in blocks without a hole */
#define EXPECT_ISOLATED(self, before, pages, whole, blocks) do {	\
	struct counts __now = count((self)->nid);			\
									\
	EXPECT_EQ((before)->free - (pages), __now.free);		\
	EXPECT_EQ((before)->free_blocks - (whole), __now.free_blocks);	\
	EXPECT_EQ((before)->nr_blocks + (blocks), __now.nr_blocks);	\
	if ((before)->isolated >= 0)					\
		EXPECT_EQ((before)->isolated + (pages), __now.isolated); \
	EXPECT_EQ(0, pb_audit_count(""));				\
} while (0)

#define EXPECT_SAME(self, before)	EXPECT_ISOLATED(self, before, 0, 0, 0)

/* The pageblocks that have less than all of their pages free */
static int used_blocks(const struct pb_block *mem, struct pb_map *used)
{
	static struct pb_map map[65536];
	int nr, i, n = 0;

	nr = pb_map_read(mem->start_pfn, mem->end_pfn, map, 65536);
	for (i = 0; i < nr && n < MAX_USED; i++)
		if (map[i].free < map[i].total)
			used[n++] = map[i];
	return nr < 0 ? nr : n;
}

/* All free pages on the list of isolated ones */
static long isolated_list_pages(int nid, int max_order)
{
	long nr, pages = 0;
	int order;

	for (order = 0; order <= max_order; order++) {
		nr = pb_free_of_order(nid, ZONE, "Isolate", order);
		if (nr < 0)
			return nr;
		pages += nr << order;
	}
	return pages;
}

/* Ask for nearly all that is counted as free, and give it back */
#define ASSERT_TAKE_ALL_BUT(self, spare) do {				\
	long __free = pb_counter((self)->nid, ZONE, "free");		\
									\
	ASSERT_GT(__free, 2 * (spare));					\
	ASSERT_EQ(0, pb_debug("alloc", "0 %ld movable node=%d",		\
			      __free - (spare), (self)->nid));		\
} while (0)

/*
 * The block is isolated and free, and nobody gets a page of it. Afterwards it
 * is not isolated any more, and nothing shows that it was.
 */
#define CHECK_OUT_OF_REACH(self, start) do {				\
	unsigned long __start = (start), __end = __start + (self)->nr;	\
									\
	EXPECT_EQ(0, pb_audit_count(""))				\
		TH_LOG("free pages are not on the list of their block"); \
	ASSERT_TAKE_ALL_BUT(self, SPARE_PAGES);				\
	EXPECT_EQ((long)(self)->nr, pb_map_free(__start, __end))	\
		TH_LOG("pages were handed out of an isolated block");	\
	ASSERT_EQ(0, pb_debug("alloc", "free"));			\
	ASSERT_EQ(0, pb_debug_range("undo", __start, __end));		\
	ASSERT_EQ(0, pb_debug("alloc", "drain"));			\
	EXPECT_EQ(0, pb_audit_count(""))				\
		TH_LOG("a counter is off for good");			\
} while (0)

/*
 * 2014: a guard page (debug_guardpage_minorder) that merged with a page freed
 * into an isolated block was counted as free.
 *
 * Today: whoever merges with a guard page counts it by the present type of the
 * block, read under zone->lock, as the page itself. What remains is a guard
 * page whose neighbour never comes back, as a poisoned page does not: then the
 * block never becomes free as a whole.
 */
TEST_F_TIMEOUT(freepages, guard_pages_of_an_isolated_block_are_not_counted_as_free, 300)
{
	struct pb_map used[MAX_USED];
	struct counts empty, before;
	const long pages = 8;

	if (!self->guards)
		SKIP(return, "need CONFIG_DEBUG_PAGEALLOC, debug_pagealloc=on and debug_guardpage_minorder= at boot, have no guard pages");
	empty = count(self->nid);
	ASSERT_EQ(0, pb_debug("alloc", "0 %ld movable node=%d", pages,
			      self->nid));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	ASSERT_EQ(1, used_blocks(self->mem, used));
	ASSERT_LT(used->free + pages, self->nr);
	before = count(self->nid);
	ASSERT_EQ(empty.free - (long)(self->nr - used->free), before.free);

	ASSERT_EQ(0, pb_debug_range("isolate", used->pfn,
				    used->pfn + self->nr));
	EXPECT_ISOLATED(self, &before, (long)used->free, 0, 1);
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	/* The guards have merged, and nothing of it was counted as free */
	ASSERT_EQ((long)self->nr, pb_map_free(used->pfn, used->pfn + self->nr));
	EXPECT_ISOLATED(self, &empty, (long)self->nr, (long)self->nr, 1);
	ASSERT_EQ(0, pb_debug_range("undo", used->pfn, used->pfn + self->nr));
	EXPECT_SAME(self, &empty);
}

/*
 * 2014: a page remembered the type of its block when it was put on a per-CPU
 * list. When the block was isolated meanwhile, it went to the list of that
 * type, was counted as free, and could be allocated.
 *
 * Today: free_pcppages_bulk() reads the type again, under zone->lock. One read
 * serves one page, so it takes that no page is larger than a block: with small
 * pageblocks a huge page is, see isolated_pieces.
 */
TEST_F_TIMEOUT(freepages, pages_on_per_cpu_lists_follow_the_isolation_of_their_block, 300)
{
	struct pb_map used[MAX_USED];
	struct counts empty, before;
	long out;

	NEED_NO_GUARDS(self);
	empty = count(self->nid);
	ASSERT_EQ(0, pb_debug("alloc", "0 8 movable node=%d", self->nid));
	ASSERT_EQ(1, used_blocks(self->mem, used));
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	/* Freed, and yet not free */
	out = self->nr - pb_map_free(used->pfn, used->pfn + self->nr);
	ASSERT_GT(out, 0) TH_LOG("no page is on a per-CPU list");
	before = count(self->nid);
	ASSERT_EQ(empty.free - out, before.free);

	ASSERT_EQ(0, pb_debug_range("isolate", used->pfn,
				    used->pfn + self->nr));
	ASSERT_EQ(self->nr - out,
		  pb_map_free(used->pfn, used->pfn + self->nr));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	ASSERT_EQ((long)self->nr,
		  pb_map_free(used->pfn, used->pfn + self->nr));
	/* They came back isolated, as the rest of their block */
	EXPECT_ISOLATED(self, &empty, (long)self->nr, (long)self->nr, 1);
	CHECK_OUT_OF_REACH(self, used->pfn);
	EXPECT_SAME(self, &empty);
}

/*
 * 2014: a page freed while its block was isolated could end on the list of
 * isolated pages when the block was so no more. There it stayed, free and out
 * of reach, until somebody isolated the block again.
 *
 * Today: the type is read under zone->lock for each page that gets on a list,
 * and the end of isolation moves all that is on a list, under the same lock.
 */
TEST_F_TIMEOUT(freepages, no_free_page_stays_isolated_when_its_block_is_not, 300)
{
	struct pb_map used[MAX_USED];
	struct counts empty;
	unsigned long start, end;
	long out;

	NEED_NO_GUARDS(self);
	if (pb_owner_on())
		SKIP(return, "need page_owner=off, have it on: then to read /proc/pagetypeinfo drains per-CPU lists");
	empty = count(self->nid);
	/* Some on per-CPU lists all the time, some freed while isolated */
	ASSERT_EQ(0, pb_debug("alloc", "0 16 movable node=%d", self->nid));
	ASSERT_EQ(1, used_blocks(self->mem, used));
	start = used->pfn;
	end = start + self->nr;
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(0, pb_debug("alloc", "0 4 movable node=%d", self->nid));
	ASSERT_EQ(0, pb_debug_range("isolate", start, end));
	out = self->nr - pb_map_free(start, end);
	ASSERT_GT(out, 4) TH_LOG("no page is on a per-CPU list");
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(self->nr - out + 4, pb_map_free(start, end))
		TH_LOG("pages of an isolated block are on a per-CPU list");
	ASSERT_EQ(self->nr - out + 4,
		  isolated_list_pages(self->nid, self->max_order));

	ASSERT_EQ(0, pb_debug_range("undo", start, end));
	EXPECT_EQ(0, isolated_list_pages(self->nid, self->max_order));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	EXPECT_EQ(0, isolated_list_pages(self->nid, self->max_order));
	EXPECT_SAME(self, &empty);
	/* Not only counted: they are to be had */
	ASSERT_TAKE_ALL_BUT(self, (long)self->nr / 2);
	EXPECT_LE(pb_map_free(start, end), (long)self->nr / 2);
	ASSERT_EQ(0, pb_debug("alloc", "free"));
}

/* Frees pages of the node all the time, some from each of many blocks */
static pid_t start_freer(int nid, size_t bytes)
{
	const size_t piece = 64 * getpagesize();
	pid_t parent = getpid(), pid;
	size_t at;
	char *p;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	pb_die_with(parent);
	pb_prefer_node(nid);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		_exit(1);
	madvise(p, bytes, MADV_NOHUGEPAGE);
	for (at = 0;; at = (at + piece) % bytes) {
		if (madvise(p + at, piece, MADV_DONTNEED))
			_exit(1);
		memset(p + at, 1, piece);
	}
}

/*
 * The same as a race: pages are freed, to per-CPU lists and past them, at the
 * very moment at which isolation begins or ends. There are so many of them that
 * there are still some in isolated blocks when the isolation ends. What stayed
 * behind once is counted wrong from the next round on.
 *
 * PB_RACE_SECONDS is how long it goes on (default 10).
 */
TEST_F_TIMEOUT(freepages, no_free_page_stays_isolated_after_a_race, 300)
{
	const size_t bytes = pb_block_bytes() / 4;
	unsigned long start = self->mem->start_pfn;
	unsigned long end = start + pb_block_pages() / 4 * 3;
	long freed = 0, was, now;
	struct counts empty;
	pid_t freer[2];
	int round, i;
	double stop;

	NEED_NO_GUARDS(self);
	end -= end % self->nr;
	empty = count(self->nid);
	for (i = 0; i < 2; i++) {
		freer[i] = start_freer(self->nid, bytes);
		ASSERT_GT(freer[i], 0);
	}
	pb_msleep(200);
	stop = pb_now() + pb_env("PB_RACE_SECONDS", 10) * pb_timeout_mul();
	for (round = 0; pb_now() < stop; round++) {
		ASSERT_EQ(0, pb_debug_range("isolate", start, end));
		/* Looking takes much longer than a round */
		was = round % 32 ? 0 : pb_map_free(start, end);
		if (round % 2)
			pb_msleep(1);
		now = round % 32 ? 0 : pb_map_free(start, end);
		freed += now - was;
		EXPECT_GE(now, was)
			TH_LOG("pages were handed out of isolated blocks");
		ASSERT_EQ(0, pb_debug_range("undo", start, end));
		if (round % 4 < 2)
			pb_msleep(1);
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, waitpid(freer[i], NULL, WNOHANG));
		kill(freer[i], SIGKILL);
		waitpid(freer[i], NULL, 0);
	}
	TH_LOG("%d rounds, %ld pages freed into isolated blocks", round, freed);
	ASSERT_GT(round, 10);
	ASSERT_GT(freed, 0);
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	EXPECT_EQ(0, isolated_list_pages(self->nid, self->max_order));
	EXPECT_SAME(self, &empty);
}

/*
 * 2014: a page of an isolated block could end on any other list, for its type
 * was read before zone->lock was taken, or it went by the type of another
 * block.
 *
 * Today: free_one_page() goes by the type of each block that the page has, and
 * reads it under zone->lock. 7.3.4 does not where a page is put back that was
 * taken off a list without being allocated (page reporting, the end of
 * isolation), see isolated_pieces.
 */
TEST_F_TIMEOUT(freepages, pages_freed_into_an_isolated_block_go_to_its_list, 300)
{
	struct pb_map used[MAX_USED];
	struct counts empty;
	long pages, blocks = 0;
	unsigned long skip;
	int nr, i;

	NEED_NO_GUARDS(self);
	empty = count(self->nid);
	/*
	 * The first page has two blocks where that can be. It is no compound
	 * page, so isolation may begin in the middle of it.
	 */
	ASSERT_EQ(0, pb_debug("alloc", "%d 1 movable node=%d nocomp",
			      self->order < self->max_order ?
			      self->order + 1 : self->order, self->nid));
	nr = used_blocks(self->mem, used);
	ASSERT_EQ(self->order < self->max_order ? 2 : 1, nr);
	skip = nr == 2 ? used[0].pfn : 0;
	ASSERT_EQ(0, pb_debug("alloc", "%d 1 movable node=%d", self->order,
			      self->nid));
	ASSERT_EQ(0, pb_debug("alloc", "4 3 movable node=%d", self->nid));
	ASSERT_EQ(0, pb_debug("alloc", "3 3 movable node=%d", self->nid));
	ASSERT_EQ(0, pb_debug("alloc", "0 5 movable node=%d", self->nid));
	nr = used_blocks(self->mem, used);
	ASSERT_GE(nr, 3);
	for (i = 0; i < nr; i++) {
		if (used[i].pfn == skip)
			continue;
		ASSERT_EQ(0, pb_debug_range("isolate", used[i].pfn,
					    used[i].pfn + self->nr));
		blocks++;
	}
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));

	pages = blocks * self->nr;
	EXPECT_EQ(pages, isolated_list_pages(self->nid, self->max_order));
	EXPECT_ISOLATED(self, &empty, pages, pages, blocks);
	ASSERT_TAKE_ALL_BUT(self, SPARE_PAGES);
	for (i = 0; i < nr; i++) {
		if (used[i].pfn != skip)
			EXPECT_EQ((long)self->nr,
				  pb_map_free(used[i].pfn,
					      used[i].pfn + self->nr))
				TH_LOG("pages were handed out of an isolated block");
	}
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(0, pb_undo_all());
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	EXPECT_SAME(self, &empty);
}

/* The pfns of memory that is all present */
static int read_pfns(const char *mem, long pages, uint64_t *pfn)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	ssize_t want = pages * sizeof(*pfn), got;
	long i;

	if (fd < 0)
		return -errno;
	got = pread(fd, pfn, want,
		    (unsigned long)mem / getpagesize() * sizeof(*pfn));
	close(fd);
	if (got != want)
		return -EIO;
	for (i = 0; i < pages; i++) {
		if (!(pfn[i] >> 63))
			return -ENODATA;
		pfn[i] &= (1ULL << 55) - 1;
	}
	return 0;
}

/*
 * Make a block that has one free page of each order below its own:
 *
 *   |x|0| 1 |   2   |       3       | ...          x: the only page in use
 *
 * Returns its first pfn, 0 when there is no block to do it in.
 */
static unsigned long make_one_of_each(char *mem, long pages, unsigned long nr)
{
	uint64_t *pfn = calloc(pages, sizeof(*pfn));
	unsigned long start = 0;
	long i, in_block;

	if (!pfn || read_pfns(mem, pages, pfn))
		goto out;
	for (start = pfn[pages / 2] / nr * nr, in_block = i = 0; i < pages; i++)
		in_block += pfn[i] / nr * nr == start;
	if (in_block != (long)nr) {
		start = 0;
		goto out;
	}
	for (i = 0; i < pages; i++)
		if (pfn[i] > start && pfn[i] < start + nr &&
		    madvise(mem + i * getpagesize(), getpagesize(),
			    MADV_DONTNEED))
			start = 0;
out:
	free(pfn);
	return start;
}

/*
 * 2014: isolation and its end counted the pages that they had looked at, not
 * those that they had moved from list to list.
 *
 * Today: each page is accounted in move_to_free_list(), together with its way
 * from list to list.
 */
TEST_F_TIMEOUT(freepages, as_many_pages_are_counted_as_are_moved, 300)
{
	const long pages = 4 * self->nr, size = getpagesize();
	struct pb_map used[MAX_USED];
	unsigned long start, whole;
	struct counts before;
	int round, order, nr;
	char *mem;

	NEED_NO_GUARDS(self);
	mem = pb_mmap_node(pages * size, self->nid);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, madvise(mem, pages * size, MADV_NOHUGEPAGE));
	memset(mem, 1, pages * size);
	start = make_one_of_each(mem, pages, self->nr);
	ASSERT_NE(0, start) TH_LOG("no pageblock with nothing but our pages");
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	ASSERT_EQ((long)self->nr - 1, pb_map_free(start, start + self->nr));
	/* One that is free as a whole, part of a larger free page or not */
	nr = used_blocks(self->mem, used);
	ASSERT_GT(nr, 0);
	whole = used[nr - 1].pfn + 3 * self->nr;
	if (whole >= self->mem->end_pfn)
		whole = used[0].pfn - 3 * self->nr;
	ASSERT_TRUE(pb_block_has(self->mem, whole));
	ASSERT_EQ((long)self->nr, pb_map_free(whole, whole + self->nr));

	before = count(self->nid);
	ASSERT_EQ(0, before.nr_blocks);
	for (round = 0; round < 10; round++) {
		ASSERT_EQ(0, pb_debug_range("isolate", start,
					    start + self->nr));
		EXPECT_ISOLATED(self, &before, (long)self->nr - 1, 0, 1);
		for (order = 0; order < self->order; order++)
			EXPECT_EQ(1, pb_free_of_order(self->nid, ZONE,
						      "Isolate", order));
		ASSERT_EQ(0, pb_debug_range("isolate", whole,
					    whole + self->nr));
		EXPECT_ISOLATED(self, &before, 2 * (long)self->nr - 1,
				(long)self->nr, 2);
		ASSERT_EQ(0, pb_debug_range("undo", start, start + self->nr));
		EXPECT_ISOLATED(self, &before, (long)self->nr,
				(long)self->nr, 1);
		ASSERT_EQ(0, pb_debug_range("undo", whole, whole + self->nr));
		EXPECT_SAME(self, &before);
	}
	ASSERT_EQ(0, munmap(mem, pages * size));
}

#define EXPECT_LARGE(self, type, of_block, of_two) do {			\
	EXPECT_EQ(of_block, pb_free_of_order((self)->nid, ZONE, type,	\
					     (self)->order));		\
	EXPECT_EQ(of_two, pb_free_of_order((self)->nid, ZONE, type,	\
					   (self)->order + 1));		\
	EXPECT_EQ(0, pb_audit_count(""));				\
} while (0)

/*
 * 2014: a free page of an isolated block merged with its buddy in a block that
 * was not isolated; all of it was on one list then, half of it on the wrong
 * one.
 *
 *   |--block 0: free--|--block 1: free, ISOLATED--|    no page of both orders
 *
 * Today: __free_one_page() looks at the type of a buddy of pageblock_order and
 * more before it merges. Such pages enter all the same where they are put back
 * as a whole, see isolated_pieces.
 */
TEST_F_TIMEOUT(freepages, isolated_and_other_free_pages_do_not_merge, 300)
{
	struct pb_map used[MAX_USED];
	unsigned long start, middle;
	long large;

	NEED_NO_GUARDS(self);
	if (self->order >= self->max_order)
		SKIP(return, "need free pages larger than a pageblock of order %d, have order %d",
		     self->order, self->max_order);

	large = pb_free_of_order(self->nid, ZONE, "Movable", self->order + 1);
	ASSERT_GT(large, 1);
	ASSERT_EQ(0, pb_free_of_order(self->nid, ZONE, "Movable", self->order));
	ASSERT_EQ(0, pb_debug("alloc", "%d 1 movable node=%d nocomp",
			      self->order + 1, self->nid));
	ASSERT_EQ(2, used_blocks(self->mem, used));
	start = used[0].pfn;
	middle = used[1].pfn;
	ASSERT_EQ(start + self->nr, middle);

	/* One page, freed over the border */
	ASSERT_EQ(0, pb_debug_range("isolate", middle, middle + self->nr));
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	EXPECT_LARGE(self, "Movable", 1, large - 1);
	EXPECT_LARGE(self, "Isolate", 1, 0);

	/* Pieces that merge up to the border, with a free buddy beyond it */
	ASSERT_EQ(0, pb_debug("alloc", "0 4 movable node=%d", self->nid));
	ASSERT_LT(pb_map_free(start, middle), (long)self->nr);
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	ASSERT_EQ((long)self->nr, pb_map_free(start, middle));
	EXPECT_LARGE(self, "Movable", 1, large - 1);
	EXPECT_LARGE(self, "Isolate", 1, 0);

	/* Without the border they do merge */
	ASSERT_EQ(0, pb_debug_range("undo", middle, middle + self->nr));
	EXPECT_LARGE(self, "Movable", 0, large);
	EXPECT_LARGE(self, "Isolate", 0, 0);

	/* The pieces are on the isolated side this time */
	ASSERT_EQ(0, pb_debug("alloc", "0 4 movable node=%d", self->nid));
	ASSERT_EQ(1, used_blocks(self->mem, used));
	ASSERT_EQ(0, pb_debug_range("isolate", used->pfn,
				    used->pfn + self->nr));
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	ASSERT_EQ((long)self->nr, pb_map_free(used->pfn, used->pfn + self->nr));
	EXPECT_LARGE(self, "Movable", 1, large - 1);
	EXPECT_LARGE(self, "Isolate", 1, 0);
	ASSERT_EQ(0, pb_debug_range("undo", used->pfn, used->pfn + self->nr));
	EXPECT_LARGE(self, "Movable", 0, large);
}

TEST_HARNESS_MAIN
