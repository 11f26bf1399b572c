// SPDX-License-Identifier: GPL-2.0
/*
 * Pages whose faults a thread of user space answers, through hot-remove:
 * userfaultfd for missing pages, write-protected ones, and minor faults. See
 * page_kinds.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "page_kinds_test.h"

#define PM_UFFD_WP	PK_BIT(57)

struct uffd {
	struct pk *pk;
	int fd;
	pthread_t thread;
	bool running;
	atomic_bool end;
	atomic_long faults;
	atomic_int err;
	char *page;
};

static int answer(struct uffd *u, const struct uffd_msg *msg)
{
	const size_t size = getpagesize();
	uintptr_t at = msg->arg.pagefault.address & ~(size - 1);
	size_t nr = (at - (uintptr_t)u->pk->mem) / size;
	struct uffdio_writeprotect wp = { .range = { at, size } };
	struct uffdio_continue cont = { .range = { at, size } };
	struct uffdio_copy copy = {
		.dst = at, .src = (uintptr_t)u->page, .len = size,
	};
	int ret;

	if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) {
		ret = ioctl(u->fd, UFFDIO_WRITEPROTECT, &wp);
	} else if (msg->arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR) {
		ret = ioctl(u->fd, UFFDIO_CONTINUE, &cont);
	} else {
		pk_fill_page(u->page, u->pk->seed, nr, u->pk->gen[nr]);
		ret = ioctl(u->fd, UFFDIO_COPY, &copy);
	}
	/* Somebody else has answered; or the page is about to be moved */
	return ret && errno != EEXIST && errno != EAGAIN ? -errno : 0;
}

