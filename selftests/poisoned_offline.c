// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: a memory block with poisoned memory in it goes offline, or is
 * refused, but the attempt comes to an end; and what it leaves is counted
 * right.
 *
 * Three kinds of poisoned pages that memory_failure() can do nothing about:
 *
 * - one of a large folio that could not be split, because of a reference that
 *   somebody had in that moment. The folio stays as it is, mapped and all:
 *
 *     |--free--|.....X.....p....|--free--|   X: poisoned, p: in a pipe
 *
 * - one that is in the balloon. Its owner will use it, and does not know;
 * - one that a driver keeps from the kernel (virtio-mem, not plugged).
 *
 * And one that was free, and is to be free again: not after its block has gone.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define ZONE		"Movable"
/* These end in a fraction of that; what does not is given up after it */
#define GIVE_UP_MS	(3000 * pb_timeout_mul())
#define WAIT_S		(10.0 * pb_timeout_mul())
/* At least so long; nobody waits for it to be over */
#define LOCK_MS		(8 * GIVE_UP_MS)
#define UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"

/* Pages of the folio */
#define POISONED	3
#define HELD		5

static void offline_at_first(struct pb_saved *auto_online)
{
	if (!pb_save(auto_online, PB_SYS_MEMORY "/auto_online_blocks"))
		pb_write(auto_online->path, "offline");
}

/* A line to the monitor of the host; what comes after @key in the answer */
static long ask_host(const char *cmd, const char *key)
{
	char reply[256], *at;

	if (pb_host_request(reply, sizeof(reply), "hmp %s", cmd))
		return -ENODEV;
	at = strstr(reply, key);
	return at ? atol(at + strlen(key)) : -ENODEV;
}

FIXTURE(large) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *block;
	struct pb_hold hold;
	unsigned long bytes;	/* of the folio */
	unsigned long pfn;	/* its first page */
	char *map;
	char *mem;
};

FIXTURE_SETUP(large)
{
	unsigned long i;
	uint64_t flags;

	self->bytes = pb_huge_bytes();
	if (!self->bytes)
		SKIP(return, "need transparent huge pages, have none");
	if (access(PB_SYS_MEMORY "/hard_offline_page", W_OK))
		SKIP(return, "need hard_offline_page (CONFIG_MEMORY_FAILURE), have none");
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	/* Who has the page mapped lives on until it is touched */
	ASSERT_EQ(0, prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0));
	PB_TEARDOWN_FROM_HERE();
	offline_at_first(&self->auto_online);
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "large", pb_block_mb(),
			       pb_target_node()));
	self->block = &self->dimm.block[0];
	ASSERT_EQ(0, pb_block_set(self->block, "online_movable"));

	self->map = pb_mmap_node(2 * self->bytes, self->dimm.nid);
	ASSERT_NE(MAP_FAILED, self->map);
	self->mem = self->map + self->bytes -
		    (unsigned long)self->map % self->bytes;
	ASSERT_EQ(0, madvise(self->mem, self->bytes, MADV_HUGEPAGE));
	for (i = 0; i < self->bytes; i += getpagesize())
		memset(self->mem + i, i / getpagesize() % 251 + 1, getpagesize());
	self->pfn = pb_pfn(self->mem);
	ASSERT_TRUE(pb_block_has(self->block, self->pfn));

	/* With one page of it held, the folio survives the poisoning */
	ASSERT_EQ(0, pb_hold_at(&self->hold, self->mem + HELD * getpagesize()));
	ASSERT_EQ(0, pb_poison(self->pfn + POISONED));
	ASSERT_EQ(0, pb_page_flags(self->pfn + POISONED, &flags));
	ASSERT_TRUE(flags & PB_KPF_THP)
		TH_LOG("the folio was split in spite of the reference");
	ASSERT_EQ(self->pfn, pb_pfn(self->mem));
}

