// SPDX-License-Identifier: GPL-2.0
/*
 * Migration that must not wait does not, and migration that may wait gets on.
 *
 *   |--movable block: anonymous, free, locked, under writeback, anonymous, ...--|
 *
 * A file on a slow disk has pages all over the block. Some are being read, so
 * they are locked, some are under writeback, all for seconds. Compaction at
 * its lowest priority (MIGRATE_ASYNC) looks for a large page; the trace has to
 * show that it met pages that it could not move, and that it never waited for
 * a lock or for writeback, nor slept for anything else. The offline of the
 * same block (MIGRATE_SYNC) has to wait for just these pages, and then to end
 * well, with all data as it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page_kinds.h"
#include "pageblock_harness.h"

#define TRACING		"/sys/kernel/tracing"
#define PROACTIVE	"/proc/sys/vm/compaction_proactiveness"
#define DISK		"pkasync"
#define DIR_NAME	"/tmp/pk-async"
#define SLOW_NS		(5000 * 1000 * 1000UL)
#define WRITTEN		1024	/* pages of the file that will be written */
#define READ		256	/* and of that which will be read */
#define PIECES		32
#define ATTEMPTS	50

/* What is counted, for one task */
static const char * const event[] = {
	"kprobes/pk_writeback", "kprobes/pk_lock", "sched/sched_switch",
	"migrate/mm_migrate_pages", "compaction/mm_compaction_isolate_migratepages",
};

enum { WRITEBACK, LOCK, SLEEP, MIGRATE, ISOLATE, NR_EVENTS };

static int trace_set(const char *file, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), TRACING "/%s", file);
	return pb_write(path, text);
}

static void trace_stop(void)
{
	char file[96];
	int i;

	for (i = 0; i < NR_EVENTS; i++) {
		snprintf(file, sizeof(file), "events/%s/enable", event[i]);
		trace_set(file, "0");
		snprintf(file, sizeof(file), "events/%s/filter", event[i]);
		trace_set(file, "0");
	}
	trace_set("kprobe_events", "-:kprobes/pk_writeback");
	trace_set("kprobe_events", "-:kprobes/pk_lock");
}

/* Only what @pid does, and of its switches only those to uninterruptible sleep */
static int trace_start(pid_t pid)
{
	char file[96], filter[64];
	int i, ret;

	trace_stop();
	ret = trace_set("kprobe_events", "p:kprobes/pk_writeback folio_wait_writeback") ?:
	      trace_set("kprobe_events", "p:kprobes/pk_lock __folio_lock") ?:
	      trace_set("trace", "");
	for (i = 0; i < NR_EVENTS && !ret; i++) {
		if (i == SLEEP)
			snprintf(filter, sizeof(filter),
				 "prev_pid == %d && prev_state & 2", pid);
		else
			snprintf(filter, sizeof(filter), "common_pid == %d",
				 pid);
		snprintf(file, sizeof(file), "events/%s/filter", event[i]);
		ret = trace_set(file, filter);
		snprintf(file, sizeof(file), "events/%s/enable", event[i]);
		ret = ret ?: trace_set(file, "1");
	}
	return ret;
}

/* How often each event was seen; @failed: what migration gave up */
static int trace_count(long *count, long *failed)
{
	const char *name, *at;
	char line[512];
	FILE *f;
	int i;

	memset(count, 0, NR_EVENTS * sizeof(*count));
	*failed = 0;
	f = fopen(TRACING "/trace", "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		for (i = 0; i < NR_EVENTS; i++) {
			char key[64];

			name = strchr(event[i], '/') + 1;
			snprintf(key, sizeof(key), " %s: ", name);
			if (!strstr(line, key))
				continue;
			count[i]++;
			if (i < MIGRATE && count[i] <= 3)
				printf("# %s", line);
			at = strstr(line, "nr_failed=");
			if (i == MIGRATE && at)
				*failed += atol(at + 10);
			at = strstr(line, "mode=");
			if (i == MIGRATE && at && strncmp(at + 5, "MIGRATE_ASYNC", 13))
				printf("# %s", line);
		}
	}
	fclose(f);
	return 0;
}

FIXTURE(async) {
	struct pk pk;
	struct pb_saved proactive;
	int written, read;	/* files */
	char *fill;
	size_t fill_len;
};

FIXTURE_SETUP(async)
{
	int ret;

	if (!pb_debug_has("compact"))
		SKIP(return, "need the debug module's compact, have none");
	if (access(TRACING "/kprobe_events", W_OK))
		SKIP(return, "need " TRACING "/kprobe_events, have none");
	ret = pk_open(&self->pk, pb_target_node());
	if (ret == PK_SKIP)
		SKIP(return, "%s", self->pk.why);
	ASSERT_EQ(0, ret)
		TH_LOG("%s", self->pk.why);
	self->written = self->read = -1;
	/* Or kcompactd has made a large free page before, if there is time */
	ASSERT_EQ(0, pb_save(&self->proactive, PROACTIVE));
	ASSERT_EQ(0, pb_write(PROACTIVE, "0"));
}

