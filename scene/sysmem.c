// SPDX-License-Identifier: GPL-2.0
/* Memory blocks in sysfs, and requests to the host. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

#define SYSMEM "/sys/devices/system/memory"

/**
 * read_text - read a small file
 * @path: the file
 * @buf: for its contents, always terminated; a final newline is cut off
 * @len: size of @buf
 *
 * Return: number of bytes or -1 with errno set.
 */
ssize_t read_text(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, sum = 0;

	*buf = '\0';
	if (fd < 0)
		return -1;
	while ((n = read(fd, buf + sum, len - 1 - sum)) > 0)
		sum += n;
	close(fd);
	if (n < 0)
		return -1;
	if (sum && buf[sum - 1] == '\n')
		sum--;
	buf[sum] = '\0';
	return sum;
}

/**
 * write_text - write a word into a sysfs or debugfs file
 * @path: the file
 * @text: the word
 *
 * Return: 0 or the error number.
 */
int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

/**
 * block_pages - size of a memory block
 *
 * Return: number of pages.
 */
unsigned long block_pages(void)
{
	char text[32];

	if (read_text(SYSMEM "/block_size_bytes", text, sizeof(text)) <= 0)
		scene_die(SCENE_ENV, "%s/block_size_bytes: %s", SYSMEM,
			  strerror(errno));
	return strtoul(text, NULL, 16) / sysconf(_SC_PAGESIZE);
}

/**
 * blocks_present - list all memory blocks, online or not
 * @ids: for their numbers
 * @max: room in @ids
 *
 * Return: how many there are.
 */
int blocks_present(unsigned long *ids, int max)
{
	DIR *dir = opendir(SYSMEM);
	struct dirent *entry;
	int nr = 0;

	if (!dir)
		scene_die(SCENE_ENV, "%s: %s", SYSMEM, strerror(errno));
	while (nr < max && (entry = readdir(dir)))
		if (sscanf(entry->d_name, "memory%lu", &ids[nr]) == 1)
			nr++;
	closedir(dir);
	return nr;
}

/**
 * block_on_node - does the memory block belong to the node?
 * @id: number of the block
 * @node: number of the node
 *
 * Return: true when sysfs links them.
 */
bool block_on_node(unsigned long id, int node)
{
	char path[96];

	snprintf(path, sizeof(path), SYSMEM "/memory%lu/node%d", id, node);
	return !access(path, F_OK);
}

/**
 * block_gone - has the memory block been removed?
 * @id: number of the block
 *
 * Return: true when sysfs no longer has it.
 */
bool block_gone(unsigned long id)
{
	char path[96];

	snprintf(path, sizeof(path), SYSMEM "/memory%lu", id);
	return access(path, F_OK);
}

/**
 * block_is - compare the state of a memory block
 * @id: number of the block
 * @state: as sysfs spells it
 *
 * Return: true when the block is in that state.
 */
bool block_is(unsigned long id, const char *state)
{
	char path[96], text[32];

	snprintf(path, sizeof(path), SYSMEM "/memory%lu/state", id);
	return read_text(path, text, sizeof(text)) > 0 && !strcmp(text, state);
}

static void on_alarm(int sig)
{
	(void)sig;	/* only there to interrupt the write */
}

/**
 * block_set - write the state of a memory block, for a limited time
 * @id: number of the block
 * @state: what to write
 * @timeout_s: interrupt the write by a signal after so many seconds, and each
 *	second from then on (the first one may come between two checks)
 * @ms: how long it took
 *
 * Return: 0, the error number of the write, or EINTR after the time-out.
 */
int block_set(unsigned long id, const char *state, int timeout_s, double *ms)
{
	struct itimerval timer = {
		.it_value.tv_sec = timeout_s, .it_interval.tv_sec = 1,
	};
	struct sigaction sa = { .sa_handler = on_alarm };
	char path[96];
	int err;

	snprintf(path, sizeof(path), SYSMEM "/memory%lu/state", id);
	sigaction(SIGALRM, &sa, NULL);
	*ms = now_ms();
	setitimer(ITIMER_REAL, &timer, NULL);
	err = write_text(path, state);
	memset(&timer, 0, sizeof(timer));
	setitimer(ITIMER_REAL, &timer, NULL);
	*ms = now_ms() - *ms;
	return err;
}

/* @how: what to write into its state; if that fails, the scene ends */
void block_online(unsigned long id, const char *how, int timeout_s)
{
	double ms;
	int err = block_set(id, how, timeout_s, &ms);

	if (err || !block_is(id, "online"))
		scene_die(err == EINVAL ? SCENE_ENV : SCENE_FAILED,
			  "memory%lu: %s: %s", id, how, strerror(err));
}

/**
 * host_request - ask the host through vmreq
 * @reply: for the host's answer
 * @len: size of @reply
 * @verb: add, del or query
 * @id: the DIMM
 * @size: in MB, for add; else NULL
 * @node: for add; else NULL
 *
 * Return: exit status of vmreq: 0 ok, 1 refused, 2 no host.
 */
int host_request(char *reply, size_t len, const char *verb, const char *id,
		 const char *size, const char *node)
{
	int pipefd[2], status;
	ssize_t n;
	size_t sum = 0;
	pid_t pid;

	if (pipe(pipefd))
		scene_die(SCENE_ENV, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		scene_die(SCENE_ENV, "fork: %s", strerror(errno));
	if (!pid) {
		dup2(pipefd[1], STDOUT_FILENO);
		execl(BIN_DIR "/vmreq", "vmreq", verb, id, size, node, NULL);
		_exit(2);
	}
	close(pipefd[1]);
	while ((n = read(pipefd[0], reply + sum, len - 1 - sum)) > 0)
		sum += n;
	close(pipefd[0]);
	reply[sum] = '\0';
	reply[strcspn(reply, "\n")] = '\0';
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 2;
	return WEXITSTATUS(status);
}
