// SPDX-License-Identifier: GPL-2.0
/*
 * Free hotremove memory is of no use to an unmovable request, but pages can be
 * moved there out of the memory that is. So an unmovable load must get what
 * movable data occupies, without any of it being evicted or anybody killed,
 * and when really nothing is left, the report must say so.
 *
 *   |--ordinary: data of this test, free--|--HOTREMOVE: free--|
 *   |--ordinary: the load-----------------|--HOTREMOVE: data--|
 *
 * The data is shared memory; there is no swap, so it can be moved or kept, and
 * not evicted. The load is the debug module's "press": pages that nobody but
 * the module knows. On a kernel that does not move them it fails (RETRY_MAYFAIL).
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define NR_BLOCKS	3
#define DATA_BYTES	(300UL << 20)
#define GAIN_BYTES	(200UL << 20)	/* of it that the load takes */
#define TMPFS_DIR	"/tmp/pb-tmpfs"
#define REPORT_LINES	60

FIXTURE(evacuate) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	uint64_t *data;
};

FIXTURE_VARIANT(evacuate) {
	bool other_node;
};

/* Targets beside the data, as kswapd and every direct reclaimer use them */
FIXTURE_VARIANT_ADD(evacuate, same_node) {
	.other_node = false,
};

/* Targets on another node: the last step before somebody would be killed */
FIXTURE_VARIANT_ADD(evacuate, other_node) {
	.other_node = true,
};

static long swap_total(void)
{
	return pb_meminfo("SwapTotal");
}

static uint64_t word(size_t page)
{
	return (page + 1) * 0x9e3779b97f4a7c15ULL;
}

static size_t data_bytes = DATA_BYTES;

static size_t nr_data_pages(void)
{
	return data_bytes / getpagesize();
}

static uint64_t *data_word(uint64_t *data, size_t page)
{
	return data + page * (getpagesize() / sizeof(*data)) + page % 512;
}

static size_t wrong_words(uint64_t *data)
{
	size_t i, wrong = 0;

	for (i = 0; i < nr_data_pages(); i++)
		wrong += *data_word(data, i) != word(i);
	return wrong;
}

static long pages_in_dimm(const struct pb_dimm *dimm, uint64_t *data)
{
	long nr = 0;
	int i;

	for (i = 0; i < dimm->nr; i++)
		nr += pb_pages_in(&dimm->block[i], data, nr_data_pages());
	return nr;
}

FIXTURE_SETUP(evacuate)
{
	int nid = variant->other_node ? pb_target_node() : 0;
	size_t i;

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	if (!pb_debug_has("press"))
		SKIP(return, "need the debug module's press, have none");
	if (swap_total())
		SKIP(return, "need no swap, have %ld kB", swap_total());
	if (pb_usable_free() * getpagesize() < (long)(DATA_BYTES + GAIN_BYTES))
		SKIP(return, "need %lu MB free, have %ld pages",
		     (DATA_BYTES + GAIN_BYTES) >> 20, pb_usable_free());

	/* The data is there first, so it lies in ordinary memory, but for what CMA has */
	if (pb_meminfo("CmaFree") > 0)
		data_bytes = DATA_BYTES + pb_meminfo("CmaFree") * 1024;
	self->data = mmap(NULL, data_bytes, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->data);
	madvise(self->data, data_bytes, MADV_NOHUGEPAGE);
	for (i = 0; i < nr_data_pages(); i++)
		*data_word(self->data, i) = word(i);

	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "evac", NR_BLOCKS * pb_block_mb(),
			       nid));
}

FIXTURE_TEARDOWN_PARENT(evacuate)
{
	pb_debug("press", "free");
	if (self->data)
		munmap(self->data, data_bytes);
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

#define ASSERT_READY(self) do {						\
	int __i;							\
									\
	for (__i = 0; __i < (self)->dimm.nr; __i++)			\
		ASSERT_ONLINE_HOTREMOVE(&(self)->dimm.block[__i]);	\
	ASSERT_EQ(0, pages_in_dimm(&(self)->dimm, (self)->data));	\
	ASSERT_GE(pb_vmstat("nr_free_hotremove"),			\
		  (long)(GAIN_BYTES / getpagesize()));			\
} while (0)

