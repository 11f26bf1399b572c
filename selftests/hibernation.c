// SPDX-License-Identifier: GPL-2.0
/*
 * Hibernation and memory of a kind of its own: free pages of a mirror reserve
 * are not written to the image, what is in use in it comes back, and so does a
 * hotremove block, which can be removed afterwards.
 *
 * The image is made, written to swap, read and restored without power off
 * (/sys/power/disk: test_resume). Needs CONFIG_HIBERNATION and a disk that is
 * swap space of this machine. Each test ends with the swap off again.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define DISK		"/sys/power/disk"
#define STATE		"/sys/power/state"
#define MESSAGES	"/sys/power/pm_debug_messages"
#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define MEM_BYTES	(48UL << 20)
#define OFFLINE_MS	(20000 * pb_timeout_mul())

/* "SWAPSPACE2" ends the first page of swap space */
static bool is_swap(const char *dev)
{
	char magic[10] = "";
	int fd = open(dev, O_RDONLY | O_CLOEXEC);
	bool is;

	if (fd < 0)
		return false;
	is = pread(fd, magic, sizeof(magic), getpagesize() - sizeof(magic)) ==
	     sizeof(magic) && !memcmp(magic, "SWAPSPACE2", sizeof(magic));
	close(fd);
	return is;
}

/* A disk that keeps its data while this kernel does not run */
static bool find_swap(char *dev, size_t len)
{
	bool found = false;
	glob_t disks;
	size_t i;

	if (glob("/dev/[vs]d[a-z]", 0, NULL, &disks))
		return false;
	for (i = 0; i < disks.gl_pathc && !found; i++) {
		snprintf(dev, len, "%s", disks.gl_pathv[i]);
		found = is_swap(dev);
	}
	globfree(&disks);
	return found;
}

/* The number after the last @what in the records that @fd has not read yet */
static long logged(int fd, const char *what)
{
	char record[1024], *at;
	long value = -ENOENT;

	while (pb_kmsg_next(fd, record, sizeof(record))) {
		at = strstr(record, what);
		if (at)
			value = atol(at + strlen(what));
	}
	return value;
}

FIXTURE(hibernation) {
	struct pb_saved messages;
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	char swap[32];
	int kmsg;
	char *mem;
};

FIXTURE_SETUP(hibernation)
{
	char modes[256] = "";

	if (pb_read(DISK, modes, sizeof(modes)) < 0 || !strstr(modes, "test_resume"))
		SKIP(return, "need hibernation (CONFIG_HIBERNATION), have none");
	if (!find_swap(self->swap, sizeof(self->swap)))
		SKIP(return, "need a disk with swap space, have none");
	if (!pb_debug_has("mirror"))
		SKIP(return, "need the debug module, have none");
	if (access(MESSAGES, W_OK))
		SKIP(return, "need " MESSAGES " (CONFIG_PM_SLEEP_DEBUG), have none");
	self->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_GE(self->kmsg, 0);
	ASSERT_EQ(0, pb_save(&self->messages, MESSAGES));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(MESSAGES, "1"));
	self->mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, madvise(self->mem, MEM_BYTES, MADV_NOHUGEPAGE));
}