FIXTURE_TEARDOWN(large)
{
	if (self->map && self->map != MAP_FAILED)
		EXPECT_EQ(0, munmap(self->map, 2 * self->bytes));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

static bool dies_of_reading(const volatile char *addr)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		pb_let_go_of_output();
		_exit(*addr & 0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid &&
	       WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

/* All but the poisoned page have moved away, with what was in them */
#define EXPECT_MOVED(self) do {						\
	const int __size = getpagesize();				\
	unsigned long __i, __bad = 0;					\
									\
	for (__i = 0; __i < (self)->bytes / __size; __i++) {		\
		char *__at = (self)->mem + __i * __size;		\
									\
		if (__i == POISONED)					\
			continue;					\
		__bad += *__at != (char)(__i % 251 + 1) ||		\
			 pb_block_has((self)->block, pb_pfn(__at));	\
	}								\
	EXPECT_EQ(0, __bad) TH_LOG("%lu pages", __bad);			\
	EXPECT_TRUE(dies_of_reading((self)->mem + POISONED * __size));	\
} while (0)

TEST_F_TIMEOUT(large, folio_that_was_held_lets_its_block_go, 180)
{
	double took;
	int ret;

	pb_release_page(&self->hold);
	ret = pb_offline(self->block, GIVE_UP_MS, &took);
	TH_LOG("offline: %s after %.3f s", strerror(-ret), took);
	ASSERT_EQ(0, ret);
	EXPECT_MOVED(self);
}

/* A short-term reference is waited for, as with any page */
TEST_F_TIMEOUT(large, folio_that_is_held_is_waited_for, 180)
{
	double took;
	pid_t off;
	int ret;

	off = pb_offline_start(self->block);
	ASSERT_GT(off, 0);
	ASSERT_TRUE(pb_going_offline(self->block));
	pb_msleep(500);
	ASSERT_EQ(0, waitpid(off, NULL, WNOHANG));
	pb_release_page(&self->hold);
	ret = pb_offline_wait(off, GIVE_UP_MS, &took);
	TH_LOG("offline: %s %.3f s after the release", strerror(-ret), took);
	ASSERT_EQ(0, ret);
	EXPECT_MOVED(self);
}

static int unpoison(unsigned long pfn)
{
	char text[32];

	snprintf(text, sizeof(text), "%#lx", pfn);
	return pb_write(UNPOISON, text);
}

#define BALLOON_MB	16

FIXTURE(balloon) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	long mb;		/* of the machine */
};

static long balloon(long mb)
{
	double end = pb_now() + WAIT_S;
	long want = mb * 1024 * 1024 / getpagesize(), have;

	do {
		have = pb_vmstat("nr_balloon_pages");
		if (have == want)
			break;
		pb_msleep(50);
	} while (pb_now() < end);
	return have;
}

#define ASSERT_BALLOON(self, size) do {					\
	char __cmd[32];							\
	long __want = (size) * 1048576L / getpagesize();		\
									\
	snprintf(__cmd, sizeof(__cmd), "balloon %ld",			\
		 (self)->mb - (size));					\
	ASSERT_EQ(0, ask_host(__cmd, "ok"));				\
	ASSERT_EQ(__want, balloon(size));				\
} while (0)

/* On node 0, for there the driver's pages come from */
FIXTURE_SETUP(balloon)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (ask_host("info balloon", "actual=") < 0 ||
	    pb_vmstat("nr_balloon_pages") < 0)
		SKIP(return, "need a virtio balloon, have none");
	PB_TEARDOWN_FROM_HERE();
	offline_at_first(&self->auto_online);
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "balloon", 2 * pb_block_mb(), 0));
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[0], "online_movable"));
	ASSERT_EQ(0, pb_block_set(&self->dimm.block[1], "online_movable"));
	self->mb = ask_host("info balloon", "actual=");
	ASSERT_BALLOON(self, BALLOON_MB);
}

FIXTURE_TEARDOWN(balloon)
{
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	/* Without the size of the machine this would take all of it */
	if (self->mb > 0)
		ASSERT_BALLOON(self, 0);
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

TEST_F_TIMEOUT(balloon, page_keeps_its_block_until_it_is_given_back, 240)
{
	struct pb_block *block = &self->dimm.block[1];
	double took;
	long pfn;
	int ret;

	pfn = pb_find_flags(block, PB_KPF_OFFLINE);
	if (pfn < 0)
		pfn = pb_find_flags(--block, PB_KPF_OFFLINE);
	ASSERT_GT(pfn, 0) TH_LOG("no balloon page in the blocks added");
	ASSERT_EQ(0, pb_poison(pfn));

	ret = pb_offline(block, GIVE_UP_MS, &took);
	TH_LOG("in the balloon: %s after %.3f s", strerror(-ret), took);
	EXPECT_EQ(-EBUSY, ret);

	ASSERT_BALLOON(self, 0);
	/* It was not freed, so it must not become a page that nobody has */
	if (!access(UNPOISON, W_OK))
		EXPECT_EQ(-EBUSY, unpoison(pfn));
	ret = pb_offline(block, GIVE_UP_MS, &took);
	TH_LOG("given back: %s after %.3f s", strerror(-ret), took);
	EXPECT_EQ(0, ret);
	EXPECT_EQ((long)pb_block_pages(), pb_zoneinfo(0, ZONE, "managed"));
}

#define VMEM		"/machine/peripheral/vmem0"

FIXTURE(unplugged) {
	struct pb_saved auto_online;
	struct pb_block block[PB_MAX_BLOCKS];
	int nid;
	bool asked;
};

/* Wait until @nid has @nr memory blocks */
static bool have_blocks(int nid, int nr, struct pb_block *block)
{
	double end = pb_now() + WAIT_S;

	do {
		if (pb_node_blocks(nid, block, PB_MAX_BLOCKS) == nr)
			return true;
		pb_msleep(50);
	} while (pb_now() < end);
	return false;
}

static long request_mb(unsigned int mb)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "qom-set " VMEM " requested-size %uM", mb);
	return ask_host(cmd, "ok");
}