TEST_F_TIMEOUT(evacuate, an_unmovable_load_gets_what_can_be_moved, 300)
{
	long want, moved, kills, stolen;

	ASSERT_READY(self);
	want = pb_usable_free() + GAIN_BYTES / getpagesize();
	moved = pb_vmstat("evacuate_pages");
	kills = pb_vmstat("oom_kill");
	stolen = pb_vmstat("pgsteal_anon");

	EXPECT_EQ(0, pb_debug("press", "0 %ld mayfail", want));
	EXPECT_TRUE(pb_press_ended("count"))
		TH_LOG("the load did not get what could be moved");

	EXPECT_EQ(kills, pb_vmstat("oom_kill"));
	EXPECT_EQ(stolen, pb_vmstat("pgsteal_anon"));
	EXPECT_GE(pages_in_dimm(&self->dimm, self->data),
		  (long)(GAIN_BYTES / getpagesize()) * 9 / 10);
	EXPECT_EQ(0, wrong_words(self->data));

	/* More was needed than the load's surplus: marks are kept as well */
	EXPECT_GE(moved, 0) TH_LOG("no counter evacuate_pages");
	EXPECT_GE(pb_vmstat("evacuate_pages") - moved,
		  (long)(GAIN_BYTES / getpagesize()));

	ASSERT_EQ(0, pb_debug("press", "free"));
}

FIXTURE(usable) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
};

FIXTURE_SETUP(usable)
{
	int i;

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "usable", NR_BLOCKS * pb_block_mb(),
			       0));
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[i]);
}

FIXTURE_TEARDOWN_PARENT(usable)
{
	pb_debug("press", "free");
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

/* An inode cannot live in movable-only memory: limits must not count it. */
TEST_F(usable, tmpfs_limits_its_inodes_by_usable_memory)
{
	long with, without, dimm_pages = self->dimm.nr * pb_block_pages();
	struct statfs fs;
	int i;

	mkdir(TMPFS_DIR, 0700);
	ASSERT_EQ(0, mount("none", TMPFS_DIR, "tmpfs", 0, NULL));
	ASSERT_EQ(0, statfs(TMPFS_DIR, &fs));
	with = fs.f_files;
	ASSERT_EQ(0, umount(TMPFS_DIR));

	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_EQ(0, pb_offline(&self->dimm.block[i], 60000, NULL));
	ASSERT_EQ(0, mount("none", TMPFS_DIR, "tmpfs", 0, NULL));
	ASSERT_EQ(0, statfs(TMPFS_DIR, &fs));
	without = fs.f_files;
	ASSERT_EQ(0, umount(TMPFS_DIR));
	rmdir(TMPFS_DIR);

	ASSERT_GT(without, 0);
	EXPECT_LE(labs(with - without), dimm_pages / 64)
		TH_LOG("%ld inodes with %ld pages of hotremove memory, %ld without",
		       with, dimm_pages, without);
}

/* The eater: whom the OOM killer takes first. Its exit status is not used. */
static pid_t eat_all(void)
{
	pid_t pid = fork();

	if (!pid) {
		pb_write("/proc/self/oom_score_adj", "1000");
		pb_debug("press", "0 0 kernel");
		_exit(0);
	}
	return pid;
}

/*
 * Does a line of the kernel log that came after @fd was opened have @text? Counts
 * the lines from @first on, which may be NULL.
 */
static bool log_has(int fd, const char *text, const char *first, int *nr,
		    char *line, size_t len)
{
	char *pos;

	*nr = 0;
	while (pb_kmsg_next(fd, line, len)) {
		if (*nr || (first && strstr(line, first))) {
			/* What follows a line feed was printed by the same call */
			for (pos = strchr(line, ';'); pos; pos = strstr(pos + 1, "\\x0a"))
				++*nr;
		}
		if (strstr(line, text))
			return true;
	}
	return false;
}

TEST_F(usable, an_oom_report_says_what_was_usable)
{
	unsigned long usable, hotremove;
	char line[2048], *text;
	int fd, report, status, nr;
	long kills;
	pid_t pid;

	if (!pb_debug_has("press"))
		SKIP(return, "need the debug module's press, have none");
	fd = pb_kmsg_open_end();
	ASSERT_GE(fd, 0);
	report = pb_kmsg_open_end();
	ASSERT_GE(report, 0);
	kills = pb_vmstat("oom_kill");

	pid = eat_all();
	ASSERT_GT(pid, 0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, pb_debug("press", "free"));
	ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EXPECT_EQ(kills + 1, pb_vmstat("oom_kill"));

	ASSERT_TRUE(log_has(fd, "This request (order 0, not movable) can use ",
			    "invoked oom-killer", &nr, line, sizeof(line)));
	text = strstr(line, "can use ");
	ASSERT_EQ(1, sscanf(text, "can use %lukB", &usable));
	text = strstr(line, "of no use to it: hotremove ");
	ASSERT_NE(NULL, text) TH_LOG("%s", line);
	ASSERT_EQ(1, sscanf(text, "of no use to it: hotremove %lukB", &hotremove));
	/* Most of what is free is hotremove, and the report tells */
	EXPECT_GT(hotremove, 4 * usable) TH_LOG("%s", line);

	/* And is one screen, with the few tasks that there are */
	ASSERT_TRUE(log_has(report, "Out of memory: Killed", "invoked oom-killer",
			    &nr, line, sizeof(line)));
	EXPECT_LE(nr, REPORT_LINES);
	close(report);
	close(fd);
}

TEST_HARNESS_MAIN
