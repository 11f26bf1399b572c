// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations that fail while memory comes online, goes offline, is converted,
 * evacuated to and harvested: whatever was asked for has been done then, or
 * nothing has, and the one that was refused succeeds when it is asked again.
 *
 *   |--block: offline, kernel or HOTREMOVE, all of it; never between--|
 *
 * First each allocation of an operation by itself, the first, the second, and
 * so on, then many at random, then errors of memory notifiers. Needs a kernel
 * with fault injection: make check CONFIG=kasan.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mm/gup_test.h"
#include "pageblock_faults.h"
#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define HARVEST		"/proc/sys/vm/hotremove_harvest"
#define GUP_TEST	"/sys/kernel/debug/gup_test"
#define PIN_PAGES	256
#define DATA_PAGES	512
#define OFFLINE_MS	(20000 * pb_timeout_mul())
#define GIVE_BACK_S	(30 * pb_timeout_mul())

#define OFFLINE		"offline"
#define KERNEL		"online_kernel"
#define HOTREMOVE	"online_hotremove"

/* What became of the attempts to change the kind of a block */
struct outcome {
	long faults;
	long done;
	long refused;
	long between;	/* neither, or an error and done, or a part */
	long stuck;	/* what was refused with faults is refused without */
};

FIXTURE(faults) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *block;
	int nid;
};

FIXTURE_SETUP(faults)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (pf_missing()[0])
		SKIP(return, "need %s, have none (make check CONFIG=kasan)",
		     pf_missing());
	if (!pb_debug_has("map"))
		SKIP(return, "need the debug module, have none");
	PB_NEED_EMPTY_NODE(self->nid);
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, OFFLINE));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "fault", 2 * pb_block_mb(), self->nid));
	self->block = &self->dimm.block[0];
}

FIXTURE_TEARDOWN_PARENT(faults)
{
	if (!pf_missing()[0]) {
		pf_disarm();
		pf_notifier("MEM_GOING_ONLINE", 0);
		pf_notifier("MEM_GOING_OFFLINE", 0);
	}
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

static int kind_of(const struct pb_block *block, char *kind, size_t len)
{
	return pb_block_get(block, "online_type", kind, len);
}

/* Do its pageblocks say what sysfs says, all of them, and is none isolated? */
static bool is_whole(const struct pb_block *block, const char *kind)
{
	int nr, i, max = pb_block_pages();
	struct pb_map *map = calloc(max, sizeof(*map));
	bool hotremove, want = !strcmp(kind, HOTREMOVE), whole = true;

	nr = map ? pb_map_read(block->start_pfn, block->end_pfn, map, max) : -ENOMEM;
	if (nr < 0 || (nr == 0) != !strcmp(kind, OFFLINE))
		whole = false;
	for (i = 0; i < nr; i++) {
		hotremove = !strcasecmp(map[i].type, "Hotremove");
		if (map[i].isolated || hotremove != want) {
			printf("# pfn %lu: %s isolated=%d in a block that is %s\n",
			       map[i].pfn, map[i].type, map[i].isolated, kind);
			whole = false;
			break;
		}
	}
	free(map);
	return whole;
}

/* From any kind to any other, as an administrator would do it */
static int change(const struct pb_block *block, const char *from, const char *to)
{
	char path[128];

	if (!strcmp(from, to))
		return 0;
	if (!strcmp(to, OFFLINE) || !strcmp(from, OFFLINE))
		return pb_block_set(block, to);
	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/online_type",
		 block->id);
	return pb_write(path, to);
}

/* A change that was tried from @from and ended with @ret */
static void judge(const struct pb_block *block, const char *from, const char *to,
		  int ret, struct outcome *out)
{
	char now[32] = "";
	bool done;

	kind_of(block, now, sizeof(now));
	done = !strcmp(now, to);
	if (!is_whole(block, now) || (!done && strcmp(now, from)) || done != !ret) {
		printf("# %s -> %s: %s, and is %s\n", from, to,
		       ret ? strerror(-ret) : "done", now);
		out->between++;
	} else if (done) {
		out->done++;
	} else {
		out->refused++;
		ret = change(block, from, to);
		if (ret) {
			printf("# %s -> %s: %s without faults\n", from, to,
			       strerror(-ret));
			out->stuck++;
		}
	}
	/* Where it began */
	if (change(block, to, from))
		out->stuck++;
}

