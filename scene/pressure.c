// SPDX-License-Identifier: GPL-2.0
/*
 * Memory pressure: a kernel in which part of the memory is movable-only, that
 * memory full of something or free, and a load that takes unmovable memory. How
 * much does it get, what does reclaim do, who is killed?
 *
 * The load is a process of its own, the eater, with bystanders beside it that
 * do nothing but own 4 MB each. The scene itself cannot be killed. What counts
 * is the moment of the first kill, which the debug module records.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pressure.h"
#include "scene.h"

#define MAX_BYSTANDERS	200
#define BYSTANDER_BYTES	(4UL << 20)
#define ONLINE_S	10
#define PROGRESS_MS	10000

static const char *content = "free", *load = "pages", *gfp = "kernel";
static const char *online, *disk = "/dev/vda";
static unsigned long count, leave_mb = 96, hot_mb;
static unsigned int nr_bystanders = 20;
static bool mglru, protect, percent, give_back;
static pid_t bystanders[MAX_BYSTANDERS];

static void score(const char *adjustment)
{
	if (write_text("/proc/self/oom_score_adj", adjustment))
		scene_die(SCENE_ENV, "oom_score_adj: %s", strerror(errno));
}

/* DIMMs that were there at boot wait for somebody to say what they are */
static void online_blocks(void)
{
	unsigned long ids[1024];
	int nr = blocks_present(ids, 1024), err, i;
	double ms;

	for (i = 0; i < nr; i++) {
		if (!block_is(ids[i], "offline"))
			continue;
		err = block_set(ids[i], online, ONLINE_S, &ms);
		if (err)
			scene_die(SCENE_FAILED, "memory%lu: %s: %s", ids[i],
				  online, strerror(err));
	}
}

static void mount_disk(void)
{
	mkdir(RUN_DIR, 0700);
	mkdir(PRESSURE_DISK, 0755);
	/* Nothing for the thread that initialises it, which would take memory too */
	if (mount(disk, PRESSURE_DISK, "ext4", MS_NOATIME,
		  "noinit_itable,no_prefetch_block_bitmaps"))
		scene_die(SCENE_ENV, "mount %s: %s", disk, strerror(errno));
}

/* A child that the OOM killer may have, and that ends with the scene */
static pid_t child(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		scene_die(SCENE_ENV, "fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		score("0");
	}
	return pid;
}

