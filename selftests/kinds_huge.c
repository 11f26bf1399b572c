// SPDX-License-Identifier: GPL-2.0
/*
 * Large pages through hot-remove: transparent ones of the size of a page table
 * and smaller, anonymous and of shared memory, and hugetlb pages, anonymous
 * and of files, mapped shared and private. See page_kinds.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "page_kinds_test.h"

#define THP		"/sys/kernel/mm/transparent_hugepage"
#define HUGE_2M		"/sys/kernel/mm/hugepages/hugepages-2048kB"
#define MTHP_KB		64
#define HUGES		2	/* of a page table's size */

static struct pb_saved saved;

static void drop_saved(struct pk *pk)
{
	(void)pk;
	if (pb_restore(&saved))
		printf("# %s is no longer %s\n", saved.path, saved.value);
}

/* Whole folios of @nr pages: in one piece, and of the kind that THP are */
static int expect_large(struct pk *pk, size_t nr)
{
	unsigned long pfn = 0, here;
	size_t i;

	for (i = 0; i < pk->pages; i++) {
		here = pb_pfn(pk->mem + i * getpagesize());
		if (i % nr ? here != pfn + i % nr : here % nr != 0)
			return pk_fail(pk, -ENODATA, "page %zu is not in a folio of %zu pages",
				       i, nr);
		if (i % nr == 0)
			pfn = here;
	}
	return pk_expect_flags(pk, PK_BIT(KPF_THP), "transparent huge pages");
}

/* An aligned piece; pk->mem is all that will be unmapped */
static int map_aligned(struct pk *pk, size_t len, size_t align, int flags,
		       int fd)
{
	char *area = mmap(NULL, len + align, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at;

	if (area == MAP_FAILED)
		return pk_fail(pk, -errno, "mmap");
	at = (char *)(((uintptr_t)area + align - 1) & ~(align - 1));
	munmap(area, len + align);
	pk->pages = len / getpagesize();
	pk->gen = calloc(pk->pages, sizeof(*pk->gen));
	if (!pk->gen)
		return -ENOMEM;
	pk->mem = mmap(at, len, PROT_READ | PROT_WRITE,
		       flags | MAP_FIXED_NOREPLACE, fd, 0);
	if (pk->mem == at)
		return 0;
	pk->mem = NULL;
	return pk_fail(pk, -errno, "mmap at %p", (void *)at);
}

static int fill_bound(struct pk *pk)
{
	size_t len = pk->pages * getpagesize();
	int ret = pk_bind(pk->mem, len, pk->nid);

	return ret ? pk_fail(pk, ret, "mbind") :
	       pk_fill(pk) ?: pk_bind(pk->mem, len, -1);
}

static int make_thp(struct pk *pk)
{
	size_t huge = pb_huge_bytes();
	int ret;

	if (!huge)
		return pk_fail(pk, PK_SKIP, "need transparent huge pages, have none");
	ret = map_aligned(pk, HUGES * huge, huge, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1);
	if (!ret && madvise(pk->mem, HUGES * huge, MADV_HUGEPAGE))
		ret = pk_fail(pk, -errno, "MADV_HUGEPAGE");
	return ret ?: fill_bound(pk) ?:
	       expect_large(pk, huge / getpagesize());
}

static const struct pk_ops thp = { .name = "thp", .make = make_thp };

PK_TEST(thp, thp)

/* An area too small for a large one gets the size that is allowed here */
static int make_mthp(struct pk *pk)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), THP "/hugepages-%dkB/enabled", MTHP_KB);
	if (access(path, W_OK))
		return pk_fail(pk, PK_SKIP, "need %s, have none", path);
	ret = pb_save_choice(&saved, path) ?: pb_write(path, "always");
	if (ret)
		return pk_fail(pk, ret, "%s", path);
	ret = map_aligned(pk, PK_PAGES * getpagesize(), MTHP_KB << 10,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1);
	return ret ?: fill_bound(pk) ?:
	       expect_large(pk, (MTHP_KB << 10) / getpagesize());
}

static const struct pk_ops mthp = {
	.name = "mthp_64k", .make = make_mthp, .drop = drop_saved,
};

PK_TEST(mthp_of_64k, mthp)

