// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: where pages are not grouped by mobility any more, a free page has
 * to be on the list of the type of each of its blocks all the same.
 *
 *   |--Movable, held--|--Unmovable, held--|     while pages were grouped
 *   |--Movable, free-----Unmovable, free--|     one free page of two blocks
 *
 * The second block becomes free first. The page of the first one merges with
 * it, takes it to the list of its own type, and the block should follow.
 *
 * Grouping ends when the pages above the high marks are fewer than a block for
 * each type. No machine with so little memory boots; but the kernel decides
 * again when a zone gets its first or loses its last memory, and marks can be
 * set.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define ZONE		"Normal"
#define MIN_SHARE	45	/* percent of memory; the machine has more free */
#define MAX_SCALE	"3000"	/* the high mark is so much higher: 60 percent */
#define MAX_MAP		4096
#define LOW_MARKS_KB	"1024"	/* nearly all of a block can be had */

FIXTURE(grouping) {
	struct pb_saved auto_online;
	struct pb_saved min_free;
	struct pb_saved scale;
	struct pb_dimm dimm;	/* one block for the pages, one for its zone */
	int nid;
};

/* What the kernel has said last: 1 on, 0 off, -1 nothing. Closes the log */
static int grouping(int fd)
{
	char line[1024];
	int last = -1;

	while (pb_kmsg_next(fd, line, sizeof(line))) {
		if (strstr(line, "mobility grouping off"))
			last = 0;
		else if (strstr(line, "mobility grouping on"))
			last = 1;
	}
	close(fd);
	return last;
}

FIXTURE_SETUP(grouping)
{
	char percent[32];

	if (!pb_debug_has("alloc"))
		SKIP(return, "need pageblock_debug.ko, have none");
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	PB_NEED_EMPTY_NODE(self->nid);
	ASSERT_EQ(0, pb_save(&self->auto_online,
			     PB_SYS_MEMORY "/auto_online_blocks"));
	ASSERT_EQ(0, pb_save(&self->min_free, "/proc/sys/vm/min_free_kbytes"));
	ASSERT_EQ(0, pb_save(&self->scale,
			     "/proc/sys/vm/watermark_scale_factor"));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(self->auto_online.path, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "grouping", 2 * pb_block_mb(),
			       self->nid));
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[0], "online_kernel"));
	ASSERT_EQ(0, pb_write(self->min_free.path, LOW_MARKS_KB));
	snprintf(percent, sizeof(percent), "%ld",
		 pb_meminfo("MemTotal") * MIN_SHARE / 100);
	ASSERT_GT(pb_meminfo("MemFree"), atol(percent) * 3 / 2);
}

