// SPDX-License-Identifier: GPL-2.0
/*
 * The mirror reserve: memory that is not free memory, for the kernel only.
 *
 *   |--ordinary memory--|--RESERVE: page tables, stacks, ... | free--|
 *
 * Needs a kernel booted with mirror_reserve= and the debug module. A kernel
 * that does not know that parameter fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define SYS		"/sys/kernel/mm/mirror_reserve"
#define CGROUP		"/sys/fs/cgroup"
#define UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"
#define GROUP		CGROUP "/pb-mirror"
#define MAX_NODES	8
#define MAX_BLOCKS	4096
#define KPF_USER	((1ULL << 5) | (1ULL << 11) | (1ULL << 12) | \
			 (1ULL << 13) | (1ULL << 18))	/* LRU MMAP ANON SWAPCACHE UNEVICTABLE */
#define USER_BYTES	(256UL << 20)	/* at most, see churn() */

FIXTURE(mirror) {
	int nid;		/* the node with the largest reserve */
	long unit_kb;
	char users[128];	/* mirror_users= */
	struct pb_saved auto_online;
	struct pb_dimm dimm;
};

/* Pages of the reserve of a node, as the kernel says */
static long node_pages(int nid)
{
	long kb = pb_mirror_kb(nid, "size_kb");

	return kb < 0 ? kb : kb * 1024 / getpagesize();
}

/* "key=VALUE" of the line of debugfs mirror that starts with @line */
static long mirror_value(const char *line, const char *key)
{
	char buf[2048], want[32], *at;
	int ret;

	ret = pb_read(PB_DEBUGFS "/mirror", buf, sizeof(buf));
	if (ret < 0)
		return ret;
	at = strstr(buf, line);
	if (!at)
		return -ENOENT;
	snprintf(want, sizeof(want), " %s=", key);
	at = strstr(at, want);
	return at ? atol(at + strlen(want)) : -ENOENT;
}

static long node_value(int nid, const char *key)
{
	char line[16];

	snprintf(line, sizeof(line), "node=%d ", nid);
	return mirror_value(line, key);
}

/* The parameters of the boot; room for the value without its name */
static bool cmdline_has(const char *name, char *value, size_t len)
{
	char buf[4096], *at, *end;

	if (pb_read("/proc/cmdline", buf, sizeof(buf)) < 0)
		return false;
	at = strstr(buf, name);
	if (!at)
		return false;
	at += strlen(name);
	end = at + strcspn(at, " \n");
	snprintf(value, len, "%.*s", (int)(end - at), at);
	return true;
}

FIXTURE_SETUP(mirror)
{
	char asked[128];
	long best = 0;
	int nid;

	if (!cmdline_has("mirror_reserve=", asked, sizeof(asked)))
		SKIP(return, "need mirror_reserve= on the command line, have none");
	if (!pb_debug_has("audit"))
		SKIP(return, "need the debug module, have none");
	ASSERT_EQ(0, access(SYS, F_OK))
		TH_LOG("mirror_reserve=%s, but no reserve", asked);
	cmdline_has("mirror_users=", self->users, sizeof(self->users));
	self->nid = -1;
	for (nid = 0; nid < MAX_NODES; nid++) {
		if (pb_mirror_kb(nid, "max_kb") > best) {
			best = pb_mirror_kb(nid, "max_kb");
			self->nid = nid;
		}
	}
	ASSERT_GE(self->nid, 0);
	PB_TEARDOWN_FROM_HERE();
	self->unit_kb = getpagesize() / 1024 << pb_max_order();
	ASSERT_EQ(0, pb_debug("mirror", "free"));
}

FIXTURE_TEARDOWN(mirror)
{
	int ret;

	EXPECT_EQ(0, pb_debug("mirror", "free"));
	EXPECT_EQ(0, pb_mirror_resize(self->nid, pb_mirror_kb(self->nid, "max_kb")));
	rmdir(GROUP);
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	/* The kernel may have found use for it */
	ret = pb_hotdel(&self->dimm);
	if (ret)
		TH_LOG("the memory stays: %s", strerror(-ret));
}

