// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: whether kswapd finds a node balanced must not depend on which
 * counter a free CMA page is in, that of its zone or the difference of a CPU.
 *
 *   free pages, snapshot      |--------------usable--------------|--CMA--|
 *   less CMA, zone's counter  |-----------------"usable"-------------|---|
 *
 * A CPU keeps up to 125 pages to itself, of each counter. Where that matters the
 * free pages are a snapshot, which has them, so what is subtracted from them has
 * to be one too. Or kswapd sleeps below the high mark, or reclaims above it.
 *
 * And nobody may be throttled until kswapd has freed more pages of a node that
 * kswapd finds balanced: they would wait for each other.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define FILE_BALANCE	PB_DEBUGFS "/balance"
#define FILE_THROTTLE	PB_DEBUGFS "/throttle"
#define PAGES		100	/* of 125 at most */

/* What the debug module says about the question it asked last */
struct answers {
	long usable;
	int marks;
	int early;
	int late;
};

FIXTURE(balance) {
	int nid;
};

/* Of free CMA pages, the difference of a CPU has */
FIXTURE_VARIANT(balance) {
	int pages;
};

FIXTURE_VARIANT_ADD(balance, freed) {
	.pages = PAGES,
};

FIXTURE_VARIANT_ADD(balance, allocated) {
	.pages = -PAGES,
};

FIXTURE_SETUP(balance)
{
	if (!pb_debug_has("balance"))
		SKIP(return, "need pageblock_debug.ko and a function pgdat_balanced, have none");
	if (pb_vmstat("nr_free_cma") < 4 * PAGES)
		SKIP(return, "need %d free CMA pages (cma=SIZE), have %ld",
		     4 * PAGES, pb_vmstat("nr_free_cma"));
	self->nid = 0;
}

FIXTURE_TEARDOWN(balance)
{
}

static int ask(int pages, int nid, struct answers *a)
{
	char buf[256], *at;
	int ret;

	ret = pb_debug("balance", "%d node=%d", pages, nid);
	if (ret)
		return ret;
	ret = pb_read(FILE_BALANCE, buf, sizeof(buf));
	if (ret)
		return ret;
	at = strstr(buf, " usable=");
	if (!at || sscanf(at, " usable=%ld marks=%d early=%d late=%d", &a->usable,
			  &a->marks, &a->early, &a->late) != 4)
		return -EPROTO;
	return 0;
}

TEST_F(balance, is_that_of_usable_pages_whoever_counts_them)
{
	struct answers a;

	ASSERT_EQ(0, ask(variant->pages, self->nid, &a));
	TH_LOG("%ld usable pages, %d marks around that: balanced below the mark %d times, not balanced above %d times",
	       a.usable, a.marks, a.early, a.late);
	/* Precondition: there were marks on both sides of what is usable */
	ASSERT_EQ(4 * PAGES, a.marks);
	EXPECT_EQ(0, a.early)
		TH_LOG("kswapd sleeps with too few pages");
	EXPECT_EQ(0, a.late)
		TH_LOG("kswapd reclaims with enough pages");
}

/* What else a counter may hold back has nothing to do with the answer either */
TEST_F(balance, trigger_refuses_what_no_cpu_keeps_to_itself)
{
	struct answers before, after;

	ASSERT_EQ(0, ask(variant->pages, self->nid, &before));
	EXPECT_EQ(-ERANGE, pb_debug("balance", "%d node=%d",
				    2 * variant->pages, self->nid));
	EXPECT_EQ(-ERANGE, pb_debug("balance", "%d node=%d", INT_MIN, self->nid));
	EXPECT_EQ(-EINVAL, pb_debug("balance", "0 node=%d", self->nid));
	EXPECT_EQ(-EINVAL, pb_debug("balance", "%d", variant->pages));
	ASSERT_EQ(0, ask(variant->pages, self->nid, &after));
	EXPECT_EQ(before.marks, after.marks);
}

/* Free pages in a zone without LRU pages, and no others */
FIXTURE(throttled) {
	int asleep;		/* kswapd was */
	long reserve;		/* sum of the min marks of the node */
	long quiet;		/* the number of these free pages */
	/* The verdicts on the node, with them */
	int balanced, allowed;
	/* The same with high marks out of reach, and low min marks */
	int work_balanced, work_allowed;
	/* And without them */
	int no_balanced, no_allowed;
};

FIXTURE_SETUP(throttled)
{
	double end = pb_now() + 10.0 * pb_timeout_mul();
	char buf[256];
	int ret;

	if (!pb_debug_has("throttle"))
		SKIP(return, "need pageblock_debug.ko and a function allow_direct_reclaim, have none");
	/* The question itself may wake kswapd */
	do {
		pb_msleep(100);
		ret = pb_debug("throttle", "node=0");
		if (ret == -ENODATA)
			SKIP(return, "need a zone of node 0 with free pages and no LRU pages, have none");
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, pb_read(FILE_THROTTLE, buf, sizeof(buf)));
	} while (strstr(buf, "asleep=0") && pb_now() < end);
	ASSERT_EQ(9, sscanf(buf, "node 0 asleep=%d reserve=%ld quiet=%ld balanced=%d allowed=%d work: balanced=%d allowed=%d without: balanced=%d allowed=%d",
			    &self->asleep, &self->reserve, &self->quiet,
			    &self->balanced, &self->allowed,
			    &self->work_balanced, &self->work_allowed,
			    &self->no_balanced, &self->no_allowed));
	TH_LOG("%s", buf);
}

FIXTURE_TEARDOWN(throttled)
{
}

TEST_F(throttled, is_nobody_on_a_node_that_kswapd_finds_balanced)
{
	ASSERT_GT(self->quiet, 0);
	/* Preconditions: these pages are enough for kswapd, which sleeps... */
	ASSERT_EQ(1, self->asleep);
	ASSERT_EQ(1, self->balanced);
	/* ...and not of a reserve */
	if (self->quiet > self->reserve / 2)
		SKIP(return, "need min marks of %ld pages or more, have %ld",
		     2 * self->quiet, self->reserve);
	EXPECT_EQ(1, self->allowed)
		TH_LOG("waits for a kswapd that has nothing to do");
}

TEST_F(throttled, is_nobody_while_such_pages_are_enough_of_a_reserve)
{
	ASSERT_GT(self->quiet, 0);
	/* Precondition: it is not for kswapd's verdict */
	ASSERT_EQ(0, self->work_balanced);
	EXPECT_EQ(1, self->work_allowed)
		TH_LOG("these free pages do not count");
}

TEST_F(throttled, is_who_reclaims_where_nothing_is_free)
{
	ASSERT_EQ(0, self->no_balanced);
	EXPECT_EQ(0, self->no_allowed);
}

TEST_HARNESS_MAIN
