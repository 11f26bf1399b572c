// SPDX-License-Identifier: GPL-2.0
/*
 * Pages on their way to swap and back, and what has become of them there,
 * through hot-remove: the swap cache, pages being written to a slow swap disk,
 * compressed pages of zram (zsmalloc). See page_kinds.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "page_kinds_test.h"

#define SLOW_NS		(30 * 1000 * 1000UL)
#define DISK		"pkswap"
#define ZRAM		"/dev/zram0"
#define ZRAM_SYS	"/sys/block/zram0"

static char swap_dev[64];

static int swap_on(struct pk *pk, const char *dev)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "mkswap %s >/dev/null 2>&1", dev);
	if (system(cmd))
		return pk_fail(pk, PK_SKIP, "need mkswap, have none that works");
	/* Before any other that there may be */
	if (swapon(dev, SWAP_FLAG_PREFER | 100))
		return pk_fail(pk, -errno, "swapon %s", dev);
	snprintf(swap_dev, sizeof(swap_dev), "%s", dev);
	return 0;
}

static void swap_off(void)
{
	if (swap_dev[0] && swapoff(swap_dev))
		perror("# swapoff");
	swap_dev[0] = '\0';
}

static int make_swap_disk(struct pk *pk, unsigned long nsec)
{
	char dev[64];
	int ret;

	ret = pk_slow_disk(pk, DISK, 32, 0) ?:
	      pk_slow_disk_speed(pk, DISK, nsec) ?:
	      pk_slow_disk_node(DISK, dev, sizeof(dev));
	return ret ?: swap_on(pk, dev);
}

static void drop_swap_disk(struct pk *pk)
{
	if (pk->mem)
		munmap(pk->mem, pk->pages * getpagesize());
	pk->mem = NULL;
	swap_off();
	pk_slow_disk_end(DISK);
}

static int page_out(struct pk *pk, size_t first, size_t nr)
{
	if (madvise(pk->mem + first * getpagesize(), nr * getpagesize(),
		    MADV_PAGEOUT))
		return pk_fail(pk, -errno, "MADV_PAGEOUT");
	return 0;
}

/* Out, and back in by reading: the copy in swap stays valid */
static int make_swapcache(struct pk *pk)
{
	const size_t len = PK_PAGES * getpagesize();
	double end = pb_now() + 5.0 * pb_timeout_mul();
	int ret = make_swap_disk(pk, 0) ?: pk_anon(pk, PK_PAGES);

	if (ret)
		return ret;
	while (pk_mapped(pk)) {
		ret = page_out(pk, 0, PK_PAGES);
		if (ret)
			return ret;
		if (pb_now() > end)
			return pk_fail(pk, -ENODATA, "%ld of %d pages are not swapped out",
				       pk_mapped(pk), PK_PAGES);
	}
	pk_bind(pk->mem, len, pk->nid);
	ret = pk_verify(pk);
	pk_bind(pk->mem, len, -1);
	return ret ?: pk_expect_flags(pk, PK_BIT(KPF_SWAPCACHE) |
				      PK_BIT(KPF_ANON), "in the swap cache");
}

/* They keep their place in swap, and nothing was written there again */
static int check_swapcache(struct pk *pk)
{
	return pk_expect_flags(pk, PK_BIT(KPF_SWAPCACHE), "in the swap cache") ?:
	       pk_verify(pk);
}

static const struct pk_ops swapcache = {
	.name = "swap_cache", .make = make_swapcache, .use = pk_use_read,
	.check = check_swapcache, .drop = drop_swap_disk,
};

PK_TEST(swap_cache, swapcache)

/* A part of them is being written to a slow disk at any time */
#define PART	32

static int make_swapping(struct pk *pk)
{
	int ret = make_swap_disk(pk, SLOW_NS) ?: pk_anon(pk, PK_PAGES);

	if (ret)
		return ret;
	/* A first part is under way before the offline begins */
	pk->num[0] = pb_vmstat("pswpout");
	return 0;
}

static int use_swapping(struct pk *pk)
{
	size_t first = pk->num[1]++ * PART % PK_PAGES;
	int ret = page_out(pk, first, PART) ?: pk_verify(pk);
	size_t i;

	for (i = first; i < first + PART && !ret; i++)
		pk_fill_page(pk->mem + i * getpagesize(), pk->seed, i,
			     ++pk->gen[i]);
	return ret;
}

static int check_swapping(struct pk *pk)
{
	if (pb_vmstat("pswpout") - pk->num[0] < PART)
		return pk_fail(pk, -ENODATA, "nothing was swapped out");
	return pk_verify(pk);
}

static const struct pk_ops swapping = {
	.name = "swapping", .make = make_swapping, .use = use_swapping,
	.check = check_swapping, .drop = drop_swap_disk,
};

PK_TEST(being_swapped_out_and_in, swapping)

/* zram: pages that hardly compress, and pages that do very well */
#define THIN	1024	/* bytes of a page that are not the same all over */

static void thin_page(struct pk *pk, size_t i)
{
	char *page = pk->mem + i * getpagesize();

	pk_fill_page(page, pk->seed, i, pk->gen[i]);
	if (i % 2)
		memset(page + THIN, i, getpagesize() - THIN);
}