TEST_F(mirror, files_agree_on_its_size)
{
	long total = 0, free = 0;
	int nid;

	for (nid = 0; nid < MAX_NODES; nid++) {
		if (pb_mirror_kb(nid, "max_kb") < 0)
			continue;
		EXPECT_EQ(pb_mirror_kb(nid, "max_kb"), pb_mirror_kb(nid, "size_kb"));
		total += pb_mirror_kb(nid, "size_kb");
		free += pb_mirror_kb(nid, "free_kb");
	}
	EXPECT_GT(total, 0);
	EXPECT_LE(free, total);
	EXPECT_EQ(total, pb_meminfo("MirrorTotal"));
	if (!self->users[0]) {
		EXPECT_EQ(free, pb_meminfo("MirrorFree"));
		EXPECT_EQ(free, pb_vmstat("nr_free_mirror") * getpagesize() / 1024);
	}
}

TEST_F(mirror, counter_is_what_a_walk_finds_free)
{
	int nid;

	if (self->users[0])
		SKIP(return, "need a reserve that nobody else uses, have mirror_users=%s",
		     self->users);
	ASSERT_EQ(0, pb_debug("mirror", "mix 20000 1"));
	for (nid = 0; nid < MAX_NODES; nid++) {
		if (pb_mirror_kb(nid, "max_kb") < 0)
			continue;
		EXPECT_EQ(node_pages(nid), node_value(nid, "pages"));
		EXPECT_EQ(node_value(nid, "nr_free"), node_value(nid, "free"));
	}
	EXPECT_LT(node_value(self->nid, "free"), node_pages(self->nid));
	ASSERT_EQ(0, pb_debug("mirror", "free"));
	EXPECT_EQ(node_pages(self->nid), node_value(self->nid, "nr_free"));
	EXPECT_EQ(node_pages(self->nid), node_value(self->nid, "free"));
}