static void *handle(void *arg)
{
	struct uffd *u = arg;
	struct pollfd p = { .fd = u->fd, .events = POLLIN };
	struct uffd_msg msg;

	while (!u->end && !u->err) {
		if (poll(&p, 1, 50) <= 0)
			continue;
		if (read(u->fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		u->faults++;
		u->err = answer(u, &msg);
	}
	return NULL;
}

/* Of @mode and these features; nothing is registered yet */
static int uffd_open(struct pk *pk, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffd *u = calloc(1, sizeof(*u));

	pk->priv = u;
	u->pk = pk;
	u->page = aligned_alloc(getpagesize(), getpagesize());
	u->fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (u->fd < 0 || ioctl(u->fd, UFFDIO_API, &api))
		return pk_fail(pk, PK_SKIP, "need userfaultfd with features %#llx, have: %s",
			       (unsigned long long)features, strerror(errno));
	return 0;
}

static int uffd_register(struct pk *pk, uint64_t mode)
{
	struct uffd *u = pk->priv;
	struct uffdio_register reg = {
		.range = { (uintptr_t)pk->mem, pk->pages * getpagesize() },
		.mode = mode,
	};

	if (ioctl(u->fd, UFFDIO_REGISTER, &reg))
		return pk_fail(pk, -errno, "UFFDIO_REGISTER");
	if (pthread_create(&u->thread, NULL, handle, u))
		return pk_fail(pk, -EAGAIN, "no thread");
	u->running = true;
	return 0;
}

static void uffd_drop(struct pk *pk)
{
	struct uffd *u = pk->priv;

	if (!u)
		return;
	u->end = true;
	if (u->running)
		pthread_join(u->thread, NULL);
	if (u->fd >= 0)
		close(u->fd);
	free(u->page);
	free(u);
	pk->priv = NULL;
}

static int uffd_ok(struct pk *pk)
{
	struct uffd *u = pk->priv;

	return u->err ? pk_fail(pk, u->err, "the answer to a fault") : 0;
}

/* Missing: every page that is there was put there by the thread */
static int make_missing(struct pk *pk)
{
	const size_t len = PK_PAGES * getpagesize();
	struct uffd *u;
	int ret = uffd_open(pk, 0) ?:
		  pk_map(pk, PK_PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (ret)
		return ret;
	madvise(pk->mem, len, MADV_NOHUGEPAGE);
	pk_bind(pk->mem, len, pk->nid);
	ret = uffd_register(pk, UFFDIO_REGISTER_MODE_MISSING) ?:
	      pk_verify(pk) ?: uffd_ok(pk);
	if (ret)
		return ret;
	u = pk->priv;
	if (u->faults != PK_PAGES)
		return pk_fail(pk, -ENODATA, "%ld faults, not %d", u->faults,
			       PK_PAGES);
	pk_bind(pk->mem, len, -1);
	return 0;
}

/* Some go missing again, and come back as what they were */
static int use_missing(struct pk *pk)
{
	size_t i, first = pk->num[0]++ % 8;

	for (i = first; i < pk->pages; i += 8)
		if (madvise(pk->mem + i * getpagesize(), getpagesize(),
			    MADV_DONTNEED))
			return pk_fail(pk, -errno, "MADV_DONTNEED");
	return pk_verify(pk) ?: uffd_ok(pk);
}

static const struct pk_ops missing = {
	.name = "uffd_missing", .make = make_missing, .use = use_missing,
	.drop = uffd_drop,
};

PK_TEST(userfaultfd_missing, missing)

/* Write-protected: reads only, and at the end each page has its own fault */
static int make_wp(struct pk *pk)
{
	struct uffdio_writeprotect wp;
	int ret = uffd_open(pk, UFFD_FEATURE_PAGEFAULT_FLAG_WP) ?:
		  pk_anon(pk, PK_PAGES) ?:
		  uffd_register(pk, UFFDIO_REGISTER_MODE_WP);

	if (ret)
		return ret;
	wp.range.start = (uintptr_t)pk->mem;
	wp.range.len = PK_PAGES * getpagesize();
	wp.mode = UFFDIO_WRITEPROTECT_MODE_WP;
	if (ioctl(((struct uffd *)pk->priv)->fd, UFFDIO_WRITEPROTECT, &wp))
		return pk_fail(pk, -errno, "UFFDIO_WRITEPROTECT");
	return 0;
}

static int check_wp(struct pk *pk)
{
	long protected = pk_pagemap_bits(pk, PM_UFFD_WP, 0, 1);
	struct uffd *u = pk->priv;
	int ret = pk_verify(pk);
	size_t i;

	if (ret)
		return ret;
	if (protected != PK_PAGES || u->faults)
		return pk_fail(pk, -EPROTO, "%ld of %d pages are write-protected, %ld faults",
			       protected, PK_PAGES, u->faults);
	if (!pk->num[0]++)
		return 0;
	for (i = 0; i < pk->pages; i++)
		pk_fill_page(pk->mem + i * getpagesize(), pk->seed, i,
			     ++pk->gen[i]);
	if (u->faults != PK_PAGES)
		return pk_fail(pk, -EPROTO, "%ld faults by writes to %d protected pages",
			       u->faults, PK_PAGES);
	return pk_verify(pk) ?: uffd_ok(pk);
}

static const struct pk_ops wp = {
	.name = "uffd_wp", .make = make_wp, .use = pk_use_read,
	.check = check_wp, .drop = uffd_drop,
};

PK_TEST(userfaultfd_write_protected, wp)

/* Minor: the page is in the file, and the thread says that it may be mapped */
static int make_minor(struct pk *pk)
{
	const size_t len = PK_PAGES * getpagesize();
	int ret = uffd_open(pk, UFFD_FEATURE_MINOR_SHMEM);

	if (ret)
		return ret;
	pk->fd[0] = memfd_create("pk-minor", 0);
	if (pk->fd[0] < 0 || ftruncate(pk->fd[0], len))
		return pk_fail(pk, -errno, "memfd");
	ret = pk_map(pk, PK_PAGES, MAP_SHARED, pk->fd[0]);
	if (ret)
		return ret;
	pb_prefer_node(pk->nid);
	ret = pk_file_write(pk, pk->fd[0], 0, 1);
	pb_prefer_node(-1);
	return ret ?: uffd_register(pk, UFFDIO_REGISTER_MODE_MINOR) ?:
	       pk_verify(pk) ?: uffd_ok(pk);
}

static int use_minor(struct pk *pk)
{
	struct uffd *u = pk->priv;
	long faults = u->faults;
	int ret;

	/* Only the mapping goes */
	if (madvise(pk->mem, pk->pages * getpagesize(), MADV_DONTNEED))
		return pk_fail(pk, -errno, "MADV_DONTNEED");
	ret = pk_file_write(pk, pk->fd[0], pk->num[0]++ % 8, 8) ?:
	      pk_verify(pk) ?: uffd_ok(pk);
	if (!ret && u->faults == faults)
		ret = pk_fail(pk, -EPROTO, "no fault by %zu pages that were not mapped",
			      pk->pages);
	return ret;
}

static int check_minor(struct pk *pk)
{
	return pk_verify(pk) ?: pk_file_verify(pk, pk->fd[0]);
}

static const struct pk_ops minor = {
	.name = "uffd_minor", .make = make_minor, .use = use_minor,
	.check = check_minor, .drop = uffd_drop,
};

PK_TEST(userfaultfd_minor, minor)

PK_MAIN
