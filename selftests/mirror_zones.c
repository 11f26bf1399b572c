// SPDX-License-Identifier: GPL-2.0
/*
 * kernelcore=mirror: mirrored memory is for the kernel, the rest is ZONE_MOVABLE.
 *
 * Memory controllers mirror some memory each, so a node has mirrored ranges (M)
 * above memory that is not (-):
 *
 *   node 0  4G|MMMM----MMMM----|    ZONE_NORMAL is M, ZONE_MOVABLE is -
 *
 * memblock prefers mirrored ranges for what is allocated at boot. If they end up
 * in ZONE_MOVABLE, the kernel has not got them, and boot data pins that zone.
 *
 * Which ranges are mirrored is read from what the kernel logs of the EFI memory
 * map (efi=debug).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>

#include "pageblock_harness.h"
#include "pageblock_util.h"

#define LOG_READ_ALL	3	/* syslog(2) */
#define LOG_SIZE	10
#define KPF_RESERVED	(1ULL << 32)	/* linux/kernel-page-flags.h */
#define PFN_4G		(1UL << 20)
#define BLOCK_PAGES	1024UL		/* MAX_PAGE_ORDER: what zones are made of */
#define MAX_RANGES	64
#define MAX_NODES	8
#define OFFLINE_MS	(10000 * pb_timeout_mul())

/* RAM above 4 GiB, which is ZONE_NORMAL or ZONE_MOVABLE; half-open */
struct ram {
	unsigned long start_pfn;
	unsigned long end_pfn;
	int nid;
	bool mirrored;
};

FIXTURE(mirror_zones) {
	struct ram ram[MAX_RANGES];	/* in order of address */
	int nr;
	struct pb_block *blocks;
	int nr_blocks;
};

static int node_of(struct pb_block *blocks, int nr, unsigned long pfn)
{
	int i;

	for (i = 0; i < nr; i++)
		if (pb_block_has(&blocks[i], pfn))
			return pb_block_node(&blocks[i]);
	return -ENOENT;
}

/* The log since boot; NULL: cannot be read */
static char *read_log(void)
{
	int size = klogctl(LOG_SIZE, NULL, 0);
	char *log = size > 0 ? calloc(1, size + 1) : NULL;

	if (log && klogctl(LOG_READ_ALL, log, size) <= 0) {
		free(log);
		log = NULL;
	}
	return log;
}

/*
 * "efi: mem05: [Conventional|   |  |MR|...] range=[0x100000000-0x103ffffff] (64MB)".
 * A descriptor is cut where nodes meet. Returns the number of ranges, or -errno.
 */