/* A child with many page tables of its own, stopped */
static pid_t start_child(int *release)
{
	const size_t step = 2UL << 20;
	int ready[2], go[2], i;
	char c, *area;
	pid_t pid;

	if (pipe(ready) || pipe(go))
		return -1;
	pid = fork();
	if (pid) {
		close(ready[1]);
		close(go[0]);
		if (pid > 0 && read(ready[0], &c, 1) != 1)
			return -1;
		close(ready[0]);
		*release = go[1];
		return pid;
	}
	close(go[1]);
	/* One page in each 2 MB: a page table each */
	area = mmap(NULL, 512 * step, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		_exit(1);
	madvise(area, 512 * step, MADV_NOHUGEPAGE);
	for (i = 0; i < 512; i++)
		area[i * step] = 1;
	if (chdir("/proc") || write(ready[1], "r", 1) != 1)
		_exit(1);
	_exit(read(go[0], &c, 1) < 0);
}

static bool task_says(pid_t pid, const char *what)
{
	char buf[2048], *at;

	if (pb_debug("mirror", "task %d", pid) ||
	    pb_read(PB_DEBUGFS "/mirror", buf, sizeof(buf)) < 0)
		return false;
	at = strstr(buf, "task ");
	return at && strstr(at, what);
}

/*
 * Goes before the tests that leave nothing in the reserve: stacks and slab that
 * the kernel gets elsewhere meanwhile, it keeps for the next one that asks. What
 * fell back earlier in this boot may be found, too: then it is page tables only.
 */
TEST_F(mirror, chosen_users_are_in_it)
{
	long fallback = pb_vmstat("mirror_fallback");
	int release, status;
	pid_t pid;

	if (!strstr(self->users, "pgtable") || !strstr(self->users, "stack") ||
	    !strstr(self->users, "task") || !strstr(self->users, "mm"))
		SKIP(return, "need mirror_users=pgtable,stack,task,mm, have '%s'",
		     self->users);
	pid = start_child(&release);
	ASSERT_GT(pid, 0);
	EXPECT_TRUE(task_says(pid, " tables_out=0 "));
	EXPECT_GE(mirror_value("task ", "tables_in"), 512);
	EXPECT_TRUE(task_says(pid, " pgd=in "));
	if (!fallback) {
		EXPECT_TRUE(task_says(pid, " stack_out=0 "));
		EXPECT_TRUE(task_says(pid, " task=in "));
		EXPECT_TRUE(task_says(pid, " mm=in "));
		if (strstr(self->users, "dentry"))
			EXPECT_TRUE(task_says(pid, " dentry=in "));
		if (strstr(self->users, "inode"))
			EXPECT_TRUE(task_says(pid, " inode=in"));
	} else {
		TH_LOG("page tables only: %ld pages fell back before", fallback);
	}
	/* And what is elsewhere is not because none was left */
	EXPECT_EQ(fallback, pb_vmstat("mirror_fallback"));
	close(release);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(mirror, its_pages_are_not_free_memory)
{
	long mem_free = pb_vmstat("nr_free_pages"), nr = 2 * 1024;
	long mirror_free = pb_vmstat("nr_free_mirror");
	long room = node_value(self->nid, "nr_free") / 2;

	if (nr > room)
		nr = room;
	if (nr < 512)
		SKIP(return, "need 1024 free pages of the reserve, have %ld", 2 * room);
	pb_fold_counters();
	ASSERT_EQ(0, pb_debug("mirror", "0 %ld unmovable node=%d", nr, self->nid));
	pb_fold_counters();
	EXPECT_EQ(nr, mirror_value("held", "in"));
	EXPECT_EQ(0, mirror_value("held", "out"));
	/* The counter of the reserve falls by all of it, the other one by none */
	EXPECT_LE(mirror_free - pb_vmstat("nr_free_mirror"), nr + nr / 4);
	EXPECT_GE(mirror_free - pb_vmstat("nr_free_mirror"), nr - nr / 4);
	EXPECT_LT(mem_free - pb_vmstat("nr_free_pages"), nr / 2);
}

TEST_F(mirror, fallback_is_counted_and_strict_fails)
{
	long pages = node_pages(self->nid), fallback;

	/* Until the reserves of all nodes are empty */
	EXPECT_EQ(-ENOMEM, pb_debug("mirror", "0 %ld strict", 1L << 24));
	ASSERT_GE(mirror_value("held", "in"), pages / 2);
	EXPECT_EQ(0, mirror_value("held", "out"));
	EXPECT_LE(pb_vmstat("nr_free_mirror"), 64);

	fallback = pb_vmstat("mirror_fallback");
	EXPECT_EQ(0, pb_debug("mirror", "0 1000 unmovable"));
	EXPECT_GE(mirror_value("held", "out"), 900);
	EXPECT_GE(pb_vmstat("mirror_fallback") - fallback,
		  mirror_value("held", "out"));
}

/* memory.current of the group, in kB */
static long group_kb(void)
{
	char buf[32];

	return pb_read(GROUP "/memory.current", buf, sizeof(buf)) < 0 ? -1 :
	       atol(buf) / 1024;
}

/* In the group: the exit code of a child that holds @nr pages of @kind */
static int held_in_group(long nr, const char *kind, int nid)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		/* Where a page more is an OOM kill, none may be copied on write */
		if (mlockall(MCL_CURRENT) || pb_write(GROUP "/cgroup.procs", "0"))
			_exit(255);
		_exit(-pb_debug("mirror", "0 %ld %s node=%d", nr, kind, nid));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/*
 * A control group pays for pages of the reserve that it asked to be charged
 * for, gets them back when they go home, and no more than its limit allows.
 */
TEST_F(mirror, control_group_is_charged_and_limited)
{
	const long nr = 1024, kb = nr * getpagesize() / 1024, slack = 1024;
	long before, held;

	if (node_value(self->nid, "nr_free") < nr)
		SKIP(return, "need %ld free pages of the reserve, have %ld", nr,
		     node_value(self->nid, "nr_free"));
	if (pb_write(CGROUP "/cgroup.subtree_control", "+memory"))
		SKIP(return, "need cgroup2 with memory at " CGROUP ", have none");
	ASSERT_EQ(0, mkdir(GROUP, 0755));

	/* What is not to be charged is not */
	EXPECT_EQ(0, held_in_group(nr, "unmovable", self->nid));
	EXPECT_EQ(nr, mirror_value("held", "in"));
	EXPECT_LT(group_kb(), slack);
	ASSERT_EQ(0, pb_debug("mirror", "free"));

	before = group_kb();
	EXPECT_EQ(0, held_in_group(nr, "account", self->nid));
	EXPECT_EQ(nr, mirror_value("held", "in"));
	EXPECT_EQ(0, mirror_value("held", "out"));
	EXPECT_GE(group_kb() - before, kb - slack);
	EXPECT_LE(group_kb() - before, kb + slack);
	ASSERT_EQ(0, pb_debug("mirror", "free"));
	EXPECT_LT(group_kb() - before, slack);

	/* Free pages of the reserve are no reason to exceed a limit */
	EXPECT_EQ(0, pb_write(GROUP "/memory.max", "2M"));
	EXPECT_EQ(ENOMEM, held_in_group(nr, "account", self->nid));
	held = mirror_value("held", "in") + mirror_value("held", "out");
	EXPECT_GT(held, 0);
	EXPECT_LE(held * getpagesize(), 2 << 20);
	EXPECT_LE(group_kb(), 2048);
	ASSERT_EQ(0, pb_debug("mirror", "free"));
	if (!self->users[0])
		EXPECT_EQ(node_pages(self->nid), node_value(self->nid, "nr_free"));
}

/* The first page frames of the pageblocks of the reserve */
static int reserve_blocks(unsigned long *pfn, int max)
{
	char line[160], type[32];
	unsigned long start;
	FILE *file;
	int nr = 0;

	file = fopen(PB_DEBUGFS "/map", "re");
	if (!file)
		return -errno;
	while (nr < max && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lu %*d %*s %31s", &start, type) == 2 &&
		    !strcmp(type, "Mirror"))
			pfn[nr++] = start;
	}
	fclose(file);
	return nr;
}

static long count_in_reserve(uint64_t any, unsigned long *blocks, int nr)
{
	long pages = pb_pageblock_pages(), found = 0, i;
	uint64_t *flags = malloc(pages * sizeof(*flags));
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC), block;

	for (block = 0; flags && fd >= 0 && block < nr; block++) {
		if (pread(fd, flags, pages * sizeof(*flags),
			  blocks[block] * sizeof(*flags)) != pages * (long)sizeof(*flags)) {
			found = -EIO;
			break;
		}
		for (i = 0; i < pages; i++)
			found += !!(flags[i] & any);
	}
	if (fd >= 0)
		close(fd);
	free(flags);
	return fd >= 0 ? found : -errno;
}

