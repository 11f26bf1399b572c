// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: compaction must not move pages into isolated pageblocks, not
 * even at its highest priority.
 *
 *   |--half used--| ... |--half used, ISOLATED--| ... (to the end)
 *     ^ migration scanner                   free scanner ^
 *
 * The free scanner comes from the end of the zone and, at that priority, does
 * not care for the type of a block. Pages that it moves to an isolated block
 * have to be moved again by whoever wants the block empty, who may find more
 * of them in each round.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define ZONE	"Movable"
#define PROACTIVE	"/proc/sys/vm/compaction_proactiveness"

FIXTURE(target) {
	struct pb_saved auto_online, proactive;
	struct pb_dimm dimm;
	struct pb_block *mem;	/* the only memory of its zone */
	unsigned long nr;	/* pages of a pageblock */
	int order;		/* its order */
	int nid;
};

FIXTURE_SETUP(target)
{
	long nr = pb_pageblock_pages();

	if (nr < 0 || !pb_debug_has("compact"))
		SKIP(return, "need pageblock_debug.ko with its triggers, have none");
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	self->nr = nr;
	self->order = __builtin_ctzl(nr);
	self->nid = pb_target_node();
	ASSERT_EQ(0, pb_save(&self->auto_online,
			     PB_SYS_MEMORY "/auto_online_blocks"));
	ASSERT_EQ(0, pb_save(&self->proactive, PROACTIVE));
	PB_TEARDOWN_FROM_HERE();
	/* kcompactd must not make a free block first, at a lower priority */
	ASSERT_EQ(0, pb_write(PROACTIVE, "0"));
	ASSERT_EQ(0, pb_write(self->auto_online.path, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "target", pb_block_mb(),
			       self->nid));
	self->mem = &self->dimm.block[0];
	ASSERT_EQ(0, pb_block_set(self->mem, "online_movable"));
	ASSERT_EQ((long)pb_block_pages(),
		  pb_counter(self->nid, ZONE, "present"))
		TH_LOG("need a zone of this one memory block");
}

FIXTURE_TEARDOWN_PARENT(target)
{
	EXPECT_EQ(0, pb_undo_all());
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_EQ(0, pb_restore(&self->proactive));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

/* Gives back each page of @mem that has an odd pfn; returns how many */
static long punch_holes(char *mem, long pages)
{
	const long size = getpagesize();
	uint64_t *entry;
	long i, nr = 0;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY);
	if (fd < 0)
		return -errno;
	entry = calloc(pages, sizeof(*entry));
	if (!entry || pread(fd, entry, pages * sizeof(*entry),
			    (unsigned long)mem / size * sizeof(*entry)) !=
	    (ssize_t)(pages * sizeof(*entry))) {
		free(entry);
		close(fd);
		return -EIO;
	}
	close(fd);
	for (i = 0; i < pages; i++) {
		if (!(entry[i] >> 63) || !(entry[i] & 1))
			continue;
		if (madvise(mem + i * size, size, MADV_DONTNEED))
			break;
		nr++;
	}
	free(entry);
	return nr;
}

/* Free pages of a pageblock and more that are not isolated */
static long free_blocks(int nid)
{
	return pb_counter(nid, ZONE, "free_blocks");
}

TEST_F_TIMEOUT(target, of_compaction_is_no_isolated_block, 300)
{
	unsigned long start, end = self->mem->end_pfn;
	long pages, before, after;
	char *mem;
	int ret;

	/* Full but for less than a pageblock, then every second page free */
	pages = pb_counter(self->nid, ZONE, "free") - self->nr * 3 / 4;
	ASSERT_GT((long)self->nr * 3 / 4,
		  2 * pb_counter(self->nid, ZONE, "min"));
	mem = pb_mmap_node(pages * getpagesize(), self->nid);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, madvise(mem, pages * getpagesize(), MADV_NOHUGEPAGE));
	memset(mem, 1, pages * getpagesize());
	ASSERT_GT(punch_holes(mem, pages), pages / 4);
	ASSERT_EQ(0, free_blocks(self->nid))
		TH_LOG("nothing is left to compact for");

	/* The last three quarters: the free scanner starts in the last half */
	start = self->mem->start_pfn + pb_block_pages() / 4;
	start -= start % self->nr;
	ASSERT_EQ(0, pb_debug_range("isolate", start, end));
	before = pb_map_free(start, end);
	ASSERT_GT(before, (long)(end - start) / 4);
	ASSERT_EQ(0, free_blocks(self->nid))
		TH_LOG("somebody else has compacted");

	ret = pb_debug("compact", "%d node=%d", self->order, self->nid);
	after = pb_map_free(start, end);
	TH_LOG("compaction: %s; free pages of isolated blocks %ld, then %ld",
	       ret ? strerror(-ret) : "made a free block", before, after);
	/* Precondition: it did look for free pages and had some to find */
	EXPECT_EQ(0, ret);
	EXPECT_GE(after, before)
		TH_LOG("pages were moved into isolated blocks");
	munmap(mem, pages * getpagesize());
}

TEST_HARNESS_MAIN
