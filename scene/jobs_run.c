// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs: a process each, which has one round done after the other. A round is a
 * program in the chroot; its exit status and its last line are the verdict.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "jobs.h"

#define STOP_MS		300000	/* for all jobs to end their rounds */
#define DAMAGED_ROUND	0	/* by -x */

/* What the rounds of a job came to, shared with the driver */
struct score {
	_Atomic uint64_t rounds, verified, wrong, broken;
};

static struct job {
	const char *name, *program, *word;
	bool damage, off;
	pid_t pid;
	struct score *score;
} jobs[] = {
	{ .name = "tree-ext4",	.program = "tree",	.word = "/work" },
	{ .name = "tree-tmpfs",	.program = "tree",	.word = "/tmp" },
	{ .name = "compile",	.program = "compile",	.word = "/work" },
	{ .name = "sqlite",	.program = "sqlite",	.word = "/work/sqlite" },
	{ .name = "fio-buffered", .program = "fio",	.word = "buffered" },
	{ .name = "fio-direct",	.program = "fio",	.word = "direct" },
	{ .name = "stress-ng",	.program = "stress",	.word = "/work/stress" },
	{ .name = "swap",	.program = "swap",	.word = "32" },
};

#define NR_JOBS (sizeof(jobs) / sizeof(*jobs))
#define for_each_job(job) for (job = jobs; job < jobs + NR_JOBS; job++)

static volatile sig_atomic_t stopping;

static struct job *find(const char *name)
{
	struct job *job;

	for_each_job(job)
		if (!strcmp(job->name, name))
			return job;
	scene_die(SCENE_ENV, "no such job: '%s'", name);
}

/**
 * jobs_damage - have a byte damaged in the first round of these jobs
 * @names: separated by "+"
 */
void jobs_damage(const char *names)
{
	char *copy = strdup(names), *name, *rest = copy;

	while ((name = strsep(&rest, "+")))
		find(name)->damage = true;
	free(copy);
}

/**
 * jobs_only - leave out all other jobs
 * @names: separated by "+"
 */
void jobs_only(const char *names)
{
	char *copy = strdup(names), *name, *rest = copy;
	struct job *job;

	for_each_job(job)
		job->off = true;
	while ((name = strsep(&rest, "+")))
		find(name)->off = false;
	free(copy);
}

static void on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

/* Becomes the round's program; its memory comes from the node under test */
__attribute__((noreturn))
static void round_exec(const struct job *job, unsigned int round, int node,
		       int output)
{
	char path[64], number[16];

	signal(SIGTERM, SIG_DFL);
	prefer_node(node);
	setpriority(PRIO_PROCESS, 0, JOBS_NICE);
	if (dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0 ||
	    chroot(ROOT_DIR) || chdir("/"))
		_exit(2);
	snprintf(path, sizeof(path), "/jobs/%s", job->program);
	snprintf(number, sizeof(number), "%u", round);
	setenv("FAULT", job->damage && round == DAMAGED_ROUND ? "1" : "0", 1);
	execl(path, job->name, number, job->word, NULL);
	dprintf(output, "%s: %s\n", path, strerror(errno));
	_exit(2);
}

/* One line of what the round printed, fit to stand between double quotes */
static void tidy(char *text)
{
	for (; *text; text++)
		if (*text == '"' || *text == '\n')
			*text = *text == '"' ? '\'' : ' ';
}

static void round_score(struct job *job, unsigned int round, int status,
			double ms, char *text)
{
	int rc = WIFEXITED(status) ? WEXITSTATUS(status) :
		 128 + WTERMSIG(status);
	char *line = strstr(text, "verified ");
	unsigned long verified = 0;

	if (!rc && (!line || sscanf(line, "verified %lu", &verified) != 1 ||
		    !verified))
		rc = 2;
	job->score->rounds++;
	job->score->verified += verified;
	job->score->wrong += rc == 1;
	job->score->broken += rc > 1;
	tidy(text);
	/* One write: other jobs tell, too */
	printf("scene round job=%s nr=%u rc=%d ms=%.0f text=\"%s\"\n",
	       job->name, round, rc, ms, text);
	fflush(stdout);
}

static void one_round(struct job *job, unsigned int round, int node)
{
	int fd = memfd_create("round", MFD_CLOEXEC), status;
	double begin = now_ms();
	char text[600];
	ssize_t n;
	pid_t pid;

	if (fd < 0 || (pid = fork()) < 0) {
		job->score->broken++;
		nap_ms(1000);
		return;
	}
	if (!pid)
		round_exec(job, round, node, fd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
	round_score(job, round, status, now_ms() - begin, text);
}

__attribute__((noreturn))
static void job_run(struct job *job, int node)
{
	struct sigaction sa = { .sa_handler = on_term };
	unsigned int round;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGTERM, &sa, NULL);
	for (round = 0; !stopping; round++)
		one_round(job, round, node);
	_exit(0);
}

/**
 * jobs_start - let all jobs work until jobs_stop()
 * @node: where their memory shall come from
 */
void jobs_start(int node)
{
	struct score *scores;
	struct job *job;

	scores = mmap(NULL, NR_JOBS * sizeof(*scores), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (scores == MAP_FAILED)
		scene_die(SCENE_ENV, "map scores: %s", strerror(errno));
	setvbuf(stdout, NULL, _IOFBF, 4096);
	fflush(stdout);
	for_each_job(job) {
		if (job->off)
			continue;
		job->score = scores + (job - jobs);
		job->pid = fork();
		if (job->pid < 0)
			scene_die(SCENE_ENV, "fork: %s", strerror(errno));
		if (!job->pid)
			job_run(job, node);
	}
}

static bool job_ended(struct job *job, double end)
{
	int status;

	while (waitpid(job->pid, &status, WNOHANG) != job->pid) {
		if (now_ms() > end)
			return false;
		nap_ms(50);
	}
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/** jobs_stop - have each job end its round, and tell its score */
void jobs_stop(void)
{
	double end = now_ms() + STOP_MS;
	struct score *s;
	struct job *job;
	bool ended;

	for_each_job(job)
		if (job->pid)
			kill(job->pid, SIGTERM);
	for_each_job(job) {
		if (!job->pid)
			continue;
		ended = job_ended(job, end);
		s = job->score;
		printf("scene job name=%s rounds=%" PRIu64 " verified=%" PRIu64
		       " wrong=%" PRIu64 " broken=%" PRIu64 " ended=%d damaged=%d\n",
		       job->name, s->rounds, s->verified, s->wrong, s->broken,
		       ended, job->damage);
	}
	fflush(stdout);
}