/* Anonymous memory, shared memory and files: 7/16 of what is there, or 448 MB */
static int churn(int round)
{
	size_t bytes = (size_t)pb_meminfo("MemAvailable") * 1024 / 4;
	char path[] = "/tmp/mirror-XXXXXX", buf[4096], *anon, *shared;
	int fd, ret = -1;
	size_t i;

	bytes = bytes > USER_BYTES ? USER_BYTES : bytes & ~((2UL << 20) - 1);
	anon = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared = mmap(NULL, bytes / 4, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fd = mkstemp(path);
	if (anon == MAP_FAILED || shared == MAP_FAILED || fd < 0)
		return -errno;
	/* With and without huge pages */
	madvise(anon, bytes, round % 2 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(anon, round, bytes);
	memset(shared, round, bytes / 4);
	memset(buf, round, sizeof(buf));
	for (i = 0; i < bytes / 2; i += sizeof(buf))
		if (write(fd, buf, sizeof(buf)) != (ssize_t)sizeof(buf))
			goto out;
	ret = 0;
out:
	/* What is sampled is there when this returns; the next round frees it */
	close(fd);
	unlink(path);
	return ret;
}

TEST_F_TIMEOUT(mirror, no_user_page_lies_in_it, 3600)
{
	static unsigned long blocks[MAX_BLOCKS];
	int nr = reserve_blocks(blocks, MAX_BLOCKS), round, status;
	double end = pb_now() + pb_env("PB_SECONDS", 5);
	long found, looks = 0;
	pid_t pid;

	ASSERT_GT(nr, 0);
	ASSERT_LE(node_pages(self->nid), (long)nr * pb_pageblock_pages());
	/* The look finds pages of the kernel, so it would find others */
	if (strstr(self->users, "pgtable"))
		ASSERT_GT(count_in_reserve(PB_KPF_PGTABLE, blocks, nr), 0);
	for (round = 0; !round || pb_now() < end; round++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			pb_let_go_of_output();
			_exit(!!churn(round));
		}
		do {
			found = count_in_reserve(KPF_USER, blocks, nr);
			EXPECT_EQ(0, found);
			looks++;
			pb_msleep(20);
		} while (!waitpid(pid, &status, WNOHANG));
		EXPECT_EQ(0, status);
	}
	TH_LOG("%ld looks in %d rounds", looks, round);
	EXPECT_GE(looks, 2);
}

TEST_F(mirror, users_not_chosen_are_not_in_it)
{
	int release, status;
	pid_t pid;

	if (self->users[0])
		SKIP(return, "need a boot without mirror_users=, have %s", self->users);
	pid = start_child(&release);
	ASSERT_GT(pid, 0);
	EXPECT_TRUE(task_says(pid, " stack_in=0 "));
	EXPECT_TRUE(task_says(pid, " tables_in=0 "));
	EXPECT_GE(mirror_value("task ", "tables_out"), 512);
	EXPECT_TRUE(task_says(pid, " task=out mm=out pgd=out "));
	close(release);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(node_pages(self->nid), node_value(self->nid, "nr_free"));
}

/*
 * The struct pages of hot-added memory are in the reserve if that was chosen,
 * all of them, and leave it with the memory. If not chosen, none is.
 */
TEST_F(mirror, struct_pages_of_hot_added_memory_are_in_it_if_chosen)
{
	const bool chosen = strstr(self->users, "vmemmap");
	long fallback, free, in = 0, out = 0, least = 0;
	char on_memory[8];
	int i;

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (pb_read("/sys/module/memory_hotplug/parameters/memmap_on_memory",
		    on_memory, sizeof(on_memory)) >= 0 && on_memory[0] != 'N')
		SKIP(return, "need memory blocks without their memmap, have memmap_on_memory=%c",
		     on_memory[0]);
	ASSERT_EQ(0, pb_save(&self->auto_online, PB_SYS_MEMORY "/auto_online_blocks"));
	ASSERT_EQ(0, pb_write(PB_SYS_MEMORY "/auto_online_blocks", "offline"));
	fallback = pb_vmstat("mirror_fallback");
	free = pb_vmstat("nr_free_mirror");
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "memmap", 2 * pb_block_mb(), pb_target_node()));
	for (i = 0; i < self->dimm.nr; i++) {
		ASSERT_EQ(0, pb_debug("mirror", "memmap %lu %lu",
				      self->dimm.block[i].start_pfn, self->dimm.block[i].end_pfn));
		in += mirror_value("memmap", "in");
		out += mirror_value("memmap", "out");
		/* A struct page has 32 bytes at least */
		least += pb_block_pages() * 32 / getpagesize();
	}
	TH_LOG("struct pages of %d memory blocks: %ld pages in it, %ld outside",
	       self->dimm.nr, in, out);
	EXPECT_EQ(0, chosen ? out : in);
	EXPECT_GE(chosen ? in : out, least);
	EXPECT_EQ(fallback, pb_vmstat("mirror_fallback"));
	/* What else uses it meanwhile is much less */
	if (chosen)
		EXPECT_GT(free - pb_vmstat("nr_free_mirror"), in - least / 4);
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_LT(free - pb_vmstat("nr_free_mirror"), least / 4);
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

