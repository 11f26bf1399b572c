// SPDX-License-Identifier: GPL-2.0
/*
 * Conversion of ranges, and of the same memory by several at once.
 *
 *   |-- memory 0 --|-- memory 1 --|-- memory 2 --|-- memory 3 --|
 *   ranges  <----------------------------------->     the debug module, with
 *           any two neighbours                        signals that interrupt
 *   sysfs   <------------->                           one memory block
 *   offline                <-------------------->     and online again
 *   contig  <----->                                   what CMA does
 *   compact <---------------------------------------------------->
 *   load    <---------------------------------------------------->
 *
 * Each conversion is all or nothing, so between rounds, when all have come to
 * an end, no memory block is of two kinds. Memory 3 is kernel memory all the
 * time: the first kernel memory of a node attracts slab.
 *
 * PB_CONVERSIONS is how many have to succeed (default 100).
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define NR_BLOCKS	4
#define NR_CONVERTED	3
#define LOAD_BYTES	(160UL << 20)
#define ROUNDS		10
#define MOVED_TOO_LONG	(600.0 * pb_timeout_mul())

static long conversions(void)
{
	return pb_env("PB_CONVERSIONS", 100);
}

enum { RANGES, SYSFS, OFFLINE, CONTIG, COMPACT, LOAD, NR_USERS };

static const char * const names[NR_USERS] = {
	"ranges", "sysfs", "offline", "contig", "compact", "load",
};

struct tally {
	atomic_long done;
	atomic_long refused;	/* a page or somebody else was in the way */
	atomic_long interrupted;
	atomic_long odd;	/* an error that has no place here */
	atomic_int odd_errno;
};

struct shared {
	atomic_bool stop;
	atomic_long hotplug;	/* odd while "offline" is at work */
	struct tally user[NR_USERS];
};

FIXTURE(range) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct shared *shared;
	int nid;
	long nr_pages;		/* of a pageblock */
};

FIXTURE_SETUP(range)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (!pb_debug_has("audit"))
		SKIP(return, "need pageblock_debug.ko, have none");
	PB_NEED_EMPTY_NODE(self->nid);
	self->nr_pages = pb_pageblock_pages();
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	PB_HOTADD_OFFLINE(self, "range", NR_BLOCKS * pb_block_mb());
	ASSERT_TRUE(pb_debug_has("convert"))
		TH_LOG("this kernel, or its module, does not convert");
}

