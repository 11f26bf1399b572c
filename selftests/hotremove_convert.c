// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that is online becomes hotremove memory, and kernel memory again,
 * without being emptied: what can be moved stays where it is.
 *
 *   |--kernel: free, anonymous pages--|  <->  |--HOTREMOVE: the same pages--|
 *
 * All or nothing: with a page in the way the block is what it was before. And
 * hotremove memory that the kernel must have is harvested before anybody is
 * killed, one memory block after the other, and given back when it can be.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define HARVEST		"/proc/sys/vm/hotremove_harvest"
#define POLICY		"/sys/module/memory_hotplug/parameters/online_policy"
#define DATA_BYTES	(192UL << 20)	/* of the node's two blocks */
#define MAX_FILLED	8
#define FILL_BYTES	(124UL << 20)	/* of each block that may be harvested */
#define KEEP_BYTES	(80UL << 20)	/* of that, when the harvest begins */
#define MORE_BYTES	(64UL << 20)	/* what is asked for: more than is free in one */
#define HUGE_BYTES	(2UL << 20)
#define MORE_HUGE	8		/* than fit into one block */
#define KPF_HUGE	(1ULL << 17)
#define SLAB_OBJECTS	"2000"
#define GIVE_BACK_S	60
#define HARVEST_S	((GIVE_BACK_S + 60) * pb_timeout_mul())

FIXTURE(convert) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *block;
	int nid;
};

FIXTURE_SETUP(convert)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	PB_NEED_EMPTY_NODE(self->nid);
	PB_HOTADD_OFFLINE(self, "conv", 2 * pb_block_mb());
	/*
	 * The first memory of a node attracts slab, which would be in the way
	 * when it is kernel memory; what comes later does not.
	 */
	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	self->block = &self->dimm.block[0];
}

FIXTURE_TEARDOWN_PARENT(convert)
{
	pb_debug("slab", "free");
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

static int set_kind(const struct pb_block *block, const char *kind)
{
	char path[128];

	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/online_type",
		 block->id);
	return pb_write(path, kind);
}

/* Why objects of slab that are freed cannot be relied on to be free; NULL: they can */
static const char *no_free_slab(void)
{
	char text[128];

	if (pb_read(PB_DEBUGFS "/slab", text, sizeof(text)) < 0)
		return "no slab of the debug module";
	return strstr(text, " quarantine=0") ? NULL : "KASAN's quarantine";
}

TEST_F(convert, movable_pages_stay_where_they_are)
{
	size_t i, nr = DATA_BYTES / getpagesize(), moved = 0, wrong = 0;
	unsigned long *before, *after;
	long inside;
	uint64_t *word;
	char *data;

	ASSERT_EQ(0, pb_block_set(self->block, "online_kernel"));
	data = pb_mmap_node(DATA_BYTES, self->nid);
	ASSERT_NE(NULL, data);
	for (i = 0; i < nr; i++) {
		word = (uint64_t *)(data + i * getpagesize());
		*word = i * 0x9e3779b97f4a7c15ULL;
	}
	before = calloc(nr, sizeof(*before));
	after = calloc(nr, sizeof(*after));
	ASSERT_TRUE(before && after);
	inside = pb_pages_in(self->block, data, DATA_BYTES / getpagesize());
	ASSERT_GE(inside, (long)pb_block_pages() / 3);
	pb_pfns(data, nr, before);

	ASSERT_EQ(0, set_kind(self->block, "online_hotremove"))
		TH_LOG("this kernel does not convert");
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_hotremove"));
	EXPECT_EQ(1, pb_map_all_type(self->block, "Hotremove"));

	pb_pfns(data, nr, after);
	for (i = 0; i < nr; i++) {
		word = (uint64_t *)(data + i * getpagesize());
		moved += before[i] != after[i];
		wrong += *word != i * 0x9e3779b97f4a7c15ULL;
	}
	EXPECT_EQ(0, moved);
	EXPECT_EQ(0, wrong);

	/* And back: the kernel may use it at once */
	ASSERT_EQ(0, set_kind(self->block, "online_kernel"));
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_kernel"));
	EXPECT_EQ(0, pb_map_all_type(self->block, "Hotremove"));
	EXPECT_EQ(inside, pb_pages_in(self->block, data, DATA_BYTES / getpagesize()));
	munmap(data, DATA_BYTES);
	free(before);
	free(after);
}

