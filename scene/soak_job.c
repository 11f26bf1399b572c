// SPDX-License-Identifier: GPL-2.0
/* Jobs of the soak: a process each, one step again and again, a score. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"
#include "soak.h"

#define STOP_MS		120000	/* for a step to end and its job to tidy up */

struct soak_job {
	const char *name;
	const struct soak_ops *ops;
	const char *arg;
	unsigned int nap_ms;	/* between two steps */
	bool may_die;		/* the OOM killer's first choice */
	bool wanted;
	bool hung;
	pid_t pid;
	struct soak_stats *stats;
};

static struct soak_job jobs[] = {
	{ .name = "contig",	.ops = &contig_ops,	.nap_ms = 40 },
	{ .name = "cma",	.ops = &cma_ops,	.nap_ms = 20 },
	{ .name = "huge2m",	.ops = &hugetlb_ops,	.nap_ms = 100,
	  .arg = "2048" },
	{ .name = "huge1g",	.ops = &hugetlb_ops,	.nap_ms = 1000,
	  .arg = "1048576" },
	{ .name = "kernel",	.ops = &blocks_ops,	.nap_ms = 3000,
	  .arg = "kernel" },
	{ .name = "movable",	.ops = &blocks_ops,	.nap_ms = 500,
	  .arg = "movable" },
	{ .name = "hotremove",	.ops = &blocks_ops,	.nap_ms = 500,
	  .arg = "hotremove" },
	{ .name = "virtio_mem",	.ops = &virtio_mem_ops,	.nap_ms = 500 },
	{ .name = "balloon",	.ops = &balloon_ops,	.nap_ms = 500 },
	{ .name = "thp",	.ops = &thp_ops,	.nap_ms = 2 },
	{ .name = "atomic",	.ops = &atomic_ops,	.nap_ms = 20 },
	{ .name = "poison",	.ops = &poison_ops,	.nap_ms = 50 },
	{ .name = "swap",	.ops = &swap_ops,	.nap_ms = 2,
	  .may_die = true },
};

#define NR_JOBS (sizeof(jobs) / sizeof(*jobs))
#define for_each_job(job) for (job = jobs; job < jobs + NR_JOBS; job++)

static struct soak_job *me;		/* in the process of a job */
static volatile sig_atomic_t stopping;
static uint64_t random_state;

/**
 * jobs_want - choose the jobs to run
 * @names: separated by "+"
 */
void jobs_want(const char *names)
{
	char *copy = strdup(names), *name, *rest = copy;
	struct soak_job *job;

	while ((name = strsep(&rest, "+"))) {
		for_each_job(job)
			if (!strcmp(job->name, name))
				break;
		if (job == jobs + NR_JOBS)
			scene_die(SCENE_ENV, "no such job: '%s'", name);
		job->wanted = true;
	}
	free(copy);
}

static void on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

__attribute__((noreturn))
static void job_run(struct soak_job *job)
{
	struct sigaction sa = {
		.sa_handler = on_term, .sa_flags = SA_RESTART,
	};
	int fd;

	me = job;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGTERM, &sa, NULL);
	random_state = 0x9e3779b97f4a7c15ULL * (job - jobs + 1);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%d", job->may_die ? 1000 : -1000) < 0)
		job_op("oom_score_adj", errno, 0);
	close(fd);
	if (job->ops->start)
		job->ops->start(job->arg);
	while (!stopping) {
		job->ops->step(job->arg);
		job_nap(job->nap_ms);
	}
	if (job->ops->stop)
		job->ops->stop(job->arg);
	fflush(stdout);
	_exit(0);
}

static void job_fork(struct soak_job *job)
{
	fflush(stdout);
	job->pid = fork();
	if (job->pid < 0)
		scene_die(SCENE_ENV, "fork: %s", strerror(errno));
	if (!job->pid)
		job_run(job);
}

/** jobs_start - start all wanted jobs, tell which this machine cannot do */
void jobs_start(void)
{
	struct soak_stats *stats;
	struct soak_job *job;
	const char *lacks;

	stats = mmap(NULL, NR_JOBS * sizeof(*stats), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stats == MAP_FAILED)
		scene_die(SCENE_ENV, "map scores: %s", strerror(errno));
	for_each_job(job) {
		if (!job->wanted)
			continue;
		lacks = job->ops->missing(job->arg);
		if (lacks) {
			printf("scene skip job=%s why=\"%s\"\n", job->name,
			       lacks);
			job->wanted = false;
			continue;
		}
		job->stats = stats + (job - jobs);
		job_fork(job);
	}
}

