// SPDX-License-Identifier: GPL-2.0
/*
 * Page cache through hot-remove: of ext4 and tmpfs, clean, dirty and under
 * writeback, read and written, mapped shared and private, text that is being
 * run, and the buffers of a block device. See page_kinds.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page_kinds_test.h"

#define SLOW_NS		(100 * 1000 * 1000UL)
#define MAX_ROUNDS	50	/* of writing, until writeback is seen */
#define LOOKED_AT	8	/* pages whose writeback has to be seen */
#define SLOW_DIR	"/tmp/pk-slow"

static int use_read(struct pk *pk)
{
	return pk_file_verify(pk, pk->fd[0]);
}

static int use_write(struct pk *pk)
{
	return pk_file_verify(pk, pk->fd[0]) ?:
	       pk_file_write(pk, pk->fd[0], 0, 2);
}

static int check_file(struct pk *pk)
{
	return pk_file_verify(pk, pk->fd[0]);
}

/* What is on the disk: everything that was dirty was found and written */
static int check_disk(struct pk *pk)
{
	int fd, ret = pk_file_verify(pk, pk->fd[0]);

	if (ret)
		return ret;
	if (fsync(pk->fd[0]))
		return pk_fail(pk, -errno, "fsync");
	fd = open(pk->path, O_RDONLY | O_DIRECT);
	if (fd < 0)
		return pk_fail(pk, -errno, "O_DIRECT");
	ret = pk_file_verify(pk, fd);
	close(fd);
	return ret;
}

/* Clean, and only read */
static int make_clean(struct pk *pk)
{
	return pk_file(pk, pb_disk_dir(), PK_PAGES) ?:
	       pk_file_cache(pk, pk->fd[0]);
}

/* Still cached: the pages were moved, not dropped and read again */
static int check_clean(struct pk *pk)
{
	size_t len = PK_PAGES * getpagesize(), i, cached = 0;
	unsigned char in[PK_PAGES];
	void *mem = mmap(NULL, len, PROT_READ, MAP_SHARED, pk->fd[0], 0);

	if (mem == MAP_FAILED || mincore(mem, len, in))
		return pk_fail(pk, -errno, "mincore");
	munmap(mem, len);
	for (i = 0; i < PK_PAGES; i++)
		cached += in[i] & 1;
	if (cached != PK_PAGES)
		return pk_fail(pk, -EPROTO, "%zu of %d pages are still cached",
			       cached, PK_PAGES);
	return check_file(pk);
}

static const struct pk_ops file_clean = {
	.name = "ext4_clean", .make = make_clean, .inside = pk_file_inside,
	.use = use_read, .check = check_clean,
};

PK_TEST(ext4_read_clean, file_clean)

/* Dirty, and written to all the time */
static int make_dirty(struct pk *pk)
{
	return pk_file(pk, pb_disk_dir(), PK_PAGES);
}

static const struct pk_ops file_dirty = {
	.name = "ext4_dirty", .make = make_dirty, .inside = pk_file_inside,
	.use = use_write, .check = check_disk,
};

PK_TEST(ext4_written_dirty, file_dirty)

/* Maps the whole file, and touches each page of it */
static int map_file(struct pk *pk, int flags)
{
	size_t i;

	pk->mem = mmap(NULL, PK_PAGES * getpagesize(), PROT_READ | PROT_WRITE,
		       flags, pk->fd[0], 0);
	if (pk->mem == MAP_FAILED) {
		pk->mem = NULL;
		return pk_fail(pk, -errno, "mmap");
	}
	for (i = 0; i < PK_PAGES; i++)
		(void)((volatile char *)pk->mem)[i * getpagesize()];
	return 0;
}

/*
 * Dirty and left alone, mapped so that it can be seen: migration must not
 * write it out, and must not lose a dirty tag.
 */
static int make_tags(struct pk *pk)
{
	struct pb_saved expire, wakeup;
	int ret = pk_file(pk, pb_disk_dir(), PK_PAGES);

	if (ret)
		return ret;
	if (fsync(pk->fd[0]))
		return pk_fail(pk, -errno, "fsync");
	sync();
	/* Nobody else writes them meanwhile */
	pb_save(&expire, "/proc/sys/vm/dirty_expire_centisecs");
	pb_save(&wakeup, "/proc/sys/vm/dirty_writeback_centisecs");
	pk->priv = calloc(2, sizeof(expire));
	memcpy(pk->priv, &expire, sizeof(expire));
	memcpy((struct pb_saved *)pk->priv + 1, &wakeup, sizeof(wakeup));
	pb_write(expire.path, "360000");
	pb_write(wakeup.path, "0");
	ret = map_file(pk, MAP_SHARED);
	if (ret)
		return ret;
	pb_prefer_node(pk->nid);
	ret = pk_use(pk);
	pb_prefer_node(-1);
	/* Only even ones are dirty by that */
	pk->num[0] = pb_vmstat("pgpgout");
	pk->num[1] = pk_with_flags(pk, PK_BIT(KPF_DIRTY));
	if (!ret && pk->num[1] < PK_PAGES / 2)
		ret = pk_fail(pk, -ENODATA, "%ld pages are dirty, not %d",
			      pk->num[1], PK_PAGES / 2);
	return ret;
}

