// SPDX-License-Identifier: GPL-2.0
/*
 * A state that an online memory block refuses must not be remembered.
 *
 * Writing "online_movable" to the state of a block that is online already is
 * answered by -EINVAL. The word must not be what the next plain onlining uses,
 * which names no type: device_online() by the `online` file, or a driver.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kselftest_harness.h"
#include "pageblock_util.h"

#define OFFLINE_MS	(10000 * pb_timeout_mul())

FIXTURE(refused) {
	struct pb_dimm dimm;
};

FIXTURE_SETUP(refused)
{
	int ret;

	if (!pb_host())
		SKIP(return, "need a host that can add memory, have none");
	ret = pb_hotadd(&self->dimm, "refused", pb_block_mb(),
			pb_target_node());
	ASSERT_EQ(0, ret)
		TH_LOG("hot-add: %s", strerror(-ret));
}

FIXTURE_TEARDOWN(refused)
{
	if (self->dimm.nr)
		EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

TEST_F_TIMEOUT(refused, state_is_not_what_plain_onlining_uses, 120)
{
	struct pb_block *block = &self->dimm.block[0];
	char zone[32], path[96];

	/* What plain onlining chooses, before anything was refused */
	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/online",
		 block->id);
	ASSERT_EQ(0, pb_write(path, "1"));
	ASSERT_EQ(0, pb_block_get(block, "valid_zones", zone, sizeof(zone)));
	ASSERT_STRNE("Movable", zone);

	/* The block is online, so this is refused ... */
	ASSERT_EQ(-EINVAL, pb_block_set(block, "online_movable"));
	EXPECT_TRUE(pb_block_is(block, "valid_zones", zone));

	/* ... and must not decide how the block comes back */
	ASSERT_EQ(0, pb_offline(block, OFFLINE_MS, NULL));
	ASSERT_EQ(0, pb_write(path, "1"));
	EXPECT_TRUE(pb_block_is(block, "valid_zones", zone))
		TH_LOG("a plain online used the refused online_movable");
}

TEST_HARNESS_MAIN
