// SPDX-License-Identifier: GPL-2.0
/*
 * virtio-mem takes hotremove memory back, by pieces smaller than a memory block
 * and down to nothing, while it is full and in use.
 *
 *   |--HOTREMOVE: anonymous 4 KB, THP, tmpfs; a task that touches them--|
 *   <---------------------- requested size ----------------------> -> 0
 *
 * PB_VIRTIO_STATE (default online_hotremove) is what the memory is onlined as:
 * online_movable shows what ZONE_MOVABLE takes, on any kernel.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define VMEM		"/machine/peripheral/vmem0"
#define MB		512UL
#define ANON_BYTES	(200UL << 20)
#define THP_BYTES	(140UL << 20)
#define TMPFS_BYTES	(100UL << 20)
#define WAIT_S		(60.0 * pb_timeout_mul())

FIXTURE(virtio) {
	struct pb_saved auto_online;
	struct pb_block block[PB_MAX_BLOCKS];
	int nid;
	bool asked;
	const char *state;
};

/* A line to the monitor of the host; what comes after "ok" in the answer */
static long ask_host(const char *cmd)
{
	char reply[256], *at;

	if (pb_host_request(reply, sizeof(reply), "hmp %s", cmd))
		return -ENODEV;
	at = strstr(reply, "ok");
	return at ? atol(at + 2) : -ENODEV;
}

static long request_mb(unsigned long mb)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "qom-set " VMEM " requested-size %luM", mb);
	return ask_host(cmd);
}

static bool have_mb(unsigned long mb, double seconds)
{
	double end = pb_now() + seconds;

	do {
		if (ask_host("qom-get " VMEM " size") == (long)mb << 20)
			return true;
		pb_msleep(20);
	} while (pb_now() < end);
	return false;
}

FIXTURE_SETUP(virtio)
{
	const char *state = getenv("PB_VIRTIO_STATE");

	self->state = state ? state : "online_hotremove";
	self->nid = pb_target_node();
	if (!pb_host() || ask_host("qom-get " VMEM " size") < 0)
		SKIP(return, "need a virtio-mem device vmem0, have none");
	if (pb_node_blocks(self->nid, self->block, PB_MAX_BLOCKS))
		SKIP(return, "need node %d without memory, have some", self->nid);
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, self->state))
		TH_LOG("this kernel lacks %s", self->state);
	self->asked = true;
	ASSERT_EQ(0, request_mb(MB));
	ASSERT_TRUE(have_mb(MB, WAIT_S));
	ASSERT_EQ((int)(MB / pb_block_mb()),
		  pb_node_blocks(self->nid, self->block, PB_MAX_BLOCKS));
}

FIXTURE_TEARDOWN_PARENT(virtio)
{
	if (self->asked) {
		EXPECT_EQ(0, request_mb(0));
		EXPECT_TRUE(have_mb(0, WAIT_S));
	}
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

static char *memory(size_t len, int advice)
{
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (advice) {
		munmap(mem, len);
		mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(mem, len, advice);
	}
	return mem;
}

static void fill(char *mem, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += 4096)
		*(uint64_t *)(mem + i) = i * 0x9e3779b97f4a7c15ULL;
}

static long wrong(const char *mem, size_t len)
{
	long nr = 0;
	size_t i;

	for (i = 0; i < len; i += 4096)
		nr += *(uint64_t *)(mem + i) != i * 0x9e3779b97f4a7c15ULL;
	return nr;
}

struct content {
	char *anon, *thp, *tmpfs;
};

static long wrong_content(const struct content *c)
{
	return wrong(c->anon, ANON_BYTES) + wrong(c->thp, THP_BYTES) +
	       wrong(c->tmpfs, TMPFS_BYTES);
}

struct shared {
	atomic_bool ready;
	atomic_bool stop;
};

/* The content belongs to a task that reads all of it again and again */
static pid_t start_user(int nid, struct shared *shared)
{
	struct content c;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	pb_let_go_of_output();
	pb_prefer_node(nid);
	c.anon = memory(ANON_BYTES, MADV_NOHUGEPAGE);
	c.thp = memory(THP_BYTES, MADV_HUGEPAGE);
	c.tmpfs = memory(TMPFS_BYTES, 0);
	if (c.anon == MAP_FAILED || c.thp == MAP_FAILED || c.tmpfs == MAP_FAILED)
		_exit(2);
	fill(c.anon, ANON_BYTES);
	fill(c.thp, THP_BYTES);
	fill(c.tmpfs, TMPFS_BYTES);
	pb_prefer_node(-1);
	atomic_store(&shared->ready, true);
	while (!wrong_content(&c)) {
		if (atomic_load(&shared->stop))
			_exit(0);
		pb_msleep(5);
	}
	_exit(1);
}

/* In big block mode the driver gives back whole memory blocks only */
static unsigned long unplug_step_mb(void)
{
	char big[8];

	if (pb_read("/sys/module/virtio_mem/parameters/force_bbm", big, sizeof(big)) >= 0 &&
	    big[0] == 'Y')
		return pb_block_mb();
	return 32;
}

/* Until all of @nid's memory but a fifth is used */
static bool is_full(int nid)
{
	pb_fold_counters();
	return pb_node_vmstat(nid, "nr_free_pages") < (long)(MB << 8) / 5;
}

TEST_F_TIMEOUT(virtio, gets_all_of_it_back_from_under_a_load, 300 * pb_timeout_mul())
{
	unsigned long step = unplug_step_mb();
	struct shared *shared;
	double begin, end;
	int status;
	pid_t pid;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	pid = start_user(self->nid, shared);
	end = pb_now() + WAIT_S;
	while (!atomic_load(&shared->ready) && pb_now() < end)
		pb_msleep(20);
	ASSERT_TRUE(atomic_load(&shared->ready));
	ASSERT_TRUE(is_full(self->nid));
	/* Only kernels with hotremove memory tell; the others have no such file */
	if (!strcmp(self->state, "online_hotremove"))
		EXPECT_TRUE(pb_block_is(&self->block[0], "online_type", self->state));

	/* As little as the driver can at first: less than a memory block, or one */
	begin = pb_now();
	EXPECT_EQ(0, request_mb(MB - step));
	EXPECT_TRUE(have_mb(MB - step, WAIT_S));
	TH_LOG("%s: %lu MB in %.3f s", self->state, step, pb_now() - begin);
	if (step < pb_block_mb())
		EXPECT_EQ((int)(MB / pb_block_mb()),
			  pb_node_blocks(self->nid, self->block, PB_MAX_BLOCKS));

	begin = pb_now();
	EXPECT_EQ(0, request_mb(0));
	EXPECT_TRUE(have_mb(0, WAIT_S));
	TH_LOG("%s: %lu MB in %.3f s", self->state, MB - step, pb_now() - begin);
	/* The host has the memory before the guest has removed the last block */
	end = pb_now() + WAIT_S;
	while (pb_node_blocks(self->nid, self->block, PB_MAX_BLOCKS) && pb_now() < end)
		pb_msleep(20);
	EXPECT_EQ(0, pb_node_blocks(self->nid, self->block, PB_MAX_BLOCKS));

	atomic_store(&shared->stop, true);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status) TH_LOG("the data has changed");
	munmap(shared, sizeof(*shared));
}

TEST_HARNESS_MAIN