TEST_F(convert, an_unmovable_page_refuses_and_nothing_changes)
{
	struct pb_pipes pipes = { };
	long free_before, free_after;

	ASSERT_EQ(0, pb_block_set(self->block, "online_kernel"));
	ASSERT_EQ(0, pb_prefer_node(self->nid));
	ASSERT_EQ(0, pb_pipes_fill(&pipes, 8UL << 20));
	pb_prefer_node(-1);
	pb_fold_counters();
	free_before = pb_map_free(self->block->start_pfn, self->block->end_pfn);
	ASSERT_LT(free_before, (long)pb_block_pages() - 1500)
		TH_LOG("the pipes are not in the block");

	EXPECT_EQ(-EBUSY, set_kind(self->block, "online_hotremove"));
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_kernel"));
	EXPECT_EQ(0, pb_map_all_type(self->block, "Hotremove"));
	free_after = pb_map_free(self->block->start_pfn, self->block->end_pfn);
	EXPECT_LE(labs(free_after - free_before), 512);

	pb_pipes_free(&pipes);
}

/*
 * Caches keep slabs of which no object is in use, for as long as they like. They
 * give them up when that is what is in the way, and nothing else would.
 */
TEST_F(convert, slab_is_in_the_way_only_while_an_object_is_in_use)
{
	char line[512];
	int log, named = 0;

	if (no_free_slab())
		SKIP(return, "need slab objects that are free once they are freed, have %s",
		     no_free_slab());
	ASSERT_EQ(0, pb_block_set(self->block, "online_kernel"));
	ASSERT_EQ(0, pb_debug("slab", SLAB_OBJECTS " node=%d", self->nid));
	ASSERT_EQ(0, pb_debug("slab", "free 1"));
	log = pb_kmsg_open_end();
	ASSERT_GE(log, 0);
	EXPECT_EQ(-EBUSY, set_kind(self->block, "online_hotremove"));
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_kernel"));
	/* Somebody may want to know whose it is */
	while (pb_kmsg_next(log, line, sizeof(line)))
		named += !!strstr(line, "stays as it is: slab of pageblock_debug at pfn");
	close(log);
	EXPECT_EQ(1, named);

	ASSERT_EQ(0, pb_debug("slab", "free"));
	ASSERT_GT(pb_count_flags(self->block, PB_KPF_SLAB), 0);
	EXPECT_EQ(0, set_kind(self->block, "online_hotremove"));
	EXPECT_EQ(0, pb_count_flags(self->block, PB_KPF_SLAB));
}

/* So many that the memory that takes them first is full; returns those in @block */
static long fill_with_huge(const struct pb_block *block, int nid, struct pb_saved *saved)
{
	char path[128], nr[16];
	int ret;

	snprintf(path, sizeof(path), PB_SYS_NODE
		 "/node%d/hugepages/hugepages-2048kB/nr_hugepages", nid);
	ret = pb_save(saved, path);
	if (ret)
		return ret;
	snprintf(nr, sizeof(nr), "%lu", pb_block_bytes() / HUGE_BYTES + MORE_HUGE);
	ret = pb_write(path, nr);
	return ret ? ret : pb_count_flags(block, KPF_HUGE) * getpagesize() / (long)HUGE_BYTES;
}

TEST_F(convert, huge_pages_stay_unless_they_are_pinned)
{
	size_t len = pb_block_bytes() + MORE_HUGE * HUGE_BYTES, i;
	struct pb_saved pool = { };
	char *mem, *at = NULL;
	int ring;

	ASSERT_EQ(0, pb_block_set(self->block, "online_kernel"));
	ASSERT_GT(fill_with_huge(self->block, self->nid, &pool), 0);
	EXPECT_EQ(0, set_kind(self->block, "online_hotremove"))
		TH_LOG("free ones are in the way");
	EXPECT_EQ(1, pb_map_all_type(self->block, "Hotremove"));
	EXPECT_GT(pb_count_flags(self->block, KPF_HUGE), 0);
	ASSERT_EQ(0, set_kind(self->block, "online_kernel"));

	mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	/* Not more than there are: that would be SIGBUS */
	len = (pb_count_flags(&self->dimm.block[0], KPF_HUGE) +
	       pb_count_flags(&self->dimm.block[1], KPF_HUGE)) * getpagesize();
	for (i = 0; i < len; i += HUGE_BYTES) {
		mem[i] = 1;
		if (pb_block_has(self->block, pb_pfn(mem + i)))
			at = mem + i;
	}
	ASSERT_NE(NULL, at)
		TH_LOG("none of them is in the block");
	ring = pb_ring_with_buffer(at, HUGE_BYTES);
	ASSERT_GE(ring, 0);
	ASSERT_TRUE(pb_block_has(self->block, pb_pfn(at)));
	EXPECT_EQ(-EBUSY, set_kind(self->block, "online_hotremove"));
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_kernel"));
	EXPECT_EQ(0, pb_map_all_type(self->block, "Hotremove"));

	close(ring);
	/* The ring goes away in the background */
	pb_msleep(500 * pb_timeout_mul());
	EXPECT_EQ(0, set_kind(self->block, "online_hotremove"));
	munmap(mem, pb_block_bytes() + MORE_HUGE * HUGE_BYTES);
	EXPECT_EQ(0, pb_restore(&pool));
}

