/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of page kinds share: pages of one kind are put into a memory
 * block, used all the time, and the block goes offline under them.
 *
 *   |--block: pages of this kind--|  offline ->  |--elsewhere: the same data--|
 *
 * A test says how its kind is made, used and checked (struct pk_ops); pk_run()
 * does the rest, PB_KIND_TRIES times (default 2; 20 for the figure of the
 * project): online, make, prove that the pages lie in the block, use them in a
 * thread, offline, see that the use goes on, verify every byte, online again,
 * verify once more. A process of noise uses the same node meanwhile.
 *
 * The block is onlined as hotremove where the kernel has that and as movable
 * elsewhere (PB_KIND_STATE=online_movable: there too). All functions return 0
 * (or a count) or -errno and say why in pk->why.
 */
#ifndef __PAGE_KINDS_H
#define __PAGE_KINDS_H

#include <linux/kernel-page-flags.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pageblock_util.h"

#define PK_PAGES	256	/* of most kinds */
#define PK_SKIP		(-1000)	/* from make(): need and have are in pk->why */
#define PK_BIT(n)	(1ULL << (n))

struct pk {
	/* The block, there as long as the program runs */
	int nid;
	struct pb_block block;
	const char *state;	/* online_hotremove or online_movable */
	bool hotremove;

	/* Of one try */
	uint32_t seed;		/* no two tries have the same data */
	char *mem;		/* mapped pages with the pattern, or NULL */
	size_t pages;
	uint32_t *gen;		/* how often each page was rewritten */
	int fd[4];		/* closed when the try ends, if >= 0 */
	pid_t child;		/* likewise killed and waited for, if > 0 */
	char path[160];		/* likewise unlinked, if not "" */
	long num[8];		/* whatever the kind wants */
	void *priv;

	atomic_long rounds;	/* of use() */
	atomic_bool stop;	/* long waits in use() should end */
	char why[256];		/* what is wrong, or need and have */
};

struct pk_ops {
	const char *name;
	/* Pages with the data, in the block */
	int (*make)(struct pk *pk);
	/* How many of pk->pages are in the block; NULL: of the mapping */
	long (*inside)(struct pk *pk);
	/* One round of use, in a thread of its own; NULL: pk_use() */
	int (*use)(struct pk *pk);
	/* At rest, after offline and again after online; NULL: pk_verify() */
	int (*check)(struct pk *pk);
	/* Undo what make() did beyond the fields of struct pk; may be NULL */
	void (*drop)(struct pk *pk);
	/* None of the pages ever get into a block of movable-only memory */
	bool never_there;
};

/* The block of this program: hot-added for the first test, kept for the others */
int pk_open(struct pk *pk, int nid);
int pk_online(struct pk *pk);
int pk_run(struct pk *pk, const struct pk_ops *ops);
int pk_main(int argc, char **argv);
int pk_offline_ms(void);
void pk_end_try(struct pk *pk);

int pk_fail(struct pk *pk, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* An offline, prepared: the fork is over before there are pages to share */
pid_t pk_offliner(const struct pb_block *block, int *go);
int pk_offliner_go(pid_t pid, int go, double *took);

/* Pattern: every page has its own, and another one when it is rewritten */
void pk_fill_page(void *page, uint32_t seed, size_t nr, uint32_t gen);
bool pk_page_ok(const void *page, uint32_t seed, size_t nr, uint32_t gen);
int pk_fill(struct pk *pk);
int pk_verify(struct pk *pk);
int pk_use(struct pk *pk);
int pk_use_read(struct pk *pk);

/* Where memory comes from */
int pk_bind(void *mem, size_t len, int nid);
int pk_map(struct pk *pk, size_t pages, int flags, int fd);
int pk_anon(struct pk *pk, size_t pages);

/* What the pages are */
long pk_inside_of(struct pk *pk, pid_t pid, const void *mem, size_t pages);
long pk_inside(struct pk *pk);
long pk_mapped(struct pk *pk);
long pk_with_flags(struct pk *pk, uint64_t all);
int pk_expect_flags(struct pk *pk, uint64_t all, const char *what);
long pk_pagemap_bits(struct pk *pk, uint64_t bit, size_t first, size_t step);

/* A file of pk->pages pages with the pattern, pk->fd[0], in page cache */
int pk_file(struct pk *pk, const char *dir, size_t pages);
int pk_file_write(struct pk *pk, int fd, size_t first, size_t step);
int pk_file_verify(struct pk *pk, int fd);
int pk_file_cache(struct pk *pk, int fd);
long pk_file_inside(struct pk *pk);

/* A disk whose requests take their time (null_blk); it keeps its data */
int pk_slow_disk(struct pk *pk, const char *name, unsigned int mb,
		 unsigned long nsec);
int pk_slow_disk_speed(struct pk *pk, const char *name, unsigned long nsec);
int pk_slow_disk_node(const char *name, char *dev, size_t len);
void pk_slow_disk_end(const char *name);

#endif /* __PAGE_KINDS_H */
