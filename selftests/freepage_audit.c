// SPDX-License-Identifier: GPL-2.0
/*
 * The free page audit (vm.freepage_audit): looks after each operation that
 * moves pageblocks, finds nothing wrong when nothing is, and reports a counter
 * that is off by one page, with its zone, both values and the operations
 * before.
 *
 * Needs CONFIG_DEBUG_FREEPAGE_AUDIT and, to make a counter wrong, the debug
 * module built with its fault switch. Works on two blocks of its own: when one
 * goes offline, its zone still has memory to look at.
 *
 *   |-- 0: online_movable --|-- 1: online_movable --|
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define MODE		"/proc/sys/vm/freepage_audit"
#define STATS		"/sys/kernel/debug/freepage_audit"
#define INTERVAL	PB_DEBUGFS "/audit_interval_ms"
#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define TAINTED		"/proc/sys/kernel/tainted"
#define TAINT_BAD_PAGE	(1UL << 5)

FIXTURE(audit) {
	struct pb_saved auto_online, interval, mode;
	struct pb_dimm dimm;
	unsigned long start_pfn, end_pfn;	/* a pageblock of ours */
	int faults;				/* pages too many in nr_free_pages */
};

static long stat_of(const char *key)
{
	char buf[256], want[32], *at;
	int ret;

	ret = pb_read(STATS, buf, sizeof(buf));
	if (ret)
		return ret;
	snprintf(want, sizeof(want), "%s ", key);
	at = strstr(buf, want);
	return at ? atol(at + strlen(want)) : -ENOENT;
}

FIXTURE_SETUP(audit)
{
	int ret;

	if (!pb_host())
		SKIP(return, "need a host that can add memory, have none");
	if (!pb_debug_has("isolate"))
		SKIP(return, "need the debug module, have none");
	ASSERT_EQ(0, pb_save(&self->mode, MODE))
		TH_LOG("no %s (this kernel lacks DEBUG_FREEPAGE_AUDIT)", MODE);
	ASSERT_GE(stat_of("looks"), 0);

	/* The module's own audit would notice what is made wrong here. */
	ASSERT_EQ(0, pb_save(&self->interval, INTERVAL));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(INTERVAL, "0"));
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	ret = pb_hotadd(&self->dimm, "audit", 2 * pb_block_mb(), pb_target_node());
	ASSERT_EQ(0, ret)
		TH_LOG("hot-add: %s", strerror(-ret));
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[0], "online_movable"));
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[1], "online_movable"));

	/* In the middle, where the node's own threads do not begin */
	self->start_pfn = self->dimm.block[0].start_pfn + pb_block_pages() / 2;
	self->end_pfn = self->start_pfn + pb_pageblock_pages();
	ASSERT_EQ(0, pb_write(MODE, "1"));
}

FIXTURE_TEARDOWN(audit)
{
	if (self->faults)
		EXPECT_EQ(0, pb_debug("fault", "nr_free_pages %d node=%d",
				      -self->faults, self->dimm.nid));
	EXPECT_EQ(0, pb_undo_all());
	EXPECT_EQ(0, pb_restore(&self->mode));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_restore(&self->interval));
}

#define add_fault(self) ({						\
	int __ret = pb_debug("fault", "nr_free_pages 1 node=%d",	\
			     (self)->dimm.nid);				\
	(self)->faults += !__ret;					\
	__ret; })

/* Each step must be looked at, and nothing may be found. */
#define EXPECT_AUDITED(what, step) do {					\
	long __looks = stat_of("looks");				\
									\
	EXPECT_EQ(0, step)						\
		TH_LOG("%s failed", what);				\
	EXPECT_GT(stat_of("looks"), __looks)				\
		TH_LOG("no look after %s", what);			\
} while (0)

TEST_F_TIMEOUT(audit, looks_after_each_operation_and_finds_nothing, 180)
{
	const struct pb_block *block = &self->dimm.block[0];
	long violations = stat_of("violations");

	EXPECT_AUDITED("isolate", pb_debug_range("isolate", self->start_pfn,
						 self->end_pfn));
	EXPECT_AUDITED("undo", pb_debug_range("undo", self->start_pfn,
					      self->end_pfn));
	EXPECT_AUDITED("contiguous allocation",
		       pb_debug_range("contig", self->start_pfn,
				      self->end_pfn));
	EXPECT_AUDITED("offline", pb_block_set(block, "offline"));
	EXPECT_AUDITED("online", pb_block_set(block, "online_movable"));
	EXPECT_EQ(violations, stat_of("violations"));
}

TEST_F_TIMEOUT(audit, off_means_no_look, 180)
{
	long looks;

	ASSERT_EQ(0, pb_write(MODE, "0"));
	/* A type that changed before may still be waiting for its audit. */
	pb_msleep(1000);
	looks = stat_of("looks");
	ASSERT_EQ(0, pb_debug_range("isolate", self->start_pfn, self->end_pfn));
	ASSERT_EQ(0, pb_debug_range("undo", self->start_pfn, self->end_pfn));
	EXPECT_EQ(looks, stat_of("looks"));
}

/* All that the kernel logged since @fd was opened, up to @len */
static void read_log(int fd, char *buf, size_t len)
{
	size_t used = 0;
	ssize_t n;

	while (used + 1024 < len) {
		n = read(fd, buf + used, 1024);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		used += n;
	}
	buf[used] = '\0';
}

