// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests of page kinds share: the course of a try; see page_kinds.h
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "page_kinds.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define MAX_TRIES	100
#define MAX_LOOKS	10
/* A round of use that takes longer has been stopped by something */
#define ROUND_S		(12.0 * pb_timeout_mul())

/* What the program has for all of its tests, which are processes of their own */
static struct pk_program {
	pid_t pid;
	struct pb_saved auto_online;
	struct pb_dimm dimm;
} *program;

/* No block goes offline that slowly: it is given up, and that is a failure */
int pk_offline_ms(void)
{
	return 12000 * pb_timeout_mul();
}

int pk_fail(struct pk *pk, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(pk->why, sizeof(pk->why), fmt, ap);
	va_end(ap);
	return err;
}

static void unplug(void)
{
	int ret;

	if (getpid() != program->pid)
		return;
	ret = pb_hotdel(&program->dimm);
	if (ret)
		fprintf(stderr, "# memory%u cannot be removed: %s\n",
			program->dimm.block[0].id, strerror(-ret));
	if (pb_restore(&program->auto_online) || ret)
		_exit(1);
}

/* To be called first in main(); 0, or the exit status */
int pk_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	program = mmap(NULL, sizeof(*program), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (program == MAP_FAILED) {
		perror("# mmap");
		return 1;
	}
	program->pid = getpid();
	atexit(unplug);
	return 0;
}

static int plug(struct pk *pk)
{
	int ret;

	if (!pb_host())
		return pk_fail(pk, PK_SKIP, "need a host that hot-adds memory, have none");
	if (pk->nid && pb_node_has_memory(pk->nid))
		return pk_fail(pk, PK_SKIP, "need a node without memory, have node %d with %ld free pages",
			       pk->nid, pb_node_vmstat(pk->nid, "nr_free_pages"));
	/* Once: what a hot-add that failed has left is ours */
	ret = program->auto_online.path[0] ? 0 :
	      pb_save(&program->auto_online, AUTO_ONLINE);
	if (!ret)
		ret = pb_write(AUTO_ONLINE, "offline");
	if (!ret)
		ret = pb_hotadd(&program->dimm, "kinds", pb_block_mb(),
				pk->nid);
	return ret ? pk_fail(pk, ret, "hot-add to node %d", pk->nid) : 0;
}

/* Ready for pk_run() */
int pk_open(struct pk *pk, int nid)
{
	int ret;

	memset(pk, 0, sizeof(*pk));
	pk->nid = nid;
	memset(pk->fd, -1, sizeof(pk->fd));
	if (!program->dimm.id[0]) {
		ret = plug(pk);
		if (ret)
			return ret;
	}
	pk->block = program->dimm.block[0];
	return 0;
}

int pk_online(struct pk *pk)
{
	const char *want = getenv("PB_KIND_STATE");
	int ret;

	if (!pb_block_is(&pk->block, "state", "offline")) {
		if (pk->state)
			return 0;
		/* A test before this one has left it so */
		ret = pb_offline(&pk->block, pk_offline_ms(), NULL);
		if (ret)
			return pk_fail(pk, ret, "memory%u is online and stays so",
				       pk->block.id);
	}
	pk->state = want ? want : "online_hotremove";
	ret = pb_block_set(&pk->block, pk->state);
	if (ret == -EINVAL && !want) {
		pk->state = "online_movable";
		ret = pb_block_set(&pk->block, pk->state);
	}
	if (ret)
		return pk_fail(pk, ret, "%s of memory%u", pk->state,
			       pk->block.id);
	pk->hotremove = !strcmp(pk->state, "online_hotremove");
	return 0;
}

/*
 * The writer of "offline" is forked before the pages are made: pages that it
 * shares with us would be of another kind.
 */
pid_t pk_offliner(const struct pb_block *block, int *go)
{
	int pipe_fd[2];
	pid_t pid;
	char c;

	if (pipe(pipe_fd))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		close(pipe_fd[1]);
		pb_let_go_of_output();
		if (read(pipe_fd[0], &c, 1) != 1)
			_exit(0);
		_exit(-pb_block_set(block, "offline"));
	}
	close(pipe_fd[0]);
	if (pid < 0) {
		close(pipe_fd[1]);
		return -errno;
	}
	*go = pipe_fd[1];
	return pid;
}