FIXTURE_TEARDOWN_PARENT(range)
{
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

static int convert(unsigned long start_pfn, unsigned long end_pfn, const char *kind)
{
	return pb_debug("convert", "%#lx %#lx %s", start_pfn, end_pfn, kind);
}

/* Pages of hotremove pageblocks that the kernel counts on the node */
static long hotremove_pages(int nid)
{
	return pb_zoneinfo(nid, NULL, "hotremove");
}

TEST_F(range, part_of_a_block_is_converted_and_nothing_else)
{
	struct pb_block *block = &self->dimm.block[0];
	unsigned long half = block->start_pfn + pb_block_pages() / 2;
	long pages = pb_block_pages();
	char memmap[16];

	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	ASSERT_EQ(0, pb_block_set(block, "online_kernel"));
	if (pb_read("/sys/module/memory_hotplug/parameters/memmap_on_memory",
		    memmap, sizeof(memmap)) >= 0 && *memmap != 'N')
		SKIP(return, "need memory blocks without their memmap, have memmap_on_memory=%c",
		     *memmap);
	ASSERT_EQ(pages, hotremove_pages(self->nid));

	ASSERT_EQ(0, convert(half, block->end_pfn, "online_hotremove"));
	EXPECT_EQ(pages + pages / 2, hotremove_pages(self->nid));
	EXPECT_TRUE(pb_block_is(block, "online_type", "none"));
	/* Harvest knows the block, as long as it has a hotremove pageblock */
	EXPECT_TRUE(pb_block_is(block, "hotremove_strict", "0"));
	EXPECT_EQ(0, convert(half, half + self->nr_pages, "online_kernel"));
	EXPECT_EQ(pages + pages / 2 - self->nr_pages, hotremove_pages(self->nid));

	EXPECT_EQ(0, convert(block->start_pfn, block->end_pfn, "online_hotremove"));
	EXPECT_TRUE(pb_block_is(block, "online_type", "online_hotremove"));
	EXPECT_EQ(2 * pages, hotremove_pages(self->nid));

	/* Two memory blocks at once */
	EXPECT_EQ(0, convert(block->start_pfn, self->dimm.block[1].end_pfn, "online_kernel"));
	EXPECT_EQ(0, hotremove_pages(self->nid));
	EXPECT_TRUE(pb_block_is(block, "online_type", "online_kernel"));
}

TEST_F(range, bad_input_is_refused_and_changes_nothing)
{
	struct pb_block *block = &self->dimm.block[0];
	unsigned long start = block->start_pfn, end = block->end_pfn;
	long before;

	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	ASSERT_EQ(0, pb_block_set(block, "online_kernel"));
	before = hotremove_pages(self->nid);

	EXPECT_EQ(-EINVAL, pb_debug("convert", "%s", "\n"));
	EXPECT_EQ(-EINVAL, pb_debug("convert", "%#lx %#lx", start, end));
	EXPECT_EQ(-EINVAL, pb_debug("convert", "%#lx %#lx online_hotremove 1", start, end));
	EXPECT_EQ(-EINVAL, pb_debug("convert", "start %#lx online_hotremove", end));
	EXPECT_EQ(-EINVAL, pb_debug("convert", "%#lx 0x online_hotremove", start));
	EXPECT_EQ(-EINVAL, convert(start, end, "hotremove"));
	EXPECT_EQ(-EINVAL, convert(start, end, "online_movable"));
	EXPECT_EQ(-EINVAL, convert(start, end, "ONLINE_HOTREMOVE"));
	EXPECT_EQ(-EINVAL, convert(start + 1, end, "online_hotremove"));
	EXPECT_EQ(-EINVAL, convert(start, end - 1, "online_hotremove"));
	EXPECT_EQ(-EINVAL, convert(start, start, "online_hotremove"));
	EXPECT_EQ(-EINVAL, convert(end, start, "online_hotremove"));
	/* Memory 2 is offline */
	EXPECT_EQ(-EINVAL, convert(start, self->dimm.block[2].end_pfn, "online_hotremove"));
	EXPECT_EQ(-EINVAL, convert(1UL << 40, (1UL << 40) + self->nr_pages, "online_hotremove"));

	EXPECT_EQ(before, hotremove_pages(self->nid));
	EXPECT_TRUE(pb_block_is(block, "online_type", "online_kernel"));

	/* ZONE_MOVABLE is removable as it is */
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[3], "online_movable"));
	EXPECT_EQ(-EINVAL, convert(self->dimm.block[3].start_pfn,
				   self->dimm.block[3].end_pfn, "online_hotremove"));
}

static void note(struct tally *t, int err)
{
	switch (err) {
	case 0:
		t->done++;
		break;
	case -EBUSY:
		t->refused++;
		break;
	case -EINTR:
		t->interrupted++;
		break;
	default:
		t->odd++;
		t->odd_errno = -err;
	}
}

static const char *any_kind(void)
{
	return rand() % 2 ? "online_hotremove" : "online_kernel";
}

/* Was all memory online all the time since "offline" had been at @work? */
static bool stayed_online(const struct _test_data_range *self, long work)
{
	return !(work % 2) && atomic_load(&self->shared->hotplug) == work;
}

static void use_ranges(const struct _test_data_range *self, struct tally *t)
{
	const struct pb_block *block = &self->dimm.block[rand() % (NR_CONVERTED - 1)];
	long work = atomic_load(&self->shared->hotplug);
	int err = convert(block[0].start_pfn, block[1].end_pfn, any_kind());

	/* One of them may have been offline */
	if (err == -EINVAL && !stayed_online(self, work))
		err = -EBUSY;
	note(t, err);
}

static void use_sysfs(const struct _test_data_range *self, struct tally *t)
{
	const struct pb_block *block = &self->dimm.block[rand() % NR_CONVERTED];
	long work = atomic_load(&self->shared->hotplug);
	char path[96];
	int err;

	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/online_type", block->id);
	err = pb_write(path, any_kind());
	if (err == -EINVAL && !stayed_online(self, work))
		err = -EBUSY;
	note(t, err);
}

static void use_offline(const struct _test_data_range *self, struct tally *t)
{
	const struct pb_block *block = &self->dimm.block[1 + rand() % (NR_CONVERTED - 1)];
	int err;

	atomic_fetch_add(&self->shared->hotplug, 1);
	err = pb_block_set(block, "offline");
	note(t, err);
	if (!err) {
		err = pb_block_set(block, any_kind());
		if (err)
			note(t, err);
	}
	atomic_fetch_add(&self->shared->hotplug, 1);
	pb_msleep(5);
}