static void bystanders_start(void)
{
	int ready[2];
	unsigned int i;
	char *data, c = 0;

	if (pipe(ready))
		scene_die(SCENE_ENV, "pipe: %s", strerror(errno));
	for (i = 0; i < nr_bystanders; i++) {
		bystanders[i] = child();
		if (bystanders[i])
			continue;
		prctl(PR_SET_NAME, "bystander");
		data = mmap(NULL, BYSTANDER_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (data == MAP_FAILED)
			_exit(2);
		madvise(data, BYSTANDER_BYTES, MADV_NOHUGEPAGE);
		memset(data, 1, BYSTANDER_BYTES);
		if (write(ready[1], &c, 1) != 1)
			_exit(2);
		for (;;)
			pause();
	}
	for (i = 0; i < nr_bystanders; i++)
		if (read(ready[0], &c, 1) != 1)
			scene_die(SCENE_FAILED, "a bystander did not start");
	close(ready[0]);
	close(ready[1]);
}

static unsigned int bystanders_alive(void)
{
	unsigned int i, alive = 0;

	for (i = 0; i < nr_bystanders; i++)
		alive += !waitpid(bystanders[i], NULL, WNOHANG);
	return alive;
}

/* Lines of the debug module become lines of the scene */
static void copy_lines(const char *file)
{
	char path[96], text[4096], *line, *rest = text;

	snprintf(path, sizeof(path), PB_DIR "/%s", file);
	if (read_text(path, text, sizeof(text)) < 0)
		scene_die(SCENE_ENV, "%s: %s", path, strerror(errno));
	while ((line = strsep(&rest, "\n")))
		if (*line)
			printf("scene %s\n", line);
	fflush(stdout);
}

/* Some kernels take minutes to find out that they have no memory */
static bool wait_for(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	double begin = now_ms();
	char c;

	while (!poll(&p, 1, PROGRESS_MS))
		scene_step("pressure: load: %.0f s of guest time",
			   (now_ms() - begin) / 1000);
	return read(fd, &c, 1) == 1;
}

/*
 * The eater, until it cannot go on. It still has what it ate while the numbers
 * are taken, unless it was killed: then that is gone but for the pages that the
 * debug module holds.
 */
static void eat(void)
{
	int done[2], status;
	struct eaten *eaten;
	bool ended;
	char c = 0;
	pid_t pid;

	eaten = mmap(NULL, sizeof(*eaten), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (eaten == MAP_FAILED || pipe2(done, O_CLOEXEC))
		scene_die(SCENE_ENV, "eater: %s", strerror(errno));
	pid = child();
	if (!pid) {
		prctl(PR_SET_NAME, "eater");
		if (protect)
			score("-1000");
		close(done[0]);
		load_eat(load, count, gfp, eaten);
		if (write(done[1], &c, 1) == 1)
			pause();
		_exit(0);
	}
	close(done[1]);
	ended = wait_for(done[0]);
	copy_lines("kills");
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		scene_die(SCENE_FAILED, "the eater ended, status %#x", status);
	printf("scene load name=%s end=%s error=%d ops=%llu worst_ns=%llu ns=%llu spare=%lu\n",
	       load, ended ? eaten->error ? "failed" : "count" : "killed",
	       eaten->error, (unsigned long long)eaten->ops,
	       (unsigned long long)eaten->worst_ns,
	       (unsigned long long)eaten->ns, eaten->spare);
}

static void pressure(void)
{
	struct zones z;

	score("-1000");
	if (mglru && write_text("/sys/kernel/mm/lru_gen/enabled", "y"))
		scene_die(SCENE_ENV, "lru_gen: %s", strerror(errno));
	if (give_back)
		kmsg_open();
	if (online)
		online_blocks();
	if (content_needs_disk(content) || hot_mb || !strcmp(load, "ext4"))
		mount_disk();
	bystanders_start();
	scene_step("pressure: filling memory: %s", content);
	content_fill(content, leave_mb);
	if (hot_mb) {
		content_drop_ordinary(hot_mb);
		hot_warm(hot_mb);
	}
	if (!strcmp(content, "half"))
		content_drop_half();
	write_text(PB_DIR "/alloc", "drain");
	zones_read(&z);
	zones_report();
	printf("scene size usable=%lu movable_only=%lu min=%lu reserve=%lu unmovable=%lu bound=%lu movable_only_free=%lu\n",
	       z.usable, z.movable_only, z.min, z.reserve, z.unmovable,
	       z.bound, z.movable_only_free);
	if (percent)
		count = z.bound * count / 100;
	scene_step("pressure: load: %s", load);
	vmstat_begin();
	if (write_text(PB_DIR "/kills", "1"))
		scene_die(SCENE_ENV, PB_DIR "/kills: %s", strerror(errno));
	eat();
	copy_lines("press");
	vmstat_report();
	hot_report();
	nap_ms(200);	/* for those who are dying */
	printf("scene bystanders nr=%u alive=%u\n", nr_bystanders,
	       bystanders_alive());
	write_text(PB_DIR "/press", "free");
	/* Not before: to end it starts kernel threads, and they need memory */
	write_text(PB_DIR "/kills", "0");
	if (give_back)
		harvest_report();
	oom_report();
}

/* A number, or so much percent of what can be had */
static unsigned long number(const char *text, bool *percent_of)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*percent_of = !strcmp(end, "%");
	return n;
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "c:l:n:g:b:f:o:h:GXR")) != -1) {
		switch (c) {
		case 'c': content = optarg; break;
		case 'l': load = optarg; break;
		case 'n': count = number(optarg, &percent); break;
		case 'g': gfp = optarg; break;
		case 'b': nr_bystanders = strtoul(optarg, NULL, 10); break;
		case 'f': leave_mb = strtoul(optarg, NULL, 10); break;
		case 'o': online = optarg; break;
		case 'h': hot_mb = strtoul(optarg, NULL, 10); break;
		case 'G': mglru = true; break;
		case 'X': protect = true; break;
		case 'R': give_back = true; break;
		default: optind = argc + 1;
		}
	}
	if (argc != optind || !content_known(content) || !load_known(load) ||
	    nr_bystanders > MAX_BYSTANDERS) {
		fprintf(stderr, "usage: pressure [-c CONTENT] [-l LOAD] [-n COUNT] [-g GFP] [-b BYSTANDERS] [-f LEAVE_MB] [-o online_TYPE] [-h HOT_MB] [-G (MGLRU)] [-X (eater cannot be killed)] [-R (wait for what was harvested)]\n");
		return SCENE_ENV;
	}
	printf("scene begin content=%s load=%s count=%lu gfp=%s bystanders=%u leave_mb=%lu hot_mb=%lu mglru=%d protect=%d\n",
	       content, load, count, gfp, nr_bystanders, leave_mb, hot_mb,
	       mglru, protect);
	pressure();
	printf("scene end\n");
	return SCENE_OK;
}
