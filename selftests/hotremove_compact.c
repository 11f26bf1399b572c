// SPDX-License-Identifier: GPL-2.0
/*
 * While ordinary memory is short, evacuation moves pages out of it. Compaction
 * must not move others in: the two would go on forever. It searches for free
 * pages from the end of a zone, so that is where ordinary memory is here.
 *
 *   node:  |--HOTREMOVE: data, free--|--ordinary: the same, below its high mark--|
 *                    <- to here         and not -> to here
 *
 * Data and free pages take turns: pageblocks that are all free are no targets.
 * The ordinary block may stay behind when the kernel puts slab into it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define SCALE_FACTOR	"/proc/sys/vm/watermark_scale_factor"
#define SCALE_MAX	"3000"		/* high marks: over half of the memory */
#define FEW_PAGES	64L

FIXTURE(compact) {
	struct pb_saved auto_online, scale_factor;
	struct pb_dimm hot, ordinary;
	int nid;
};

FIXTURE_SETUP(compact)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	self->nid = pb_target_node();
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	ASSERT_EQ(0, pb_save(&self->scale_factor, SCALE_FACTOR));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->hot, "hot", pb_block_mb(), self->nid));
}

FIXTURE_TEARDOWN_PARENT(compact)
{
	int ret;

	EXPECT_EQ(0, pb_restore(&self->scale_factor));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	ret = pb_hotdel(&self->ordinary);
	if (ret)
		TH_LOG("the ordinary block stays: %s", strerror(-ret));
	EXPECT_EQ(0, pb_hotdel(&self->hot));
}

static long usable_free(int nid)
{
	pb_fold_counters();
	return pb_zoneinfo(nid, "Normal", "nr_free_pages") -
	       pb_zoneinfo(nid, "Normal", "nr_free_hotremove");
}

TEST_F_TIMEOUT(compact, does_not_fill_ordinary_memory_that_is_short, 300)
{
	long pages = pb_block_pages() * 3 / 2, usable, high, i, in_ordinary;
	long migrate_scanned, free_scanned;
	char path[96], *mem;

	snprintf(path, sizeof(path), PB_SYS_NODE "/node%d/compact", self->nid);
	if (access(path, W_OK))
		SKIP(return, "need CONFIG_COMPACTION, have no %s", path);
	ASSERT_ONLINE_HOTREMOVE(&self->hot.block[0]);
	ASSERT_EQ(0, pb_hotadd(&self->ordinary, "ord", pb_block_mb(),
			       self->nid));
	ASSERT_EQ(0, pb_block_set(&self->ordinary.block[0], "online_kernel"));
	ASSERT_LT(self->hot.block[0].start_pfn,
		  self->ordinary.block[0].start_pfn);

	/* More than the hotremove block can hold; then every other page goes */
	mem = pb_mmap_node(pages * getpagesize(), self->nid);
	ASSERT_NE(MAP_FAILED, mem);
	madvise(mem, pages * getpagesize(), MADV_NOHUGEPAGE);
	memset(mem, 1, pages * getpagesize());
	for (i = 0; i < pages; i += 2)
		madvise(mem + i * getpagesize(), getpagesize(), MADV_DONTNEED);
	pb_debug("alloc", "drain");
	ASSERT_GE(pb_pages_in(&self->hot.block[0], mem, pages),
		  pb_block_pages() * 4 / 10);
	in_ordinary = pb_pages_in(&self->ordinary.block[0], mem, pages);
	ASSERT_GE(in_ordinary, pb_block_pages() / 8);

	ASSERT_EQ(0, pb_write(SCALE_FACTOR, SCALE_MAX));
	usable = usable_free(self->nid);
	high = pb_zoneinfo(self->nid, "Normal", "high");
	ASSERT_LT(usable, high);
	ASSERT_GT(usable, pb_block_pages() / 8);
	ASSERT_GT(pb_zoneinfo(self->nid, "Normal", "nr_free_hotremove"),
		  pb_block_pages() / 4);

	migrate_scanned = pb_vmstat("compact_migrate_scanned");
	free_scanned = pb_vmstat("compact_free_scanned");
	ASSERT_EQ(0, pb_write(path, "1"));
	/* It had pages to move and has looked for room for them */
	EXPECT_GT(pb_vmstat("compact_migrate_scanned"), migrate_scanned);
	EXPECT_GT(pb_vmstat("compact_free_scanned"), free_scanned);
	EXPECT_LE(pb_pages_in(&self->ordinary.block[0], mem, pages),
		  in_ordinary + FEW_PAGES)
		TH_LOG("%ld of %ld pages were in the ordinary block before, %ld are now; usable free %ld of %ld, high mark %ld",
		       in_ordinary, pages / 2,
		       pb_pages_in(&self->ordinary.block[0], mem, pages),
		       usable_free(self->nid), usable, high);
	munmap(mem, pages * getpagesize());
}

TEST_HARNESS_MAIN
