// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: taking a poisoned page out of a free page must leave the rest of
 * it free.
 *
 * Guard pages (debug_guardpage_minorder=N) stand between allocated and free
 * pages; the free of the page that they guard makes them free as well. That of
 * a poisoned page never comes:
 *
 *   before   |--------------------- free ----------------------|
 *   after    |--free--|g g X g|--free--|--------- free --------|
 *
 * Whoever waits for the block to be free, as its offline does, waits for ever.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define GIVE_UP_MS	(3000 * pb_timeout_mul())

FIXTURE(guard) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
};

/* N, when the kernel knows the parameter and its condition is met as well */
static int guard_minorder(void)
{
	char line[4096], *at;
	bool known = false;
	FILE *f;

	f = fopen("/proc/kallsyms", "r");
	while (f && !known && fgets(line, sizeof(line), f))
		known = strstr(line, " _debug_guardpage_minorder");
	if (f)
		fclose(f);
	if (!known || pb_read("/proc/cmdline", line, sizeof(line)))
		return 0;
	at = strstr(line, "debug_guardpage_minorder=");
	return at && strstr(line, "debug_pagealloc=on") ?
	       atoi(strchr(at, '=') + 1) : 0;
}

FIXTURE_SETUP(guard)
{
	if (!guard_minorder())
		SKIP(return, "need debug_pagealloc=on debug_guardpage_minorder=N and CONFIG_DEBUG_PAGEALLOC, have not all of it");
	if (pb_pageblock_pages() < 0)
		SKIP(return, "need pageblock_debug.ko, have none");
	if (access(PB_SYS_MEMORY "/hard_offline_page", W_OK))
		SKIP(return, "need hard_offline_page (CONFIG_MEMORY_FAILURE), have none");
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	ASSERT_EQ(0, pb_save(&self->auto_online,
			     PB_SYS_MEMORY "/auto_online_blocks"));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(self->auto_online.path, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "guard", pb_block_mb(),
			       pb_target_node()));
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[0], "online_movable"));
}

FIXTURE_TEARDOWN(guard)
{
	int ret;

	ret = pb_hotdel(&self->dimm);
	if (ret)
		TH_LOG("the memory stays: %s", strerror(-ret));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

TEST_F_TIMEOUT(guard, pages_are_not_left_beside_a_poisoned_page, 180)
{
	struct pb_block *block = &self->dimm.block[0];
	unsigned long pfn = block->start_pfn + pb_block_pages() / 2 + 2;
	double took;
	long before;
	int ret;

	before = pb_map_free(block->start_pfn, block->end_pfn);
	ASSERT_EQ((long)pb_block_pages(), before);
	ASSERT_EQ(0, pb_poison(pfn));
	EXPECT_EQ(before - 1, pb_map_free(block->start_pfn, block->end_pfn));

	ret = pb_offline(block, GIVE_UP_MS, &took);
	TH_LOG("offline: %s after %.3f s", strerror(-ret), took);
	EXPECT_EQ(0, ret);
}

TEST_HARNESS_MAIN