static void job_ended(struct soak_job *job, int status)
{
	job->pid = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && job->may_die) {
		job->stats->refused++;
		return;
	}
	if (!job->stats->errors++)
		snprintf(job->stats->first, sizeof(job->stats->first),
			 "the job ended by %s %d",
			 WIFSIGNALED(status) ? "signal" : "exit",
			 WIFSIGNALED(status) ? WTERMSIG(status) :
			 WEXITSTATUS(status));
}

/** jobs_alive - notice jobs that died; start those again that may */
void jobs_alive(void)
{
	struct soak_job *job;
	int status;

	for_each_job(job) {
		if (!job->pid || waitpid(job->pid, &status, WNOHANG) != job->pid)
			continue;
		job_ended(job, status);
		if (job->may_die)
			job_fork(job);
	}
}

/* Where in the kernel a process hangs, as far as the kernel tells */
static void tell_stack(const struct soak_job *job)
{
	char path[48], text[2048], *line, *rest = text;

	snprintf(path, sizeof(path), "/proc/%d/stack", job->pid);
	if (read_text(path, text, sizeof(text)) <= 0)
		return;
	while ((line = strsep(&rest, "\n")))
		printf("scene hung job=%s at=\"%s\"\n", job->name, line);
}

static void job_wait(struct soak_job *job, double end)
{
	int status, fd;

	while (waitpid(job->pid, &status, WNOHANG) != job->pid) {
		if (now_ms() < end) {
			nap_ms(50);
			continue;
		}
		job->hung = true;
		tell_stack(job);
		kill(job->pid, SIGKILL);
		/* init has to know: the power-off may not get past it */
		fd = open("/run/eject-pending", O_CREAT | O_WRONLY, 0600);
		if (fd >= 0)
			close(fd);
		return;
	}
	job_ended(job, status);
}

/** jobs_stop - end all jobs; each puts back what it changed */
void jobs_stop(void)
{
	double end = now_ms() + STOP_MS;
	struct soak_job *job;

	for_each_job(job)
		if (job->pid)
			kill(job->pid, SIGTERM);
	for_each_job(job)
		if (job->pid)
			job_wait(job, end);
}

/** jobs_report - one line per job that ran */
void jobs_report(void)
{
	const struct soak_stats *s;
	struct soak_job *job;

	for_each_job(job) {
		s = job->stats;
		if (!job->wanted)
			continue;
		printf("scene job name=%s done=%" PRIu64 " refused=%" PRIu64
		       " timeouts=%" PRIu64 " errors=%" PRIu64
		       " hung=%d first=\"%s\"\n", job->name, s->done,
		       s->refused, s->timeouts, s->errors, job->hung, s->first);
	}
	fflush(stdout);
}

/**
 * job_stopping - is it time to end?
 *
 * Return: true after SIGTERM.
 */
bool job_stopping(void)
{
	return stopping;
}

/**
 * job_random - a number that the next run draws, too
 * @below: exclusive upper bound
 *
 * Return: a number in [0, @below).
 */
unsigned long job_random(unsigned long below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % below;
}

/**
 * job_nap - sleep for about that long, or until the job has to end
 * @ms: milliseconds
 */
void job_nap(unsigned int ms)
{
	if (ms && !stopping)
		nap_ms(ms / 2 + job_random(ms) + 1);
}

/**
 * job_op - score one operation
 * @what: what was tried
 * @err: 0 or the error number
 * @...: error numbers that have to be expected, then 0
 */
void job_op(const char *what, int err, ...)
{
	int expected;
	va_list ap;

	if (!err) {
		me->stats->done++;
		return;
	}
	va_start(ap, err);
	do {
		expected = va_arg(ap, int);
	} while (expected && expected != err);
	va_end(ap);
	if (expected)
		me->stats->refused++;
	else if (!me->stats->errors++)
		snprintf(me->stats->first, sizeof(me->stats->first), "%s: %s",
			 what, strerror(err));
}

/** job_timeout - score one operation that was given up */
void job_timeout(void)
{
	me->stats->timeouts++;
}

/**
 * job_lacks - say why a job cannot run here
 * @need: what it needs
 * @have: what there is instead
 *
 * Return: the text, good until the next call.
 */
const char *job_lacks(const char *need, const char *have, ...)
{
	static char text[200];
	size_t len = snprintf(text, sizeof(text), "need %s, have ", need);
	va_list ap;

	va_start(ap, have);
	vsnprintf(text + len, sizeof(text) - len, have, ap);
	va_end(ap);
	return text;
}

/**
 * read_number - a file with one number
 * @path: the file
 *
 * Return: the number, 0 when there is no such file.
 */
unsigned long read_number(const char *path)
{
	char text[64];

	return read_text(path, text, sizeof(text)) > 0 ?
	       strtoul(text, NULL, 0) : 0;
}
