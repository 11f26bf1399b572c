// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: a page that is freed without waiting for a lock must not stay
 * where no drain finds it.
 *
 * free_pages_nolock() only tries zone->lock. When it is taken, the page goes to
 * a list of the zone that ordinary frees of the zone empty, in passing; and it
 * puts a page on a per-CPU list even when those are disabled. Both are free
 * pages with reference count 0 that isolation passes over, and that the end of
 * isolation waits for: nothing is left in the range that would have to be freed
 * in the ordinary way.
 *
 *   |--free--|page, deferred|--free--|   one memory block, nobody uses it
 *
 * All is done in ZONE_MOVABLE, where no ordinary free of the kernel's own comes
 * to the rescue.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

/* An empty block takes milliseconds; more than that is given up after this */
#define GIVE_UP_MS	(3000 * pb_timeout_mul())
/* The smallest one that per-CPU lists do not take */
#define ORDER		4

/* A memory block that has been emptied once, so it can be again */
struct empty_block {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *block;
	unsigned long pfn;	/* somewhere in its middle */
	unsigned long nr;	/* pages of a pageblock */
	int nid;
};

/* Stay on the first CPU of @nid */
static int run_on_node(int nid)
{
	char path[64], buf[64];
	cpu_set_t set;
	int ret;

	snprintf(path, sizeof(path), PB_SYS_NODE "/node%d/cpulist", nid);
	ret = pb_read(path, buf, sizeof(buf));
	if (ret)
		return ret;
	if (!*buf)
		return -ENOENT;
	CPU_ZERO(&set);
	CPU_SET(atoi(buf), &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

/* The first line of the module's "nolock", empty when there is none */
static int nolock_line(char *line, size_t len)
{
	int ret = pb_read(PB_DEBUGFS "/nolock", line, len);

	line[strcspn(line, "\n")] = '\0';
	return ret;
}

static int empty_block_get(struct empty_block *b, const char *tag)
{
	int ret;

	b->nr = pb_pageblock_pages();
	ret = pb_save(&b->auto_online, PB_SYS_MEMORY "/auto_online_blocks") ?:
	      pb_write(b->auto_online.path, "offline") ?:
	      pb_hotadd(&b->dimm, tag, pb_block_mb(), b->nid);
	if (ret)
		return ret;
	b->block = &b->dimm.block[0];
	b->pfn = b->block->start_pfn + pb_block_pages() / 2;
	return pb_block_set(b->block, "online_movable") ?:
	       pb_offline(b->block, GIVE_UP_MS, NULL) ?:
	       pb_block_set(b->block, "online_movable");
}

/* With what is still on its way to the free lists helped on */
static int empty_block_put(struct empty_block *b)
{
	int ret, err = pb_restore(&b->auto_online);
	char line[128];

	if (!b->dimm.id[0])
		return err;
	ret = pb_debug("nolock", "free") ?: pb_debug("alloc", "free");
	if (!ret && b->block && pb_block_is(b->block, "state", "online"))
		/* An ordinary free, of an order without per-CPU list */
		ret = pb_debug("alloc", "%d 1 movable node=%d", ORDER,
			       b->nid) ?: pb_debug("alloc", "free");
	ret = ret ?: nolock_line(line, sizeof(line));
	if (!ret && *line)
		ret = -EBUSY;
	return ret ?: pb_hotdel(&b->dimm) ?: err;
}

static const char *missing(void)
{
	if (!pb_debug_has("nolock"))
		return "need pageblock_debug.ko with its triggers, have none";
	if (!pb_host())
		return "need a host that hot-adds memory, have none";
	return NULL;
}

/* Nobody else has pages there: they would be freed in the ordinary way */
FIXTURE(deferred) {
	struct empty_block b;
};

FIXTURE_SETUP(deferred)
{
	int ret;

	if (missing())
		SKIP(return, "%s", missing());
	self->b.nid = pb_target_node();
	if (!run_on_node(self->b.nid))
		SKIP(return, "need a node without CPUs, have some on node %d",
		     self->b.nid);
	PB_TEARDOWN_FROM_HERE();
	ret = empty_block_get(&self->b, "deferred");
	ASSERT_EQ(0, ret) TH_LOG("%s", strerror(-ret));
}

FIXTURE_TEARDOWN_PARENT(deferred)
{
	EXPECT_EQ(0, empty_block_put(&self->b));
}

/* The page at @b->pfn is deferred now, and the only one */
#define ASSERT_DEFERRED(b) do {					\
	char __line[128];						\
	unsigned long __pfn;						\
	unsigned int __order;						\
									\
	ASSERT_EQ(0, pb_debug("nolock", "defer %lu %d", (b)->pfn, ORDER)); \
	ASSERT_EQ(0, nolock_line(__line, sizeof(__line)));		\
	ASSERT_EQ(2, sscanf(__line, "deferred pfn=%lu order=%u",	\
			    &__pfn, &__order));				\
	ASSERT_EQ((b)->pfn, __pfn);					\
	ASSERT_EQ(ORDER, __order);					\
} while (0)

TEST_F_TIMEOUT(deferred, page_does_not_hold_up_offline, 120)
{
	double took;
	int ret;

	ASSERT_DEFERRED(&self->b);
	ret = pb_offline(self->b.block, GIVE_UP_MS, &took);
	TH_LOG("offline: %s after %.3f s", strerror(-ret), took);
	EXPECT_EQ(0, ret);
}

/* As before, but after the last drain */
TEST_F_TIMEOUT(deferred, page_of_isolated_memory_does_not_hold_up_offline, 120)
{
	char line[128];
	double took;
	int ret;

	ASSERT_EQ(0, pb_debug("nolock", "isolate %lu %d", self->b.pfn, ORDER));
	ret = pb_offline(self->b.block, GIVE_UP_MS, &took);
	ASSERT_EQ(0, nolock_line(line, sizeof(line)));
	/* Precondition: it was freed at that moment; maybe it still is not */
	ASSERT_EQ(NULL, strstr(line, "waiting"));
	TH_LOG("offline: %s after %.3f s", strerror(-ret), took);
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(deferred, page_does_not_keep_its_range_from_contig, 120)
{
	unsigned long start = self->b.pfn - self->b.pfn % self->b.nr;
	int ret;

	ASSERT_EQ(0, pb_debug_range("contig", start, start + self->b.nr));
	ASSERT_DEFERRED(&self->b);
	ret = pb_debug_range("contig", start, start + self->b.nr);
	EXPECT_EQ(0, ret) TH_LOG("alloc_contig_range: %s", strerror(-ret));
}

TEST_F_TIMEOUT(deferred, page_is_freed_by_a_drain, 60)
{
	char line[128];

	ASSERT_DEFERRED(&self->b);
	ASSERT_EQ(0, pb_debug("nolock", "drain"));
	ASSERT_EQ(0, nolock_line(line, sizeof(line)));
	EXPECT_STREQ("", line);
}

/* Free pages have an order at their first page only, and nobody clears others */
TEST_F_TIMEOUT(deferred, page_leaves_no_order_behind, 120)
{
	unsigned long start = self->b.pfn - self->b.pfn % self->b.nr;
	long nr = pb_block_pages() >> (ORDER + 1);
	char line[160];
	int private, ret;

	/* The second half of a larger page, the first half of which is free */
	self->b.pfn += 1 << ORDER;
	ASSERT_DEFERRED(&self->b);
	/* Freed by an ordinary free of something that is not its buddy */
	ASSERT_EQ(0, pb_debug("alloc", "%d 1 movable node=%d", ORDER + 2,
			      self->b.nid));
	ASSERT_EQ(0, pb_debug("alloc", "free"));
	ASSERT_EQ(0, nolock_line(line, sizeof(line)));
	ASSERT_STREQ("", line);

	/* Whoever gets it now, as a part of something larger: take all there is */
	ret = pb_debug("alloc", "%d %ld movable node=%d nocomp", ORDER + 1, nr,
		       self->b.nid);
	ASSERT_TRUE(!ret || ret == -ENOMEM);
	ASSERT_EQ(0, pb_map_free(start, start + self->b.nr));
	ASSERT_EQ(0, pb_read(PB_DEBUGFS "/alloc", line, sizeof(line)));
	ASSERT_NE(NULL, strstr(line, "private="));
	private = atoi(strstr(line, "private=") + strlen("private="));
	EXPECT_EQ(0, private);
	EXPECT_EQ(0, pb_debug("alloc", "free"));
}

/* The timer that drains the per-CPU lists of remote nodes leaves it alone */
FIXTURE(disabled) {
	struct empty_block b;
};

FIXTURE_SETUP(disabled)
{
	int ret;

	if (missing())
		SKIP(return, "%s", missing());
	ret = run_on_node(0);
	if (ret)
		SKIP(return, "need a CPU on node 0, have: %s", strerror(-ret));
	PB_TEARDOWN_FROM_HERE();
	ret = empty_block_get(&self->b, "disabled");
	ASSERT_EQ(0, ret) TH_LOG("%s", strerror(-ret));
}

FIXTURE_TEARDOWN_PARENT(disabled)
{
	EXPECT_EQ(0, empty_block_put(&self->b));
}

TEST_F_TIMEOUT(disabled, lists_keep_no_page_from_going_offline, 120)
{
	const size_t len = 1 << 20;
	char line[128];
	double took;
	char *mem;
	int ret;

	/*
	 * As in a zone that is in use: ordinary frees have set a limit for the
	 * per-CPU list of the zone, so the timer has no reason to drain it.
	 */
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, madvise(mem, len, MADV_NOHUGEPAGE));
	memset(mem, 1, len);
	ASSERT_TRUE(pb_block_has(self->b.block, pb_pfn(mem)));
	ASSERT_EQ(0, munmap(mem, len));

	ASSERT_EQ(0, pb_debug("nolock", "isolate %lu", self->b.pfn));
	ret = pb_offline(self->b.block, GIVE_UP_MS, &took);
	/* Precondition: it was freed at that moment */
	ASSERT_EQ(0, nolock_line(line, sizeof(line)));
	ASSERT_STREQ("", line);
	TH_LOG("offline: %s after %.3f s", strerror(-ret), took);
	EXPECT_EQ(0, ret);
}

TEST_HARNESS_MAIN