TEST_F(mirror, part_of_it_becomes_ordinary_memory_and_comes_back)
{
	long max = pb_mirror_kb(self->nid, "max_kb"), give = max / 2;
	long total = pb_meminfo("MemTotal"), i;

	give -= give % self->unit_kb;
	/* What chosen users keep may lie anywhere: one unit is free, not half of all */
	if (!give || self->users[0])
		give = self->unit_kb;
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pb_mirror_resize(self->nid, max - give));
		EXPECT_EQ(max - give, pb_mirror_kb(self->nid, "size_kb"));
		EXPECT_EQ(total + give, pb_meminfo("MemTotal"));
		if (max > give)
			EXPECT_EQ(node_pages(self->nid), node_value(self->nid, "pages"));
		ASSERT_EQ(0, pb_mirror_resize(self->nid, max));
		EXPECT_EQ(max, pb_mirror_kb(self->nid, "size_kb"));
		EXPECT_EQ(total, pb_meminfo("MemTotal"));
	}
}

TEST_F(mirror, what_is_in_use_is_not_handed_over)
{
	long max = pb_mirror_kb(self->nid, "max_kb"), total = pb_meminfo("MemTotal");

	ASSERT_EQ(0, pb_debug("mirror", "0 1 unmovable node=%d", self->nid));
	ASSERT_EQ(1, mirror_value("held", "in"));
	EXPECT_EQ(-EBUSY, pb_mirror_resize(self->nid, 0));
	EXPECT_EQ(max, pb_mirror_kb(self->nid, "size_kb"));
	EXPECT_EQ(total, pb_meminfo("MemTotal"));
}