/* One after the other fails, less and less densely. Returns how many there are. */
static unsigned int each_allocation(const struct pb_block *block,
				    const char *function, const char *from,
				    const char *to, struct outcome *out)
{
	unsigned int n;
	bool hit;
	int ret;

	if (pf_arm(function, 0))
		return 0;
	for (n = 1; ; n += 1 + n / 3) {
		if (pf_nth(n))
			break;
		ret = change(block, from, to);
		hit = pf_nth_hit();
		judge(block, from, to, ret, out);
		if (!hit)
			break;
	}
	out->faults = pf_disarm();
	return n;
}

#define EXPECT_NEVER_BETWEEN(out) do {					\
	TH_LOG("%ld faults: %ld done, %ld refused", (out)->faults,	\
	       (out)->done, (out)->refused);				\
	EXPECT_EQ(0, (out)->between);					\
	EXPECT_EQ(0, (out)->stuck);					\
} while (0)

TEST_F_TIMEOUT(faults, onlining_the_first_memory_of_a_node, 1800)
{
	struct outcome out = { };

	EXPECT_GT(each_allocation(self->block, "online_pages", OFFLINE, HOTREMOVE, &out),
		  2);
	EXPECT_GE(out.faults, 2);
	EXPECT_GE(out.refused, 2);
	EXPECT_NEVER_BETWEEN(&out);
}

TEST_F_TIMEOUT(faults, onlining_as_hotremove_or_as_kernel_memory, 1800)
{
	struct outcome hotremove = { }, kernel = { };

	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	EXPECT_GT(each_allocation(self->block, "online_pages", OFFLINE, HOTREMOVE,
				  &hotremove), 2);
	EXPECT_GE(hotremove.refused, 2);
	EXPECT_NEVER_BETWEEN(&hotremove);
	EXPECT_GT(each_allocation(self->block, "online_pages", OFFLINE, KERNEL,
				  &kernel), 1);
	EXPECT_GE(kernel.faults, 1);
	EXPECT_NEVER_BETWEEN(&kernel);
}

static uint64_t word(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL;
}

static void fill(char *data, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		*(uint64_t *)(data + i * getpagesize() + i % 64 * 8) = word(i);
}

static size_t wrong(const char *data, size_t nr)
{
	size_t i, bad = 0;

	for (i = 0; i < nr; i++)
		bad += *(uint64_t *)(data + i * getpagesize() + i % 64 * 8) != word(i);
	return bad;
}

