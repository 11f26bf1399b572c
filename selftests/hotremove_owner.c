// SPDX-License-Identifier: GPL-2.0
/*
 * After load, page_owner must show a movable request behind every allocated
 * page of every hotremove block. /proc/kpageflags alone cannot tell: a page
 * of a driver or of a pipe has no flag of its own.
 *
 * PB_OWNER_SECONDS is how long the load runs (default 20). Boot with
 * page_owner=on.
 *
 * On a kernel without hotremove pageblocks these tests FAIL rather than skip:
 * `online_hotremove` is the feature under test.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define NR_BLOCKS	2
#define NR_LOADS	5
#define MAX_SHOWN	4

FIXTURE(owner) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	int nid;
	char dir[64];
	pid_t load[NR_LOADS];
};

FIXTURE_SETUP(owner)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (!pb_owner_on())
		SKIP(return, "need page_owner=on at boot, have it off");
	self->nid = pb_target_node();
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	snprintf(self->dir, sizeof(self->dir), "/tmp/pb-owner-XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "owner", NR_BLOCKS * pb_block_mb(),
			       self->nid));
}

static void end_loads(pid_t *load)
{
	int i;

	for (i = 0; i < NR_LOADS; i++) {
		if (load[i] <= 0)
			continue;
		kill(load[i], SIGKILL);
		waitpid(load[i], NULL, 0);
		load[i] = 0;
	}
}

FIXTURE_TEARDOWN_PARENT(owner)
{
	char cmd[96];

	end_loads(self->load);
	if (self->dir[0]) {
		snprintf(cmd, sizeof(cmd), "rm -rf %s", self->dir);
		EXPECT_EQ(0, system(cmd));
	}
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

/* The loads: all prefer the node, so each kind of request tries its blocks */

/* Page tables, anonymous memory, huge pages; a third is kept all the time */
static void load_anon(const char *dir, size_t bytes)
{
	const int parts = 12;
	char *p[parts];
	int i, round;

	(void)dir;
	for (i = 0; i < parts; i++)
		p[i] = MAP_FAILED;
	for (round = 0;; round++) {
		for (i = round ? 4 : 0; i < parts; i++) {
			if (p[i] != MAP_FAILED)
				munmap(p[i], bytes / parts);
			p[i] = mmap(NULL, bytes / parts, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (p[i] == MAP_FAILED)
				continue;
			madvise(p[i], bytes / parts, (round + i) % 2 ?
				MADV_HUGEPAGE : MADV_NOHUGEPAGE);
			memset(p[i], i + 1, bytes / parts);
		}
		pb_msleep(20);
	}
}

/* Inodes and dentries (slab), file pages (movable), created and unlinked */
static void load_files(const char *dir, size_t bytes)
{
	static char buf[1 << 14];
	const unsigned int nr = bytes / sizeof(buf);
	unsigned int i, round;
	char path[128];
	int fd;

	for (round = 0;; round++) {
		for (i = round % 3; i < nr; i += round ? 3 : 1) {
			snprintf(path, sizeof(path), "%s/f%u", dir, i);
			unlink(path);
			fd = open(path, O_CREAT | O_RDWR, 0600);
			if (fd < 0)
				continue;
			if (write(fd, buf, sizeof(buf)) < 0)
				unlink(path);
			close(fd);
		}
		pb_msleep(20);
	}
}

/* Pages of pipes: unmovable, order 0 */
static void load_pipes(const char *dir, size_t bytes)
{
	struct pb_pipes pipes;

	(void)dir;
	for (;;) {
		if (!pb_pipes_fill(&pipes, bytes))
			pb_msleep(20);
		pb_pipes_free(&pipes);
	}
}

/* Stacks, task structs, page tables of short-lived processes */
static void load_forks(const char *dir, size_t bytes)
{
	pid_t pid[16];
	int i;

	(void)dir;
	(void)bytes;
	for (;;) {
		for (i = 0; i < 16; i++) {
			pid[i] = fork();
			if (!pid[i]) {
				char *p = mmap(NULL, 1 << 20,
					       PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS,
					       -1, 0);

				if (p != MAP_FAILED)
					memset(p, 1, 1 << 20);
				_exit(0);
			}
		}
		for (i = 0; i < 16; i++)
			if (pid[i] > 0)
				waitpid(pid[i], NULL, 0);
	}
}

/* Socket buffers: unmovable, higher orders, atomic ones among them */
static void load_sockets(const char *dir, size_t bytes)
{
	static char buf[1 << 15];
	int sv[2], i;

	(void)dir;
	for (;;) {
		for (i = 0; i < 64; i++) {
			if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv))
				break;
			while (bytes && send(sv[0], buf, sizeof(buf),
					     MSG_DONTWAIT) > 0)
				;
			close(sv[0]);
			close(sv[1]);
		}
		pb_msleep(5);
	}
}

static pid_t start_load(void (*fn)(const char *dir, size_t bytes),
			const char *dir, size_t bytes, int nid)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	pb_prefer_node(nid);
	fn(dir, bytes);
	_exit(0);
}

struct verdict {
	const struct pb_block *block;
	long bad;		/* pages behind requests that are not movable */
	struct pb_owner shown[MAX_SHOWN];
};

