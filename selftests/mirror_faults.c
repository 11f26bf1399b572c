// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations that fail in and around the mirror reserve: a change of its size
 * is done or not begun, and what is requested from it fails or is served, with
 * no page lost on the way.
 *
 * Needs a kernel with fault injection (make check CONFIG=kasan), booted with
 * mirror_reserve=, and the debug module.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pageblock_faults.h"
#include "pageblock_util.h"
#include "pageblock_harness.h"

#define SYS		"/sys/kernel/mm/mirror_reserve"
#define MAX_NODES	8
#define MIX		"mix 20000 %u node=%d"

FIXTURE(mirror) {
	int nid;	/* the node with the largest reserve, -1: none */
	long max_kb;
	long unit_kb;
	long total_kb;	/* MemTotal with all of it in the reserve */
};

/* What a walk over the pages of the node finds, not a counter: @key of the module */
static long walk(int nid, const char *key)
{
	char buf[2048], want[32], *at;

	if (pb_read(PB_DEBUGFS "/mirror", buf, sizeof(buf)) < 0)
		return -EIO;
	snprintf(want, sizeof(want), "node=%d ", nid);
	at = strstr(buf, want);
	snprintf(want, sizeof(want), " %s=", key);
	at = at ? strstr(at, want) : NULL;
	return at ? atol(at + strlen(want)) : -ENOENT;
}

FIXTURE_SETUP(mirror)
{
	int nid;

	self->nid = -1;
	if (pf_missing()[0])
		SKIP(return, "need %s, have none (make check CONFIG=kasan)",
		     pf_missing());
	if (access(SYS, F_OK))
		SKIP(return, "need a boot with mirror_reserve=, have none");
	if (!pb_debug_has("mirror"))
		SKIP(return, "need the debug module, have none");
	for (nid = 0; nid < MAX_NODES; nid++) {
		if (pb_mirror_kb(nid, "max_kb") > self->max_kb) {
			self->max_kb = pb_mirror_kb(nid, "max_kb");
			self->nid = nid;
		}
	}
	ASSERT_GE(self->nid, 0);
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_debug("mirror", "free"));
	ASSERT_EQ(self->max_kb, pb_mirror_kb(self->nid, "size_kb"));
	self->unit_kb = getpagesize() / 1024 << pb_max_order();
	self->total_kb = pb_meminfo("MemTotal");
}

FIXTURE_TEARDOWN_PARENT(mirror)
{
	pf_disarm();
	EXPECT_EQ(0, pb_debug("mirror", "free"));
	EXPECT_EQ(0, pb_mirror_resize(self->nid, self->max_kb));
}

/* All that knows the size says @kb */
static bool size_is(int nid, long kb, long max_kb, long total_kb)
{
	long pages = kb * 1024 / getpagesize();

	if (pb_mirror_kb(nid, "size_kb") == kb && walk(nid, "pages") == (kb ? pages : -ENOENT) &&
	    pb_meminfo("MemTotal") == total_kb + max_kb - kb)
		return true;
	printf("# want %ld kB: size_kb %ld, %ld pages by a walk, MemTotal %ld with %ld\n",
	       kb, pb_mirror_kb(nid, "size_kb"), walk(nid, "pages"),
	       pb_meminfo("MemTotal"), total_kb);
	return false;
}

/* Once the nth allocation fails, for n = 1, 2, ...: how many were refused, or -1 */
static long each_allocation(FIXTURE_DATA(mirror) *self, long from, long to, long *faults)
{
	long refused = 0;
	unsigned int n;
	bool hit;
	int ret;

	*faults = 0;
	if (pf_arm("size_kb_store", 0))
		return -1;
	for (n = 1; ; n += 1 + n / 3) {
		if (pf_nth(n))
			return -1;
		ret = pb_mirror_resize(self->nid, to);
		hit = pf_nth_hit();
		if (!size_is(self->nid, ret ? from : to, self->max_kb, self->total_kb))
			return -1;
		refused += !!ret;
		/* Without faults it is done, and undone */
		if (pb_mirror_resize(self->nid, to) || pb_mirror_resize(self->nid, from))
			return -1;
		if (!hit)
			break;
	}
	*faults = pf_disarm();
	return refused;
}

