// SPDX-License-Identifier: GPL-2.0
/*
 * Shared memory through hot-remove: memfd, sealed memfd, System V, each mapped
 * by two processes. See page_kinds.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page_kinds_test.h"

/*
 * The other process reads its odd pages, which nobody writes to, until this
 * end of the pipe is closed.
 */
static int start_reader(struct pk *pk)
{
	int in[2];
	size_t i;
	char c;

	if (pipe(in))
		return pk_fail(pk, -errno, "pipe");
	fflush(NULL);
	pk->child = fork();
	if (!pk->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(in[1]);
		fcntl(in[0], F_SETFL, O_NONBLOCK);
		while (read(in[0], &c, 1)) {
			for (i = 1; i < pk->pages; i += 2)
				if (!pk_page_ok(pk->mem + i * getpagesize(),
						pk->seed, i, 0))
					_exit(1);
			pb_msleep(1);
		}
		_exit(0);
	}
	close(in[0]);
	pk->fd[1] = in[1];
	return pk->child < 0 ? pk_fail(pk, -errno, "fork") : 0;
}

static int check_both(struct pk *pk)
{
	int status;

	if (pk->child > 0 && pk->num[0]++) {
		close(pk->fd[1]);
		pk->fd[1] = -1;
		waitpid(pk->child, &status, 0);
		pk->child = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			return pk_fail(pk, -EILSEQ, "wrong data in the other process");
	}
	return pk_verify(pk);
}

static int fill_bound(struct pk *pk)
{
	size_t len = pk->pages * getpagesize();
	int ret = pk_bind(pk->mem, len, pk->nid);

	return ret ? pk_fail(pk, ret, "mbind") :
	       pk_fill(pk) ?: pk_bind(pk->mem, len, -1);
}

static int make_memfd(struct pk *pk)
{
	pk->fd[0] = memfd_create("pk", MFD_ALLOW_SEALING);
	if (pk->fd[0] < 0 || ftruncate(pk->fd[0], PK_PAGES * getpagesize()))
		return pk_fail(pk, -errno, "memfd");
	return pk_map(pk, PK_PAGES, MAP_SHARED, pk->fd[0]) ?: fill_bound(pk) ?:
	       start_reader(pk);
}

static const struct pk_ops memfd = {
	.name = "memfd", .make = make_memfd, .check = check_both,
};

PK_TEST(memfd_of_two_processes, memfd)

/* Nobody can write to it any more, by way of this file or a mapping */
static int make_sealed(struct pk *pk)
{
	int ret = make_memfd(pk);

	if (ret)
		return ret;
	munmap(pk->mem, PK_PAGES * getpagesize());
	pk->mem = NULL;
	kill(pk->child, SIGKILL);
	waitpid(pk->child, NULL, 0);
	pk->child = 0;
	if (fcntl(pk->fd[0], F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK |
		  F_SEAL_GROW))
		return pk_fail(pk, -errno, "F_ADD_SEALS");
	return 0;
}

static int use_sealed(struct pk *pk)
{
	return pk_file_verify(pk, pk->fd[0]);
}

static const struct pk_ops sealed = {
	.name = "memfd_sealed", .make = make_sealed, .inside = pk_file_inside,
	.use = use_sealed, .check = use_sealed,
};

PK_TEST(memfd_sealed, sealed)

static int make_sysv(struct pk *pk)
{
	int id = shmget(IPC_PRIVATE, PK_PAGES * getpagesize(), 0600);

	if (id < 0)
		return pk_fail(pk, errno == ENOSYS ? PK_SKIP : -errno,
			       "need System V shared memory, have: %s",
			       strerror(errno));
	pk->pages = PK_PAGES;
	pk->gen = calloc(PK_PAGES, sizeof(*pk->gen));
	pk->mem = shmat(id, NULL, 0);
	/* Gone with the last who has it */
	shmctl(id, IPC_RMID, NULL);
	if (pk->mem == (void *)-1) {
		pk->mem = NULL;
		return pk_fail(pk, -errno, "shmat");
	}
	return fill_bound(pk) ?: start_reader(pk);
}

static const struct pk_ops sysv = {
	.name = "sysv_shm", .make = make_sysv, .check = check_both,
};

PK_TEST(sysv_shm_of_two_processes, sysv)

PK_MAIN
