// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel-memory-heavy job of the scene "policy": tar extracts very many small
 * files. Each leaves an inode and a dentry, which are kernel memory, and a page
 * of cache, which may be anywhere. An inode cannot be reclaimed as long as its
 * page is there, and memory for movable pages only is plenty.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy.h"
#include "scene.h"

#define RECORD		512
#define PER_DIR		1000
/* As names of files are in a source tree: too long to be in the dentry */
#define NAME		"drivers-net-ethernet-mellanox-mlx5-core-en-accel-"
#define PROGRESS_MS	20000
#define STALL_MS	60000	/* not one more file: it hangs */
#define DIE_MS		20000

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8];
	char type, link[100], magic[8], owner[32], group[32], rest[183];
};

_Static_assert(sizeof(struct header) == RECORD, "one record of a tar archive");

static void put(const void *record)
{
	if (fwrite(record, RECORD, 1, stdout) != 1)
		_exit(1);
}

static void member(const char *name, char type, unsigned int size)
{
	struct header h = { .type = type };
	unsigned int sum = 0, i;

	snprintf(h.name, sizeof(h.name), "%s", name);
	strcpy(h.mode, type == '5' ? "0000755" : "0000644");
	strcpy(h.uid, "0000000");
	strcpy(h.gid, "0000000");
	snprintf(h.size, sizeof(h.size), "%011o", size);
	strcpy(h.mtime, "15000000000");
	memcpy(h.magic, "ustar\00000", sizeof(h.magic));
	memset(h.sum, ' ', sizeof(h.sum));
	for (i = 0; i < RECORD; i++)
		sum += ((unsigned char *)&h)[i];
	snprintf(h.sum, sizeof(h.sum), "%06o", sum);
	put(&h);
}

/* An archive on standard output */
static void archive(unsigned long files)
{
	char name[100], data[RECORD] = "";
	unsigned long i;

	for (i = 0; i < files; i++) {
		if (i % PER_DIR == 0) {
			snprintf(name, sizeof(name), "%lu/", i / PER_DIR);
			member(name, '5', 0);
		}
		snprintf(name, sizeof(name), "%lu/" NAME "%lu", i / PER_DIR, i);
		member(name, '0', RECORD);
		snprintf(data, sizeof(data), "%lu\n", i);
		put(data);
	}
	memset(data, 0, sizeof(data));
	put(data);
	put(data);
	_exit(fflush(stdout) ? 1 : 0);
}

static pid_t start(int in, int out, int other, unsigned long files, const char *dir)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		scene_die(SCENE_ENV, "fork: %s", strerror(errno));
	if (pid)
		return pid;
	write_text("/proc/self/oom_score_adj", "0");
	if (in >= 0)
		dup2(in, STDIN_FILENO);
	if (out >= 0)
		dup2(out, STDOUT_FILENO);
	close(other);
	if (!dir)
		archive(files);
	execl("/bin/busybox", "tar", "xmo", "-C", dir, NULL);
	_exit(127);
}

/* How many of the files are there, to a thousand */
static unsigned long extracted(const char *dir, unsigned long files)
{
	char path[192];
	unsigned long i, nr = 0;
	struct stat st;

	for (i = 0; i < files; i += PER_DIR) {
		unsigned long last = i + PER_DIR < files ? i + PER_DIR : files;

		/* The last one of a directory: they come in order */
		snprintf(path, sizeof(path), "%s/%lu/" NAME "%lu", dir, i / PER_DIR, last - 1);
		if (stat(path, &st) || st.st_size != RECORD)
			break;
		nr = last;
	}
	return nr;
}

static unsigned long inodes(const char *dir)
{
	struct statvfs st;

	return statvfs(dir, &st) ? 0 : st.f_files - st.f_ffree;
}

static void show_stack(pid_t pid)
{
	char path[64], text[4096], *line, *rest = text;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	if (read_text(path, text, sizeof(text)) < 0)
		return;
	while ((line = strsep(&rest, "\n")))
		if (*line)
			printf("# stack %s\n", line);
}

/* What comes after the first OOM kill may take for ever, and so may a hang */
static const char *watch(pid_t tar, const char *dir, int *status)
{
	double told = now_ms(), moved = told;
	unsigned long nr = 0, now;

	while (waitpid(tar, status, WNOHANG) != tar) {
		if (oom_kills())
			return "kill";
		now = inodes(dir);
		if (now != nr)
			moved = now_ms();
		else if (now_ms() > moved + STALL_MS)
			return "hang";
		nr = now;
		if (now_ms() > told + PROGRESS_MS) {
			told = now_ms();
			memory_report("job");
		}
		nap_ms(200);
	}
	return "exit";
}

/**
 * tar_extract - extract an archive of small files, up to the first OOM kill
 * @dir: where to
 * @files: how many
 *
 * Return: false if the job hangs and cannot even be killed.
 */
bool tar_extract(const char *dir, unsigned long files)
{
	double begin = now_ms(), end;
	int fd[2], status = 0;
	pid_t maker, tar;
	const char *how;
	bool dead;

	if (pipe(fd))
		scene_die(SCENE_ENV, "pipe: %s", strerror(errno));
	maker = start(-1, fd[1], fd[0], files, NULL);
	tar = start(fd[0], -1, fd[1], files, dir);
	close(fd[0]);
	close(fd[1]);
	how = watch(tar, dir, &status);
	dead = !strcmp(how, "exit");
	if (!dead) {
		memory_report("stopped");
		show_stack(tar);
		kill(tar, SIGKILL);
	}
	for (end = now_ms() + DIE_MS; !dead && now_ms() < end; nap_ms(100))
		dead = waitpid(tar, &status, WNOHANG) == tar;
	kill(maker, SIGKILL);
	waitpid(maker, NULL, 0);
	printf("scene job tar=%d end=%s dead=%d files=%lu wanted=%lu ms=%.0f\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : -1, how, dead,
	       dead ? extracted(dir, files) : 0, files, now_ms() - begin);
	fflush(stdout);
	return dead;
}