static int verify_thin(struct pk *pk, size_t first, size_t nr)
{
	char *page = aligned_alloc(getpagesize(), getpagesize());
	int ret = page ? 0 : -ENOMEM;
	size_t i;

	for (i = first; i < first + nr && !ret; i++) {
		pk_fill_page(page, pk->seed, i, pk->gen[i]);
		if (i % 2)
			memset(page + THIN, i, getpagesize() - THIN);
		if (memcmp(page, pk->mem + i * getpagesize(), getpagesize()))
			ret = pk_fail(pk, -EILSEQ, "wrong data in page %zu", i);
	}
	free(page);
	return ret;
}

/* The node has no other memory: zsmalloc's pages on it are in the block */
static long zspages(struct pk *pk)
{
	return pb_zoneinfo(pk->nid, NULL, "nr_zspages");
}

static int make_zram(struct pk *pk)
{
	int ret;

	if (access(ZRAM, F_OK))
		return pk_fail(pk, PK_SKIP, "need " ZRAM ", have none");
	if (zspages(pk) > 0)
		return pk_fail(pk, -EBUSY, "%ld pages of zsmalloc are on the node already",
			       zspages(pk));
	ret = pb_write(ZRAM_SYS "/disksize", "32M");
	return ret ? pk_fail(pk, ret, ZRAM_SYS "/disksize") : 0;
}

static void drop_zram(struct pk *pk)
{
	if (pk->mem)
		munmap(pk->mem, pk->pages * getpagesize());
	pk->mem = NULL;
	if (pk->fd[0] >= 0)
		close(pk->fd[0]);
	pk->fd[0] = -1;
	swap_off();
	if (pb_write(ZRAM_SYS "/reset", "1"))
		perror("# " ZRAM_SYS "/reset");
}

/* A half of the pages that do not compress, and some for the others */
static long inside_zram(struct pk *pk)
{
	long nr = zspages(pk);

	if (nr < 0)
		return nr;
	printf("# %ld pages of zsmalloc hold %zu pages of data\n", nr,
	       pk->pages);
	return nr >= (long)pk->pages / 2 ? (long)pk->pages : nr;
}

static int make_zswapped(struct pk *pk)
{
	double end = pb_now() + 5.0 * pb_timeout_mul();
	int ret = make_zram(pk) ?: swap_on(pk, ZRAM) ?: pk_anon(pk, PK_PAGES);
	size_t i;

	if (ret)
		return ret;
	for (i = 0; i < PK_PAGES; i++)
		thin_page(pk, i);
	while (pk_mapped(pk)) {
		ret = page_out(pk, 0, PK_PAGES);
		if (ret)
			return ret;
		if (pb_now() > end)
			return pk_fail(pk, -ENODATA, "%ld of %d pages are not swapped out",
				       pk_mapped(pk), PK_PAGES);
	}
	return 0;
}

/* A part in, and out again */
static int use_zswapped(struct pk *pk)
{
	size_t first = pk->num[1]++ * PART % (PK_PAGES / 2);

	return verify_thin(pk, first, PART) ?: page_out(pk, first, PART);
}

static int check_zswapped(struct pk *pk)
{
	if (!pk->num[0]++) {
		if (zspages(pk) > 0)
			return pk_fail(pk, -EPROTO, "%ld pages of zsmalloc are on a node without memory",
				       zspages(pk));
		/* The other half has not been looked at until now */
		return 0;
	}
	return verify_thin(pk, 0, PK_PAGES);
}

static const struct pk_ops zswapped = {
	.name = "swapped_to_zram", .make = make_zswapped,
	.inside = inside_zram, .use = use_zswapped, .check = check_zswapped,
	.drop = drop_zram,
};

PK_TEST(swapped_out_to_zram, zswapped)

/* A zram disk, written from pages of the node: there it keeps what it stores */
static int make_zdisk(struct pk *pk)
{
	const ssize_t len = PK_PAGES * getpagesize();
	int ret = make_zram(pk) ?: pk_anon(pk, PK_PAGES);

	if (ret)
		return ret;
	pk->fd[0] = open(ZRAM, O_RDWR | O_DIRECT);
	if (pk->fd[0] < 0 || pwrite(pk->fd[0], pk->mem, len, 0) != len)
		return pk_fail(pk, -errno, ZRAM);
	munmap(pk->mem, len);
	pk->mem = NULL;
	return 0;
}

static int use_zdisk(struct pk *pk)
{
	return pk_file_verify(pk, pk->fd[0]) ?:
	       pk_file_write(pk, pk->fd[0], 0, 8);
}

static int check_zdisk(struct pk *pk)
{
	return pk_file_verify(pk, pk->fd[0]);
}

static const struct pk_ops zdisk = {
	.name = "zram_disk", .make = make_zdisk, .inside = inside_zram,
	.use = use_zdisk, .check = check_zdisk, .drop = drop_zram,
};

PK_TEST(zsmalloc_of_a_zram_disk, zdisk)

PK_MAIN
