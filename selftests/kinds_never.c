// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that cannot be moved are never in movable-only memory, whatever the
 * memory policy says: secret memory, page tables, slab, and pages with a
 * longterm pin, which move out before it. Their block goes offline while they
 * are in use. See page_kinds.h, and kinds_refuse.c for blocks that have them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mm/gup_test.h"
#include "page_kinds_test.h"

#define GUP_TEST	"/sys/kernel/debug/gup_test"
#define FILES		4000
#define TABLES		32
#define TABLE_BYTES	(2UL << 20)	/* that one page table maps */

#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif

static int make_secret(struct pk *pk)
{
	int ret;

	pk->fd[0] = syscall(__NR_memfd_secret, 0);
	if (pk->fd[0] < 0)
		return pk_fail(pk, PK_SKIP, "need memfd_secret(), have: %s",
			       strerror(errno));
	if (ftruncate(pk->fd[0], PK_PAGES * getpagesize()))
		return pk_fail(pk, -errno, "ftruncate");
	ret = pk_map(pk, PK_PAGES, MAP_SHARED, pk->fd[0]);
	if (ret)
		return ret;
	ret = pb_prefer_node(pk->nid);
	if (ret)
		return pk_fail(pk, ret, "set_mempolicy");
	pk_fill(pk);
	pb_prefer_node(-1);
	if (pk_mapped(pk) != PK_PAGES)
		return pk_fail(pk, -ENODATA, "%ld of %d pages are there",
			       pk_mapped(pk), PK_PAGES);
	return 0;
}

static const struct pk_ops secret = {
	.name = "secretmem", .make = make_secret, .never_there = true,
};

PK_TEST(secretmem_is_elsewhere, secret)

/* One small page for each page table */
static int make_tables(struct pk *pk)
{
	const size_t len = TABLES * TABLE_BYTES;
	char *mem;
	size_t i;
	int ret;

	mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		return pk_fail(pk, -errno, "mmap");
	pk->num[0] = (long)mem;
	madvise(mem, len, MADV_NOHUGEPAGE);
	ret = pb_prefer_node(pk->nid);
	if (ret)
		return pk_fail(pk, ret, "set_mempolicy");
	for (i = 0; i < TABLES; i++)
		*(uint64_t *)(mem + i * TABLE_BYTES) = i ^ pk->seed;
	pb_prefer_node(-1);
	pk->pages = TABLES;
	return 0;
}

static int verify_tables(struct pk *pk)
{
	size_t i;

	for (i = 0; i < TABLES; i++)
		if (*(uint64_t *)((char *)pk->num[0] + i * TABLE_BYTES) !=
		    (i ^ pk->seed))
			return pk_fail(pk, -EILSEQ, "wrong data in page %zu",
				       i);
	return 0;
}

static long inside_tables(struct pk *pk)
{
	return pb_count_flags(&pk->block, PB_KPF_PGTABLE);
}

static void drop_tables(struct pk *pk)
{
	if (pk->num[0])
		munmap((void *)pk->num[0], TABLES * TABLE_BYTES);
}

static const struct pk_ops tables = {
	.name = "page_tables", .make = make_tables, .inside = inside_tables,
	.use = verify_tables, .check = verify_tables, .drop = drop_tables,
	.never_there = true,
};

PK_TEST(page_tables_are_elsewhere, tables)

/* Open files: the kernel has an object for each */
static int make_slab(struct pk *pk)
{
	struct rlimit limit = { FILES + 64, FILES + 64 };
	int *fd = calloc(FILES, sizeof(*fd)), i, ret;

	if (!fd || setrlimit(RLIMIT_NOFILE, &limit))
		return pk_fail(pk, -errno, "%d open files", FILES);
	pk->priv = fd;
	pk->pages = FILES / 16;
	ret = pb_prefer_node(pk->nid);
	if (ret)
		return pk_fail(pk, ret, "set_mempolicy");
	for (i = 0; i < FILES; i++)
		fd[i] = open("/dev/zero", O_RDONLY);
	pb_prefer_node(-1);
	return fd[FILES - 1] < 0 ? pk_fail(pk, -EMFILE, "%d open files", FILES) :
	       0;
}

static long inside_slab(struct pk *pk)
{
	return pb_count_flags(&pk->block, PB_KPF_SLAB);
}

static int use_slab(struct pk *pk)
{
	int *fd = pk->priv, i;
	char c;

	for (i = 0; i < FILES; i += 64) {
		c = 1;
		if (read(fd[i], &c, 1) != 1 || c)
			return pk_fail(pk, -EILSEQ, "a file read %d", c);
	}
	return 0;
}

static void drop_slab(struct pk *pk)
{
	int *fd = pk->priv, i;

	for (i = 0; fd && i < FILES; i++)
		if (fd[i] > 0)
			close(fd[i]);
	free(fd);
	pk->priv = NULL;
}

static const struct pk_ops slab = {
	.name = "slab", .make = make_slab, .inside = inside_slab,
	.use = use_slab, .check = use_slab, .drop = drop_slab,
	.never_there = true,
};

PK_TEST(slab_is_elsewhere, slab)

/* The pages were in the block, and are not from the moment they are pinned */
static int make_pinned(struct pk *pk)
{
	struct pin_longterm_test args = { .flags =
		PIN_LONGTERM_TEST_FLAG_USE_WRITE };
	int ret;

	pk->fd[0] = open(GUP_TEST, O_RDWR);
	if (pk->fd[0] < 0)
		return pk_fail(pk, PK_SKIP, "need " GUP_TEST " (CONFIG_GUP_TEST), have none");
	ret = pk_anon(pk, PK_PAGES);
	if (ret)
		return ret;
	if (pk_inside(pk) != PK_PAGES)
		return pk_fail(pk, -ENODATA, "%ld of %d pages are in the block before they are pinned",
			       pk_inside(pk), PK_PAGES);
	args.addr = (uintptr_t)pk->mem;
	args.size = PK_PAGES * getpagesize();
	if (ioctl(pk->fd[0], PIN_LONGTERM_TEST_START, &args))
		return pk_fail(pk, -errno, "PIN_LONGTERM_TEST_START");
	return 0;
}

static void drop_pinned(struct pk *pk)
{
	if (pk->fd[0] >= 0)
		ioctl(pk->fd[0], PIN_LONGTERM_TEST_STOP);
}

static const struct pk_ops pinned = {
	.name = "longterm_pin", .make = make_pinned, .drop = drop_pinned,
	.never_there = true,
};

PK_TEST(pages_leave_before_a_longterm_pin, pinned)

PK_MAIN