TEST_F_TIMEOUT(mirror, size_is_the_old_or_the_new_one, 1800)
{
	long give = self->max_kb / 2 / self->unit_kb * self->unit_kb;
	long small = self->max_kb - give, faults, refused;

	ASSERT_GT(give, 0);
	refused = each_allocation(self, self->max_kb, small, &faults);
	TH_LOG("smaller: %ld faults, %ld refused", faults, refused);
	EXPECT_GE(refused, 1);
	EXPECT_GE(faults, 1);
	/* None of it is taken unless all of it can be */
	EXPECT_EQ(faults, refused);

	ASSERT_EQ(0, pb_mirror_resize(self->nid, small));
	refused = each_allocation(self, small, self->max_kb, &faults);
	TH_LOG("larger: %ld faults, %ld refused", faults, refused);
	/*
	 * Nothing is allocated to take back what is free, so there may be no
	 * fault to be hit (the next test has pages that must be moved). But
	 * each size was the old or the new one.
	 */
	EXPECT_NE(-1, refused);
}

/* Movable pages in what has been handed out must be moved, which takes memory */
TEST_F_TIMEOUT(mirror, grows_or_does_not_when_pages_cannot_be_moved, 1800)
{
	long small = self->max_kb % self->unit_kb, faults = 0, done = 0, refused = 0;
	size_t len = (size_t)self->max_kb * 1024 / 4;
	int tries = 10, i, ret;
	char *data;

	for (i = 0; i < tries; i++) {
		ASSERT_EQ(0, pb_mirror_resize(self->nid, small));
		data = mmap(NULL, len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, data);
		memset(data, i + 1, len);
		ASSERT_EQ(0, pf_arm("size_kb_store", 10));
		ret = pb_mirror_resize(self->nid, self->max_kb);
		faults += pf_disarm();
		done += !ret;
		refused += !!ret;
		EXPECT_TRUE(size_is(self->nid, ret ? small : self->max_kb,
				    self->max_kb, self->total_kb));
		EXPECT_TRUE(data[0] == i + 1 && !memcmp(data, data + 1, len - 1));
		munmap(data, len);
		EXPECT_EQ(0, pb_mirror_resize(self->nid, self->max_kb));
	}
	TH_LOG("%ld faults in %d tries: %ld done, %ld refused", faults, tries, done,
	       refused);
	EXPECT_GE(faults, tries / 2);
}

TEST_F_TIMEOUT(mirror, loses_no_page_when_requests_fail, 1800)
{
	long pages = self->max_kb * 1024 / getpagesize(), faults = 0;
	unsigned int seed;

	if (walk(self->nid, "nr_free") != pages)
		SKIP(return, "need a reserve that nobody else uses, have %ld of %ld pages free",
		     walk(self->nid, "nr_free"), pages);
	for (seed = 1; seed <= 4; seed++) {
		ASSERT_EQ(0, pf_arm("mirror_write", 40));
		EXPECT_EQ(0, pb_debug("mirror", MIX, seed, self->nid));
		faults += pf_disarm();
		EXPECT_LT(walk(self->nid, "free"), pages);
		EXPECT_EQ(walk(self->nid, "nr_free"), walk(self->nid, "free"));
	}
	TH_LOG("%ld faults", faults);
	EXPECT_GE(faults, 8000);
	ASSERT_EQ(0, pb_debug("mirror", "free"));
	EXPECT_EQ(pages, walk(self->nid, "nr_free"));
	EXPECT_EQ(pages, walk(self->nid, "free"));

	/* Who wants nothing else gets an error and not another page */
	ASSERT_EQ(0, pf_arm("mirror_write", 100));
	EXPECT_EQ(-ENOMEM, pb_debug("mirror", "0 1 strict node=%d", self->nid));
	EXPECT_EQ(1, pf_disarm());
	EXPECT_EQ(pages, walk(self->nid, "nr_free"));
	EXPECT_EQ(0, pb_debug("mirror", "0 1 strict node=%d", self->nid));
	EXPECT_EQ(pages - 1, walk(self->nid, "nr_free"));
}

TEST_HARNESS_MAIN
