// SPDX-License-Identifier: GPL-2.0
/* Start, watch and stop the load programs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"
#include "scene.h"

#define STOP_MS		120000	/* for the last check of all data */

struct load {
	const char *name, *program;
	const char *where;	/* NULL: memory, not files */
	unsigned long amount;	/* files, or MB */
	bool bulk;	/* brings much memory for little CPU time */
	pid_t pid;
	struct load_status *status;
};

static struct load loads[] = {
	{ "tmpfs", "load_files", RUN_DIR "/tmpfs", 60000, false, 0, NULL },
	{ "ext4", "load_files", RUN_DIR "/disk/files", 15000, false, 0, NULL },
	{ "cache", "load_cache", RUN_DIR "/disk/big", 300, true, 0, NULL },
	{ "anon", "load_anon", NULL, 300, true, 0, NULL },
};

#define NR_LOADS (sizeof(loads) / sizeof(*loads))

static void make_dir(const char *path)
{
	if (mkdir(path, 0700) && errno != EEXIST)
		scene_die(SCENE_ENV, "mkdir %s: %s", path, strerror(errno));
}

static void mount_at(const char *from, const char *type, const char *options)
{
	char path[64];

	snprintf(path, sizeof(path), RUN_DIR "/%s", !strcmp(type, "tmpfs") ?
		 "tmpfs" : "disk");
	make_dir(path);
	if (mount(from, path, type, MS_NOATIME, options))
		scene_die(SCENE_ENV, "mount %s on %s: %s", from, path,
			  strerror(errno));
}

/* Touched here, so that the page lies on the driver's node, not under test */
static void map_status(struct load *load, char *path, size_t len)
{
	int fd;

	snprintf(path, len, RUN_DIR "/%s.status", load->name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, sizeof(*load->status)))
		scene_die(SCENE_ENV, "%s: %s", path, strerror(errno));
	load->status = mmap(NULL, sizeof(*load->status),
			    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (load->status == MAP_FAILED)
		scene_die(SCENE_ENV, "map %s: %s", path, strerror(errno));
	close(fd);
	load->status->ready = 0;
}

/**
 * loads_size - make all loads smaller, for a machine with less memory
 * @percent: of their full size
 */
void loads_size(unsigned int percent)
{
	struct load *load;

	for (load = loads; load < loads + NR_LOADS; load++)
		load->amount = load->amount * percent / 100;
}

/* In the child: becomes the program */
__attribute__((noreturn))
static void run(const struct load *load, int node, int percent,
		const char *status)
{
	char program[64], node_arg[16], share[16], amount[24];
	const char *argv[12];
	int n = 0;

	snprintf(program, sizeof(program), BIN_DIR "/%s", load->program);
	snprintf(node_arg, sizeof(node_arg), "%d", node);
	snprintf(share, sizeof(share), "%d", percent);
	snprintf(amount, sizeof(amount), "%lu", load->amount);
	argv[n++] = load->name;
	argv[n++] = "-c";
	argv[n++] = share;
	argv[n++] = "-s";
	argv[n++] = status;
	if (node >= 0) {
		argv[n++] = "-n";
		argv[n++] = node_arg;
	}
	if (load->where)
		argv[n++] = load->where;
	argv[n++] = amount;
	argv[n] = NULL;
	execv(program, (char *const *)argv);
	fprintf(stderr, "%s: %s\n", program, strerror(errno));
	_exit(LOAD_BROKEN);
}

/**
 * loads_start - mount the file systems and start all load programs
 * @node: where their memory should come from; -1: anywhere
 * @percent: share of one CPU for each, after set-up
 * @disk: block device with an ext4 file system
 */
void loads_start(int node, int percent, const char *disk)
{
	char path[64];
	struct load *load;

	make_dir("/run");
	make_dir(RUN_DIR);
	mount_at("tmpfs", "tmpfs", "size=1g,nr_inodes=200k");
	mount_at(disk, "ext4", NULL);
	make_dir(RUN_DIR "/disk/files");
	fflush(stdout);
	for (load = loads; load < loads + NR_LOADS; load++) {
		map_status(load, path, sizeof(path));
		load->pid = fork();
		if (load->pid < 0)
			scene_die(SCENE_ENV, "fork: %s", strerror(errno));
		if (!load->pid)
			run(load, node, percent, path);
	}
}

/**
 * loads_ready - has each program set up all of its data?
 *
 * Return: true when all have; tells each one once.
 */
bool loads_ready(void)
{
	static double begin;
	struct load *load;
	bool ready = true;

	if (!begin)
		begin = now_ms();
	for (load = loads; load < loads + NR_LOADS; load++) {
		if (!load->status->ready) {
			ready = false;
		} else if (load->status->ready == 1) {
			load->status->ready = 2;
			printf("scene ready load=%s ms=%.0f written_mb=%" PRIu64
			       "\n", load->name, now_ms() - begin,
			       load->status->written >> 20);
		}
	}
	return ready;
}

/** loads_alive - end the scene at once when a program died or saw bad data */
void loads_alive(void)
{
	struct load *load;
	int status;

	for (load = loads; load < loads + NR_LOADS; load++) {
		if (load->status->mismatches)
			scene_die(SCENE_FAILED, "load %s: data mismatch",
				  load->name);
		if (waitpid(load->pid, &status, WNOHANG) == load->pid) {
			load->pid = 0;
			scene_die(SCENE_FAILED, "load %s ended: %s %d",
				  load->name, WIFSIGNALED(status) ? "signal" :
				  "exit", WIFSIGNALED(status) ?
				  WTERMSIG(status) : WEXITSTATUS(status));
		}
	}
}

/**
 * loads_hurry - let bulk programs use all CPU time, or only their share
 * @on: true while nothing is being measured
 */
void loads_hurry(bool on)
{
	struct load *load;

	for (load = loads; load < loads + NR_LOADS; load++)
		load->status->hurry = on && load->bulk;
}

static void reap(struct load *load, double end)
{
	int status;

	while (waitpid(load->pid, &status, WNOHANG) != load->pid) {
		if (now_ms() > end)
			scene_die(SCENE_FAILED, "load %s does not end",
				  load->name);
		nap_ms(50);
	}
	load->pid = 0;
	printf("scene data load=%s exit=%d ops=%" PRIu64 " written_mb=%" PRIu64
	       " verified_mb=%" PRIu64 " mismatches=%" PRIu64 "\n", load->name,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
	       load->status->ops, load->status->written >> 20,
	       load->status->verified >> 20, load->status->mismatches);
}

/** loads_stop - have each program check all of its data and end */
void loads_stop(void)
{
	double end = now_ms() + STOP_MS;
	struct load *load;

	for (load = loads; load < loads + NR_LOADS; load++)
		kill(load->pid, SIGTERM);
	for (load = loads; load < loads + NR_LOADS; load++)
		reap(load, end);
	fflush(stdout);
}
