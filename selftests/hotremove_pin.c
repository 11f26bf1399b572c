// SPDX-License-Identifier: GPL-2.0
/*
 * A longterm pin must not hold a hotremove block: the page moves out of it
 * before it is pinned, and the block goes offline with the pin held.
 *
 *   |--HOTREMOVE: page--|  pin ->  |--HOTREMOVE--|   |--ordinary: page--|
 *
 * On a kernel without hotremove pageblocks these tests FAIL rather than skip:
 * `online_hotremove` is the feature under test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mm/gup_test.h"
#include "pageblock_util.h"
#include "pageblock_harness.h"

#define GUP_TEST	"/sys/kernel/debug/gup_test"
#define OFFLINE_MS	(10000 * pb_timeout_mul())
#define NR_PAGES	64

FIXTURE(pin) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *block;
	int nid;
	char *mem;
	size_t len;
};

FIXTURE_SETUP(pin)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	PB_NEED_EMPTY_NODE(self->nid);
	PB_HOTADD_OFFLINE(self, "pin", pb_block_mb());
	self->block = self->dimm.block;
}

FIXTURE_TEARDOWN_PARENT(pin)
{
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

/* How many pages of [mem, mem + len) are in the block */
static size_t pages_inside(struct _test_data_pin *self)
{
	return pb_pages_in(self->block, self->mem, self->len / getpagesize());
}

static void fill(struct _test_data_pin *self)
{
	size_t i;

	for (i = 0; i < self->len; i++)
		self->mem[i] = i * 7;
}

static bool intact(struct _test_data_pin *self)
{
	size_t i;

	for (i = 0; i < self->len; i++)
		if (self->mem[i] != (char)(i * 7))
			return false;
	return true;
}

/* The precondition of all: the pages ARE in a hotremove block */
#define ASSERT_ALL_INSIDE(self) do {					\
	char __type[16] = "";						\
									\
	fill(self);							\
	ASSERT_EQ((self)->len / getpagesize(), pages_inside(self));	\
	ASSERT_TRUE(pb_block_is((self)->block, "online_type",		\
				"online_hotremove"));			\
	/* With the debug module there is a second witness */		\
	if (!pb_map_type(pb_pfn((self)->mem), __type, sizeof(__type)))	\
		ASSERT_EQ(0, strcasecmp("Hotremove", __type))		\
			TH_LOG("the page is in a %s block", __type);	\
} while (0)

#define EXPECT_BLOCK_GOES_WITH_THE_PIN_HELD(self) do {			\
	double __took = 0;						\
									\
	EXPECT_EQ(0UL, pages_inside(self));				\
	EXPECT_TRUE(intact(self));					\
	EXPECT_EQ(0, pb_offline((self)->block, OFFLINE_MS, &__took));	\
	TH_LOG("offline with the pin held: %.3f s", __took);		\
	EXPECT_TRUE(intact(self));					\
} while (0)

TEST_F_TIMEOUT(pin, io_uring_fixed_buffer_leaves_the_block, 300)
{
	int ring;

	ASSERT_ONLINE_HOTREMOVE(self->block);
	self->len = NR_PAGES * getpagesize();
	self->mem = pb_mmap_node(self->len, self->nid);
	ASSERT_NE(MAP_FAILED, self->mem);
	/* Small pages: the huge case has its own test */
	madvise(self->mem, self->len, MADV_NOHUGEPAGE);
	ASSERT_ALL_INSIDE(self);

	ring = pb_ring_with_buffer(self->mem, self->len);
	if (ring == -ENOSYS)
		SKIP(return, "need io_uring, have a kernel without it");
	ASSERT_GE(ring, 0) TH_LOG("%s", strerror(-ring));
	EXPECT_BLOCK_GOES_WITH_THE_PIN_HELD(self);
	close(ring);
}

TEST_F_TIMEOUT(pin, huge_io_uring_fixed_buffer_leaves_the_block, 300)
{
	size_t huge = pb_huge_bytes();
	uint64_t flags = 0;
	char *area;
	int ring;

	if (!huge || huge > pb_block_bytes() / 2)
		SKIP(return, "need transparent huge pages of half a block or less, have %zu bytes",
		     huge);
	ASSERT_ONLINE_HOTREMOVE(self->block);
	area = pb_mmap_node(2 * huge, self->nid);
	ASSERT_NE(MAP_FAILED, area);
	self->mem = (char *)(((uintptr_t)area + huge - 1) & ~(huge - 1));
	self->len = huge;
	ASSERT_EQ(0, madvise(self->mem, huge, MADV_HUGEPAGE));
	ASSERT_ALL_INSIDE(self);
	ASSERT_EQ(0, pb_page_flags(pb_pfn(self->mem), &flags));
	ASSERT_TRUE(flags & PB_KPF_THP) TH_LOG("no huge page at that address");

	ring = pb_ring_with_buffer(self->mem, self->len);
	if (ring == -ENOSYS)
		SKIP(return, "need io_uring, have a kernel without it");
	ASSERT_GE(ring, 0) TH_LOG("%s", strerror(-ring));
	EXPECT_BLOCK_GOES_WITH_THE_PIN_HELD(self);
	close(ring);
}

TEST_F_TIMEOUT(pin, gup_longterm_pin_leaves_the_block, 300)
{
	struct pin_longterm_test args = { .flags =
		PIN_LONGTERM_TEST_FLAG_USE_WRITE };
	int fd;

	fd = open(GUP_TEST, O_RDWR);
	if (fd < 0)
		SKIP(return, "need " GUP_TEST " (CONFIG_GUP_TEST), have none");
	ASSERT_ONLINE_HOTREMOVE(self->block);
	self->len = NR_PAGES * getpagesize();
	self->mem = pb_mmap_node(self->len, self->nid);
	ASSERT_NE(MAP_FAILED, self->mem);
	madvise(self->mem, self->len, MADV_NOHUGEPAGE);
	ASSERT_ALL_INSIDE(self);

	args.addr = (uintptr_t)self->mem;
	args.size = self->len;
	ASSERT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_START, &args))
		TH_LOG("%s", strerror(errno));
	EXPECT_BLOCK_GOES_WITH_THE_PIN_HELD(self);
	EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_STOP));
	close(fd);
}

/* gup-fast meets the block without mmap_lock and has to step back */
TEST_F_TIMEOUT(pin, fast_longterm_pin_of_a_file_page_leaves_the_block, 300)
{
	struct pin_longterm_test args = { .flags =
		PIN_LONGTERM_TEST_FLAG_USE_WRITE |
		PIN_LONGTERM_TEST_FLAG_USE_FAST };
	int fd, file;

	fd = open(GUP_TEST, O_RDWR);
	if (fd < 0)
		SKIP(return, "need " GUP_TEST " (CONFIG_GUP_TEST), have none");
	ASSERT_ONLINE_HOTREMOVE(self->block);
	self->len = NR_PAGES * getpagesize();
	file = memfd_create("pb-pin", 0);
	ASSERT_GE(file, 0);
	ASSERT_EQ(0, ftruncate(file, self->len));
	ASSERT_EQ(0, pb_prefer_node(self->nid));
	self->mem = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_SHARED,
			 file, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_ALL_INSIDE(self);
	ASSERT_EQ(0, pb_prefer_node(-1));

	args.addr = (uintptr_t)self->mem;
	args.size = self->len;
	ASSERT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_START, &args))
		TH_LOG("%s", strerror(errno));
	EXPECT_BLOCK_GOES_WITH_THE_PIN_HELD(self);
	EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_STOP));
	close(fd);
	close(file);
}

TEST_HARNESS_MAIN