static int check_tags(struct pk *pk)
{
	long dirty = pk_with_flags(pk, PK_BIT(KPF_DIRTY));
	long out = pb_vmstat("pgpgout") - pk->num[0];

	if (!pk->num[2]++) {
		if (dirty < PK_PAGES / 2)
			return pk_fail(pk, -EPROTO, "%ld of %ld dirty pages are still dirty",
				       dirty, pk->num[1]);
		/* The journal may have a word; the data would be 512 kB */
		if (out > PK_PAGES / 2 * getpagesize() / 1024 / 4)
			return pk_fail(pk, -EPROTO, "%ld kB were written, %ld pages are still dirty",
				       out, dirty);
		printf("# pgpgout: %ld kB while %ld of %ld dirty pages moved and stayed dirty\n",
		       out, dirty, pk->num[1]);
		if (msync(pk->mem, PK_PAGES * getpagesize(), MS_SYNC))
			return pk_fail(pk, -errno, "msync");
	}
	return check_disk(pk);
}

static void drop_tags(struct pk *pk)
{
	struct pb_saved *tmp = pk->priv;

	if (tmp) {
		pb_restore(tmp);
		pb_restore(tmp + 1);
	}
	free(tmp);
	pk->priv = NULL;
}

static const struct pk_ops file_tags = {
	.name = "dirty_tags", .make = make_tags, .use = pk_use_read,
	.check = check_tags, .drop = drop_tags,
};

PK_TEST(dirty_pages_stay_dirty_and_msync_finds_them, file_tags)

/* On a disk so slow that writeback of these pages never really ends */
static int make_slow_fs(struct pk *pk)
{
	char dev[64], cmd[128];
	int ret;

	ret = pk_slow_disk(pk, "pkfs", 32, 0);
	if (!ret)
		ret = pk_slow_disk_node("pkfs", dev, sizeof(dev));
	if (ret)
		return ret;
	snprintf(cmd, sizeof(cmd), "mke2fs -b 4096 %s >/dev/null 2>&1", dev);
	if (system(cmd))
		return pk_fail(pk, PK_SKIP, "need mke2fs, have none that works");
	ret = pk_slow_disk_speed(pk, "pkfs", SLOW_NS);
	if (!ret)
		ret = pk_slow_disk_node("pkfs", dev, sizeof(dev));
	if (ret)
		return ret;
	mkdir(SLOW_DIR, 0700);
	if (mount(dev, SLOW_DIR, "ext2", 0, NULL) &&
	    mount(dev, SLOW_DIR, "ext4", 0, NULL))
		return pk_fail(pk, -errno, "mount of %s", dev);
	return 0;
}

static void drop_slow_fs(struct pk *pk)
{
	if (pk->fd[0] >= 0)
		close(pk->fd[0]);
	pk->fd[0] = -1;
	if (umount(SLOW_DIR))
		umount2(SLOW_DIR, MNT_DETACH);
	pk_slow_disk_end("pkfs");
}

/* Where the first pages of the file are that use_write() writes to */
static void where(struct pk *pk, unsigned long *pfn)
{
	const size_t size = getpagesize();
	volatile char *mem;
	int i;

	mem = mmap(NULL, pk->pages * size, PROT_READ, MAP_SHARED, pk->fd[0], 0);
	for (i = 0; i < LOOKED_AT && mem != MAP_FAILED; i++) {
		(void)mem[2 * i * size];
		pfn[i] = pb_pfn((void *)(mem + 2 * i * size));
	}
	if (mem != MAP_FAILED)
		munmap((void *)mem, pk->pages * size);
}

static int under_writeback(const unsigned long *pfn)
{
	int i, nr = 0;
	uint64_t flags;

	for (i = 0; i < LOOKED_AT; i++)
		nr += !pb_page_flags(pfn[i], &flags) &&
		      (flags & PK_BIT(KPF_WRITEBACK));
	return nr;
}

