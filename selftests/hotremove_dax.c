// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of a device (CXL, or anything that the firmware sets apart) that the
 * kmem driver hands to the kernel: hotremove memory like any other, so that it
 * can be taken back.
 *
 *   firmware: soft reserved --dax--> kmem --online_hotremove--> used --> taken back
 *
 * The first dax device that kmem knows is used. Each test ends with its memory
 * gone from the system; what kmem had onlined before stays unplugged.
 */
#include <errno.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define DEVICES		"/sys/bus/dax/devices"
#define KMEM		"/sys/bus/dax/drivers/kmem"
#define USED_BYTES	(256UL << 20)
#define OFFLINE_MS	(20000 * pb_timeout_mul())

FIXTURE(dax) {
	struct pb_saved auto_online;
	char dev[32];
	unsigned long start_pfn, end_pfn;
	struct pb_block block[PB_MAX_BLOCKS];
	int nr;
	int nid;
};

/* A file of the device as a number, 10 or 16 */
static int device_number(const char *dev, const char *file, unsigned long *value)
{
	char path[128], buf[64], *end;
	int ret;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", dev, file);
	ret = pb_read(path, buf, sizeof(buf));
	if (ret < 0)
		return ret;
	*value = strtoul(buf, &end, 0);
	return end == buf ? -EINVAL : 0;
}

static bool is_bound(const char *dev)
{
	char path[128];

	snprintf(path, sizeof(path), KMEM "/%s", dev);
	return !access(path, F_OK);
}

/* Memory blocks that lie in the device's range: none, when kmem does not have it */
static int find_blocks(struct _test_data_dax *self)
{
	static struct pb_block all[PB_SCAN_BLOCKS];
	int i, nr = pb_all_blocks(all, PB_SCAN_BLOCKS);

	self->nr = 0;
	for (i = 0; i < nr && self->nr < PB_MAX_BLOCKS; i++) {
		if (all[i].start_pfn >= self->start_pfn &&
		    all[i].end_pfn <= self->end_pfn)
			self->block[self->nr++] = all[i];
	}
	return nr < 0 ? nr : self->nr;
}

/* kmem takes memory away that is offline only */
static int unplug(struct _test_data_dax *self)
{
	int i, ret = 0;

	if (!is_bound(self->dev))
		return 0;
	if (find_blocks(self) < 0)
		return -EIO;
	for (i = 0; i < self->nr && !ret; i++) {
		if (!pb_block_is(&self->block[i], "state", "offline"))
			ret = pb_offline(&self->block[i], OFFLINE_MS, NULL);
	}
	return ret ?: pb_write(KMEM "/unbind", self->dev);
}

FIXTURE_SETUP(dax)
{
	unsigned long start, size, nid;
	glob_t found;

	if (access(KMEM, F_OK) || glob(DEVICES "/dax*", 0, NULL, &found))
		SKIP(return, "need a dax device and kmem (memmap=SIZE%%ADDR-1+0xefffffff, CONFIG=dax), have none");
	snprintf(self->dev, sizeof(self->dev), "%s",
		 strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
	ASSERT_EQ(0, device_number(self->dev, "resource", &start));
	ASSERT_EQ(0, device_number(self->dev, "size", &size));
	ASSERT_EQ(0, device_number(self->dev, "target_node", &nid));
	ASSERT_GE(size, pb_block_bytes());
	self->start_pfn = start / getpagesize();
	self->end_pfn = (start + size) / getpagesize();
	self->nid = nid;
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, unplug(self));
	ASSERT_EQ(0, find_blocks(self));
}

FIXTURE_TEARDOWN(dax)
{
	EXPECT_EQ(0, unplug(self));
	EXPECT_EQ(0, find_blocks(self));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

/* Pages of @mem in the device's memory; all of it was written */
static long pages_in_device(struct _test_data_dax *self, const char *mem, size_t len)
{
	unsigned long pfn;
	long nr = 0;
	size_t at;

	for (at = 0; at < len; at += getpagesize()) {
		pfn = pb_pfn(mem + at);
		nr += pfn >= self->start_pfn && pfn < self->end_pfn;
	}
	return nr;
}

static void plug(struct __test_metadata *_metadata, struct _test_data_dax *self,
		 const char *how)
{
	int err = pb_write(AUTO_ONLINE, how);

	ASSERT_EQ(0, err)
		TH_LOG("%s: %s (a kernel without hotremove pageblocks answers -EINVAL)",
		       how, strerror(-err));
	ASSERT_EQ(0, pb_write(KMEM "/bind", self->dev));
	ASSERT_LT(0, find_blocks(self));
}

TEST_F(dax, device_memory_is_hotremove_memory_from_its_first_page)
{
	int i;

	plug(_metadata, self, "online_hotremove");
	for (i = 0; i < self->nr; i++) {
		EXPECT_TRUE(pb_block_is(&self->block[i], "state", "online"));
		EXPECT_TRUE(pb_block_is(&self->block[i], "online_type", "online_hotremove"));
		EXPECT_EQ(1, pb_map_all_type(&self->block[i], "hotremove"));
	}
}

/* So much that the other node has room for all of it */
TEST_F_TIMEOUT(dax, device_memory_goes_while_it_is_used_and_no_byte_is_lost, 120)
{
	size_t len, at;
	uint64_t *word;
	char *mem;

	plug(_metadata, self, "online_hotremove");
	len = USED_BYTES;
	ASSERT_LE(len, self->nr * pb_block_bytes());
	mem = pb_mmap_node(len, self->nid);
	ASSERT_NE(MAP_FAILED, mem);
	word = (uint64_t *)mem;
	for (at = 0; at < len / sizeof(*word); at++)
		word[at] = at * 0x9e3779b97f4a7c15ULL;
	EXPECT_LE((long)(len / getpagesize() / 10 * 9), pages_in_device(self, mem, len))
		TH_LOG("not in the device's memory: nothing is shown");

	/* Elsewhere from now on, for what is moved and what is not */
	ASSERT_EQ(0, pb_prefer_node(0));
	EXPECT_EQ(0, unplug(self));
	EXPECT_FALSE(is_bound(self->dev));
	EXPECT_EQ(0, find_blocks(self));
	EXPECT_EQ(0, pages_in_device(self, mem, len));
	for (at = 0; at < len / sizeof(*word); at++) {
		if (word[at] != at * 0x9e3779b97f4a7c15ULL)
			break;
	}
	EXPECT_EQ(len / sizeof(*word), at);
	munmap(mem, len);
}

/* What makes a device's memory stay for ever on a kernel without the type */
TEST_F(dax, unmovable_pages_do_not_get_there)
{
	struct pb_pipes pipes = {};
	long before, after;
	int i;

	plug(_metadata, self, "online_hotremove");
	before = pb_node_vmstat(self->nid, "nr_free_hotremove");
	ASSERT_LT(0, before);
	ASSERT_EQ(0, pb_prefer_node(self->nid));
	ASSERT_EQ(0, pb_pipes_fill(&pipes, 32UL << 20));
	after = pb_node_vmstat(self->nid, "nr_free_hotremove");
	/* Nobody else asks for movable memory of this size meanwhile */
	EXPECT_LT(before - after, (long)((16UL << 20) / getpagesize()));
	for (i = 0; i < self->nr; i++)
		EXPECT_EQ(0, pb_offline(&self->block[i], OFFLINE_MS, NULL));
	pb_pipes_free(&pipes);
}

TEST_HARNESS_MAIN
