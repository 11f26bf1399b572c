// SPDX-License-Identifier: GPL-2.0
/*
 * Anonymous pages through hot-remove: private, shared, copied on write after
 * fork, mlocked, merged by KSM, with soft-dirty bits, beside guard regions,
 * slept on by futexes, and looked at from another process. See page_kinds.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page_kinds_test.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif
#define PM_SOFT_DIRTY		PK_BIT(55)
#define KSM			"/sys/kernel/mm/ksm"

static int make_private(struct pk *pk)
{
	return pk_anon(pk, PK_PAGES) ?:
	       pk_expect_flags(pk, PK_BIT(KPF_ANON) | PK_BIT(KPF_MMAP), "anonymous");
}

static const struct pk_ops anon_private = {
	.name = "anon_private", .make = make_private,
};

PK_TEST(anon_private, anon_private)

static int make_shared(struct pk *pk)
{
	int ret = pk_map(pk, PK_PAGES, MAP_SHARED | MAP_ANONYMOUS, -1);

	ret = ret ?: pk_bind(pk->mem, PK_PAGES * getpagesize(), pk->nid) ?:
	      pk_fill(pk) ?: pk_bind(pk->mem, PK_PAGES * getpagesize(), -1);
	return ret ?: pk_expect_flags(pk, PK_BIT(KPF_SWAPBACKED) |
				      PK_BIT(KPF_MMAP), "shared memory");
}

static const struct pk_ops anon_shared = {
	.name = "anon_shared", .make = make_shared,
};

PK_TEST(anon_shared, anon_shared)

/* The flag of the last ones waits in a batch of each CPU */
static int mostly_unevictable(struct pk *pk)
{
	long have = pk_with_flags(pk, PK_BIT(KPF_UNEVICTABLE));

	if (have >= PK_PAGES - 31 * sysconf(_SC_NPROCESSORS_ONLN))
		return 0;
	return pk_fail(pk, have < 0 ? have : -ENODATA,
		       "%ld of %d mlocked pages are unevictable", have,
		       PK_PAGES);
}

static int make_mlocked(struct pk *pk)
{
	int ret = pk_anon(pk, PK_PAGES);

	if (!ret && mlock(pk->mem, PK_PAGES * getpagesize()))
		ret = pk_fail(pk, -errno, "mlock");
	return ret ?: mostly_unevictable(pk);
}

/* None of them may be absent, not even for a fault to bring it back */
static int check_mlocked(struct pk *pk)
{
	long have = pk_mapped(pk);

	if (have != PK_PAGES)
		return pk_fail(pk, -EPROTO, "%ld of %d mlocked pages are mapped",
			       have, PK_PAGES);
	return mostly_unevictable(pk) ?: pk_verify(pk);
}

static const struct pk_ops mlocked = {
	.name = "mlocked", .make = make_mlocked, .check = check_mlocked,
};

PK_TEST(mlocked, mlocked)

/* Shared with a child until one of the two writes; both keep what is theirs */
static int make_forked(struct pk *pk)
{
	int ret = pk_anon(pk, PK_PAGES), to_child[2];
	char c;

	if (ret)
		return ret;
	if (pipe(to_child))
		return pk_fail(pk, -errno, "pipe");
	fflush(NULL);
	pk->child = fork();
	if (!pk->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(to_child[1]);
		fcntl(to_child[0], F_SETFL, O_NONBLOCK);
		/* Its copy is of generation 0 for ever */
		while (!pk_verify(pk)) {
			if (!read(to_child[0], &c, 1))
				_exit(0);
			pb_msleep(1);
		}
		_exit(1);
	}
	close(to_child[0]);
	pk->fd[0] = to_child[1];
	return pk->child < 0 ? pk_fail(pk, -errno, "fork") : 0;
}

static int check_forked(struct pk *pk)
{
	int status;

	if (pk->child > 0) {
		close(pk->fd[0]);
		pk->fd[0] = -1;
		waitpid(pk->child, &status, 0);
		pk->child = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			return pk_fail(pk, -EILSEQ, "wrong data in the child");
	}
	return pk_verify(pk);
}

static const struct pk_ops anon_forked = {
	.name = "anon_copy_on_write", .make = make_forked,
	.check = check_forked,
};

PK_TEST(anon_copy_on_write_after_fork, anon_forked)

