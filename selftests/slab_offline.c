// SPDX-License-Identifier: GPL-2.0
/*
 * A memory block that holds slab must refuse to go offline, at once.
 *
 * Nobody moves slab pages, so an offline that waits for them waits for ever.
 * Isolation looks for such pages first, and has to see those of order 0 as
 * well: their reference count is 0, as that of a page on its way to the free
 * lists.
 *
 *   |--kernel block: order-0 slab (struct file)--|--movable block--|
 *
 * The movable block comes first: the node's own threads start with it, and
 * find no place on the node for what they need. Slab follows the memory policy
 * of a task only when the kernel was booted with slab_strict_numa.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define SHRINK		"/sys/kernel/slab/filp/shrink"

#define FILES		20000
/* A refusal takes milliseconds; an offline that waits is given up after this */
#define GIVE_UP_MS	(5000 * pb_timeout_mul())

FIXTURE(slab) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	int nr_files;
	int *file;
};

FIXTURE_SETUP(slab)
{
	struct rlimit limit = { FILES + 64, FILES + 64 };
	int ret;

	if (!pb_host())
		SKIP(return, "need a host that can add memory, have none");
	if (setrlimit(RLIMIT_NOFILE, &limit))
		SKIP(return, "need %d open files, have: %s", FILES,
		     strerror(errno));
	self->file = calloc(FILES, sizeof(*self->file));
	ASSERT_NE(NULL, self->file);
	/* The table of files grows now, not into the block under test */
	ASSERT_EQ(FILES + 63, dup2(0, FILES + 63));
	close(FILES + 63);

	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	ret = pb_hotadd(&self->dimm, "slab", 2 * pb_block_mb(),
			pb_target_node());
	ASSERT_EQ(0, ret)
		TH_LOG("hot-add: %s", strerror(-ret));
}

static void close_files(int *file, int nr)
{
	while (nr--)
		close(file[nr]);
	/* Files are freed after a grace period, slabs when they are shrunk */
	pb_msleep(500);
	pb_write(SHRINK, "1");
}

FIXTURE_TEARDOWN(slab)
{
	int ret;

	close_files(self->file, self->nr_files);
	free(self->file);
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	ret = pb_hotdel(&self->dimm);
	if (ret)
		TH_LOG("the block stays, not all of its slab could be freed: %s",
		       strerror(-ret));
}

TEST_F_TIMEOUT(slab, order0_slab_makes_offline_fail_at_once, 180)
{
	struct pb_block *block = &self->dimm.block[0];
	long slab, other;
	double took;
	int fd, ret;

	ASSERT_EQ(0, pb_block_set(block + 1, "online_movable"));
	ASSERT_EQ(0, pb_block_set(block, "online_kernel"));
	ASSERT_EQ(0, pb_prefer_node(self->dimm.nid));
	while (self->nr_files < FILES) {
		fd = open("/dev/null", O_RDONLY);
		ASSERT_GE(fd, 0);
		self->file[self->nr_files++] = fd;
	}
	ASSERT_EQ(0, pb_prefer_node(-1));

	/* What isolation finds by other means would hide the question */
	slab = pb_count_flags(block, PB_KPF_SLAB);
	ASSERT_GE(slab, 0);
	if (!slab)
		SKIP(return, "need slab that follows the memory policy (slab_strict_numa), have none on node %d",
		     self->dimm.nid);
	other = pb_count_flags(block, PB_KPF_COMPOUND | PB_KPF_PGTABLE);
	if (other)
		SKIP(return, "need a block with nothing but order-0 slab, have %ld other pages in it",
		     other);

	ret = pb_offline(block, GIVE_UP_MS, &took);
	TH_LOG("%ld pages of slab: %s after %.3f s", slab, strerror(-ret), took);
	EXPECT_EQ(-EBUSY, ret);
	EXPECT_TRUE(pb_block_is(block, "state", "online"));
}

TEST_HARNESS_MAIN
