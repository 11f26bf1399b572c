// SPDX-License-Identifier: GPL-2.0
/*
 * OOM that is not about the whole machine, beside hotremove memory: a limit of
 * a control group, hit while hotremove memory is free, and a cpuset whose
 * only node has nothing but hotremove memory. Nobody is killed before the limit,
 * one task is killed beyond it, and nothing is moved for that.
 *
 *   node 0:  ordinary     node 1:  |--HOTREMOVE--|
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define CGROUP		"/sys/fs/cgroup"
#define GROUP		CGROUP "/pb-oom"
#define NR_BLOCKS	2
#define LIMIT_MB	64UL
#define BELOW_MB	48UL
#define BEYOND_MB	96UL

FIXTURE(oom) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	int nid;
	long kills;
};

FIXTURE_SETUP(oom)
{
	int i;

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (pb_write(CGROUP "/cgroup.subtree_control", "+memory +cpuset"))
		SKIP(return, "need cgroup2 with memory and cpuset at " CGROUP ", have none");
	if (pb_meminfo("SwapTotal"))
		SKIP(return, "need no swap, have %ld kB",
		     pb_meminfo("SwapTotal"));
	PB_NEED_EMPTY_NODE(self->nid);
	PB_HOTADD_OFFLINE(self, "oom", NR_BLOCKS * pb_block_mb());
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[i]);
	ASSERT_EQ(0, mkdir(GROUP, 0755));
	self->kills = pb_vmstat("oom_kill");
}

FIXTURE_TEARDOWN_PARENT(oom)
{
	pb_debug("press", "free");
	if (!access(GROUP, F_OK))
		EXPECT_EQ(0, rmdir(GROUP));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

static int eat_anon(unsigned long mb)
{
	size_t len = mb << 20;
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		return 1;
	madvise(mem, len, MADV_NOHUGEPAGE);
	memset(mem, 1, len);
	return 0;
}

static int eat_kernel(unsigned long mb)
{
	return !!pb_debug("press", "0 %lu account",
			  (mb << 20) / getpagesize());
}

/* In the group: how the one ended who took so much, as waitpid() tells */
static int in_group(int (*eat)(unsigned long mb), unsigned long mb)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		pb_let_go_of_output();
		if (pb_write(GROUP "/cgroup.procs", "0") ||
		    pb_write("/proc/self/oom_score_adj", "1000"))
			_exit(2);
		_exit(eat(mb));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static bool killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

#define EXPECT_LIMIT_KEPT(self, eat, below_mb, beyond_mb) do {		\
	long __moved = pb_vmstat("evacuate_pages");			\
									\
	EXPECT_EQ(0, in_group(eat, below_mb));				\
	EXPECT_EQ((self)->kills, pb_vmstat("oom_kill"));		\
	pb_debug("press", "free");					\
	EXPECT_TRUE(killed(in_group(eat, beyond_mb)));			\
	EXPECT_EQ((self)->kills + 1, pb_vmstat("oom_kill"));		\
	pb_debug("press", "free");					\
	EXPECT_EQ(__moved, pb_vmstat("evacuate_pages"));		\
} while (0)

#define ASSERT_MEMORY_MAX(self) do {					\
	char __max[32];							\
									\
	snprintf(__max, sizeof(__max), "%luM", LIMIT_MB);		\
	ASSERT_EQ(0, pb_write(GROUP "/memory.max", __max));		\
	pb_fold_counters();						\
	ASSERT_GT(pb_zoneinfo((self)->nid, NULL, "nr_free_hotremove"),	\
		  (long)((BEYOND_MB << 20) / getpagesize()));		\
} while (0)

TEST_F_TIMEOUT(oom, a_memcg_limit_holds_for_movable_memory, 300)
{
	ASSERT_MEMORY_MAX(self);
	EXPECT_LIMIT_KEPT(self, eat_anon, BELOW_MB, BEYOND_MB);
}

TEST_F_TIMEOUT(oom, a_memcg_limit_holds_for_kernel_memory, 300)
{
	if (!pb_debug_has("press"))
		SKIP(return, "need the debug module's press, have none");
	ASSERT_MEMORY_MAX(self);
	EXPECT_LIMIT_KEPT(self, eat_kernel, BELOW_MB, BEYOND_MB);
}

/* All of the node, and not a page of the others */
TEST_F_TIMEOUT(oom, a_cpuset_of_an_all_hotremove_node_is_used_up_first, 300)
{
	unsigned long mb;
	char node[16];

	snprintf(node, sizeof(node), "%d", self->nid);
	ASSERT_EQ(0, pb_write(GROUP "/cpuset.mems", node));
	pb_fold_counters();
	mb = (pb_zoneinfo(self->nid, NULL, "nr_free_hotremove") *
	      getpagesize()) >> 20;
	ASSERT_GT(mb, NR_BLOCKS * pb_block_mb() * 8 / 10);
	EXPECT_LIMIT_KEPT(self, eat_anon, mb * 9 / 10, mb * 11 / 10);
}

TEST_HARNESS_MAIN