FIXTURE_TEARDOWN(async)
{
	trace_stop();
	if (self->written >= 0)
		close(self->written);
	if (self->read >= 0)
		close(self->read);
	if (self->fill)
		munmap(self->fill, self->fill_len);
	free(self->pk.gen);
	umount(DIR_NAME);
	pk_slow_disk_end(DISK);
	EXPECT_EQ(0, pb_restore(&self->proactive));
}

static int new_file(struct pk *pk, const char *name, size_t pages)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), DIR_NAME "/%s", name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		return -errno;
	pk->pages = pages;
	if (lseek(fd, 0, SEEK_END) == 0 &&
	    (pk_file_write(pk, fd, 0, 1) || fsync(fd)))
		return -EIO;
	return fd;
}

/* Two files on the slow disk, of which nothing is cached but where they are */
static int make_files(struct _test_data_async *self)
{
	struct pk *pk = &self->pk;
	char dev[64], cmd[96];
	int ret, i;
	char c;

	pk->seed = getpid();
	pk->gen = calloc(WRITTEN, sizeof(*pk->gen));
	mkdir(DIR_NAME, 0700);
	for (i = 0; i < 2; i++) {
		ret = i ? pk_slow_disk_speed(pk, DISK, SLOW_NS * pb_slow()) :
			  pk_slow_disk(pk, DISK, 32, 0);
		ret = ret ?: pk_slow_disk_node(DISK, dev, sizeof(dev));
		if (ret)
			return ret;
		snprintf(cmd, sizeof(cmd), "mke2fs -b 4096 %s >/dev/null 2>&1",
			 dev);
		if (!i && system(cmd))
			return pk_fail(pk, PK_SKIP, "need mke2fs, have none that works");
		if (mount(dev, DIR_NAME, "ext2", 0, NULL) &&
		    mount(dev, DIR_NAME, "ext4", 0, NULL))
			return pk_fail(pk, -errno, "mount of %s", dev);
		memset(pk->gen, 0, WRITTEN * sizeof(*pk->gen));
		self->written = new_file(pk, "written", WRITTEN);
		memset(pk->gen, 0, WRITTEN * sizeof(*pk->gen));
		self->read = new_file(pk, "read", READ);
		if (self->written < 0 || self->read < 0)
			return pk_fail(pk, -EIO, "files on the slow disk");
		if (i)
			break;
		close(self->written);
		close(self->read);
		if (umount(DIR_NAME))
			return pk_fail(pk, -errno, "umount");
	}
	/* Where the blocks of a file are takes a request of its own */
	pread(self->read, &c, 1, (READ - 1) * getpagesize());
	pread(self->written, &c, 1, (WRITTEN - 1) * getpagesize());
	posix_fadvise(self->read, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* The whole node is used, by pages of both kinds in turns; then there are holes */
static int fill_node(struct _test_data_async *self)
{
	struct pk *pk = &self->pk;
	size_t i, j, step, size = getpagesize();
	int ret = 0;
	char *page = aligned_alloc(size, size);

	self->fill_len = (pb_block_pages() + 1024) * size;
	self->fill = mmap(NULL, self->fill_len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (self->fill == MAP_FAILED || !page)
		return pk_fail(pk, -ENOMEM, "no memory");
	madvise(self->fill, self->fill_len, MADV_NOHUGEPAGE);
	pb_prefer_node(pk->nid);
	step = self->fill_len / PIECES;
	for (i = 0; i < PIECES && !ret; i++) {
		/* Generation 1 is on the disk already: 2 */
		for (j = 0; j < WRITTEN / PIECES && !ret; j++) {
			size_t nr = i * (WRITTEN / PIECES) + j;

			pk_fill_page(page, pk->seed, nr, 2);
			if (pwrite(self->written, page, size, nr * size) !=
			    (ssize_t)size)
				ret = pk_fail(pk, -errno, "write");
		}
		for (j = i * step; j < (i + 1) * step; j += size)
			*(size_t *)(self->fill + j) = j;
	}
	for (j = 0; j < self->fill_len; j += 4 * size)
		madvise(self->fill + j, size, MADV_DONTNEED);
	free(page);
	return ret;
}

static bool fill_intact(struct _test_data_async *self)
{
	size_t j, size = getpagesize();

	for (j = 0; j < self->fill_len; j += size)
		if (*(size_t *)(self->fill + j) != (j % (4 * size) ? j : 0))
			return false;
	return true;
}

/* Someone who compacts when told to */
static pid_t compactor(int nid, int *go)
{
	int pipe_fd[2], ret = 0, i;
	pid_t pid;
	char c;

	if (pipe(pipe_fd))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		close(pipe_fd[1]);
		if (read(pipe_fd[0], &c, 1) != 1)
			_exit(0);
		/* Each goes on where the last one has stopped */
		for (i = 0; i < ATTEMPTS && (!ret || ret == -ENOMEM); i++)
			ret = pb_debug("compact", "%d node=%d async",
				       pb_max_order() - i % 2, nid);
		_exit(-ret);
	}
	close(pipe_fd[0]);
	*go = pipe_fd[1];
	return pid;
}

TEST_F_TIMEOUT(async, compaction_never_waits_and_offline_does, 600)
{
	struct pk *pk = &self->pk;
	long locked, writeback, left, count[NR_EVENTS], failed;
	int ret, go = -1, go_offline = -1, status, i;
	pid_t pid, offliner;
	double took, start;

	/* Movable on every kernel: it is the mode of migration that is tried */
	setenv("PB_KIND_STATE", "online_movable", 1);
	ret = pk_online(pk);
	ASSERT_EQ(0, ret) TH_LOG("%s", pk->why);
	ret = make_files(self);
	if (ret == PK_SKIP)
		SKIP(return, "%s", pk->why);
	ASSERT_EQ(0, ret) TH_LOG("%s", pk->why);
	pid = compactor(pk->nid, &go);
	ASSERT_GT(pid, 0);
	offliner = pk_offliner(&pk->block, &go_offline);
	ASSERT_GT(offliner, 0);
	ret = fill_node(self);
	ASSERT_EQ(0, ret) TH_LOG("%s", pk->why);
	ret = trace_start(pid);
	ASSERT_EQ(0, ret) TH_LOG("trace: %s", strerror(-ret));

	/* Locked by a read that has just begun, and under writeback */
	ASSERT_EQ(0, posix_fadvise(self->read, 0, 0, POSIX_FADV_WILLNEED));
	ASSERT_EQ(0, pb_prefer_node(-1));
	ASSERT_EQ(0, sync_file_range(self->written, 0, 0,
				     SYNC_FILE_RANGE_WRITE));
	locked = pb_count_flags(&pk->block, PK_BIT(KPF_LOCKED));
	writeback = pb_count_flags(&pk->block, PK_BIT(KPF_WRITEBACK));
	ASSERT_GT(locked, 0);
	ASSERT_GT(writeback, 0);

	start = pb_now();
	ASSERT_EQ(1, write(go, "", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	took = pb_now() - start;
	left = pb_count_flags(&pk->block, PK_BIT(KPF_LOCKED) |
			      PK_BIT(KPF_WRITEBACK));
	ASSERT_EQ(0, trace_count(count, &failed));
	TH_LOG("%ld pages locked, %ld under writeback; compaction: %s after %.3f s, %ld times isolated, %ld migrated, %ld pages failed; %ld are still locked or under writeback",
	       locked, writeback, strerror(WEXITSTATUS(status)), took,
	       count[ISOLATE], count[MIGRATE], failed, left);
	/* It was at work, and met what it could not move */
	EXPECT_GT(count[ISOLATE], 0);
	EXPECT_GT(failed, 0);
	EXPECT_GT(left, 0);
	EXPECT_EQ(0, count[WRITEBACK]);
	EXPECT_EQ(0, count[LOCK]);
	EXPECT_EQ(0, count[SLEEP]);

	/* Forced: the same pages, again on their way */
	ASSERT_EQ(0, trace_start(offliner));
	pk->pages = WRITTEN;
	for (i = 0; i < WRITTEN; i++)
		pk->gen[i] = 2;
	ASSERT_EQ(0, pk_file_write(pk, self->written, 0, 1));
	ASSERT_EQ(0, sync_file_range(self->written, 0, 0,
				     SYNC_FILE_RANGE_WRITE));
	writeback = pb_count_flags(&pk->block, PK_BIT(KPF_WRITEBACK));
	ASSERT_GT(writeback, 0);
	ret = pk_offliner_go(offliner, go_offline, &took);
	ASSERT_EQ(0, trace_count(count, &failed));
	TH_LOG("%ld pages under writeback; offline: %s after %.3f s, waited %ld times for writeback, %ld for a lock, %ld times asleep",
	       writeback, strerror(-ret), took, count[WRITEBACK], count[LOCK],
	       count[SLEEP]);
	EXPECT_EQ(0, ret);
	EXPECT_GT(count[WRITEBACK] + count[LOCK], 0);
	trace_stop();

	EXPECT_TRUE(fill_intact(self));
	EXPECT_EQ(0, pk_file_verify(pk, self->written)) TH_LOG("%s", pk->why);
	pk->pages = READ;
	for (i = 0; i < READ; i++)
		pk->gen[i] = 1;
	EXPECT_EQ(0, pk_file_verify(pk, self->read)) TH_LOG("%s", pk->why);
}

int main(int argc, char **argv)
{
	return pk_main(argc, argv) ?: test_harness_run(argc, argv);
}
