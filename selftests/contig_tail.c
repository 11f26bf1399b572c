// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: alloc_contig_range() must notice when part of its range is no
 * memory of its zone, and come to an end.
 *
 *   memory block    |-- 0: Normal --|-- 1: Movable --|-- 2: Normal --|
 *   range                       <------->
 *
 * Callers look for a range in one zone, but nothing holds it there: before it
 * is isolated, a memory block of it can go offline and come back in another
 * zone. The search for pages to migrate passes over such a block; with no
 * other block ahead the loop around it makes no progress, for ever.
 *
 * Memory in the middle of the range that is offline was passed over by
 * isolation as well, which then said that it had isolated the range. When such
 * memory comes online and somebody isolates it, that is undone together with
 * the range.
 *
 * Block 2 is there because a zone without any gap is not searched for gaps.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

FIXTURE(contig) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	unsigned long nr;	/* pages of a pageblock */
	int nid;
};

FIXTURE_SETUP(contig)
{
	static const char * const type[] = {
		"online_kernel", "online_movable", "online_kernel",
	};
	long nr = pb_pageblock_pages();
	int i;

	if (nr < 0 || !pb_debug_has("contig"))
		SKIP(return, "need pageblock_debug.ko with its triggers, have none");
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	self->nr = nr;
	self->nid = pb_target_node();
	PB_HOTADD_OFFLINE(self, "contig", 3 * pb_block_mb());
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, pb_block_set(&self->dimm.block[i], type[i]));
}

FIXTURE_TEARDOWN_PARENT(contig)
{
	int ret;

	EXPECT_EQ(0, pb_undo_all());
	ret = pb_hotdel(&self->dimm);
	if (ret)
		TH_LOG("the memory stays: %s", strerror(-ret));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

/* Its exit status is the error, 0 when the range was allocated */
static pid_t start_contig(unsigned long start, unsigned long end)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		pb_let_go_of_output();
		_exit(-pb_debug_range("contig", start, end));
	}
	return pid;
}

