// SPDX-License-Identifier: GPL-2.0
/*
 * Free bios that a CPU keeps for later do not keep their memory from becoming
 * hotremove memory. For slab they are objects in use, and no cache that is asked to
 * shrink gives them up. They were the last to go after a load that has written much.
 *
 *   |--kernel: bios--|  ->  freed, 256 of them kept  ->  |--HOTREMOVE--|
 *
 * Slab follows the memory policy of a task only when the kernel was booted with
 * slab_strict_numa.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define BIOS		"2000"
#define BIOS_PAGES	40	/* at least, without padding */
#define KEPT_PAGES	8

FIXTURE(bios) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *block;
	int nid;
};

FIXTURE_SETUP(bios)
{
	char text[4096];

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (pb_read("/proc/cmdline", text, sizeof(text)) < 0 ||
	    !strstr(text, "slab_strict_numa"))
		SKIP(return, "need slab that follows memory policies, have no slab_strict_numa");
	if (pb_read(PB_DEBUGFS "/slab", text, sizeof(text)) < 0 ||
	    !strstr(text, " quarantine=0"))
		SKIP(return, "need slab objects that are free once they are freed, have KASAN's quarantine");
	self->nid = pb_target_node();
	if (pb_node_has_memory(self->nid))
		SKIP(return, "need a node without memory, have node %d with %ld free pages",
		     self->nid, pb_node_vmstat(self->nid, "nr_free_pages"));
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "bios", 2 * pb_block_mb(), self->nid));
	/* The first memory of a node attracts slab; what comes later does not */
	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	self->block = &self->dimm.block[0];
}

FIXTURE_TEARDOWN_PARENT(bios)
{
	EXPECT_EQ(0, pb_debug("bios", "free"));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

static int convert(const struct pb_block *block)
{
	char path[128];

	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/online_type", block->id);
	return pb_write(path, "online_hotremove");
}

TEST_F(bios, are_in_the_way_while_in_use_and_not_while_a_cpu_keeps_them)
{
	ASSERT_EQ(0, pb_block_set(self->block, "online_kernel"));
	ASSERT_EQ(0, pb_prefer_node(self->nid));
	EXPECT_EQ(0, pb_debug("bios", BIOS));
	pb_prefer_node(-1);
	ASSERT_GE(pb_count_flags(self->block, PB_KPF_SLAB), BIOS_PAGES);
	EXPECT_EQ(-EBUSY, convert(self->block));
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_kernel"));

	ASSERT_EQ(0, pb_debug("bios", "free"));
	ASSERT_GE(pb_count_flags(self->block, PB_KPF_SLAB), KEPT_PAGES);
	EXPECT_EQ(0, convert(self->block));
	EXPECT_EQ(0, pb_count_flags(self->block, PB_KPF_SLAB));
}

TEST_HARNESS_MAIN