static int judge(const struct pb_owner *o, void *arg)
{
	struct verdict *v = arg;
	long i = 0;

	if (o->movable)
		return 0;
	/* Count kinds, not pages, in what is shown */
	while (i < MAX_SHOWN && v->shown[i].pfn &&
	       (v->shown[i].order != o->order ||
		strcmp(v->shown[i].gfp, o->gfp)))
		i++;
	if (i < MAX_SHOWN && !v->shown[i].pfn)
		v->shown[i] = *o;
	v->bad += 1L << o->order;
	return 0;
}

static long count_nonmovable(const struct pb_block *block, long *owned,
			     struct verdict *v)
{
	memset(v, 0, sizeof(*v));
	v->block = block;
	*owned = pb_owner_walk(block->start_pfn, block->end_pfn, judge, v);
	return *owned < 0 ? *owned : v->bad;
}

static void show(const struct verdict *v)
{
	char rec[4096];
	int i;

	for (i = 0; i < MAX_SHOWN && v->shown[i].pfn; i++) {
		fprintf(stderr, "# memory%u pfn %#lx order %u %s (%s)\n",
			v->block->id, v->shown[i].pfn, v->shown[i].order,
			v->shown[i].gfp, v->shown[i].comm);
		if (!pb_owner_stack(v->shown[i].pfn, rec, sizeof(rec)))
			fprintf(stderr, "%s", rec);
	}
}

/* The witness can tell: an ordinary boot block has non-movable pages */
TEST_F_TIMEOUT(owner, page_owner_tells_movable_from_other_requests, 600)
{
	struct pb_block all[PB_SCAN_BLOCKS];
	struct verdict v;
	long owned, bad;
	int nr;

	nr = pb_all_blocks(all, PB_SCAN_BLOCKS);
	ASSERT_GT(nr, 0);
	bad = count_nonmovable(&all[0], &owned, &v);
	TH_LOG("memory%u: %ld pages owned, %ld not movable", all[0].id, owned,
	       bad);
	ASSERT_GT(owned, 0);
	EXPECT_GT(bad, 0);
}

TEST_F_TIMEOUT(owner, after_load_only_movable_requests_own_pages_of_hotremove_blocks, 1800)
{
	const long seconds = pb_env("PB_OWNER_SECONDS", 20);
	const size_t room = NR_BLOCKS * pb_block_bytes();
	long foreign, owned, bad, slab, unused, all_bad = 0;
	double end;
	struct verdict v;
	int i;

	for (i = 0; i < NR_BLOCKS; i++)
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[i]);

	foreign = pb_numastat(self->nid, "numa_foreign");
	self->load[0] = start_load(load_anon, self->dir, room * 2 / 3, self->nid);
	self->load[1] = start_load(load_files, self->dir, room / 2, self->nid);
	self->load[2] = start_load(load_pipes, self->dir, 16 << 20, self->nid);
	self->load[3] = start_load(load_forks, self->dir, 0, self->nid);
	self->load[4] = start_load(load_sockets, self->dir, 1, self->nid);
	for (i = 0; i < NR_LOADS; i++)
		ASSERT_GT(self->load[i], 0);
	for (i = 0; i < seconds; i++) {
		/* Whoever watches us wants to see that we live */
		if (i && i % 30 == 0)
			TH_LOG("%d of %ld s of load", i, seconds);
		pb_msleep(1000);
	}

	/* On a slow machine they may not have filled the blocks yet */
	end = pb_now() + 30.0 * pb_timeout_mul();
	do {
		pb_fold_counters();
		unused = pb_zoneinfo(self->nid, NULL, "nr_free_hotremove");
	} while (unused > (long)(room / getpagesize() / 4) && pb_now() < end &&
		 (pb_msleep(200), true));

	/* What they hold stays, but nothing moves while we read */
	for (i = 0; i < NR_LOADS; i++)
		ASSERT_EQ(0, kill(self->load[i], SIGSTOP));
	pb_msleep(200);
	pb_fold_counters();
	foreign = pb_numastat(self->nid, "numa_foreign") - foreign;

	for (i = 0; i < NR_BLOCKS; i++) {
		const struct pb_block *block = &self->dimm.block[i];

		bad = count_nonmovable(block, &owned, &v);
		ASSERT_GE(bad, 0) TH_LOG("page_owner: %s", strerror(-bad));
		slab = pb_count_flags(block, PB_KPF_SLAB | PB_KPF_PGTABLE);
		TH_LOG("memory%u: %ld pages owned, %ld not movable, %ld slab or page table",
		       block->id, owned, bad, slab);
		if (bad)
			show(&v);
		EXPECT_EQ(0, slab);
		/* A verdict on an empty block would say nothing */
		ASSERT_GT(owned, (long)pb_block_pages() / 4);
		all_bad += bad;
	}
	/* Requests that are not movable did ask this node, and went on */
	ASSERT_GT(foreign, 1000);
	TH_LOG("%ld s of load, %ld requests turned away from node %d", seconds,
	       foreign, self->nid);
	EXPECT_EQ(0, all_bad);
}

TEST_HARNESS_MAIN
