// SPDX-License-Identifier: GPL-2.0
/*
 * A hugetlb page of 1 GB through hot-remove. It covers several memory blocks,
 * and goes as a whole when the first of these goes offline: to another page of
 * that size, which is there on another node.
 *
 *   node 1: |==1 GB page: block, block, ...==|    node 0: |==1 GB page, free==|
 *
 * The kernel copies it with "rep movsb", which an emulated CPU does byte by
 * byte: minutes. There it is only tried with PB_KIND_GIGANTIC=1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "page_kinds.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define MAP_HUGE_1GB	(30 << 26)

FIXTURE(gigantic) {
	struct pb_saved auto_online, movable_gigantic;
	struct pb_dimm from, to;
	struct pb_block run[PB_MAX_BLOCKS];
	int nr;
	char pool[2][160];
};

FIXTURE_SETUP(gigantic)
{
	size_t bytes = pb_gigantic_bytes();
	int i, nid = pb_target_node();

	if (pb_timeout_mul() > 1 && !pb_env("PB_KIND_GIGANTIC", 0))
		SKIP(return, "need a CPU that copies 1 GB within seconds or PB_KIND_GIGANTIC=1, have an emulated one");
	if (bytes != 1UL << 30)
		SKIP(return, "need huge pages of 1 GB, have of %zu bytes", bytes);
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (!nid || pb_node_has_memory(nid))
		SKIP(return, "need a second node without memory, have node %d with %ld free pages",
		     nid, pb_node_vmstat(nid, "nr_free_pages"));
	if (pb_save(&self->movable_gigantic,
		    "/proc/sys/vm/movable_gigantic_pages"))
		SKIP(return, "need vm.movable_gigantic_pages, have no such file");
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(self->movable_gigantic.path, "1"));
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	self->nr = pb_gigantic_run(&self->from, "from", self->run);
	ASSERT_GT(self->nr, 0);
	ASSERT_EQ(nid, pb_block_node(&self->run[0]));
	/* Twice the size: one aligned page is in it, wherever it is */
	ASSERT_EQ(0, pb_hotadd(&self->to, "to", 2 * bytes >> 20, 0));
	for (i = 0; i < self->to.nr; i++)
		ASSERT_EQ(0, pb_block_set(&self->to.block[i],
					  "online_movable"));
	pb_gigantic_pool(self->pool[0], sizeof(self->pool[0]), 0);
	pb_gigantic_pool(self->pool[1], sizeof(self->pool[1]), nid);
}

FIXTURE_TEARDOWN_PARENT(gigantic)
{
	pb_write(self->pool[0], "0");
	pb_write(self->pool[1], "0");
	EXPECT_EQ(0, pb_hotdel(&self->from));
	EXPECT_EQ(0, pb_hotdel(&self->to));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_restore(&self->movable_gigantic));
}

static long pool_has(const char *pool)
{
	char text[32];

	return pb_read(pool, text, sizeof(text)) ? -1 : atol(text);
}

TEST_F_TIMEOUT(gigantic, page_moves_to_another_node, 600)
{
	const size_t size = getpagesize(), len = 1UL << 30, step = 64 * size;
	const char *state = "online_hotremove";
	unsigned long pfn;
	double took = 0;
	size_t i, wrong;
	char *mem;
	int ret;

	for (i = 0; i < (size_t)self->nr; i++) {
		ret = pb_block_set(&self->run[i], state);
		if (ret == -EINVAL && !i) {
			state = "online_movable";
			ret = pb_block_set(&self->run[i], state);
		}
		ASSERT_EQ(0, ret);
	}
	ASSERT_EQ(0, pb_write(self->pool[1], "1"));
	ASSERT_EQ(1, pool_has(self->pool[1]));
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_1GB, -1, 0);
	ASSERT_NE(MAP_FAILED, mem) TH_LOG("%s", strerror(errno));
	/* Every page has something in it; whole pages are the pattern's */
	for (i = 0; i < len; i += size)
		*(size_t *)(mem + i) = i ^ 0x5aa5;
	for (i = 0; i < len; i += step)
		pk_fill_page(mem + i, 1, i / size, 0);
	ASSERT_EQ(self->run[0].start_pfn, pb_pfn(mem));
	ASSERT_EQ(0, pb_write(self->pool[0], "1"));
	ASSERT_EQ(1, pool_has(self->pool[0]));

	ret = pb_offline(&self->run[0], 5 * pk_offline_ms(), &took);
	TH_LOG("%s, offline of memory%u: %s after %.3f s", state,
	       self->run[0].id, strerror(-ret), took);
	EXPECT_EQ(0, ret);
	pfn = pb_pfn(mem);
	EXPECT_TRUE(pfn < self->run[0].start_pfn ||
		    pfn >= self->run[self->nr - 1].end_pfn);
	for (i = 0, wrong = 0; i < len; i += size)
		if (i % step)
			wrong += *(size_t *)(mem + i) != (i ^ 0x5aa5);
		else
			wrong += !pk_page_ok(mem + i, 1, i / size, 0);
	EXPECT_EQ(0UL, wrong);
	munmap(mem, len);
}

TEST_HARNESS_MAIN