static int read_ranges(struct ram *ram, struct pb_block *blocks, int nr_blocks)
{
	char *log = read_log(), *line;
	int nr = 0;

	if (!log)
		return -EPERM;
	for (line = strtok(log, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned long start, end;
		char *at = strstr(line, "efi: mem");
		char *range = at ? strstr(at, " range=[") : NULL;

		if (!range || !strstr(at, "[Conventional|") ||
		    sscanf(range, " range=[%lx-%lx]", &start, &end) != 2)
			continue;
		start /= getpagesize();
		end = (end + 1) / getpagesize();
		while (end > PFN_4G && start < end) {
			struct ram *r = &ram[nr];
			unsigned long next;

			if (nr == MAX_RANGES) {
				free(log);
				return -E2BIG;
			}
			r->start_pfn = start < PFN_4G ? PFN_4G : start;
			r->nid = node_of(blocks, nr_blocks, r->start_pfn);
			r->mirrored = strstr(at, "|MR|");
			next = r->start_pfn;
			do
				next += pb_block_pages() - next % pb_block_pages();
			while (next < end && node_of(blocks, nr_blocks, next) == r->nid);
			r->end_pfn = next < end ? next : end;
			start = r->end_pfn;
			nr++;
		}
	}
	free(log);
	return nr;
}

/* Is a mirrored range above one of the same node that is not? */
static bool is_above_other(const struct ram *ram, int i)
{
	int j;

	for (j = 0; j < i; j++)
		if (ram[i].mirrored && !ram[j].mirrored && ram[j].nid == ram[i].nid)
			return true;
	return false;
}

FIXTURE_SETUP(mirror_zones)
{
	char cmdline[4096];
	int i, above = 0;

	ASSERT_EQ(0, pb_read("/proc/cmdline", cmdline, sizeof(cmdline)));
	if (!strstr(cmdline, "kernelcore=mirror"))
		SKIP(return, "need kernelcore=mirror on the kernel command line, have none");
	if (strstr(cmdline, "movable_node"))
		SKIP(return, "need no movable_node on the kernel command line, which makes the kernel ignore kernelcore=");
	if (!strstr(cmdline, "efi=debug"))
		SKIP(return, "need efi=debug on the kernel command line, have none");
	self->blocks = calloc(PB_SCAN_BLOCKS, sizeof(*self->blocks));
	ASSERT_NE(NULL, self->blocks);
	self->nr_blocks = pb_all_blocks(self->blocks, PB_SCAN_BLOCKS);
	ASSERT_LT(0, self->nr_blocks);
	self->nr = read_ranges(self->ram, self->blocks, self->nr_blocks);
	ASSERT_LE(0, self->nr)
		TH_LOG("the kernel's log: %s", strerror(-self->nr));

	for (i = 0; i < self->nr; i++) {
		const struct ram *r = &self->ram[i];

		ASSERT_LE(0, r->nid);
		ASSERT_GT(MAX_NODES, r->nid);
		if ((r->start_pfn | r->end_pfn) % BLOCK_PAGES)
			SKIP(return, "need ranges in whole blocks of %lu pages, have pfn %#lx-%#lx",
			     BLOCK_PAGES, r->start_pfn, r->end_pfn);
		above += is_above_other(self->ram, i);
	}
	if (!above)
		SKIP(return, "need mirrored memory above 4G and above other memory of its node, have %d ranges and none such",
		     self->nr);
}

FIXTURE_TEARDOWN(mirror_zones)
{
	free(self->blocks);
}

TEST_F(mirror_zones, mirrored_memory_is_not_counted_in_zone_movable)
{
	long normal[MAX_NODES] = {}, movable[MAX_NODES] = {};
	int i;

	for (i = 0; i < self->nr; i++) {
		const struct ram *r = &self->ram[i];

		TH_LOG("node %d: pfn %#lx-%#lx %s", r->nid, r->start_pfn,
		       r->end_pfn, r->mirrored ? "mirrored" : "not mirrored");
		*(r->mirrored ? &normal[r->nid] : &movable[r->nid]) +=
			r->end_pfn - r->start_pfn;
	}
	for (i = 0; i < MAX_NODES; i++) {
		if (!normal[i] && !movable[i])
			continue;
		TH_LOG("node %d present: Normal %ld, Movable %ld", i,
		       pb_zoneinfo(i, "Normal", "present"),
		       pb_zoneinfo(i, "Movable", "present"));
		EXPECT_EQ(normal[i], pb_zoneinfo(i, "Normal", "present"));
		EXPECT_EQ(movable[i], pb_zoneinfo(i, "Movable", "present"));
	}
}

TEST_F(mirror_zones, every_pageblock_is_in_the_zone_of_its_kind)
{
	struct pb_map *map;
	int i, j, nr;

	if (!pb_debug_has("map"))
		SKIP(return, "need pageblock_debug.ko, have none");
	map = calloc(PB_SCAN_BLOCKS, sizeof(*map));
	ASSERT_NE(NULL, map);
	for (i = 0; i < self->nr; i++) {
		const struct ram *r = &self->ram[i];
		const char *want = r->mirrored ? "Normal" : "Movable";
		int wrong = 0;

		nr = pb_map_read(r->start_pfn, r->end_pfn, map, PB_SCAN_BLOCKS);
		ASSERT_LT(0, nr);
		for (j = 0; j < nr; j++)
			wrong += strcmp(map[j].zone, want) || map[j].nid != r->nid;
		EXPECT_EQ(0, wrong)
			TH_LOG("pfn %#lx-%#lx: %d of %d pageblocks are not in zone %s",
			       r->start_pfn, r->end_pfn, wrong, nr, want);
	}
	free(map);
}

/* What memblock gave away is present, but the page allocator never managed it */
TEST_F(mirror_zones, boot_memory_is_not_in_zone_movable)
{
	unsigned long pfn, in_mirror = 0;
	uint64_t flags;
	int i;

	for (i = 0; i < self->nr; i++) {
		const struct ram *r = &self->ram[i];

		if (!is_above_other(self->ram, i))
			continue;
		for (pfn = r->start_pfn; pfn < r->end_pfn; pfn++) {
			ASSERT_EQ(0, pb_page_flags(pfn, &flags));
			in_mirror += !!(flags & KPF_RESERVED);
		}
	}
	/* It does prefer these ranges, or there is nothing to see */
	TH_LOG("%lu pages of boot memory in mirrored ranges above others", in_mirror);
	ASSERT_LT(0, in_mirror);

	for (i = 0; i < MAX_NODES; i++) {
		long present = pb_zoneinfo(i, "Movable", "present");

		if (present > 0)
			EXPECT_EQ(present, pb_zoneinfo(i, "Movable", "managed"))
				TH_LOG("node %d: boot memory in zone Movable", i);
	}
}

/* Zones that enclose memory of each other: what goes offline leaves only its own */
TEST_F_TIMEOUT(mirror_zones, movable_block_below_mirrored_ones_goes_offline_and_back, 120)
{
	struct pb_block *block = NULL;
	long normal, movable, pages = pb_block_pages();
	int i, j, nid = -1;

	for (i = 0; i < self->nr && !block; i++) {
		if (!is_above_other(self->ram, i))
			continue;
		for (j = 0; j < self->nr_blocks; j++)
			if (pb_block_is(&self->blocks[j], "valid_zones", "Movable") &&
			    pb_block_node(&self->blocks[j]) == self->ram[i].nid &&
			    self->blocks[j].end_pfn <= self->ram[i].start_pfn) {
				block = &self->blocks[j];
				nid = self->ram[i].nid;
			}
	}
	if (!block)
		SKIP(return, "need a whole movable memory block below mirrored memory, have none");

	normal = pb_zoneinfo(nid, "Normal", "present");
	movable = pb_zoneinfo(nid, "Movable", "present");
	ASSERT_LT(0, normal)
		TH_LOG("node %d has mirrored memory, and none of it in zone Normal", nid);
	ASSERT_EQ(0, pb_offline(block, OFFLINE_MS, NULL))
		TH_LOG("offline of memory%u", block->id);
	EXPECT_EQ(normal, pb_zoneinfo(nid, "Normal", "present"));
	EXPECT_EQ(movable - pages, pb_zoneinfo(nid, "Movable", "present"));
	ASSERT_EQ(0, pb_block_set(block, "online_movable"));
	EXPECT_TRUE(pb_block_is(block, "valid_zones", "Movable"));
	EXPECT_EQ(normal, pb_zoneinfo(nid, "Normal", "present"));
	EXPECT_EQ(movable, pb_zoneinfo(nid, "Movable", "present"));
}

/* Does the zone have memory on both sides of the block? */
static bool encloses(const struct pb_block *block, const char *zone)
{
	int nid = pb_block_node(block);
	long start = pb_zoneinfo(nid, zone, "start_pfn:");
	long spanned = pb_zoneinfo(nid, zone, "spanned");

	return start >= 0 && start < (long)block->start_pfn &&
	       start + spanned > (long)block->end_pfn;
}

/* Both zones could have it then, and nobody says which */
TEST_F_TIMEOUT(mirror_zones, block_among_mirrored_ones_comes_back_as_movable_memory, 120)
{
	struct pb_block *block = NULL;
	int i;

	for (i = 0; i < self->nr_blocks && !block; i++)
		if (pb_block_is(&self->blocks[i], "valid_zones", "Movable") &&
		    encloses(&self->blocks[i], "Normal") &&
		    encloses(&self->blocks[i], "Movable"))
			block = &self->blocks[i];
	if (!block)
		SKIP(return, "need a movable memory block that zones Normal and Movable enclose, have none");

	ASSERT_EQ(0, pb_offline(block, OFFLINE_MS, NULL))
		TH_LOG("offline of memory%u", block->id);
	/* Precondition: they still do */
	ASSERT_TRUE(encloses(block, "Normal"));
	ASSERT_TRUE(encloses(block, "Movable"));
	ASSERT_EQ(0, pb_block_set(block, "online"));
	EXPECT_TRUE(pb_block_is(block, "valid_zones", "Movable"));
	if (!pb_block_is(block, "valid_zones", "Movable")) {
		ASSERT_EQ(0, pb_offline(block, OFFLINE_MS, NULL));
		ASSERT_EQ(0, pb_block_set(block, "online_movable"));
	}
}

TEST_HARNESS_MAIN