/* Pages that may live on other nodes, and lie in the only block of this one */
static char *data_in(const struct pb_block *block, int nid)
{
	char *data;

	if (pb_prefer_node(nid))
		return NULL;
	data = mmap(NULL, DATA_PAGES * getpagesize(), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	pb_prefer_node(-1);
	if (data == MAP_FAILED)
		return NULL;
	fill(data, DATA_PAGES);
	if (pb_pages_in(block, data, DATA_PAGES) < DATA_PAGES * 9 / 10) {
		munmap(data, DATA_PAGES * getpagesize());
		return NULL;
	}
	return data;
}

TEST_F_TIMEOUT(faults, offlining_with_pages_that_cannot_always_be_moved, 1800)
{
	int tries = 8, percent = 30, i, ret;
	struct outcome out = { };
	char *data;

	for (i = 0; i < tries; i++) {
		ASSERT_ONLINE_HOTREMOVE(self->block);
		data = data_in(self->block, self->nid);
		ASSERT_NE(NULL, data);
		ASSERT_EQ(0, pf_arm("offline_pages", percent));
		ret = pb_offline(self->block, OFFLINE_MS, NULL);
		out.faults += pf_disarm();
		/* It tries until it can, or until somebody stops it */
		EXPECT_TRUE(ret == 0 || ret == -ETIMEDOUT || ret == -ENOMEM)
			TH_LOG("%s", strerror(-ret));
		out.done += !ret;
		if (ret)
			EXPECT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
		EXPECT_TRUE(pb_block_is(self->block, "state", OFFLINE));
		EXPECT_TRUE(is_whole(self->block, OFFLINE));
		EXPECT_EQ(0, wrong(data, DATA_PAGES));
		munmap(data, DATA_PAGES * getpagesize());
	}
	TH_LOG("%ld faults in %d tries, %ld done", out.faults, tries, out.done);
	/* Each ends one attempt to move all that is left */
	EXPECT_GE(out.faults, 20 * tries);
	EXPECT_EQ(tries, out.done);
}

/* Longterm pins in kernel memory: what has them must leave a block that is converted */
static int pin(char *data, size_t nr, int *fd)
{
	struct pin_longterm_test args = {
		.addr = (uintptr_t)data,
		.size = nr * getpagesize(),
		.flags = PIN_LONGTERM_TEST_FLAG_USE_WRITE,
	};

	*fd = open(GUP_TEST, O_RDWR | O_CLOEXEC);
	if (*fd < 0)
		return -errno;
	return ioctl(*fd, PIN_LONGTERM_TEST_START, &args) ? -errno : 0;
}

static int unpin(int fd)
{
	int ret = ioctl(fd, PIN_LONGTERM_TEST_STOP) ? -errno : 0;

	close(fd);
	return ret;
}

/*
 * A target is allocated for each page that has to leave, again and again, whether
 * it can leave in the end or not. Pinned ones cannot.
 */
TEST_F_TIMEOUT(faults, converting_with_pages_that_cannot_be_moved, 1800)
{
	int tries = 6, percent = 50, fd = -1, i, ret;
	struct outcome out = { };
	char *data;

	if (access(GUP_TEST, F_OK))
		SKIP(return, "need " GUP_TEST " (CONFIG_GUP_TEST), have none");
	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	ASSERT_EQ(0, pb_block_set(self->block, KERNEL));
	for (i = 0; i < tries; i++) {
		/* By a policy of the mapping: page tables must not be in the block */
		data = pb_mmap_node(PIN_PAGES * getpagesize(), self->nid);
		ASSERT_NE(MAP_FAILED, data);
		madvise(data, PIN_PAGES * getpagesize(), MADV_NOHUGEPAGE);
		fill(data, PIN_PAGES);
		ASSERT_EQ(0, pin(data, PIN_PAGES, &fd));
		ASSERT_GE(pb_pages_in(self->block, data, PIN_PAGES), PIN_PAGES / 4);
		ASSERT_EQ(0, pf_arm("hotremove_convert", percent));
		/* Before there is anything to move, too */
		do {
			ret = change(self->block, KERNEL, HOTREMOVE);
		} while (ret == -ENOMEM);
		out.faults += pf_disarm();
		EXPECT_EQ(-EBUSY, ret);
		EXPECT_TRUE(pb_block_is(self->block, "online_type", KERNEL));
		EXPECT_TRUE(is_whole(self->block, KERNEL));
		EXPECT_EQ(0, wrong(data, PIN_PAGES));
		EXPECT_EQ(0, unpin(fd));
		judge(self->block, KERNEL, HOTREMOVE, ret, &out);
		EXPECT_EQ(0, wrong(data, PIN_PAGES));
		munmap(data, PIN_PAGES * getpagesize());
	}
	EXPECT_EQ(tries, out.refused);
	EXPECT_NEVER_BETWEEN(&out);
	EXPECT_GE(out.faults, tries * PIN_PAGES / 4 * percent / 100);
}

TEST_F_TIMEOUT(faults, converting_there_and_back, 1800)
{
	struct outcome there = { }, back = { };

	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	ASSERT_EQ(0, pb_block_set(self->block, KERNEL));
	EXPECT_GT(each_allocation(self->block, "hotremove_convert", KERNEL, HOTREMOVE,
				  &there), 1);
	EXPECT_GE(there.refused, 1);
	EXPECT_NEVER_BETWEEN(&there);

	/* To give memory to the kernel takes none */
	ASSERT_EQ(0, change(self->block, KERNEL, HOTREMOVE));
	EXPECT_EQ(1, each_allocation(self->block, "hotremove_convert", HOTREMOVE,
				     KERNEL, &back));
	EXPECT_EQ(1, back.done);
	EXPECT_NEVER_BETWEEN(&back);
}

TEST_F_TIMEOUT(faults, memory_notifiers_that_refuse, 900)
{
	static const struct {
		const char *event, *from, *to;
	} change_of[] = {
		{ "MEM_GOING_ONLINE", OFFLINE, HOTREMOVE },
		{ "MEM_GOING_ONLINE", OFFLINE, KERNEL },
		{ "MEM_GOING_OFFLINE", HOTREMOVE, OFFLINE },
		{ "MEM_GOING_OFFLINE", KERNEL, OFFLINE },
	};
	int i, tries = 10, err[] = { ENOMEM, EBUSY, EDOM, EPERM };
	unsigned int n;

	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	for (n = 0; n < sizeof(change_of) / sizeof(change_of[0]); n++) {
		struct outcome out = { };

		ASSERT_EQ(0, change(self->block, OFFLINE, change_of[n].from));
		for (i = 0; i < tries; i++) {
			/* The error that comes back is the one that was injected */
			ASSERT_EQ(0, pf_notifier(change_of[n].event, err[i % 4]));
			EXPECT_EQ(-err[i % 4], change(self->block, change_of[n].from,
						      change_of[n].to));
			ASSERT_EQ(0, pf_notifier(change_of[n].event, 0));
			judge(self->block, change_of[n].from, change_of[n].to,
			      -err[i % 4], &out);
		}
		out.faults = tries;
		EXPECT_EQ(tries, out.refused);
		EXPECT_NEVER_BETWEEN(&out);
		ASSERT_EQ(0, change(self->block, change_of[n].from, OFFLINE));
	}
}

FIXTURE(usable) {
	struct pb_saved auto_online, harvest;
	struct pb_dimm dimm;
	long kills;
};

FIXTURE_SETUP(usable)
{
	int i;

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (pf_missing()[0])
		SKIP(return, "need %s, have none (make check CONFIG=kasan)",
		     pf_missing());
	if (!pb_debug_has("press"))
		SKIP(return, "need the debug module's press, have none");
	if (pb_meminfo("SwapTotal"))
		SKIP(return, "need no swap, have %ld kB", pb_meminfo("SwapTotal"));
	ASSERT_EQ(0, pb_save(&self->harvest, HARVEST))
		TH_LOG("this kernel does not harvest");
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, OFFLINE));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "usable", 2 * pb_block_mb(), 0));
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[i]);
	self->kills = pb_vmstat("oom_kill");
}

