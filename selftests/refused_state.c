// SPDX-License-Identifier: GPL-2.0
/*
 * A state that an online memory block refuses must not be remembered.
 *
 * Writing "online_kernel" to the state of a block that is online already is
 * answered by -EINVAL. The word must not be what the next plain onlining uses,
 * which names no type: device_online() by the `online` file, or a driver.
 *
 *   |--movable--|--refused, offline, 1 > online--|--movable--|
 *
 * Between the two, plain onlining chooses ZONE_MOVABLE. In a kernel zone slab
 * would pin the block before it could go offline and come back.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pageblock_harness.h"
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
	PB_TEARDOWN_FROM_HERE();
	ret = pb_hotadd(&self->dimm, "refused", 3 * pb_block_mb(),
			pb_target_node());
	ASSERT_EQ(0, ret)
		TH_LOG("hot-add: %s", strerror(-ret));
}

FIXTURE_TEARDOWN(refused)
{
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

TEST_F_TIMEOUT(refused, state_is_not_what_plain_onlining_uses, 120)
{
	struct pb_block *block = &self->dimm.block[1];
	char path[96];

	ASSERT_EQ(0, pb_block_set(block - 1, "online_movable"));
	ASSERT_EQ(0, pb_block_set(block + 1, "online_movable"));

	/* What plain onlining chooses, before anything was refused */
	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/online",
		 block->id);
	ASSERT_EQ(0, pb_write(path, "1"));
	ASSERT_TRUE(pb_block_is(block, "valid_zones", "Movable"));

	/* The block is online, so this is refused ... */
	ASSERT_EQ(-EINVAL, pb_block_set(block, "online_kernel"));
	EXPECT_TRUE(pb_block_is(block, "valid_zones", "Movable"));

	/* ... and must not decide how the block comes back */
	ASSERT_EQ(0, pb_offline(block, OFFLINE_MS, NULL));
	ASSERT_EQ(0, pb_write(path, "1"));
	EXPECT_TRUE(pb_block_is(block, "valid_zones", "Movable"))
		TH_LOG("a plain online used the refused online_kernel");
}

TEST_HARNESS_MAIN
