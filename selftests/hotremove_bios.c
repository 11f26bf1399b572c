// SPDX-License-Identifier: GPL-2.0
/*
 * Free bios that a CPU keeps for later are freed when slab is in the way of a memory
 * block that is to become hotremove memory. For slab they are objects in use, and no
 * cache that is asked to shrink gives them up. They were the last to go after a load
 * that has written much.
 *
 *   |--kernel: bios--|  ->  freed, 256 of them kept  ->  |--HOTREMOVE--|
 *
 * Slab follows the memory policy of a task only when the kernel was booted with
 * slab_strict_numa. Other slab follows it there as well, and may stay.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define BIOS		2000
#define KEPT		256	/* by a CPU, at least */

FIXTURE(bios) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
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
	PB_NEED_EMPTY_NODE(self->nid);
	PB_HOTADD_OFFLINE(self, "bios", 2 * pb_block_mb());
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[0], "online_kernel"));
}

FIXTURE_TEARDOWN_PARENT(bios)
{
	int ret;

	EXPECT_EQ(0, pb_debug("bios", "free"));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	/* What else follows the policy may keep it: then it is the guest's last test */
	ret = pb_hotdel(&self->dimm);
	if (ret)
		TH_LOG("the memory stays: %s", strerror(-ret));
}

/* Objects in use of the bios' slab cache, as slab sees it, on a node; or an error */
static long bios_on(int nid)
{
	char text[512], name[32], path[128], *at;
	long nr = 0;

	if (pb_read(PB_DEBUGFS "/bios", text, sizeof(text)) < 0 ||
	    sscanf(text, "bios held=%*u cache=%31s", name) != 1)
		return -ENOENT;
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", name);
	if (pb_read(path, text, sizeof(text)) < 0)
		return -ENODATA;
	/* "2310 N0=310 N1=2000" */
	snprintf(name, sizeof(name), " N%d=", nid);
	at = strstr(text, name);
	return at && sscanf(at + strlen(name), "%ld", &nr) != 1 ? -EINVAL : nr;
}

TEST_F(bios, that_a_cpu_keeps_are_freed_when_slab_is_in_the_way)
{
	const struct pb_block *block = &self->dimm.block[0];
	char path[128];

	ASSERT_EQ(0, bios_on(self->nid));
	ASSERT_EQ(0, pb_prefer_node(self->nid));
	EXPECT_EQ(0, pb_debug("bios", "%d", BIOS));
	pb_prefer_node(-1);
	ASSERT_GE(bios_on(self->nid), BIOS);
	ASSERT_GE(pb_count_flags(block, PB_KPF_SLAB), 1);

	ASSERT_EQ(0, pb_debug("bios", "free"));
	ASSERT_GE(bios_on(self->nid), KEPT);
	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/online_type", block->id);
	pb_write(path, "online_hotremove");
	EXPECT_EQ(0, bios_on(self->nid));
}

TEST_HARNESS_MAIN