FIXTURE_TEARDOWN_PARENT(usable)
{
	if (!pf_missing()[0])
		pf_disarm();
	pb_debug("press", "free");
	EXPECT_EQ(0, pb_restore(&self->harvest));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

/* Shared memory of node 0 that was there before the blocks: ordinary memory */
TEST_F_TIMEOUT(usable, is_what_can_be_moved_though_targets_are_refused, 1800)
{
	long gain = pb_block_pages(), nr = gain * 3 / 2, moved, faults;
	char *data;
	int i;

	/* So that the data does not lie where it is to go */
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_EQ(0, pb_offline(&self->dimm.block[i], OFFLINE_MS, NULL));
	data = mmap(NULL, nr * getpagesize(), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, data);
	madvise(data, nr * getpagesize(), MADV_NOHUGEPAGE);
	fill(data, nr);
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[i]);
	moved = pb_vmstat("evacuate_pages");

	ASSERT_EQ(0, pf_arm("evacuate_alloc", 10));
	EXPECT_EQ(0, pb_debug("press", "0 %ld mayfail", pb_usable_free() + gain));
	faults = pf_disarm();
	EXPECT_TRUE(pb_press_ended("count"));
	moved = pb_vmstat("evacuate_pages") - moved;
	TH_LOG("%ld faults, %ld pages moved", faults, moved);
	EXPECT_GE(moved, gain / 2);
	EXPECT_GE(faults, moved / 20);
	EXPECT_EQ(0, wrong(data, nr));
	EXPECT_EQ(self->kills, pb_vmstat("oom_kill"));
	EXPECT_EQ(0, pb_debug("press", "free"));
	EXPECT_EQ(0, wrong(data, nr));
	EXPECT_EQ(2, pb_blocks_of_kind(&self->dimm, HOTREMOVE));
	for (i = 0; i < self->dimm.nr; i++)
		EXPECT_TRUE(is_whole(&self->dimm.block[i], HOTREMOVE));
	munmap(data, nr * getpagesize());
}

/* It is there for requests that fail without it, and those of kswapd */
TEST_F_TIMEOUT(usable, harvest_and_giving_back_allocate_nothing, 1800)
{
	long want = pb_usable_free() + pb_block_pages() / 2;
	long taken = pb_vmstat("hotremove_harvest");
	long given = pb_vmstat("hotremove_return");
	double end;

	ASSERT_EQ(0, pb_write(HARVEST, "2"));
	ASSERT_EQ(0, pf_arm("harvest_zone", 100));
	EXPECT_EQ(0, pb_debug("press", "0 %ld mayfail", want));
	EXPECT_EQ(0, pf_disarm());
	EXPECT_TRUE(pb_press_ended("count"));
	EXPECT_GT(pb_vmstat("hotremove_harvest"), taken);
	EXPECT_LT(pb_blocks_of_kind(&self->dimm, HOTREMOVE), 2);
	EXPECT_EQ(self->kills, pb_vmstat("oom_kill"));

	ASSERT_EQ(0, pf_arm("give_back_fn", 100));
	EXPECT_EQ(0, pb_debug("press", "free"));
	end = pb_now() + GIVE_BACK_S;
	while (pb_blocks_of_kind(&self->dimm, HOTREMOVE) < 2 && pb_now() < end)
		pb_msleep(500);
	EXPECT_EQ(2, pb_blocks_of_kind(&self->dimm, HOTREMOVE));
	EXPECT_EQ(0, pf_disarm());
	EXPECT_GT(pb_vmstat("hotremove_return"), given);
}

TEST_HARNESS_MAIN