TEST_F(convert, wrong_words_and_wrong_blocks_are_refused)
{
	/* No zone has been chosen yet: "state" does that */
	EXPECT_EQ(-EINVAL, set_kind(self->block, "online_hotremove"));
	EXPECT_TRUE(pb_block_is(self->block, "state", "offline"));

	ASSERT_EQ(0, pb_block_set(self->block, "online_kernel"));
	EXPECT_EQ(-EINVAL, set_kind(self->block, "online_movable"));
	EXPECT_EQ(-EINVAL, set_kind(self->block, "offline"));
	EXPECT_EQ(-EINVAL, set_kind(self->block, "hotremove"));
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_kernel"));
	ASSERT_EQ(0, pb_offline(self->block, 60000, NULL));

	ASSERT_EQ(0, pb_block_set(self->block, "online_movable"));
	EXPECT_EQ(-EINVAL, set_kind(self->block, "online_hotremove"));
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_movable"));
}

TEST_F(convert, the_policy_brings_memory_online_as_hotremove)
{
	struct pb_saved policy;

	ASSERT_EQ(0, pb_save(&policy, POLICY));
	ASSERT_EQ(0, pb_write(POLICY, "auto-hotremove"))
		TH_LOG("this kernel lacks the policy");
	EXPECT_EQ(0, pb_block_set(self->block, "online"));
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_hotremove"));
	ASSERT_EQ(0, pb_offline(self->block, 60000, NULL));

	/* What is asked for by name is what one gets */
	EXPECT_EQ(0, pb_block_set(self->block, "online_kernel"));
	EXPECT_TRUE(pb_block_is(self->block, "online_type", "online_kernel"));
	EXPECT_EQ(-EINVAL, pb_write(POLICY, "auto-remove"));
	EXPECT_EQ(0, pb_restore(&policy));
}

FIXTURE(harvest) {
	struct pb_saved auto_online, harvest;
	struct pb_dimm dimm;
	long kills;
	int nid;
};

FIXTURE_VARIANT(harvest) {
	const char *mode;
};

FIXTURE_VARIANT_ADD(harvest, before_oom) {
	.mode = "1",
};

FIXTURE_VARIANT_ADD(harvest, by_kswapd) {
	.mode = "2",
};

FIXTURE_SETUP(harvest)
{
	int i;

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (!pb_debug_has("press"))
		SKIP(return, "need the debug module's press, have none");
	/*
	 * A node of its own: what else the system allocates, and keeps, comes from
	 * the other one, which does not run short.
	 */
	PB_NEED_EMPTY_NODE(self->nid);
	ASSERT_EQ(0, pb_save(&self->harvest, HARVEST))
		TH_LOG("this kernel does not harvest");
	PB_HOTADD_OFFLINE(self, "harv", 3 * pb_block_mb());
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[i]);
	self->kills = pb_vmstat("oom_kill");
}