TEST_F(mirror, wrong_sizes_are_refused)
{
	const char *bad[] = { "x", "-1", "1", "4096k", "99999999999999999999" };
	long max = pb_mirror_kb(self->nid, "max_kb");
	char path[96];
	size_t i;

	snprintf(path, sizeof(path), SYS "/node%d/size_kb", self->nid);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT_GT(0, pb_write(path, bad[i])) TH_LOG("'%s'", bad[i]);
		EXPECT_EQ(max, pb_mirror_kb(self->nid, "size_kb"));
	}
	EXPECT_EQ(-EINVAL, pb_mirror_resize(self->nid, max + self->unit_kb));
	EXPECT_EQ(-EINVAL, pb_mirror_resize(self->nid, max - 4));
	EXPECT_EQ(max, pb_mirror_kb(self->nid, "size_kb"));
}

/* Each one, but for those that mainline refuses because they have holes */
TEST_F(mirror, its_memory_blocks_refuse_to_go_offline)
{
	static unsigned long blocks[MAX_BLOCKS];
	struct pb_block block = { .id = -1 };
	int nr = reserve_blocks(blocks, MAX_BLOCKS), i, ret, tried = 0;
	long max = pb_mirror_kb(self->nid, "max_kb");

	ASSERT_GT(nr, 0);
	for (i = 0; i < nr; i++) {
		if (blocks[i] / pb_block_pages() == block.id)
			continue;
		block.id = blocks[i] / pb_block_pages();
		block.start_pfn = block.id * pb_block_pages();
		block.end_pfn = block.start_pfn + pb_block_pages();
		ret = pb_block_set(&block, "offline");
		EXPECT_TRUE(ret == -EBUSY || ret == -EINVAL) TH_LOG("%s", strerror(-ret));
		EXPECT_TRUE(pb_block_is(&block, "state", "online"));
		tried += ret == -EBUSY;
	}
	EXPECT_EQ(max, pb_mirror_kb(self->nid, "size_kb"));
	EXPECT_EQ(node_pages(self->nid), node_value(self->nid, "pages"));
	if (!tried)
		SKIP(return, "need a block of the reserve without holes, have none");
}

