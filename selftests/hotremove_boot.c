// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is hotremove from boot on: hotremove=srat,SIZE@ADDR[,...]
 *
 *   |--boot data, ordinary--|--HOTREMOVE: nothing but free memory at boot--|
 *
 * What the kernel was booted with says what to expect, see selftests/vm. These
 * tests skip when it was booted without hotremove=, and FAIL on a kernel that
 * does not know it. Sizes and addresses are understood in MB only, and sections
 * are taken to be as large as memory blocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define KPF_RESERVED	(1ULL << 32)
#define MAX_PIECES	16

struct range {
	unsigned long start;	/* MB, whole memory blocks */
	unsigned long end;
};

FIXTURE(boot) {
	char cmdline[2048];
	char *piece[MAX_PIECES];
	int nr_pieces;
	struct range range[MAX_PIECES];
	int nr_ranges;
	struct pb_block block[PB_SCAN_BLOCKS];
	int nr_blocks;
};

/* Is there a line in the kernel log with all these words in it? */
static bool log_says(const char *what, const char *and)
{
	char line[1024];
	bool found = false;
	int fd;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return false;
	while (!found && pb_kmsg_next(fd, line, sizeof(line)))
		found = strstr(line, "hotremove: ") && strstr(line, what) &&
			strstr(line, and);
	close(fd);
	return found;
}

static bool piece_is_range(const char *piece, unsigned long *size, unsigned long *addr)
{
	int end = 0;

	return sscanf(piece, "%luM@%luM%n", size, addr, &end) == 2 && end && !piece[end];
}

/* The memory blocks that pieces of hotremove= stand for */
static void understand(FIXTURE_DATA(boot) *self)
{
	const unsigned long mb = pb_block_mb();
	unsigned long size, addr, total = (unsigned long)self->nr_blocks * mb;
	struct range *range;
	int i;

	for (i = 0; i < self->nr_pieces; i++) {
		/* The second node of scripts/topo/srat-hot.args */
		if (!strcmp(self->piece[i], "srat") && pb_env("PB_BOOT_SRAT", 0))
			self->range[self->nr_ranges++] = (struct range){ 4096, 5120 };
		if (!piece_is_range(self->piece[i], &size, &addr))
			continue;
		range = &self->range[self->nr_ranges];
		range->start = (addr + mb - 1) / mb * mb;
		range->end = (addr + size) / mb * mb;
		/* Ranges that leave nothing to the kernel do not count */
		if (range->start < range->end && size < total)
			self->nr_ranges++;
	}
}

static bool in_ranges(FIXTURE_DATA(boot) *self, const struct pb_block *block)
{
	unsigned long mb = pb_block_mb() * (unsigned long)block->id;
	int i;

	for (i = 0; i < self->nr_ranges; i++)
		if (mb >= self->range[i].start && mb < self->range[i].end)
			return true;
	return false;
}

FIXTURE_SETUP(boot)
{
	char *text, *piece;
	int fd;
	ssize_t len;

	fd = open("/proc/cmdline", O_RDONLY);
	ASSERT_LE(0, fd);
	len = read(fd, self->cmdline, sizeof(self->cmdline) - 1);
	close(fd);
	ASSERT_LT(0, len);
	text = strstr(self->cmdline, " hotremove=");
	if (!text)
		SKIP(return, "need hotremove=SIZE@ADDR on the kernel command line, have none");
	text += strlen(" hotremove=");
	text[strcspn(text, " \n")] = '\0';
	while ((piece = strsep(&text, ",")) && self->nr_pieces < MAX_PIECES)
		self->piece[self->nr_pieces++] = piece;
	self->nr_blocks = pb_all_blocks(self->block, PB_SCAN_BLOCKS);
	ASSERT_LT(0, self->nr_blocks);
	understand(self);
	if (!self->nr_ranges)
		SKIP(return, "need a range of memory blocks in hotremove=, have none");
}

FIXTURE_TEARDOWN(boot)
{
}

TEST_F(boot, the_blocks_of_the_ranges_are_hotremove_and_no_others)
{
	long want = 0, have = 0, kb = pb_meminfo("HotremoveTotal");
	int i, j, nr, mixed = 0;
	char type[32];
	struct pb_map *map;

	map = calloc(pb_block_pages(), sizeof(*map));
	ASSERT_NE(NULL, map);
	ASSERT_LE(0, kb) TH_LOG("this kernel lacks hotremove memory");
	for (i = 0; i < self->nr_blocks; i++) {
		ASSERT_EQ(0, pb_block_get(&self->block[i], "online_type", type, sizeof(type)));
		nr = pb_map_read(self->block[i].start_pfn, self->block[i].end_pfn,
				 map, pb_block_pages());
		ASSERT_LT(0, nr);
		for (j = 0; j < nr; j++)
			if (!strcmp(map[j].type, "Hotremove"))
				have += map[j].total;
		if (!in_ranges(self, &self->block[i])) {
			EXPECT_STRNE("online_hotremove", type)
				TH_LOG("memory%u", self->block[i].id);
			continue;
		}
		want += pb_block_pages();
		if (strcmp(type, "online_hotremove")) {
			mixed++;
			TH_LOG("memory%u has boot data: %s", self->block[i].id, type);
		}
	}
	free(map);
	/* Counted is what the pageblocks say */
	EXPECT_EQ(have, kb / 4);
	EXPECT_LT(0, have);
	if (pb_env("PB_BOOT_MIXED", 0)) {
		EXPECT_LT(0, mixed);
		EXPECT_LT(have, want);
	} else {
		EXPECT_EQ(0, mixed);
		EXPECT_EQ(want, have);
	}
}