FIXTURE_TEARDOWN_PARENT(harvest)
{
	pb_debug("press", "free");
	pb_debug("slab", "free");
	pb_debug("alloc", "free");
	EXPECT_EQ(0, pb_restore(&self->harvest));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

/* How many blocks are hotremove memory, when all are or when it takes too long */
static int given_back(const struct pb_dimm *dimm)
{
	double end = pb_now() + GIVE_BACK_S;
	int nr;

	/* Not too often: a look takes slab, perhaps of a block that is waited for */
	do {
		pb_msleep(3000);
		nr = pb_blocks_of_kind(dimm, "online_hotremove");
	} while (nr < dimm->nr && pb_now() < end);
	return nr;
}

TEST_F_TIMEOUT(harvest, takes_one_block_after_the_other_and_gives_them_back, HARVEST_S)
{
	ASSERT_EQ(0, pb_write(HARVEST, variant->mode));
	ASSERT_EQ(3, pb_blocks_of_kind(&self->dimm, "online_hotremove"));

	EXPECT_EQ(0, pb_debug("press", "0 %ld mayfail node=%d",
			      (long)pb_block_pages() / 2, self->nid));
	EXPECT_TRUE(pb_press_ended("count"));
	EXPECT_EQ(self->kills, pb_vmstat("oom_kill"));
	/* One and a half blocks are more than enough, marks included */
	EXPECT_GE(pb_blocks_of_kind(&self->dimm, "online_hotremove"), 1);
	EXPECT_LE(pb_blocks_of_kind(&self->dimm, "online_hotremove"), 2);

	EXPECT_EQ(0, pb_debug("press", "free"));
	EXPECT_EQ(3, given_back(&self->dimm));
}

/* Slab without an object in use keeps no block, see above */
TEST_F_TIMEOUT(harvest, gives_back_a_block_in_which_no_object_of_slab_is_in_use, HARVEST_S)
{
	long slab = 0;
	int b;

	if (no_free_slab())
		SKIP(return, "need slab objects that are free once they are freed, have %s",
		     no_free_slab());
	ASSERT_EQ(0, pb_write(HARVEST, variant->mode));
	EXPECT_EQ(0, pb_debug("press", "0 %ld mayfail node=%d",
			      (long)pb_block_pages() / 2, self->nid));
	EXPECT_TRUE(pb_press_ended("count"));
	ASSERT_EQ(0, pb_debug("slab", SLAB_OBJECTS " node=%d", self->nid));
	ASSERT_EQ(0, pb_debug("slab", "free"));
	/* While what is held still keeps the block: then the caches may be shrunk */
	for (b = 0; b < self->dimm.nr; b++)
		slab += pb_count_flags(&self->dimm.block[b], PB_KPF_SLAB);
	ASSERT_GT(slab, 0);
	EXPECT_EQ(0, pb_debug("press", "free"));
	EXPECT_EQ(self->dimm.nr, given_back(&self->dimm));
}

/* Pageblocks of @dimm that are no hotremove memory, or of that @type, or an error */
static int kernel_pageblocks(const struct pb_dimm *dimm, const char *type)
{
	int i, nr, b, kernel = 0, max = pb_block_pages();
	struct pb_map *map = calloc(max, sizeof(*map));

	if (!map)
		return -ENOMEM;
	for (b = 0; b < dimm->nr; b++) {
		nr = pb_map_read(dimm->block[b].start_pfn, dimm->block[b].end_pfn,
				 map, max);
		if (nr <= 0) {
			kernel = nr ? nr : -ENOENT;
			break;
		}
		for (i = 0; i < nr; i++)
			kernel += type ? !strcasecmp(map[i].type, type) :
					 !!strcasecmp(map[i].type, "Hotremove");
	}
	free(map);
	return kernel;
}

/*
 * A page that stays keeps its memory block. It does not keep the pageblocks around
 * it: or else the kernel would go on to use these, and the block never come back.
 */
TEST_F_TIMEOUT(harvest, gives_back_all_but_the_pageblock_in_which_a_page_is_in_use, HARVEST_S)
{
	double end;
	int nr;

	ASSERT_EQ(0, pb_write(HARVEST, variant->mode));
	EXPECT_EQ(0, pb_debug("press", "0 %ld mayfail node=%d",
			      (long)pb_block_pages() / 2, self->nid));
	EXPECT_TRUE(pb_press_ended("count"));
	/* All that this node has for the kernel was harvested, so the page is there */
	EXPECT_EQ(0, pb_debug("alloc", "0 1 unmovable node=%d", self->nid));
	ASSERT_GE(kernel_pageblocks(&self->dimm, NULL), 16);
	ASSERT_GE(kernel_pageblocks(&self->dimm, "Unmovable"), 16);
	EXPECT_EQ(0, pb_debug("press", "free"));

	/* What else was allocated while all others were taken may have to go first */
	end = pb_now() + GIVE_BACK_S;
	do {
		pb_msleep(3000);
		nr = kernel_pageblocks(&self->dimm, NULL);
	} while (nr > 1 && pb_now() < end);
	EXPECT_EQ(1, nr);
	/* Where the kernel looks when it has nothing on its own lists */
	EXPECT_EQ(1, kernel_pageblocks(&self->dimm, "Movable"));
	EXPECT_EQ(2, pb_blocks_of_kind(&self->dimm, "online_hotremove"));

	EXPECT_EQ(0, pb_debug("alloc", "free"));
	EXPECT_EQ(3, given_back(&self->dimm));
	EXPECT_EQ(0, kernel_pageblocks(&self->dimm, NULL));
}

/*
 * A block that was harvested in part cannot be removed any more, so the rest of it
 * costs nothing: its movable pages make room before another block is begun, although
 * there are free pageblocks in all of them.
 */
TEST_F_TIMEOUT(harvest, takes_what_is_used_of_a_block_before_what_is_free_of_the_next, HARVEST_S)
{
	const size_t step = getpagesize();
	char *data[MAX_FILLED] = { };
	int b, log, begun = 0, less = 0, nr = self->dimm.nr;
	long inside[MAX_FILLED], left;
	char line[1024];
	size_t i;

	ASSERT_EQ(0, pb_write(HARVEST, variant->mode));
	ASSERT_LE(nr, MAX_FILLED);
	for (b = 0; b < nr; b++)
		ASSERT_EQ(0, pb_offline(&self->dimm.block[b], 60000, NULL));
	/* One at a time, nearly full */
	for (b = 0; b < nr; b++) {
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[b]);
		data[b] = pb_mmap_node(FILL_BYTES, self->nid);
		ASSERT_NE(NULL, data[b]);
		madvise(data[b], FILL_BYTES, MADV_NOHUGEPAGE);
		for (i = 0; i < FILL_BYTES; i += step)
			*(uint64_t *)(data[b] + i) = i ^ b;
	}
	/* The same part of each becomes free again */
	for (b = 0; b < nr; b++) {
		ASSERT_EQ(0, munmap(data[b] + KEEP_BYTES, FILL_BYTES - KEEP_BYTES));
		inside[b] = pb_pages_in(&self->dimm.block[b], data[b],
					KEEP_BYTES / getpagesize());
		ASSERT_GE(inside[b], (long)(KEEP_BYTES / step) * 7 / 10);
	}

	log = pb_kmsg_open_end();
	ASSERT_GE(log, 0);
	EXPECT_EQ(0, pb_debug("press", "0 %ld mayfail node=%d",
			      (long)(MORE_BYTES / step), self->nid));
	EXPECT_TRUE(pb_press_ended("count"));
	/* At once: what this process itself allocates now comes from that block */
	EXPECT_EQ(0, pb_debug("press", "free"));
	EXPECT_EQ(self->kills, pb_vmstat("oom_kill"));
	EXPECT_EQ(nr, given_back(&self->dimm));

	/* One was begun, and gave more than was free in it */
	while (pb_kmsg_next(log, line, sizeof(line)))
		begun += !!strstr(line, "is harvested for kernel use");
	close(log);
	EXPECT_EQ(1, begun);
	for (b = 0; b < nr; b++) {
		left = pb_pages_in(&self->dimm.block[b], data[b],
					KEEP_BYTES / getpagesize());
		less += left < inside[b] * 9 / 10;
		for (i = 0; i < KEEP_BYTES; i += step)
			ASSERT_EQ(i ^ b, *(uint64_t *)(data[b] + i));
		munmap(data[b], KEEP_BYTES);
	}
	EXPECT_EQ(1, less);
}

TEST_F_TIMEOUT(harvest, leaves_strict_blocks_alone, HARVEST_S)
{
	char path[128];
	int i;

	ASSERT_EQ(0, pb_write(HARVEST, variant->mode));
	for (i = 0; i < self->dimm.nr; i++) {
		snprintf(path, sizeof(path),
			 PB_SYS_MEMORY "/memory%u/hotremove_strict",
			 self->dimm.block[i].id);
		ASSERT_EQ(0, pb_write(path, "1"));
	}
	EXPECT_EQ(-ENOMEM, pb_debug("press", "0 %ld mayfail node=%d",
				    (long)pb_block_pages() / 2, self->nid));
	EXPECT_TRUE(pb_press_ended("failed"));
	EXPECT_EQ(3, pb_blocks_of_kind(&self->dimm, "online_hotremove"));
	EXPECT_EQ(0, pb_debug("press", "free"));
}

TEST_HARNESS_MAIN
