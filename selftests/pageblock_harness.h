/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kselftest harness, with time-outs that know of slow kernels: one that
 * checks each access, lock and page (PB_SLOW in the environment says how many
 * times slower, default 1). Include this instead of kselftest_harness.h; what
 * tests say in TEST_F_TIMEOUT() is for an ordinary kernel.
 *
 * Also, a test that has failed stays failed when it skips the rest, and a
 * fixture can be torn down when its setup fails.
 */
#ifndef __PAGEBLOCK_HARNESS_H
#define __PAGEBLOCK_HARNESS_H

#include "kselftest_harness.h"
#include "pageblock_util.h"

#define PB_TEST_S	30	/* as the harness has it */

#undef TEST_F
#define TEST_F(fixture, test)						\
	__TEST_F_IMPL(fixture, test, -1, PB_TEST_S * pb_slow())

#undef TEST_F_TIMEOUT
#define TEST_F_TIMEOUT(fixture, test, seconds)				\
	__TEST_F_IMPL(fixture, test, -1, (seconds) * pb_slow())

/* The harness's own would forget what an EXPECT before it has found */
#undef SKIP
#define SKIP(statement, fmt, ...) do {					\
	if (_metadata->exit_code == KSFT_FAIL) {			\
		TH_LOG("failed, and skips the rest: " fmt, ##__VA_ARGS__); \
	} else {							\
		snprintf(_metadata->results->reason,			\
			 sizeof(_metadata->results->reason), fmt,	\
			 ##__VA_ARGS__);				\
		fprintf(TH_LOG_STREAM, "#      SKIP      %s\n",		\
			_metadata->results->reason);			\
		_metadata->exit_code = KSFT_SKIP;			\
	}								\
	_metadata->trigger = 0;						\
	statement;							\
} while (0)

/*
 * In FIXTURE_SETUP(), before the first change: what fails from here on is torn
 * down as well, with the fields that are not set yet zero. A SKIP() after it is
 * torn down with FIXTURE_TEARDOWN_PARENT() only.
 */
#define PB_TEARDOWN_FROM_HERE()		(*_metadata->no_teardown = false)

/* Skips unless the node that hot-added memory goes to, @nid, has none yet */
#define PB_NEED_EMPTY_NODE(nid) do {					\
	(nid) = pb_target_node();					\
	if (pb_node_has_memory(nid))					\
		SKIP(return, "need a node without memory, have node %d with %ld free pages", \
		     nid, pb_node_vmstat(nid, "nr_free_pages"));	\
} while (0)

/*
 * In FIXTURE_SETUP(): hot-adds memory that stays offline, to node self->nid. To be
 * torn down are self->auto_online and self->dimm.
 */
#define PB_HOTADD_OFFLINE(self, name, mb) do {				\
	ASSERT_EQ(0, pb_save(&(self)->auto_online,			\
			     PB_SYS_MEMORY "/auto_online_blocks"));	\
	PB_TEARDOWN_FROM_HERE();					\
	ASSERT_EQ(0, pb_write((self)->auto_online.path, "offline"));	\
	ASSERT_EQ(0, pb_hotadd(&(self)->dimm, name, mb, (self)->nid));	\
} while (0)

#endif /* __PAGEBLOCK_HARNESS_H */