TEST_F_TIMEOUT(audit, one_page_too_many_is_reported_with_what_was_done, 180)
{
	long violations = stat_of("violations"), is = 0, should = 0;
	static char log[65536];
	unsigned long tainted;
	char buf[32], *at;
	int fd;

	if (!pb_debug_has("fault"))
		SKIP(return, "need the debug module built with PB_FAULTS=1, have it without");
	fd = pb_kmsg_open_end();
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, pb_read(TAINTED, buf, sizeof(buf)));
	tainted = strtoul(buf, NULL, 0);

	ASSERT_EQ(0, add_fault(self));
	ASSERT_EQ(0, pb_debug_range("isolate", self->start_pfn, self->end_pfn));

	EXPECT_GT(stat_of("violations"), violations);
	read_log(fd, log, sizeof(log));
	at = strstr(log, "nr_free_pages is ");
	ASSERT_NE(NULL, at)
		TH_LOG("not reported");
	EXPECT_EQ(2, sscanf(at, "nr_free_pages is %ld, should be %ld", &is,
			    &should));
	EXPECT_EQ(1, is - should);
	EXPECT_NE(NULL, strstr(at, "isolate ["))
		TH_LOG("the report does not name the last operation");
	ASSERT_EQ(0, pb_read(TAINTED, buf, sizeof(buf)));
	EXPECT_EQ(tainted, strtoul(buf, NULL, 0))
		TH_LOG("tainted without being asked for");

	/* Put right, it is quiet again; that the counters agree is the proof. */
	ASSERT_EQ(0, pb_debug("fault", "nr_free_pages -1 node=%d", self->dimm.nid));
	self->faults = 0;
	violations = stat_of("violations");
	ASSERT_EQ(0, pb_debug_range("undo", self->start_pfn, self->end_pfn));
	EXPECT_EQ(violations, stat_of("violations"));
	close(fd);
}

/*
 * That there was a look does not tell who asked for it: each of these operations
 * isolates or undoes something as well. The report does.
 */
#define EXPECT_NAMED(self, fd, op, first, end) do {			\
	static char __log[65536];					\
	char __want[80];						\
									\
	snprintf(__want, sizeof(__want), op " [%#lx-%#lx)",		\
		 (unsigned long)(first), (unsigned long)(end));		\
	ASSERT_EQ(0, add_fault(self));					\
	ASSERT_EQ(0, pb_debug_range("isolate", (self)->start_pfn,	\
				    (self)->end_pfn));			\
	read_log(fd, __log, sizeof(__log));				\
	EXPECT_NE(NULL, strstr(__log, __want))				\
		TH_LOG("no '%s' in the report:\n%s", __want, __log);	\
	ASSERT_EQ(0, pb_debug_range("undo", (self)->start_pfn,		\
				    (self)->end_pfn));			\
} while (0)

TEST_F_TIMEOUT(audit, each_operation_is_named_in_a_report, 180)
{
	const struct pb_block *block = &self->dimm.block[1];
	int fd;

	if (!pb_debug_has("fault"))
		SKIP(return, "need the debug module built with PB_FAULTS=1, have it without");
	fd = pb_kmsg_open_end();
	ASSERT_GE(fd, 0);

	EXPECT_NAMED(self, fd, "isolate", self->start_pfn, self->end_pfn);
	EXPECT_NAMED(self, fd, "undo", self->start_pfn, self->end_pfn);
	ASSERT_EQ(0, pb_debug_range("contig", self->start_pfn, self->end_pfn));
	EXPECT_NAMED(self, fd, "alloc_contig", self->start_pfn, self->end_pfn);
	ASSERT_EQ(0, pb_block_set(block, "offline"));
	EXPECT_NAMED(self, fd, "offline", block->start_pfn, block->end_pfn);
	ASSERT_EQ(0, pb_block_set(block, "online_movable"));
	EXPECT_NAMED(self, fd, "online", block->start_pfn, block->end_pfn);
	close(fd);
}

TEST_F_TIMEOUT(audit, taints_the_kernel_when_asked_to, 180)
{
	char buf[32];

	if (!pb_debug_has("fault"))
		SKIP(return, "need the debug module built with PB_FAULTS=1, have it without");
	ASSERT_EQ(0, pb_read(TAINTED, buf, sizeof(buf)));
	if (strtoul(buf, NULL, 0) & TAINT_BAD_PAGE)
		SKIP(return, "need a kernel that is not tainted yet, have %s",
		     buf);
	ASSERT_EQ(0, pb_write(MODE, "2"));
	ASSERT_EQ(0, add_fault(self));
	ASSERT_EQ(0, pb_debug_range("isolate", self->start_pfn, self->end_pfn));
	ASSERT_EQ(0, pb_read(TAINTED, buf, sizeof(buf)));
	EXPECT_NE(0, strtoul(buf, NULL, 0) & TAINT_BAD_PAGE);
}

TEST_F(audit, unknown_modes_are_refused)
{
	static const char * const bad[] = { "4", "-1", "on" };
	char buf[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, pb_write(MODE, bad[i]))
			TH_LOG("'%s'", bad[i]);
		ASSERT_EQ(0, pb_read(MODE, buf, sizeof(buf)));
		EXPECT_EQ('1', buf[0]);
	}
}

TEST_HARNESS_MAIN
