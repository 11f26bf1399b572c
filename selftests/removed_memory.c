// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: memory must not be removed, and its struct pages with it, while
 * compaction looks at them.
 *
 *   CPU 1                                     CPU 0
 *   isolate_migratepages(): block is online
 *     looks at its pages
 *     loses the CPU to somebody else          offline, device_del
 *     looks at the next page: not there
 *
 * Compaction is run by SCHED_IDLE tasks that share CPU 1 with others: they wait
 * for a second or more whenever their few milliseconds are over. The others only
 * run while the DIMM is removed, and not for ever: who removes it has to wait for
 * those that they keep from the CPU. All movable memory of the node is in it, with
 * mlocked pages: compaction has to look at each but takes none, so nobody has to
 * wait for it.
 *
 * PB_ROUNDS is how often a DIMM is removed (default 5).
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define UNEVICTABLE	"/proc/sys/vm/compact_unevictable_allowed"
#define NR_COMPACTING	2
#define NR_HOGS		2
#define CPU		1

/* Of one task that compacts; in memory that it shares with the test */
struct passes {
	volatile long nr;	/* that came to their end */
	volatile bool in;	/* one is under way */
};

FIXTURE(removed) {
	struct pb_saved auto_online, unevictable;
	struct pb_dimm stays, goes;
	struct passes *passes;
	char compact[64];
	char *mem;
	size_t len;
	int nid;
};

FIXTURE_SETUP(removed)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "need 2 CPUs, have 1");
	self->nid = pb_target_node();
	snprintf(self->compact, sizeof(self->compact),
		 PB_SYS_NODE "/node%d/compact", self->nid);
	ASSERT_EQ(0, pb_save(&self->auto_online,
			     PB_SYS_MEMORY "/auto_online_blocks"));
	ASSERT_EQ(0, pb_save(&self->unevictable, UNEVICTABLE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(self->auto_online.path, "offline"));
	ASSERT_EQ(0, pb_write(UNEVICTABLE, "0"));
	self->passes = mmap(NULL, NR_COMPACTING * sizeof(*self->passes),
			    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	ASSERT_NE(MAP_FAILED, self->passes);
	/* Has the node stay, and takes what is in the way */
	ASSERT_EQ(0, pb_hotadd(&self->stays, "stays", pb_block_mb(), self->nid));
	ASSERT_EQ(0, pb_block_set(&self->stays.block[0], "online_kernel"));
	if (access(self->compact, W_OK))
		SKIP(return, "need %s (CONFIG_COMPACTION), have none",
		     self->compact);
}

FIXTURE_TEARDOWN_PARENT(removed)
{
	int ret;

	/* The tasks have gone with the one that started them */
	EXPECT_EQ(0, pb_hotdel(&self->goes));
	ret = pb_hotdel(&self->stays);
	if (ret)
		TH_LOG("kernel memory stays: %s", strerror(-ret));
	EXPECT_EQ(0, pb_restore(&self->unevictable));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

static int stay_on(int cpu, int policy)
{
	const struct sched_param param = { };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) ||
	    sched_setscheduler(0, policy, &param))
		return -errno;
	return 0;
}

/* Without @passes it takes the CPU from those that compact */
static pid_t start(const char *compact, struct passes *passes)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pb_let_go_of_output();
	if (stay_on(CPU, passes ? SCHED_IDLE : SCHED_OTHER))
		_exit(1);
	while (!passes)
		;
	for (;;) {
		passes->in = true;
		if (pb_write(compact, "1"))
			_exit(1);
		passes->in = false;
		passes->nr++;
	}
}

/* SIGSTOP: those that compact have the CPU to themselves, until SIGCONT */
static void hogs(const pid_t *hog, int sig)
{
	int i;

	for (i = 0; i < NR_HOGS; i++)
		kill(hog[i], sig);
}

/* The hogs stop in @ms at the latest */
static pid_t stop_hogs_in(const pid_t *hog, unsigned int ms)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pb_let_go_of_output();
	pb_msleep(ms);
	hogs(hog, SIGSTOP);
	_exit(0);
}