/* Writes to disk without waiting for what it began */
static int use_writeback(struct pk *pk)
{
	int ret = use_write(pk);

	if (!ret && sync_file_range(pk->fd[0], 0, 0, SYNC_FILE_RANGE_WRITE))
		ret = pk_fail(pk, -errno, "sync_file_range");
	return ret;
}

static int make_writeback(struct pk *pk)
{
	unsigned long pfn[LOOKED_AT] = { };
	int ret = make_slow_fs(pk), rounds;

	if (ret)
		return ret;
	ret = pk_file(pk, SLOW_DIR, PK_PAGES / 4);
	if (!ret && fsync(pk->fd[0]))
		ret = pk_fail(pk, -errno, "fsync");
	/* The second time there is nothing to allocate */
	where(pk, pfn);
	/* A host that is busy elsewhere just then lets all of it end unseen */
	for (rounds = 0; !ret && rounds < MAX_ROUNDS; rounds++) {
		ret = use_writeback(pk);
		if (!ret && under_writeback(pfn))
			return 0;
	}
	return ret ?: pk_fail(pk, -ENODATA, "no page is under writeback, %d times",
			      rounds);
}

static const struct pk_ops file_writeback = {
	.name = "under_writeback", .make = make_writeback,
	.inside = pk_file_inside, .use = use_writeback, .check = check_disk,
	.drop = drop_slow_fs,
};

PK_TEST(ext4_under_writeback, file_writeback)

/* Mapped */
static int make_map_shared(struct pk *pk)
{
	return make_dirty(pk) ?: map_file(pk, MAP_SHARED);
}

static const struct pk_ops map_shared = {
	.name = "ext4_map_shared", .make = make_map_shared,
	.check = check_disk,
};

PK_TEST(ext4_mapped_shared, map_shared)

/* Half of the pages are the file's, half are copies of this process */
static int make_map_private(struct pk *pk)
{
	const size_t len = PK_PAGES * getpagesize();
	int ret = make_clean(pk) ?: map_file(pk, MAP_PRIVATE);

	if (ret)
		return ret;
	pk_bind(pk->mem, len, pk->nid);
	ret = pk_use(pk);
	pk_bind(pk->mem, len, -1);
	if (!ret && pk_with_flags(pk, PK_BIT(KPF_ANON)) != PK_PAGES / 2)
		ret = pk_fail(pk, -ENODATA, "%ld pages are copies, not %d",
			      pk_with_flags(pk, PK_BIT(KPF_ANON)),
			      PK_PAGES / 2);
	return ret;
}

static int check_map_private(struct pk *pk)
{
	int ret = pk_verify(pk), err;
	uint32_t *gen = pk->gen;
	size_t i;

	/* The file itself has all pages as they were written once */
	pk->gen = calloc(PK_PAGES, sizeof(*gen));
	for (i = 0; i < PK_PAGES; i++)
		pk->gen[i] = 1;
	err = pk_file_verify(pk, pk->fd[0]);
	free(pk->gen);
	pk->gen = gen;
	return ret ?: err;
}

static const struct pk_ops map_private = {
	.name = "ext4_map_private", .make = make_map_private,
	.check = check_map_private,
};

PK_TEST(ext4_mapped_private, map_private)

/* tmpfs */
static int make_tmpfs(struct pk *pk)
{
	return pk_file(pk, "/dev/shm", PK_PAGES);
}

static const struct pk_ops tmpfs = {
	.name = "tmpfs_rw", .make = make_tmpfs, .inside = pk_file_inside,
	.use = use_write, .check = check_file,
};

PK_TEST(tmpfs_read_and_written, tmpfs)

static int make_tmpfs_map(struct pk *pk)
{
	return make_tmpfs(pk) ?: map_file(pk, MAP_SHARED);
}

static int check_tmpfs_map(struct pk *pk)
{
	return pk_verify(pk) ?: check_file(pk);
}

static const struct pk_ops tmpfs_map = {
	.name = "tmpfs_map_shared", .make = make_tmpfs_map,
	.check = check_tmpfs_map,
};

PK_TEST(tmpfs_mapped_shared, tmpfs_map)

/*
 * Text: a copy of this program, its pages in the block, is run and sums up
 * itself again and again (see main()).
 */
#define TEXT_CHILD	"--sum-up-text"

extern char __executable_start, etext;

static int sum_up_text(void)
{
	const unsigned char *at, *end = (unsigned char *)&etext;
	unsigned long first = 0, sum, rounds = 0;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fcntl(0, F_SETFL, O_NONBLOCK);
	do {
		sum = 5381;
		for (at = (unsigned char *)&__executable_start; at < end; at++)
			sum = sum * 33 + *at;
		if (!rounds++) {
			first = sum;
			/* Where it is, for who proves where the pages are */
			if (write(1, &(uintptr_t[]){ (uintptr_t)
				  &__executable_start, (uintptr_t)end }, 16) != 16)
				return 2;
		}
		if (sum != first)
			return 1;
		pb_msleep(1);
	} while (read(0, &c, 1));
	return 0;
}

