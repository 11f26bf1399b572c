// SPDX-License-Identifier: GPL-2.0
/*
 * A balloon takes its pages from hotremove memory first, as they are movable.
 * They are missing there, and not in what the kernel can use: limits that are
 * derived from that stay what they are.
 *
 *   node 0: |--kernel memory since boot--| ... |--HOTREMOVE: most of the balloon--|
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define BALLOON_MB	64
#define WAIT_S		20.0
#define NID		0	/* of the CPUs: whose free pages a balloon takes first */

FIXTURE(balloon) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	char dir[32];
	long mb;	/* what the guest had, 0: the balloon is not ours */
};

/* The default limit of a tmpfs: half of the pages that inodes can use */
static long tmpfs_inodes(const char *dir)
{
	struct statfs fs;
	int ret;

	if (mount("none", dir, "tmpfs", 0, NULL))
		return -errno;
	ret = statfs(dir, &fs) ? -errno : 0;
	umount(dir);
	return ret ? ret : (long)fs.f_files;
}

FIXTURE_SETUP(balloon)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (pb_balloon_mb() < 0)
		SKIP(return, "need a balloon device, have none");
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	strcpy(self->dir, "/tmp/balloonXXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "balloon", pb_block_mb(), NID));
	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[0]);
}

FIXTURE_TEARDOWN_PARENT(balloon)
{
	if (self->mb > 0)
		EXPECT_EQ(0, pb_balloon_resize(self->mb, WAIT_S));
	if (self->dir[0])
		rmdir(self->dir);
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

TEST_F_TIMEOUT(balloon, its_pages_are_missing_in_hotremove_memory_only, 120)
{
	long nr = (BALLOON_MB << 20) / getpagesize();
	long before, filled, after, inside, mb = pb_balloon_mb();

	ASSERT_GT(mb, BALLOON_MB);
	before = tmpfs_inodes(self->dir);
	ASSERT_GT(before, 0);
	self->mb = mb;
	ASSERT_EQ(0, pb_balloon_resize(mb - BALLOON_MB, WAIT_S));
	/* PG_offline: the pages of a balloon, and nobody else's in an online block */
	inside = pb_count_flags(&self->dimm.block[0], PB_KPF_OFFLINE);
	ASSERT_GE(inside, nr / 2)
		TH_LOG("only %ld of the balloon's %ld pages are in hotremove memory",
		       inside, nr);

	filled = tmpfs_inodes(self->dir);
	ASSERT_GT(filled, 0);
	/* A page that the kernel lost is half an inode */
	EXPECT_LE(before - filled, (nr - inside) / 2 + nr / 64)
		TH_LOG("%ld inodes less, with %ld pages of ordinary memory in the balloon",
		       before - filled, nr - inside);

	ASSERT_EQ(0, pb_balloon_resize(mb, WAIT_S));
	self->mb = 0;
	EXPECT_EQ(0, pb_count_flags(&self->dimm.block[0], PB_KPF_OFFLINE));
	after = tmpfs_inodes(self->dir);
	EXPECT_LE(labs(before - after), nr / 64);
}

TEST_F_TIMEOUT(balloon, a_block_that_goes_offline_takes_none_of_the_rest_along, 120)
{
	long before, after;

	/* What is made of the counters when hotremove memory comes, goes and changes */
	before = tmpfs_inodes(self->dir);
	ASSERT_GT(before, 0);
	ASSERT_EQ(0, pb_offline(&self->dimm.block[0], 20000 * pb_timeout_mul(), NULL));
	after = tmpfs_inodes(self->dir);
	EXPECT_LE(labs(before - after), 64);
	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[0]);
	after = tmpfs_inodes(self->dir);
	EXPECT_LE(labs(before - after), 64);
}

TEST_HARNESS_MAIN