/* The error, 0 when the range was allocated, -ETIMEDOUT when it had no end */
static int contig_ends(unsigned long start, unsigned long end)
{
	double until = pb_now() + 1.5 * pb_timeout_mul();
	pid_t pid = start_contig(start, end);
	int status;

	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, WNOHANG) != pid) {
		pb_msleep(5);
		if (pb_now() < until)
			continue;
		kill(pid, SIGKILL);
		return pb_child_end(pid, 3.0 * pb_timeout_mul()) == PB_NEVER ?
		       -EDEADLK : -ETIMEDOUT;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

TEST_F_TIMEOUT(contig, range_that_ends_in_another_zone_is_an_error, 120)
{
	unsigned long border = self->dimm.block[1].start_pfn;
	int ret;

	ASSERT_EQ(self->dimm.block[0].end_pfn, border);
	/* Both sides by themselves are fine, so only the border can stop it */
	ASSERT_EQ(0, pb_debug_range("contig", border - self->nr, border));
	ASSERT_EQ(0, pb_debug_range("contig", border, border + self->nr));

	ret = contig_ends(border - self->nr, border + self->nr);
	ASSERT_NE(-EDEADLK, ret) TH_LOG("it cannot even be killed");
	EXPECT_NE(-ETIMEDOUT, ret)
		TH_LOG("it made no progress until it was killed");
	EXPECT_NE(0, ret);
	TH_LOG("%s", strerror(-ret));
	/* Nothing stays isolated, on either side */
	EXPECT_EQ(0, pb_counter(self->nid, "Normal", "nr_isolate_pageblock"));
	EXPECT_EQ(0, pb_counter(self->nid, "Movable", "nr_isolate_pageblock"));
	EXPECT_EQ(0, pb_audit_count(""));
}

TEST_F_TIMEOUT(contig, range_with_offline_memory_is_not_isolated, 120)
{
	unsigned long start = self->dimm.block[0].end_pfn - self->nr;
	unsigned long end = self->dimm.block[2].start_pfn + self->nr;
	int ret;

	if (!pb_debug_has("owners"))
		SKIP(return, "need pageblock_debug.ko with \"owners\", have none");
	ASSERT_EQ(self->dimm.block[1].end_pfn, self->dimm.block[2].start_pfn);
	/* Both ends by themselves are fine, so only the middle can stop it */
	ASSERT_EQ(0, pb_debug_range("contig", start, start + self->nr));
	ASSERT_EQ(0, pb_debug_range("contig", end - self->nr, end));
	ASSERT_EQ(0, pb_offline(&self->dimm.block[1], 5000 * pb_timeout_mul(),
				NULL));

	ASSERT_EQ(0, pb_debug("owners", "1"));
	ret = contig_ends(start, end);
	EXPECT_EQ(-EBUSY, ret) TH_LOG("%s", strerror(-ret));
	EXPECT_EQ(0, pb_owners("isolations"))
		TH_LOG("a range is isolated, it says, half of which is not there");
	EXPECT_EQ(1, pb_owners("refused"));
	EXPECT_EQ(0, pb_debug("owners", "0"));
	EXPECT_EQ(0, pb_counter(self->nid, "Normal", "nr_isolate_pageblock"));
	EXPECT_EQ(0, pb_audit_count(""));
}

/*
 * At the ends it was noticed mostly by the stale bit that isolation leaves in an
 * offline block; with CONFIG_DEBUG_VM its struct pages are poisoned, and their
 * zone is none.
 */
TEST_F_TIMEOUT(contig, range_that_begins_or_ends_offline_is_not_isolated, 120)
{
	unsigned long start = self->dimm.block[1].start_pfn;
	unsigned long end = self->dimm.block[1].end_pfn;

	ASSERT_EQ(0, pb_debug_range("contig", start - self->nr, start));
	ASSERT_EQ(0, pb_debug_range("contig", end, end + self->nr));
	ASSERT_EQ(0, pb_offline(&self->dimm.block[1], 5000 * pb_timeout_mul(),
				NULL));

	EXPECT_EQ(-EBUSY, contig_ends(start - self->nr, start + self->nr));
	EXPECT_EQ(-EBUSY, contig_ends(end - self->nr, end + self->nr));
	EXPECT_EQ(-EBUSY, contig_ends(start, start + self->nr));
	EXPECT_EQ(0, pb_counter(self->nid, "Normal", "nr_isolate_pageblock"));
	EXPECT_EQ(0, pb_audit_count(""));
}

/*
 * Where there are few LRU pages, what CPUs have subtracted and not folded yet is
 * enough to be taken for too many isolated pages. A thread of the kernel, such as
 * virtio-mem's, would not even sleep until they fold it, but spin.
 */
TEST_F(contig, nobody_waits_for_pages_that_are_isolated_no_more)
{
	unsigned long start = self->dimm.block[0].start_pfn;
	long limit = 0;
	int i;

	if (!pb_debug_has("unfolded") || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "need pageblock_debug.ko with \"unfolded\" and 2 CPUs, have %ld CPUs",
		     sysconf(_SC_NPROCESSORS_ONLN));
	ASSERT_EQ(0, pb_debug_range("contig", start, start + self->nr));
	for (i = 0; i < 5; i++) {
		pb_fold_counters();
		ASSERT_EQ(0, pb_debug("unfolded", "node=%d %lu %lu", self->nid, start,
				      start + self->nr));
		/* Of the LRU pages of the node, this many are too many */
		limit = pb_debug_value("unfolded", "lru") / 16;
		if (pb_debug_value("unfolded", "isolated") <= limit)
			SKIP(return, "need a node with fewer LRU pages, have %ld", 16 * limit);
		EXPECT_EQ(0, pb_debug_value("unfolded", "exact"));
		EXPECT_EQ(0, pb_debug_value("unfolded", "waits"));
	}
}

TEST_HARNESS_MAIN
