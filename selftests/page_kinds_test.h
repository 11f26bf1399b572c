/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of all tests of page kinds. Included once by each program, which
 * may set PK_NID, the node that the block is added to.
 */
#ifndef __PAGE_KINDS_TEST_H
#define __PAGE_KINDS_TEST_H

#include "page_kinds.h"
#include "pageblock_harness.h"

#ifndef PK_NID
#define PK_NID		pb_target_node()
#endif

FIXTURE(kind) {
	struct pk pk;
};

FIXTURE_SETUP(kind)
{
	int ret = pk_open(&self->pk, PK_NID);

	if (ret == PK_SKIP)
		SKIP(return, "%s", self->pk.why);
	ASSERT_EQ(0, ret)
		TH_LOG("%s: %s", self->pk.why, strerror(-ret));
}

FIXTURE_TEARDOWN(kind)
{
}

/* One kind, one test */
#define PK_TEST(what, ops)						\
TEST_F_TIMEOUT(kind, what, 600)						\
{									\
	int __ret = pk_run(&self->pk, &(ops));				\
									\
	if (__ret == PK_SKIP)						\
		SKIP(return, "%s", self->pk.why);			\
	EXPECT_EQ(0, __ret)						\
		TH_LOG("%s: %s", self->pk.why, strerror(-__ret));	\
}

#define PK_MAIN								\
	int main(int argc, char **argv)					\
	{								\
		return pk_main(argc, argv) ?: test_harness_run(argc, argv); \
	}

#endif /* __PAGE_KINDS_TEST_H */
