/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kselftest harness, with time-outs that know of slow kernels: one that
 * checks each access, lock and page (PB_SLOW in the environment says how many
 * times slower, default 1). Include this instead of kselftest_harness.h; what
 * tests say in TEST_F_TIMEOUT() is for an ordinary kernel.
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

#endif /* __PAGEBLOCK_HARNESS_H */