FIXTURE_TEARDOWN(hibernation)
{
	EXPECT_EQ(0, pb_debug("mirror", "free"));
	EXPECT_EQ(0, pb_restore(&self->messages));
	/* From NULL on, the program itself would be unmapped */
	if (self->mem && self->mem != MAP_FAILED)
		munmap(self->mem, MEM_BYTES);
	close(self->kmsg);
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

static void fill(struct _test_data_hibernation *self)
{
	uint64_t *word = (uint64_t *)self->mem;
	size_t i;

	for (i = 0; i < MEM_BYTES / sizeof(*word); i++)
		word[i] = i * 0x9e3779b97f4a7c15ULL;
}

static bool intact(struct _test_data_hibernation *self)
{
	uint64_t *word = (uint64_t *)self->mem;
	size_t i;

	for (i = 0; i < MEM_BYTES / sizeof(*word); i++)
		if (word[i] != i * 0x9e3779b97f4a7c15ULL)
			return false;
	return true;
}

/*
 * To the disk and back. Returns the pages that the image had to have, or a
 * negative errno.
 */
static long hibernate(struct _test_data_hibernation *self)
{
	struct pb_saved mode;
	int ret, restored;
	long pages;

	ret = pb_save_choice(&mode, DISK);
	if (ret)
		return ret;
	sync();
	if (lseek(self->kmsg, 0, SEEK_END) < 0 || swapon(self->swap, 0))
		return -errno;
	ret = pb_write(DISK, "test_resume") ?: pb_write(STATE, "disk");
	pages = logged(self->kmsg, "Need to copy ");
	restored = pb_restore(&mode);
	if (swapoff(self->swap) && !restored)
		restored = -errno;
	return ret ?: restored ?: pages;
}

static long counter_of_reserve(const char *key)
{
	char text[2048] = "", want[32], *at = text;
	long sum = 0;

	if (pb_read(PB_DEBUGFS "/mirror", text, sizeof(text)) < 0)
		return -EIO;
	snprintf(want, sizeof(want), " %s=", key);
	while ((at = strstr(at, want))) {
		at += strlen(want);
		sum += atol(at);
	}
	return sum;
}

TEST_F_TIMEOUT(hibernation, free_pages_of_the_reserve_are_not_in_the_image, 600)
{
	long free = counter_of_reserve("nr_free"), held = free / 2, without, with;

	if (free < 8192)
		SKIP(return, "need 8192 free pages of a mirror reserve, have %ld", free);
	without = hibernate(self);
	ASSERT_GT(without, 0) TH_LOG("%s", strerror(-without));
	ASSERT_EQ(0, pb_debug("mirror", "0 %ld unmovable", held));
	ASSERT_EQ(held, counter_of_reserve("in"));
	with = hibernate(self);
	ASSERT_GT(with, 0) TH_LOG("%s", strerror(-with));
	TH_LOG("pages of the image: %ld, with %ld pages of the reserve in use: %ld",
	       without, held, with);
	/* Only what is in use costs; the rest of the system changes a little */
	EXPECT_GE(with - without, held * 3 / 4);
	EXPECT_LE(with - without, held * 5 / 4);
	/* The pool is as it was: its counter, and what a walk finds */
	EXPECT_EQ(held, counter_of_reserve("in"));
	EXPECT_EQ(counter_of_reserve("nr_free"), counter_of_reserve("free"));
	ASSERT_EQ(0, pb_debug("mirror", "free"));
	EXPECT_GE(counter_of_reserve("nr_free"), free - free / 64);
}

TEST_F_TIMEOUT(hibernation, what_the_reserve_holds_comes_back, 600)
{
	long free = counter_of_reserve("nr_free"), pages;

	if (free <= 0)
		SKIP(return, "need a mirror reserve, have none");
	fill(self);
	/* Its page tables came from the reserve: the data is found through them */
	if (free - counter_of_reserve("nr_free") < (long)(MEM_BYTES >> 21) / 2)
		SKIP(return, "need mirror_users=pgtable, have %ld pages less in the reserve for %lu MB mapped",
		     free - counter_of_reserve("nr_free"), MEM_BYTES >> 20);
	pages = hibernate(self);
	ASSERT_GT(pages, 0) TH_LOG("%s", strerror(-pages));
	EXPECT_TRUE(intact(self));
	EXPECT_EQ(counter_of_reserve("nr_free"), counter_of_reserve("free"));
}

TEST_F_TIMEOUT(hibernation, hotremove_block_comes_back_and_can_be_removed, 600)
{
	int nid = pb_target_node();
	struct pb_block *block;
	double took = 0;
	long pages;

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (pb_node_has_memory(nid))
		SKIP(return, "need a node without memory, have node %d with %ld free pages",
		     nid, pb_node_vmstat(nid, "nr_free_pages"));
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "hibernation", pb_block_mb(), nid));
	block = self->dimm.block;
	ASSERT_EQ(0, pb_block_set(block, "online_hotremove"));
	pb_prefer_node(nid);
	fill(self);
	pb_prefer_node(-1);
	ASSERT_EQ(MEM_BYTES / getpagesize(),
		  pb_pages_in(block, self->mem, MEM_BYTES / getpagesize()));

	pages = hibernate(self);
	ASSERT_GT(pages, 0) TH_LOG("%s", strerror(-pages));
	EXPECT_TRUE(intact(self));
	EXPECT_TRUE(pb_block_is(block, "online_type", "online_hotremove"));
	EXPECT_EQ(1, pb_map_all_type(block, "Hotremove"));
	EXPECT_EQ(0, pb_offline(block, OFFLINE_MS, &took));
	TH_LOG("offline after that: %.3f s", took);
	EXPECT_TRUE(intact(self));
}

TEST_HARNESS_MAIN