/* Now. Returns as pb_offline() does */
int pk_offliner_go(pid_t pid, int go, double *took)
{
	if (write(go, "", 1) != 1)
		return -EPIPE;
	return pb_offline_wait(pid, pk_offline_ms(), took);
}

/* Anonymous memory and files on tmpfs that come and go on the same node */
static void noise(int nid)
{
	const size_t len = 2 << 20;
	char *mem, path[64];
	FILE *f;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pb_let_go_of_output();
	pb_prefer_node(nid);
	snprintf(path, sizeof(path), "/dev/shm/pk-noise-%d", getpid());
	for (;;) {
		mem = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem == MAP_FAILED)
			_exit(1);
		memset(mem, 0x6e, len);
		f = fopen(path, "w");
		if (f) {
			fwrite(mem, 1, len / 4, f);
			fclose(f);
			unlink(path);
		}
		munmap(mem, len);
		pb_msleep(5);
	}
}

struct worker {
	struct pk *pk;
	int (*use)(struct pk *pk);
	pthread_t thread;
	int err;
};

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!w->err && !w->pk->stop) {
		w->err = w->use(w->pk);
		w->pk->rounds++;
		/* Whoever has to move the pages needs a CPU as well */
		pb_msleep(1);
	}
	return NULL;
}

/* The use goes on: another whole round begins and ends from now on */
static int await_rounds(struct worker *w, long more)
{
	double end = pb_now() + ROUND_S;
	long until = w->pk->rounds + more;

	while (w->pk->rounds < until) {
		if (w->err)
			return w->err;
		if (pb_now() > end)
			return pk_fail(w->pk, -ETIMEDOUT, "the use of the pages hangs");
		pb_msleep(1);
	}
	return w->err;
}

static int check(struct pk *pk, const struct pk_ops *ops, const char *when)
{
	char why[sizeof(pk->why)];
	int ret = ops->check ? ops->check(pk) : pk_verify(pk);

	if (!ret || ret == PK_SKIP)
		return ret;
	snprintf(why, sizeof(why), "%.200s", pk->why);
	return pk_fail(pk, ret, "%s: %.200s", when, why);
}

void pk_end_try(struct pk *pk)
{
	int i;

	if (pk->child > 0) {
		kill(pk->child, SIGKILL);
		waitpid(pk->child, NULL, 0);
	}
	pk->child = 0;
	if (pk->mem)
		munmap(pk->mem, pk->pages * getpagesize());
	free(pk->gen);
	pk->mem = NULL;
	pk->gen = NULL;
	for (i = 0; i < 4; i++) {
		if (pk->fd[i] >= 0)
			close(pk->fd[i]);
		pk->fd[i] = -1;
	}
	if (pk->path[0])
		unlink(pk->path);
	pk->path[0] = '\0';
	memset(pk->num, 0, sizeof(pk->num));
}

/*
 * The pages are made: are they there? One that the kernel is just moving within
 * the block has no address for a moment, so what is missing is looked for again.
 */
static int prove(struct pk *pk, const struct pk_ops *ops)
{
	long want = ops->never_there ? 0 : (long)pk->pages, inside;
	int looks = 0;

	do {
		if (looks)
			pb_msleep(20);
		inside = ops->inside ? ops->inside(pk) : pk_inside(pk);
	} while (inside >= 0 && inside < want && looks++ < MAX_LOOKS);
	if (inside < 0)
		return pk_fail(pk, inside, "where the pages are");
	if (inside != want)
		return pk_fail(pk, -ENODATA, "%ld of %zu pages are in memory%u, not %ld",
			       inside, pk->pages, pk->block.id, want);
	return 0;
}