static int make_shmem_thp(struct pk *pk)
{
	size_t huge = pb_huge_bytes();
	int ret;

	if (!huge || access(THP "/shmem_enabled", W_OK))
		return pk_fail(pk, PK_SKIP, "need " THP "/shmem_enabled, have none");
	ret = pb_save_choice(&saved, THP "/shmem_enabled") ?:
	      pb_write(THP "/shmem_enabled", "advise");
	if (ret)
		return pk_fail(pk, ret, THP "/shmem_enabled");
	ret = map_aligned(pk, HUGES * huge, huge, MAP_SHARED | MAP_ANONYMOUS,
			  -1);
	if (!ret && madvise(pk->mem, HUGES * huge, MADV_HUGEPAGE))
		ret = pk_fail(pk, -errno, "MADV_HUGEPAGE");
	return ret ?: fill_bound(pk) ?:
	       expect_large(pk, huge / getpagesize());
}

static const struct pk_ops shmem_thp = {
	.name = "shmem_thp", .make = make_shmem_thp, .drop = drop_saved,
};

PK_TEST(shared_memory_in_thp, shmem_thp)

/* hugetlb: the pool's pages come from the block; where they go there is none */
static char pool[160];

static void drop_pool(struct pk *pk)
{
	if (pk->mem)
		munmap(pk->mem, pk->pages * getpagesize());
	pk->mem = NULL;
	if (pk->fd[0] >= 0)
		close(pk->fd[0]);
	pk->fd[0] = -1;
	/* Of all nodes: wherever they are by now */
	drop_saved(pk);
}

static int make_pool(struct pk *pk)
{
	char text[16];
	int ret;

	if (access(HUGE_2M, F_OK))
		return pk_fail(pk, PK_SKIP, "need hugetlb pages of 2 MB, have none");
	snprintf(pool, sizeof(pool), PB_SYS_NODE
		 "/node%d/hugepages/hugepages-2048kB/nr_hugepages", pk->nid);
	snprintf(text, sizeof(text), "%d", HUGES);
	ret = pb_save(&saved, HUGE_2M "/nr_hugepages") ?: pb_write(pool, text) ?:
	      pb_read(pool, text, sizeof(text));
	if (ret)
		return pk_fail(pk, ret, "%s", pool);
	if (atoi(text) != HUGES)
		return pk_fail(pk, -ENOMEM, "%s huge pages on node %d, not %d",
			       text, pk->nid, HUGES);
	return 0;
}

static int make_hugetlb(struct pk *pk, int flags, bool file)
{
	const size_t len = HUGES * (2UL << 20);
	int ret = make_pool(pk);

	if (ret)
		return ret;
	if (file) {
		pk->fd[0] = memfd_create("pk-huge", MFD_HUGETLB);
		if (pk->fd[0] < 0 || ftruncate(pk->fd[0], len))
			return pk_fail(pk, -errno, "memfd of huge pages");
	} else {
		flags |= MAP_HUGETLB | MAP_ANONYMOUS;
	}
	return map_aligned(pk, len, 2UL << 20, flags, pk->fd[0]) ?:
	       fill_bound(pk) ?:
	       pk_expect_flags(pk, PK_BIT(KPF_HUGE), "hugetlb pages");
}

static int make_hugetlb_anon(struct pk *pk)
{
	return make_hugetlb(pk, MAP_PRIVATE, false);
}

static int make_hugetlb_shared(struct pk *pk)
{
	return make_hugetlb(pk, MAP_SHARED, true);
}

static int make_hugetlb_private(struct pk *pk)
{
	return make_hugetlb(pk, MAP_PRIVATE, true);
}

/* The file itself, too: its pages are the mapped ones */
static int check_hugetlb_shared(struct pk *pk)
{
	return pk_verify(pk) ?: pk_file_verify(pk, pk->fd[0]);
}

static const struct pk_ops hugetlb_anon = {
	.name = "hugetlb_2m_anon", .make = make_hugetlb_anon,
	.drop = drop_pool,
};

static const struct pk_ops hugetlb_shared = {
	.name = "hugetlbfs_shared", .make = make_hugetlb_shared,
	.check = check_hugetlb_shared, .drop = drop_pool,
};

static const struct pk_ops hugetlb_private = {
	.name = "hugetlbfs_private", .make = make_hugetlb_private,
	.drop = drop_pool,
};

PK_TEST(hugetlb_2m, hugetlb_anon)
PK_TEST(hugetlbfs_mapped_shared, hugetlb_shared)
PK_TEST(hugetlbfs_mapped_private, hugetlb_private)

PK_MAIN