static void use_contig(const struct _test_data_range *self, struct tally *t)
{
	const struct pb_block *block = &self->dimm.block[rand() % 2];
	long work = atomic_load(&self->shared->hotplug);
	unsigned long start = block->start_pfn +
		rand() % (pb_block_pages() / self->nr_pages - 4) * self->nr_pages;
	int err = pb_debug_range("contig", start, start + 4 * self->nr_pages);

	if (err == -ENOMEM || (err == -EINVAL && !stayed_online(self, work)))
		err = -EBUSY;
	note(t, err);
	pb_msleep(5);
}

static void use_compact(const struct _test_data_range *self, struct tally *t)
{
	note(t, pb_write("/proc/sys/vm/compact_memory", "1"));
	pb_msleep(100);
}

/* Memory that is used, moved about by the others, and must not change */
static void use_load(const struct _test_data_range *self, struct tally *t)
{
	static struct pb_load load;

	note(t, pb_load_step(&load, LOAD_BYTES, self->nid, true));
	pb_msleep(5);
}

static void (* const use[NR_USERS])(const struct _test_data_range *self,
				    struct tally *t) = {
	use_ranges, use_sysfs, use_offline, use_contig, use_compact, use_load,
};

static void on_alarm(int sig)
{
}

/* Signals that come at any time; system calls are not restarted */
static void be_interrupted(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval timer = { .it_interval.tv_usec = 70000, .it_value.tv_usec = 1000 };

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static pid_t start_user(const struct _test_data_range *self, int user, int round)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	pb_let_go_of_output();
	prctl(PR_SET_NAME, names[user]);
	srand(round * NR_USERS + user + 1);
	if (user == RANGES)
		be_interrupted();
	while (!atomic_load(&self->shared->stop))
		use[user](self, &self->shared->user[user]);
	_exit(0);
}

static int mixed_blocks(const struct _test_data_range *self)
{
	char type[32];
	int i, nr = 0;

	for (i = 0; i < NR_BLOCKS; i++) {
		if (pb_block_get(&self->dimm.block[i], "online_type", type, sizeof(type)) ||
		    !strcmp(type, "none"))
			nr++;
	}
	return nr;
}

/* All users, until @goal conversions have succeeded. Return: those that did not end */
static int one_round(const struct _test_data_range *self, int round, long goal)
{
	struct shared *s = self->shared;
	double end = pb_now() + MOVED_TOO_LONG;
	int user, hang = 0;
	pid_t pid[NR_USERS];

	atomic_store(&s->stop, false);
	for (user = 0; user < NR_USERS; user++) {
		pid[user] = start_user(self, user, round);
		/* Counted below as one that did not end */
		if (pid[user] < 0) {
			perror("# fork");
			end = 0;
		}
	}
	while (s->user[RANGES].done + s->user[SYSFS].done < goal && pb_now() < end)
		pb_msleep(20);
	atomic_store(&s->stop, true);
	for (user = 0; user < NR_USERS; user++)
		hang += pb_child_end(pid[user], 10.0 * pb_timeout_mul()) != PB_BY_ITSELF;
	return hang;
}

TEST_F_TIMEOUT(range, converted_by_several_at_once_is_never_mixed, 600 + conversions())
{
	struct shared *s = self->shared;
	int i;

	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[0]);
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[3], "online_kernel"));
	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[2]);

	for (i = 1; i <= ROUNDS; i++) {
		ASSERT_EQ(0, one_round(self, i, conversions() * i / ROUNDS));
		EXPECT_EQ(0, mixed_blocks(self)) TH_LOG("after round %d", i);
		pb_fold_counters();
		EXPECT_EQ(0, pb_audit_count(""))
			TH_LOG("after round %d", i);
	}
	EXPECT_GE(s->user[RANGES].done + s->user[SYSFS].done, conversions());
	for (i = 0; i < NR_USERS; i++) {
		TH_LOG("%s: %ld done, %ld refused, %ld interrupted", names[i],
		       (long)s->user[i].done, (long)s->user[i].refused,
		       (long)s->user[i].interrupted);
		EXPECT_EQ(0, s->user[i].odd)
			TH_LOG("%s: %s", names[i], strerror(s->user[i].odd_errno));
		EXPECT_LT(0, s->user[i].done) TH_LOG("%s never got anything", names[i]);
	}
}

TEST_HARNESS_MAIN