TEST_F(boot, no_boot_data_is_in_a_hotremove_pageblock)
{
	struct pb_map *map;
	long reserved = 0, looked = 0;
	unsigned long pfn;
	uint64_t flags;
	int i, j, nr;

	map = calloc(pb_block_pages(), sizeof(*map));
	ASSERT_NE(NULL, map);
	for (i = 0; i < self->nr_blocks; i++) {
		nr = pb_map_read(self->block[i].start_pfn, self->block[i].end_pfn,
				 map, pb_block_pages());
		for (j = 0; j < nr; j++) {
			if (strcmp(map[j].type, "Hotremove"))
				continue;
			for (pfn = map[j].pfn; pfn < map[j].pfn + map[j].total; pfn++) {
				ASSERT_EQ(0, pb_page_flags(pfn, &flags));
				reserved += !!(flags & (KPF_RESERVED | PB_KPF_SLAB |
							PB_KPF_PGTABLE));
				looked++;
			}
		}
	}
	free(map);
	EXPECT_LT(0, looked) TH_LOG("there is no hotremove pageblock");
	EXPECT_EQ(0, reserved);
}

TEST_F(boot, what_is_wrong_is_named_and_ignored)
{
	unsigned long size, addr;
	char range[64];
	int i;

	for (i = 0; i < self->nr_pieces; i++) {
		if (!strcmp(self->piece[i], "srat"))
			continue;
		if (!piece_is_range(self->piece[i], &size, &addr)) {
			snprintf(range, sizeof(range), "'%s'", self->piece[i]);
			EXPECT_TRUE(log_says(range, "is ignored"))
				TH_LOG("nothing about %s", range);
			continue;
		}
		/* The others are reported, with or without "ignored" or "cut" */
		snprintf(range, sizeof(range), "[mem 0x%08lx-0x%08lx]", addr << 20,
			 ((addr + size) << 20) - 1);
		EXPECT_TRUE(log_says(range, ""))
			TH_LOG("nothing about %s", range);
	}
}

TEST_F(boot, a_block_is_offlined_and_comes_back)
{
	const long before = pb_meminfo("HotremoveTotal");
	const long block_kb = pb_block_pages() * 4;
	struct pb_block *block = NULL;
	int i;

	for (i = 0; i < self->nr_blocks && !block; i++)
		if (in_ranges(self, &self->block[i]) &&
		    pb_block_is(&self->block[i], "online_type", "online_hotremove"))
			block = &self->block[i];
	ASSERT_NE(NULL, block) TH_LOG("no memory block is all hotremove");

	ASSERT_EQ(0, pb_offline(block, 60000, NULL));
	EXPECT_EQ(before - block_kb, pb_meminfo("HotremoveTotal"));
	ASSERT_ONLINE_HOTREMOVE(block);
	EXPECT_EQ(before, pb_meminfo("HotremoveTotal"));
	EXPECT_TRUE(pb_block_is(block, "online_type", "online_hotremove"));
}

TEST_F(boot, harvest_knows_the_blocks)
{
	char path[128];
	int i, nr = 0;

	for (i = 0; i < self->nr_blocks; i++) {
		if (!pb_block_is(&self->block[i], "online_type", "online_hotremove"))
			continue;
		snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/hotremove_strict",
			 self->block[i].id);
		EXPECT_EQ(0, pb_write(path, "1"));
		EXPECT_TRUE(pb_block_is(&self->block[i], "hotremove_strict", "1"));
		EXPECT_EQ(0, pb_write(path, "0"));
		nr++;
	}
	EXPECT_LT(0, nr);
}

/*
 * What most of a machine is hotremove for must not cost the rest: the share that is
 * kept free for huge pages, up to 5 %, is that of a machine as small as the rest, none.
 */
TEST_F(boot, little_usable_memory_is_not_kept_free_for_huge_pages)
{
	const long thp_mb = 512;	/* from here on THP is on by default */
	const long hotremove = pb_meminfo("HotremoveTotal");
	const long cma = pb_meminfo("CmaTotal");
	long all = 0, zone, usable, min_free;
	char text[64];
	int nid;

	for (nid = 0; nid < 8; nid++) {
		zone = pb_zoneinfo(nid, NULL, "managed");
		all += zone > 0 ? zone * 4 : 0;
	}
	ASSERT_LT(0, hotremove);
	usable = all - hotremove - (cma > 0 ? cma : 0);
	if (usable >= thp_mb << 10 || all < thp_mb << 10)
		SKIP(return, "need %ld MB in all and less usable, have %ld and %ld MB",
		     thp_mb, all >> 10, usable >> 10);
	/* Precondition: huge pages are wanted, and somebody keeps memory for them */
	ASSERT_EQ(0, pb_read("/sys/kernel/mm/transparent_hugepage/enabled", text,
			     sizeof(text)));
	ASSERT_EQ(NULL, strstr(text, "[never]"));
	ASSERT_LT(0, pb_kthread("khugepaged"));

	ASSERT_EQ(0, pb_read("/proc/sys/vm/min_free_kbytes", text, sizeof(text)));
	min_free = strtol(text, NULL, 10);
	EXPECT_LT(0, min_free);
	/* 4 * sqrt(kB), + 5 % */
	EXPECT_LE(min_free * min_free * 100, 16 * usable * 110)
		TH_LOG("min_free_kbytes is %ld, %ld kB are usable", min_free, usable);
	TH_LOG("min_free_kbytes %ld of %ld usable", min_free, usable);
}

TEST_HARNESS_MAIN