static int offline(struct pk *pk, const struct pk_ops *ops, pid_t pid, int go,
		   double *took)
{
	struct worker w = { .pk = pk, .use = ops->use ?: pk_use };
	int ret, end;

	pk->rounds = 0;
	pk->stop = false;
	if (pthread_create(&w.thread, NULL, work, &w))
		return pk_fail(pk, -EAGAIN, "no thread");
	ret = await_rounds(&w, 1);
	if (!ret) {
		ret = pk_offliner_go(pid, go, took);
		if (ret)
			pk_fail(pk, ret, "offline of memory%u with %s in use",
				pk->block.id, ops->name);
		/* One of these two has begun after the offline */
		end = await_rounds(&w, 2);
		ret = ret ?: end;
	} else {
		close(go);
		waitpid(pid, NULL, 0);
	}
	pk->stop = true;
	pthread_join(w.thread, NULL);
	return w.err ?: ret;
}

static int one_try(struct pk *pk, const struct pk_ops *ops, double *took)
{
	long left;
	pid_t pid;
	int ret, go;

	ret = pk_online(pk);
	if (ret)
		return ret;
	pid = pk_offliner(&pk->block, &go);
	if (pid < 0)
		return pk_fail(pk, pid, "fork");
	ret = ops->make(pk);
	if (!ret)
		ret = prove(pk, ops);
	if (ret) {
		close(go);
		waitpid(pid, NULL, 0);
		return ret;
	}
	ret = offline(pk, ops, pid, go, took);
	close(go);
	if (ret)
		return ret;
	if (!pb_block_is(&pk->block, "state", "offline"))
		return pk_fail(pk, -EPROTO, "offline has ended well and memory%u is not offline",
			       pk->block.id);
	left = pk->mem ? pk_inside(pk) : 0;
	if (left)
		return pk_fail(pk, -EPROTO, "%ld pages are in the offline block",
			       left);
	ret = check(pk, ops, "offline");
	if (ret)
		return ret;
	ret = pk_online(pk);
	return ret ?: check(pk, ops, "online again");
}

static int by_value(const void *a, const void *b)
{
	double x = *(double *)a, y = *(double *)b;

	return x < y ? -1 : x > y;
}

/*
 * All tries, whatever happens to one of them, unless data was wrong. Returns
 * the error of the first one that failed.
 */
int pk_run(struct pk *pk, const struct pk_ops *ops)
{
	int tries = pb_env("PB_KIND_TRIES", 2), t, ret = 0, err, ok = 0;
	char why[sizeof(pk->why)] = "";
	double took[MAX_TRIES], start = pb_now();
	long rounds = 0;
	size_t pages = 0;
	pid_t loud;

	if (tries < 1 || tries > MAX_TRIES)
		return pk_fail(pk, -ERANGE, "PB_KIND_TRIES: 1 to %d", MAX_TRIES);
	ret = pk_online(pk);
	if (ret)
		return ret;
	fflush(NULL);
	loud = fork();
	if (loud < 0)
		return pk_fail(pk, -errno, "fork");
	if (!loud)
		noise(pk->nid);
	for (t = 0; t < tries; t++) {
		pk->seed = getpid() * 1000 + t;
		err = one_try(pk, ops, &took[ok]);
		rounds += pk->rounds;
		pages = pk->pages;
		if (ops->drop)
			ops->drop(pk);
		pk_end_try(pk);
		if (!err) {
			ok++;
			continue;
		}
		if (err != PK_SKIP)
			printf("# %s, try %d: %s: %s\n", ops->name, t + 1,
			       pk->why, strerror(-err));
		if (!ret) {
			ret = err;
			snprintf(why, sizeof(why), "%s", pk->why);
		}
		if (err == PK_SKIP || err == -EILSEQ)
			break;
	}
	kill(loud, SIGKILL);
	waitpid(loud, NULL, 0);
	qsort(took, ok, sizeof(*took), by_value);
	if (ret != PK_SKIP)
		printf("# %s: %d of %d tries, %zu pages %s %s, median %.0f ms, worst %.0f ms, %ld rounds of use, %.1f s\n",
		       ops->name, ok, tries, pages,
		       ops->never_there ? "never in" : "in", pk->state,
		       ok ? took[ok / 2] * 1e3 : 0,
		       ok ? took[ok - 1] * 1e3 : 0, rounds, pb_now() - start);
	fflush(NULL);
	snprintf(pk->why, sizeof(pk->why), "%s", why);
	return ret;
}