/* The block that comes last has its zone for itself again: grouping is on */
FIXTURE_TEARDOWN_PARENT(grouping)
{
	int log = pb_kmsg_open_end();

	pb_debug("alloc", "free");
	EXPECT_EQ(0, pb_restore(&self->min_free));
	EXPECT_EQ(0, pb_restore(&self->scale));
	/* Block 0 of a DIMM that has not come would be memory of the machine */
	if (self->dimm.nr == 2 &&
	    pb_block_is(&self->dimm.block[1], "state", "offline")) {
		EXPECT_EQ(0, pb_block_set(&self->dimm.block[1],
					  "online_movable"));
		EXPECT_EQ(1, grouping(log));
	} else {
		close(log);
	}
	/* Slab may keep the other block */
	pb_hotdel(&self->dimm);
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

/* Two blocks of one free page, of these types, with nothing free in them */
static unsigned long find_pair(const struct pb_block *block, long nr,
			       const char *one, const char *other)
{
	static struct pb_map map[MAX_MAP];
	int i, n;

	n = pb_map_read(block->start_pfn, block->end_pfn, map, MAX_MAP);
	for (i = 0; i + 1 < n; i++) {
		const struct pb_map *a = &map[i], *b = &map[i + 1];

		if (a->pfn % (2 * nr) || a->free || b->free)
			continue;
		if ((!strcmp(a->type, one) && !strcmp(b->type, other)) ||
		    (!strcmp(a->type, other) && !strcmp(b->type, one)))
			return a->pfn;
	}
	return 0;
}

/* Pages of two blocks, both of @type and wholly free */
static long free_pairs(const struct pb_block *block, unsigned long nr,
		       const char *type)
{
	static struct pb_map map[MAX_MAP];
	long pairs = 0;
	int i, n;

	n = pb_map_read(block->start_pfn, block->end_pfn, map, MAX_MAP);
	for (i = 0; i + 1 < n; i++) {
		const struct pb_map *a = &map[i], *b = &map[i + 1];

		pairs += !(a->pfn % (2 * nr)) && a->free == nr &&
			 b->free == nr && !strcmp(a->type, type) &&
			 !strcmp(b->type, type);
	}
	return pairs;
}

/* The marks are where no page is above them, when the last block of a zone goes */
static int stop_grouping(struct pb_block *last, const struct pb_saved *min_free,
			 const struct pb_saved *scale)
{
	char high[32];
	int ret;

	snprintf(high, sizeof(high), "%ld",
		 pb_meminfo("MemTotal") * MIN_SHARE / 100);
	ret = pb_write(scale->path, MAX_SCALE);
	if (!ret)
		ret = pb_write(min_free->path, high);
	if (!ret)
		ret = pb_block_set(last, "offline");
	pb_write(min_free->path, min_free->value);
	pb_write(scale->path, scale->value);
	return ret;
}

TEST_F_TIMEOUT(grouping, or_not_pages_are_on_the_list_of_their_blocks_type, 180)
{
	long nr = pb_pageblock_pages();
	static const char * const types[] = { "Movable", "Unmovable" };
	int order = __builtin_ctzl(nr), log, i;
	unsigned long pair;

	if (order + 1 > pb_max_order())
		SKIP(return, "need free pages of two blocks, have order %d at most",
		     pb_max_order());
	/*
	 * Until there is one block left, half of a page that was free before.
	 * The list of this CPU gets two at once, and is not to keep the other.
	 */
	for (i = 0; i < (long)(pb_block_pages() / nr); i++) {
		if (!pb_free_of_order(self->nid, ZONE, "Movable", order + 1) &&
		    pb_free_of_order(self->nid, ZONE, "Movable", order) == 1)
			break;
		ASSERT_EQ(0, pb_debug("alloc", "%d 1 movable node=%d", order,
				      self->nid));
		ASSERT_EQ(0, pb_debug("alloc", "drain"));
	}
	/*
	 * Those that have their type already go first. The list may get the last one
	 * beside one of these, and give it back, free, but with another type.
	 */
	while (pb_free_of_order(self->nid, ZONE, "Movable", order) ||
	       pb_free_of_order(self->nid, ZONE, "Unmovable", order)) {
		ASSERT_EQ(0, pb_debug("alloc", "%d 1 unmovable node=%d", order,
				      self->nid));
		ASSERT_EQ(0, pb_debug("alloc", "drain"));
	}
	pair = find_pair(&self->dimm.block[0], nr, "Movable", "Unmovable");
	ASSERT_NE(0UL, pair) TH_LOG("no pair of blocks of two types");

	/* Not before: what is movable would come from there */
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[1], "online_movable"));
	log = pb_kmsg_open_end();
	ASSERT_EQ(0, stop_grouping(&self->dimm.block[1], &self->min_free,
				   &self->scale));
	ASSERT_EQ(0, grouping(log))
		TH_LOG("the kernel groups by mobility as before");

	/* Those that cannot be moved are freed first, and go first when drained */
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(0, pb_debug("alloc", "drain"));
	ASSERT_EQ(2 * nr, pb_map_free(pair, pair + 2 * nr));
	for (i = 0; i < (int)(sizeof(types) / sizeof(types[0])); i++) {
		EXPECT_EQ(free_pairs(&self->dimm.block[0], nr, types[i]),
			  pb_free_of_order(self->nid, ZONE, types[i], order + 1))
			TH_LOG("free pages of two blocks, of %s and on its list",
			       types[i]);
	}
}

TEST_HARNESS_MAIN
