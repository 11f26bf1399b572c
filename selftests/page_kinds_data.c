// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests of page kinds share: patterns, places, files; see page_kinds.h
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "page_kinds.h"

#define STEP	0x9e3779b97f4a7c15ULL

/* Pattern */

static uint64_t first_word(uint32_t seed, size_t nr, uint32_t gen)
{
	uint64_t x = (uint64_t)seed << 32 ^ nr << 12 ^ gen;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

void pk_fill_page(void *page, uint32_t seed, size_t nr, uint32_t gen)
{
	uint64_t *at = page, word = first_word(seed, nr, gen);
	size_t i;

	for (i = 0; i < getpagesize() / sizeof(*at); i++, word += STEP)
		at[i] = word;
}

bool pk_page_ok(const void *page, uint32_t seed, size_t nr, uint32_t gen)
{
	const uint64_t *at = page;
	uint64_t word = first_word(seed, nr, gen);
	size_t i;

	for (i = 0; i < getpagesize() / sizeof(*at); i++, word += STEP)
		if (at[i] != word)
			return false;
	return true;
}

int pk_fill(struct pk *pk)
{
	size_t i;

	for (i = 0; i < pk->pages; i++)
		pk_fill_page(pk->mem + i * getpagesize(), pk->seed, i,
			     pk->gen[i]);
	return 0;
}

/* Every byte. -EILSEQ: wrong data */
int pk_verify(struct pk *pk)
{
	size_t i;

	for (i = 0; i < pk->pages; i++)
		if (!pk_page_ok(pk->mem + i * getpagesize(), pk->seed, i,
				pk->gen[i]))
			return pk_fail(pk, -EILSEQ, "wrong data in page %zu",
				       i);
	return 0;
}

/* Verify all, and write something else into every other page */
int pk_use(struct pk *pk)
{
	int ret = pk_verify(pk);
	size_t i;

	for (i = 0; i < pk->pages; i += 2)
		pk_fill_page(pk->mem + i * getpagesize(), pk->seed, i,
			     ++pk->gen[i]);
	return ret;
}

int pk_use_read(struct pk *pk)
{
	return pk_verify(pk);
}

/* Where memory comes from */

/* Pages of this range that come from now on are @nid's; -1: anybody's */
int pk_bind(void *mem, size_t len, int nid)
{
	struct bitmask *mask;
	int ret;

	if (nid < 0)
		return mbind(mem, len, MPOL_DEFAULT, NULL, 0, 0) ? -errno : 0;
	mask = numa_allocate_nodemask();
	numa_bitmask_setbit(mask, nid);
	ret = mbind(mem, len, MPOL_BIND, mask->maskp, mask->size + 1, 0);
	ret = ret ? -errno : 0;
	numa_free_nodemask(mask);
	return ret;
}

/* Nothing is touched yet */
int pk_map(struct pk *pk, size_t pages, int flags, int fd)
{
	size_t len = pages * getpagesize();

	pk->pages = pages;
	pk->gen = calloc(pages, sizeof(*pk->gen));
	if (!pk->gen)
		return pk_fail(pk, -ENOMEM, "no memory");
	pk->mem = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (pk->mem == MAP_FAILED) {
		pk->mem = NULL;
		return pk_fail(pk, -errno, "mmap of %zu pages", pages);
	}
	return 0;
}

/* Small pages of private anonymous memory, in the block */
int pk_anon(struct pk *pk, size_t pages)
{
	size_t len = pages * getpagesize();
	int ret;

	ret = pk_map(pk, pages, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (ret)
		return ret;
	madvise(pk->mem, len, MADV_NOHUGEPAGE);
	ret = pk_bind(pk->mem, len, pk->nid);
	if (ret)
		return pk_fail(pk, ret, "mbind");
	pk_fill(pk);
	/* What migration and copy-on-write need is anywhere */
	ret = pk_bind(pk->mem, len, -1);
	return ret ? pk_fail(pk, ret, "mbind") : 0;
}

/* What the pages are */

#define ENTRIES	512	/* to read at a time */

/* Calls @fn for the pagemap entry of each page; the sum of what it returns */
static long pagemap_sum(pid_t pid, const void *mem, size_t first, size_t pages,
			size_t step, long (*fn)(uint64_t entry, void *arg),
			void *arg)
{
	uint64_t entry[ENTRIES];
	size_t i, n = 1, at;
	char path[64];
	long sum = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	for (i = first; i < pages && sum >= 0; i += n) {
		n = pages - i < ENTRIES ? pages - i : ENTRIES;
		/* Every @step'th of them, and the next ones go on so */
		n = n < ENTRIES ? n : ENTRIES / step * step;
		if (pread(fd, entry, n * sizeof(entry[0]),
			  ((uintptr_t)mem / getpagesize() + i) *
			  sizeof(entry[0])) != (ssize_t)(n * sizeof(entry[0])))
			sum = -EIO;
		for (at = 0; at < n && sum >= 0; at += step)
			sum += fn(entry[at], arg);
	}
	close(fd);
	return sum;
}

static unsigned long entry_pfn(uint64_t entry)
{
	return entry >> 63 ? entry & (PK_BIT(55) - 1) : 0;
}

static long entry_inside(uint64_t entry, void *arg)
{
	return entry_pfn(entry) && pb_block_has(arg, entry_pfn(entry));
}

static long entry_present(uint64_t entry, void *arg)
{
	(void)arg;
	return entry >> 63;
}

static long entry_flags(uint64_t entry, void *arg)
{
	uint64_t flags, all = *(uint64_t *)arg;

	return entry_pfn(entry) && !pb_page_flags(entry_pfn(entry), &flags) &&
	       (flags & all) == all;
}

static long entry_bit(uint64_t entry, void *arg)
{
	return !!(entry & *(uint64_t *)arg);
}

long pk_inside_of(struct pk *pk, pid_t pid, const void *mem, size_t pages)
{
	return pagemap_sum(pid, mem, 0, pages, 1, entry_inside, &pk->block);
}

/* How many pages of the mapping are in the block */
long pk_inside(struct pk *pk)
{
	return pk_inside_of(pk, getpid(), pk->mem, pk->pages);
}

/* How many are present at all */
long pk_mapped(struct pk *pk)
{
	return pagemap_sum(getpid(), pk->mem, 0, pk->pages, 1, entry_present,
			   NULL);
}

/* How many have all of these bits of /proc/kpageflags */
long pk_with_flags(struct pk *pk, uint64_t all)
{
	return pagemap_sum(getpid(), pk->mem, 0, pk->pages, 1, entry_flags,
			   &all);
}

int pk_expect_flags(struct pk *pk, uint64_t all, const char *what)
{
	long have = pk_with_flags(pk, all);

	if (have == (long)pk->pages)
		return 0;
	return pk_fail(pk, have < 0 ? have : -ENODATA, "%ld of %zu pages are %s",
		       have, pk->pages, what);
}

/* How many of every @step'th page have this bit in pagemap */
long pk_pagemap_bits(struct pk *pk, uint64_t bit, size_t first, size_t step)
{
	return pagemap_sum(getpid(), pk->mem, first, pk->pages, step,
			   entry_bit, &bit);
}

/* Files */

/* Rewrites every @step'th page: the next generation of it */
int pk_file_write(struct pk *pk, int fd, size_t first, size_t step)
{
	void *buf = aligned_alloc(getpagesize(), getpagesize());
	const ssize_t size = getpagesize();
	int ret = buf ? 0 : -ENOMEM;
	size_t i;

	for (i = first; i < pk->pages && !ret; i += step) {
		pk_fill_page(buf, pk->seed, i, ++pk->gen[i]);
		if (pwrite(fd, buf, size, i * size) != size)
			ret = pk_fail(pk, -EIO, "write of page %zu: %s", i,
				      strerror(errno));
	}
	free(buf);
	return ret;
}

int pk_file_verify(struct pk *pk, int fd)
{
	const size_t chunk = 16, size = getpagesize();
	char *buf = aligned_alloc(size, chunk * size);
	int ret = buf ? 0 : -ENOMEM;
	ssize_t got;
	size_t i, j;

	for (i = 0; i < pk->pages && !ret; i += chunk) {
		got = pread(fd, buf, chunk * size, i * size);
		if (got != (ssize_t)(chunk * size)) {
			ret = pk_fail(pk, -EIO, "read of page %zu: %s", i,
				      got < 0 ? strerror(errno) : "short");
			break;
		}
		for (j = 0; j < chunk; j++)
			if (!pk_page_ok(buf + j * size, pk->seed, i + j,
					pk->gen[i + j]))
				ret = pk_fail(pk, -EILSEQ, "wrong data in page %zu of the file",
					      i + j);
	}
	free(buf);
	return ret;
}

/* Out of the page cache with it, and back in: into the block */
int pk_file_cache(struct pk *pk, int fd)
{
	int ret;

	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		return pk_fail(pk, -errno, "fsync");
	pb_prefer_node(pk->nid);
	ret = pk_file_verify(pk, fd);
	pb_prefer_node(-1);
	return ret;
}

/* In page cache of the block, as a write leaves it */
int pk_file(struct pk *pk, const char *dir, size_t pages)
{
	int ret;

	if (!dir)
		return pk_fail(pk, PK_SKIP, "need an ext4 disk, have none");
	pk->pages = pages;
	pk->gen = calloc(pages, sizeof(*pk->gen));
	if (!pk->gen)
		return -ENOMEM;
	snprintf(pk->path, sizeof(pk->path), "%s/pk-%d-%u", dir, getpid(),
		 pk->seed);
	pk->fd[0] = open(pk->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (pk->fd[0] < 0)
		return pk_fail(pk, -errno, "%s", pk->path);
	pb_prefer_node(pk->nid);
	ret = pk_file_write(pk, pk->fd[0], 0, 1);
	pb_prefer_node(-1);
	return ret;
}

/* The file's pages in the block: pagemap of a mapping that is gone after it */
long pk_file_inside(struct pk *pk)
{
	size_t len = pk->pages * getpagesize(), i;
	volatile char *mem;
	long inside;

	mem = mmap(NULL, len, PROT_READ, MAP_SHARED, pk->fd[0], 0);
	if (mem == MAP_FAILED)
		return -errno;
	for (i = 0; i < len; i += getpagesize())
		(void)mem[i];
	inside = pk_inside_of(pk, getpid(), (void *)mem, pk->pages);
	munmap((void *)mem, len);
	return inside;
}