static long sum(const struct passes *passes)
{
	long nr = 0;
	int i;

	for (i = 0; i < NR_COMPACTING; i++)
		nr += passes[i].nr;
	return nr;
}

/* Hot-adds the DIMM and puts @len bytes there */
static int plug(struct pb_dimm *dimm, int nid, char **mem, size_t len)
{
	int ret = pb_hotadd(dimm, "goes", pb_block_mb(), nid);

	if (!ret)
		ret = pb_block_set(&dimm->block[0], "online_movable");
	if (ret)
		return ret;
	*mem = pb_mmap_node(len, nid);
	if (*mem == MAP_FAILED)
		return -errno;
	madvise(*mem, len, MADV_NOHUGEPAGE);
	return mlock(*mem, len) ? -errno : 0;
}

TEST_F_TIMEOUT(removed, while_compaction_looks_at_it, 900)
{
	long rounds = pb_env("PB_ROUNDS", 5), r, scanned, i;
	pid_t task[NR_COMPACTING + NR_HOGS], *hog = task + NR_COMPACTING;
	long nr[NR_COMPACTING], under_way = 0;
	pid_t limit;
	double until;
	char *page;

	/* With guard pages (debug_guardpage_minorder=2) each page takes four */
	self->len = (pb_block_mb() << 20) / 8;
	for (i = 0; i < NR_COMPACTING; i++)
		task[i] = start(self->compact, &self->passes[i]);
	for (; i < NR_COMPACTING + NR_HOGS; i++)
		task[i] = start(NULL, NULL);

	for (r = 0; r < rounds; r++) {
		hogs(hog, SIGSTOP);
		ASSERT_EQ(0, plug(&self->goes, self->nid, &self->mem, self->len));
		for (page = self->mem; page < self->mem + self->len;
		     page += self->len / 8)
			ASSERT_TRUE(pb_block_has(&self->goes.block[0],
						 pb_pfn(page)));
		/* They have begun to look at it */
		scanned = pb_vmstat("compact_migrate_scanned");
		until = pb_now() + 20.0 * pb_timeout_mul();
		while (pb_vmstat("compact_migrate_scanned") <
		       scanned + (long)self->len / getpagesize() &&
		       pb_now() < until)
			pb_msleep(20);
		ASSERT_LT(pb_now(), until) TH_LOG("compaction does not get there");
		hogs(hog, SIGCONT);
		/* By now they have taken the CPU from those that compact */
		pb_msleep(100 * pb_timeout_mul());

		for (i = 0; i < NR_COMPACTING; i++) {
			nr[i] = self->passes[i].nr;
			under_way += self->passes[i].in;
		}
		limit = stop_hogs_in(hog, 5000 * pb_timeout_mul());
		ASSERT_LT(0, limit);
		ASSERT_EQ(0, pb_hotdel(&self->goes));
		kill(limit, SIGKILL);
		ASSERT_EQ(limit, waitpid(limit, NULL, 0));
		ASSERT_EQ(0, munmap(self->mem, self->len));

		/* All go on where they were */
		hogs(hog, SIGSTOP);
		until = pb_now() + 40.0 * pb_timeout_mul();
		for (i = 0; i < NR_COMPACTING; i++) {
			while (self->passes[i].nr < nr[i] + 1 && pb_now() < until)
				pb_msleep(20);
			ASSERT_LE(nr[i] + 1, self->passes[i].nr)
				TH_LOG("compaction has come to a halt");
		}
	}
	TH_LOG("%ld DIMMs removed, %ld passes of compaction under way then, of %ld",
	       rounds, under_way, sum(self->passes));
	EXPECT_GT(under_way, 0);
	for (i = 0; i < NR_COMPACTING + NR_HOGS; i++) {
		kill(task[i], SIGKILL);
		EXPECT_NE(PB_NEVER,
			  (int)pb_child_end(task[i], 20.0 * pb_timeout_mul()));
	}
}

TEST_HARNESS_MAIN