/* Pages 2n and 2n + 1 have the same data, so they become one */
static int verify_pairs(struct pk *pk)
{
	size_t i;

	for (i = 0; i < pk->pages; i++)
		if (!pk_page_ok(pk->mem + i * getpagesize(), pk->seed, i / 2,
				pk->gen[i]))
			return pk_fail(pk, -EILSEQ, "wrong data in page %zu",
				       i);
	return 0;
}

static struct pb_saved ksm_run, ksm_pages, ksm_sleep, ksm_zero;

static void drop_ksm(struct pk *pk)
{
	(void)pk;
	pb_restore(&ksm_pages);
	pb_restore(&ksm_sleep);
	pb_restore(&ksm_zero);
	pb_restore(&ksm_run);
}

static int make_ksm(struct pk *pk)
{
	double end = pb_now() + 6.0 * pb_timeout_mul();
	const size_t len = PK_PAGES * getpagesize();
	size_t i;
	int ret;

	if (pb_save(&ksm_run, KSM "/run"))
		return pk_fail(pk, PK_SKIP, "need " KSM " (CONFIG_KSM), have none");
	pb_save(&ksm_pages, KSM "/pages_to_scan");
	pb_save(&ksm_sleep, KSM "/sleep_millisecs");
	pb_save(&ksm_zero, KSM "/smart_scan");
	ret = pk_map(pk, PK_PAGES, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (ret)
		return ret;
	madvise(pk->mem, len, MADV_NOHUGEPAGE);
	pk_bind(pk->mem, len, pk->nid);
	for (i = 0; i < pk->pages; i++)
		pk_fill_page(pk->mem + i * getpagesize(), pk->seed, i / 2, 0);
	pk_bind(pk->mem, len, -1);
	if (madvise(pk->mem, len, MADV_MERGEABLE))
		return pk_fail(pk, -errno, "MADV_MERGEABLE");
	pb_write(KSM "/pages_to_scan", "10000");
	pb_write(KSM "/sleep_millisecs", "10");
	pb_write(KSM "/smart_scan", "0");
	ret = pb_write(KSM "/run", "1");
	if (ret)
		return pk_fail(pk, ret, KSM "/run");
	while (pk_with_flags(pk, PK_BIT(KPF_KSM)) < PK_PAGES) {
		if (pb_now() > end)
			return pk_expect_flags(pk, PK_BIT(KPF_KSM), "merged");
		pb_msleep(20);
	}
	return 0;
}

/* At the end one of each pair is written to: the other must not see it */
static int check_ksm(struct pk *pk)
{
	int ret = verify_pairs(pk);
	size_t i;

	if (ret || pk->num[0]++)
		return ret;
	for (i = 0; i < pk->pages; i += 2)
		pk_fill_page(pk->mem + i * getpagesize(), pk->seed, i / 2,
			     ++pk->gen[i]);
	return verify_pairs(pk);
}

static const struct pk_ops ksm = {
	.name = "ksm", .make = make_ksm, .use = verify_pairs,
	.check = check_ksm, .drop = drop_ksm,
};

PK_TEST(ksm_merged, ksm)

/*
 * Even pages are soft-dirty, odd ones are not, and so it stays. A new mapping
 * is soft-dirty as a whole, and so would be what it is merged with: the stack
 * of a new thread must not become a neighbour.
 */
static void *neighbour[2];

static void part_from_neighbours(struct pk *pk)
{
	const size_t size = getpagesize();
	int i;

	for (i = 0; i < 2; i++)
		neighbour[i] = mmap(pk->mem + (i ? PK_PAGES * size : -size),
				    size, PROT_NONE, MAP_PRIVATE |
				    MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

static void drop_soft_dirty(struct pk *pk)
{
	int i;

	(void)pk;
	for (i = 0; i < 2; i++)
		if (neighbour[i] != MAP_FAILED)
			munmap(neighbour[i], getpagesize());
}

static int make_soft_dirty(struct pk *pk)
{
	int ret = pk_anon(pk, PK_PAGES);
	size_t i;

	if (ret)
		return ret;
	part_from_neighbours(pk);
	if (pb_write("/proc/self/clear_refs", "4") ||
	    pk_pagemap_bits(pk, PM_SOFT_DIRTY, 0, 1))
		return pk_fail(pk, -EPROTO, "soft-dirty bits cannot be cleared");
	for (i = 0; i < pk->pages; i += 2)
		pk_fill_page(pk->mem + i * getpagesize(), pk->seed, i,
			     ++pk->gen[i]);
	if (!pk_pagemap_bits(pk, PM_SOFT_DIRTY, 0, 1))
		return pk_fail(pk, PK_SKIP, "need soft-dirty bits (CONFIG_MEM_SOFT_DIRTY), have none");
	return 0;
}

static int check_soft_dirty(struct pk *pk)
{
	long even = pk_pagemap_bits(pk, PM_SOFT_DIRTY, 0, 2);
	long odd = pk_pagemap_bits(pk, PM_SOFT_DIRTY, 1, 2);

	if (even != PK_PAGES / 2 || odd)
		return pk_fail(pk, -EPROTO, "%ld written and %ld untouched pages are soft-dirty, not %d and 0",
			       even, odd, PK_PAGES / 2);
	return pk_verify(pk);
}

static const struct pk_ops soft_dirty = {
	.name = "soft_dirty", .make = make_soft_dirty, .use = pk_use_read,
	.check = check_soft_dirty, .drop = drop_soft_dirty,
};

PK_TEST(soft_dirty_bits_stay, soft_dirty)

/* Every fourth page becomes a guard, which only a system call can ask about */
#define GUARD_STEP	4

static bool readable(struct pk *pk, const char *at)
{
	char c;

	/* A system call answers where an access of our own would be a signal */
	return write(pk->fd[1], at, 1) == 1 && read(pk->fd[0], &c, 1) == 1;
}

static int verify_guards(struct pk *pk)
{
	size_t i;

	for (i = 0; i < pk->pages; i++) {
		char *page = pk->mem + i * getpagesize();

		if (i % GUARD_STEP == 0) {
			if (readable(pk, page))
				return pk_fail(pk, -EPROTO, "guard page %zu can be read",
					       i);
		} else if (!pk_page_ok(page, pk->seed, i, pk->gen[i])) {
			return pk_fail(pk, -EILSEQ, "wrong data in page %zu",
				       i);
		}
	}
	return 0;
}

static int make_guards(struct pk *pk)
{
	int ret = pk_anon(pk, PK_PAGES);
	size_t i;

	if (ret)
		return ret;
	if (pipe(pk->fd) || !readable(pk, pk->mem))
		return pk_fail(pk, -EIO, "a pipe");
	for (i = 0; i < pk->pages; i += GUARD_STEP)
		if (madvise(pk->mem + i * getpagesize(), getpagesize(),
			    MADV_GUARD_INSTALL))
			return pk_fail(pk, PK_SKIP, "need MADV_GUARD_INSTALL, have: %s",
				       strerror(errno));
	return 0;
}

static long inside_guards(struct pk *pk)
{
	long inside = pk_inside(pk);

	return inside < 0 ? inside : inside + PK_PAGES / GUARD_STEP;
}

static const struct pk_ops guards = {
	.name = "guard_regions", .make = make_guards, .inside = inside_guards,
	.use = verify_guards, .check = verify_guards,
};

PK_TEST(guard_regions_stay, guards)

/*
 * Futexes. One thread sleeps on a word in the block from before the offline
 * until after it; two more hand each other another word of the same page.
 */
struct futexes {
	pthread_t sleeper, partner;
	uint32_t *sleep, *turn;
	int flag;
	atomic_int woken;
	atomic_bool end;
};

static long futex(uint32_t *word, int op, uint32_t val, double seconds)
{
	struct timespec t = { seconds, 0 };

	return syscall(SYS_futex, word, op, val, seconds ? &t : NULL, NULL, 0);
}

static void *sleep_on_it(void *arg)
{
	struct futexes *f = arg;

	while (!__atomic_load_n(f->sleep, __ATOMIC_ACQUIRE))
		futex(f->sleep, FUTEX_WAIT | f->flag, 0, 0);
	f->woken = 1;
	return NULL;
}

static void *answer(void *arg)
{
	struct futexes *f = arg;

	while (!f->end) {
		if (__atomic_load_n(f->turn, __ATOMIC_ACQUIRE) != 1) {
			futex(f->turn, FUTEX_WAIT | f->flag, 0, 1);
			continue;
		}
		__atomic_store_n(f->turn, 0, __ATOMIC_RELEASE);
		futex(f->turn, FUTEX_WAKE | f->flag, 1, 0);
	}
	return NULL;
}

static int use_futexes(struct pk *pk)
{
	double end = pb_now() + 5.0 * pb_timeout_mul();
	struct futexes *f = pk->priv;

	__atomic_store_n(f->turn, 1, __ATOMIC_RELEASE);
	futex(f->turn, FUTEX_WAKE | f->flag, 1, 0);
	while (__atomic_load_n(f->turn, __ATOMIC_ACQUIRE) == 1) {
		futex(f->turn, FUTEX_WAIT | f->flag, 1, 1);
		if (pb_now() > end)
			return pk_fail(pk, -ETIMEDOUT, "nobody answers");
	}
	if (f->woken)
		return pk_fail(pk, -EPROTO, "the sleeper was woken by nobody");
	return 0;
}

static int start_futexes(struct pk *pk, int flag)
{
	struct futexes *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->flag = flag;
	f->sleep = (uint32_t *)pk->mem;
	f->turn = f->sleep + 16;
	*f->sleep = *f->turn = 0;
	pk->priv = f;
	if (pthread_create(&f->sleeper, NULL, sleep_on_it, f) ||
	    pthread_create(&f->partner, NULL, answer, f))
		return pk_fail(pk, -EAGAIN, "no thread");
	pb_msleep(20);
	return 0;
}

static int make_futex_private(struct pk *pk)
{
	return pk_anon(pk, PK_PAGES) ?: start_futexes(pk, FUTEX_PRIVATE_FLAG);
}

static int make_futex_shared(struct pk *pk)
{
	return make_shared(pk) ?: start_futexes(pk, 0);
}

/* One wake-up reaches the one that has slept all the time */
static int check_futexes(struct pk *pk)
{
	struct futexes *f = pk->priv;
	double end = pb_now() + 5.0 * pb_timeout_mul();
	size_t i;

	for (i = 1; i < pk->pages; i++)
		if (!pk_page_ok(pk->mem + i * getpagesize(), pk->seed, i, 0))
			return pk_fail(pk, -EILSEQ, "wrong data in page %zu",
				       i);
	if (pk->num[0]++)
		return 0;
	if (f->woken)
		return pk_fail(pk, -EPROTO, "the sleeper was woken by nobody");
	__atomic_store_n(f->sleep, 1, __ATOMIC_RELEASE);
	if (futex(f->sleep, FUTEX_WAKE | f->flag, 1, 0) != 1)
		return pk_fail(pk, -EPROTO, "nobody sleeps on the word that has moved");
	while (!f->woken) {
		if (pb_now() > end)
			return pk_fail(pk, -ETIMEDOUT, "the sleeper does not wake up");
		pb_msleep(1);
	}
	return 0;
}

static void drop_futexes(struct pk *pk)
{
	struct futexes *f = pk->priv;

	if (!f)
		return;
	f->end = true;
	__atomic_store_n(f->sleep, 1, __ATOMIC_RELEASE);
	futex(f->sleep, FUTEX_WAKE | f->flag, 1, 0);
	pthread_join(f->sleeper, NULL);
	pthread_join(f->partner, NULL);
	free(f);
	pk->priv = NULL;
}

static const struct pk_ops futex_private = {
	.name = "futex_private", .make = make_futex_private,
	.use = use_futexes, .check = check_futexes, .drop = drop_futexes,
};

static const struct pk_ops futex_shared = {
	.name = "futex_shared", .make = make_futex_shared,
	.use = use_futexes, .check = check_futexes, .drop = drop_futexes,
};

PK_TEST(futex_of_a_private_page, futex_private)
PK_TEST(futex_of_a_shared_page, futex_shared)

/* The pages are a child's that does nothing; all use is by this process */
static int make_remote(struct pk *pk)
{
	int ret = pk_anon(pk, PK_PAGES);

	if (ret)
		return ret;
	fflush(NULL);
	pk->child = fork();
	if (!pk->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (pk->child < 0)
		return pk_fail(pk, -errno, "fork");
	/* Now they are the child's alone; the address is the same there */
	if (madvise(pk->mem, PK_PAGES * getpagesize(), MADV_DONTNEED))
		return pk_fail(pk, -errno, "MADV_DONTNEED");
	return 0;
}

static long inside_remote(struct pk *pk)
{
	return pk_inside_of(pk, pk->child, pk->mem, pk->pages);
}

static int verify_remote(struct pk *pk)
{
	char page[getpagesize()] __attribute__((aligned(8)));
	struct iovec to = { page, sizeof(page) }, from = to;
	size_t i;

	for (i = 0; i < pk->pages; i++) {
		from.iov_base = pk->mem + i * sizeof(page);
		if (process_vm_readv(pk->child, &to, 1, &from, 1, 0) !=
		    (ssize_t)sizeof(page))
			return pk_fail(pk, -errno, "process_vm_readv");
		if (!pk_page_ok(page, pk->seed, i, pk->gen[i]))
			return pk_fail(pk, -EILSEQ, "wrong data in page %zu of the child",
				       i);
	}
	return 0;
}

static int use_remote(struct pk *pk)
{
	char page[getpagesize()] __attribute__((aligned(8)));
	struct iovec from = { page, sizeof(page) }, to = from;
	int ret = verify_remote(pk);
	size_t i;

	for (i = 0; i < pk->pages && !ret; i += 2) {
		pk_fill_page(page, pk->seed, i, ++pk->gen[i]);
		to.iov_base = pk->mem + i * sizeof(page);
		if (process_vm_writev(pk->child, &from, 1, &to, 1, 0) !=
		    (ssize_t)sizeof(page))
			ret = pk_fail(pk, -errno, "process_vm_writev");
	}
	return ret;
}

static int make_process_vm(struct pk *pk)
{
	char c, d = 1;
	struct iovec from = { &d, 1 }, to = { &c, 1 };

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != 1)
		return pk_fail(pk, PK_SKIP, "need process_vm_readv() (CONFIG_CROSS_MEMORY_ATTACH), have none");
	return make_remote(pk);
}

static const struct pk_ops remote = {
	.name = "process_vm", .make = make_process_vm, .inside = inside_remote,
	.use = use_remote, .check = verify_remote,
};

PK_TEST(process_vm_readv_and_writev, remote)

/* As a debugger does it: stop, a word of each page, go on */
static int verify_traced(struct pk *pk)
{
	uint64_t *page = aligned_alloc(getpagesize(), getpagesize());
	int ret = page ? 0 : -ENOMEM, status;
	size_t i;
	long word;

	if (!ret && ptrace(PTRACE_ATTACH, pk->child, NULL, NULL))
		ret = pk_fail(pk, -errno, "PTRACE_ATTACH");
	if (ret)
		goto out;
	waitpid(pk->child, &status, __WALL);
	for (i = 0; i < pk->pages && !ret; i++) {
		size_t at = (i * 7 + pk->rounds) %
			    (getpagesize() / sizeof(*page));

		pk_fill_page(page, pk->seed, i, pk->gen[i]);
		errno = 0;
		word = ptrace(PTRACE_PEEKDATA, pk->child, pk->mem +
			      i * getpagesize() + at * sizeof(*page), NULL);
		if (errno)
			ret = pk_fail(pk, -errno, "PTRACE_PEEKDATA");
		else if ((uint64_t)word != page[at])
			ret = pk_fail(pk, -EILSEQ, "wrong word in page %zu of the child",
				      i);
	}
	ptrace(PTRACE_DETACH, pk->child, NULL, NULL);
out:
	free(page);
	return ret;
}

/* All of it, by the file that debuggers prefer */
static int check_traced(struct pk *pk)
{
	char page[getpagesize()] __attribute__((aligned(8))), path[64];
	int fd, ret = 0;
	size_t i;

	snprintf(path, sizeof(path), "/proc/%d/mem", pk->child);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return pk_fail(pk, -errno, "%s", path);
	for (i = 0; i < pk->pages && !ret; i++)
		if (pread(fd, page, sizeof(page), (uintptr_t)pk->mem +
			  i * sizeof(page)) != (ssize_t)sizeof(page))
			ret = pk_fail(pk, -errno, "%s", path);
		else if (!pk_page_ok(page, pk->seed, i, pk->gen[i]))
			ret = pk_fail(pk, -EILSEQ, "wrong data in page %zu of the child",
				      i);
	close(fd);
	return ret;
}

static const struct pk_ops traced = {
	.name = "ptrace", .make = make_remote, .inside = inside_remote,
	.use = verify_traced, .check = check_traced,
};

PK_TEST(ptrace_peeks_at_it, traced)

PK_MAIN