/* One memory block is plugged, of the next one half */
FIXTURE_SETUP(unplugged)
{
	self->nid = pb_target_node();
	if (!pb_host() || ask_host("qom-get " VMEM " size", "ok") < 0)
		SKIP(return, "need a virtio-mem device vmem0, have none");
	if (pb_node_blocks(self->nid, self->block, PB_MAX_BLOCKS))
		SKIP(return, "need node %d without memory, have some",
		     self->nid);
	PB_TEARDOWN_FROM_HERE();
	offline_at_first(&self->auto_online);
	self->asked = true;
	ASSERT_EQ(0, request_mb(pb_block_mb() * 3 / 2));
	ASSERT_TRUE(have_blocks(self->nid, 2, self->block));
	ASSERT_EQ(0, pb_block_set(&self->block[0], "online_movable"));
	ASSERT_EQ(0, pb_block_set(&self->block[1], "online_movable"));
}

FIXTURE_TEARDOWN(unplugged)
{
	if (!self->asked)
		return;
	EXPECT_EQ(0, request_mb(0));
	EXPECT_TRUE(have_blocks(self->nid, 0, self->block));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

TEST_F_TIMEOUT(unplugged, page_is_not_taken_from_the_managed_ones_twice, 180)
{
	long all = pb_block_pages(), pfn;

	ASSERT_EQ(all + all / 2, pb_zoneinfo(self->nid, ZONE, "managed"));
	ASSERT_EQ(all / 2, pb_count_flags(&self->block[1], PB_KPF_OFFLINE));
	pfn = pb_find_flags(&self->block[1], PB_KPF_OFFLINE);
	ASSERT_GT(pfn, 0);
	ASSERT_EQ(0, pb_poison(pfn));

	ASSERT_EQ(0, pb_offline(&self->block[1], GIVE_UP_MS, NULL));
	EXPECT_EQ(all, pb_zoneinfo(self->nid, ZONE, "managed"));
}

FIXTURE(unpoisoned) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *block;
};

FIXTURE_SETUP(unpoisoned)
{
	if (access(UNPOISON, W_OK))
		SKIP(return, "need " UNPOISON " (CONFIG_HWPOISON_INJECT), have none");
	if (!pb_debug_has("poison_lock"))
		SKIP(return, "need pageblock_debug.ko, have none");
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	PB_TEARDOWN_FROM_HERE();
	offline_at_first(&self->auto_online);
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "unpoison", pb_block_mb(),
			       pb_target_node()));
	self->block = &self->dimm.block[0];
	ASSERT_EQ(0, pb_block_set(self->block, "online_movable"));
}

FIXTURE_TEARDOWN_PARENT(unpoisoned)
{
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

/* Keeps everybody else out of memory failures, until it is killed */
static pid_t lock_start(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(-pb_debug("poison_lock", "%d", LOCK_MS));
	return pid;
}

static pid_t unpoison_start(unsigned long pfn)
{
	pid_t pid = fork();

	if (!pid)
		_exit(-unpoison(pfn));
	return pid;
}

static int ends_with(pid_t pid)
{
	int status;

	if (pid <= 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status);
}

/* Who unpoisons has found it online already, and waits for his turn */
TEST_F_TIMEOUT(unpoisoned, page_is_not_freed_after_its_block_has_gone, 300)
{
	long pfn = pb_find_flags(self->block, PB_KPF_BUDDY);
	pid_t lock, unpoison;

	ASSERT_GT(pfn, 0);
	/* In the middle of a free page */
	pfn += 5;
	ASSERT_EQ(0, pb_poison(pfn));

	lock = lock_start();
	ASSERT_TRUE(pb_task_sleeps(lock, WAIT_S));
	unpoison = unpoison_start(pfn);
	ASSERT_TRUE(pb_task_sleeps(unpoison, WAIT_S))
		TH_LOG("nobody kept it from unpoisoning the page");
	EXPECT_EQ(0, pb_offline(self->block, GIVE_UP_MS, NULL));
	/* Precondition: it was offline before anybody could unpoison the page */
	EXPECT_EQ(0, waitpid(lock, NULL, WNOHANG));
	EXPECT_EQ(0, waitpid(unpoison, NULL, WNOHANG));
	EXPECT_TRUE(pb_block_is(self->block, "state", "offline"));
	EXPECT_EQ(0, kill(lock, SIGKILL));
	EXPECT_EQ(lock, waitpid(lock, NULL, 0));
	EXPECT_EQ(EIO, ends_with(unpoison))
		TH_LOG("a page of a block that is offline was freed");
}

TEST_HARNESS_MAIN