/* What memblock allocated: all of it in what had been declared mirrored by then */
TEST_F(mirror, boot_data_is_in_mirrored_memory)
{
	unsigned long long start[16], end[16], from, to, in = 0, out = 0;
	char record[1024], *at, asked[8];
	int nr = 0, i, fd;

	if (!cmdline_has("memblock=debug", asked, sizeof(asked)))
		SKIP(return, "need memblock=debug on the command line, have none");
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	while (pb_kmsg_next(fd, record, sizeof(record))) {
		at = strstr(record, "mirror_reserve: [mem ");
		if (at && strstr(at, "declared mirrored")) {
			ASSERT_LT(nr, 16);
			ASSERT_EQ(2, sscanf(at, "mirror_reserve: [mem %llx-%llx]",
					    &start[nr], &end[nr]));
			nr++;
		}
		at = strstr(record, "memblock_reserve: [");
		if (!nr || !at || !strstr(at, "memblock_alloc_range_nid") ||
		    sscanf(at, "memblock_reserve: [%llx-%llx]", &from, &to) != 2)
			continue;
		/* What has to be below 1 MB cannot be anywhere else */
		if (to < 1ULL << 20)
			continue;
		for (i = 0; i < nr && (from < start[i] || to > end[i]); i++)
			;
		if (i < nr) {
			in += to + 1 - from;
		} else {
			out += to + 1 - from;
			TH_LOG("outside: %.100s", at);
		}
	}
	close(fd);
	ASSERT_GT(nr, 0) TH_LOG("no range declared: log_buf_len= too small?");
	TH_LOG("%llu kB of boot data in mirrored memory, %llu kB outside",
	       in >> 10, out >> 10);
	EXPECT_GT(in, 1ULL << 20);
	EXPECT_EQ(0ULL, out);
}

/* A poisoned page is not free memory of it any more, alone; unpoisoned it is again */
TEST_F(mirror, a_poisoned_page_is_taken_out_and_comes_home)
{
	static unsigned long blocks[MAX_BLOCKS];
	long free = pb_vmstat("nr_free_mirror");
	char text[32];
	int nid;

	if (self->users[0])
		SKIP(return, "need a reserve that nobody else uses, have mirror_users=%s",
		     self->users);
	if (access(UNPOISON, W_OK))
		SKIP(return, "need " UNPOISON ", have none");
	ASSERT_GT(reserve_blocks(blocks, MAX_BLOCKS), 0);
	/* In the middle of a chunk, which has to be split */
	ASSERT_EQ(0, pb_poison(blocks[0] + 5));
	EXPECT_EQ(free - 1, pb_vmstat("nr_free_mirror"));
	for (nid = 0; nid < MAX_NODES; nid++)
		if (pb_mirror_kb(nid, "max_kb") >= 0)
			EXPECT_EQ(node_value(nid, "nr_free"), node_value(nid, "free"));
	snprintf(text, sizeof(text), "%#lx", blocks[0] + 5);
	EXPECT_EQ(0, pb_write(UNPOISON, text));
	EXPECT_EQ(free, pb_vmstat("nr_free_mirror"));
}

/* Pages of huge-page size that can be had after 100000 mixed requests */
static long large_after_mix(const char *mix, const char *kind, int nid)
{
	long order = pb_max_order() - 1, before, got;

	if (pb_debug("mirror", "%s 100000 7 node=%d", mix, nid))
		return -EIO;
	before = mirror_value("held", "requests");
	if (pb_debug("mirror", "%ld 100000 %s node=%d", order, kind, nid) != -ENOMEM)
		return -EIO;
	got = mirror_value("held", "requests") - before;
	return pb_debug("mirror", "free") ? -EIO : got;
}

TEST_F_TIMEOUT(mirror, mixed_requests_leave_as_many_large_pages_as_in_a_zone, 300)
{
	long kb = node_pages(self->nid) * getpagesize() / 1024, in, plain;
	int nid, i;

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	nid = pb_target_node();
	if (pb_node_has_memory(nid) || kb % (pb_block_mb() * 1024))
		SKIP(return, "need a node without memory and a reserve of whole memory blocks, have node %d with %ld free pages and %ld kB",
		     nid, pb_node_vmstat(nid, "nr_free_pages"), kb);
	in = large_after_mix("mix", "strict", self->nid);
	ASSERT_EQ(0, pb_save(&self->auto_online, PB_SYS_MEMORY "/auto_online_blocks"));
	ASSERT_EQ(0, pb_write(PB_SYS_MEMORY "/auto_online_blocks", "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "plain", kb / 1024, nid));
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_EQ(0, pb_block_set(&self->dimm.block[i], "online_kernel"));
	plain = large_after_mix("mix_plain", "plain", nid);
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	TH_LOG("%ld large pages in the reserve, %ld in a zone of its size", in, plain);
	EXPECT_GT(plain, 0);
	EXPECT_GE(in, plain);
}

TEST_HARNESS_MAIN