static int start_text(struct pk *pk)
{
	int in[2], out[2];
	uintptr_t where[2];

	if (pipe(in) || pipe(out))
		return pk_fail(pk, -errno, "pipe");
	fflush(NULL);
	pk->child = fork();
	if (!pk->child) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		execl(pk->path, pk->path, TEXT_CHILD, NULL);
		_exit(3);
	}
	close(in[0]);
	close(out[1]);
	pk->fd[1] = in[1];
	pk->fd[2] = out[0];
	if (pk->child < 0 || read(out[0], where, sizeof(where)) != sizeof(where))
		return pk_fail(pk, -EIO, "the copy does not run");
	pk->num[0] = where[0] & ~(getpagesize() - 1UL);
	pk->pages = (where[1] - pk->num[0] + getpagesize() - 1) / getpagesize();
	return 0;
}

static int make_text(struct pk *pk)
{
	const char *dir = pb_disk_dir();
	char cmd[256];

	if (!dir)
		return pk_fail(pk, PK_SKIP, "need an ext4 disk, have none");
	snprintf(pk->path, sizeof(pk->path), "%s/pk-text-%d-%u", dir, getpid(),
		 pk->seed);
	pb_prefer_node(pk->nid);
	snprintf(cmd, sizeof(cmd), "cp /proc/%d/exe %s", getpid(), pk->path);
	if (system(cmd))
		return pk_fail(pk, -EIO, "%s", cmd);
	pb_prefer_node(-1);
	return start_text(pk);
}

static long inside_text(struct pk *pk)
{
	return pk_inside_of(pk, pk->child, (void *)pk->num[0], pk->pages);
}

static int use_text(struct pk *pk)
{
	pb_msleep(20);
	if (waitpid(pk->child, NULL, WNOHANG) != pk->child)
		return 0;
	pk->child = 0;
	return pk_fail(pk, -EILSEQ, "the running text was wrong");
}

static int check_text(struct pk *pk)
{
	int status, ret;

	ret = use_text(pk);
	if (ret || !pk->num[1]++)
		return ret;
	/* The second time, it ends */
	close(pk->fd[1]);
	pk->fd[1] = -1;
	waitpid(pk->child, &status, 0);
	pk->child = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return pk_fail(pk, -EILSEQ, "the running text was wrong: status %#x",
			       status);
	return 0;
}

static const struct pk_ops text = {
	.name = "running_text", .make = make_text, .inside = inside_text,
	.use = use_text, .check = check_text,
};

PK_TEST(text_being_run, text)

/*
 * Buffers of a block device. Kernels with hotremove blocks keep them out of
 * movable-only memory, because file systems hold on to them.
 */
static int make_bdev(struct pk *pk)
{
	char dev[64];
	int ret;

	ret = pk_slow_disk(pk, "pkbdev", 32, 0);
	if (!ret)
		ret = pk_slow_disk_node("pkbdev", dev, sizeof(dev));
	if (ret)
		return ret;
	pk->pages = PK_PAGES;
	pk->gen = calloc(PK_PAGES, sizeof(*pk->gen));
	pk->fd[0] = open(dev, O_RDWR);
	if (pk->fd[0] < 0 || !pk->gen)
		return pk_fail(pk, -errno, "%s", dev);
	pb_prefer_node(pk->nid);
	ret = pk_file_write(pk, pk->fd[0], 0, 1);
	pb_prefer_node(-1);
	return ret ?: pk_file_cache(pk, pk->fd[0]);
}

static long inside_bdev(struct pk *pk)
{
	long inside = pk_file_inside(pk);

	/* As many as there should be, and none else */
	if (pb_vmstat("nr_free_hotremove") < 0)
		return inside;
	return inside ? -EPROTO : PK_PAGES;
}

static void drop_bdev(struct pk *pk)
{
	if (pk->fd[0] >= 0)
		close(pk->fd[0]);
	pk->fd[0] = -1;
	pk_slow_disk_end("pkbdev");
}

static const struct pk_ops bdev = {
	.name = "blockdev_buffers", .make = make_bdev, .inside = inside_bdev,
	.use = use_write, .check = check_file, .drop = drop_bdev,
};

PK_TEST(buffers_of_a_block_device, bdev)

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], TEXT_CHILD))
		return sum_up_text();
	return pk_main(argc, argv) ?: test_harness_run(argc, argv);
}
