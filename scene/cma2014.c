// SPDX-License-Identifier: GPL-2.0
/*
 * The scene of 2014 that began the work on the accounting of free pages: 4
 * CPUs, 1 GB, a quarter of it CMA, a build at work, and again and again as
 * many CMA allocations of 8 MB as nearly fill the area. Then, thousands of
 * free pages were in no counter after it.
 *
 * The build is gcc and make at work on sources that are on the disk, which is
 * also what they come from (scripts/build-toolchain): a chroot.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

#define CMA_DIR		"/sys/kernel/debug/cma"
#define ROOT_DIR	RUN_DIR "/disk"
#define PER_ROUND	30
#define PAGES		2048UL		/* 8 MB */
#define AREA_PAGES	65536UL		/* 256 MB */
#define WARM_MS		20000		/* for the build to fill memory */

static unsigned int rounds = 30, interval_ms = 5000, audit_ms = 50;
static const char *disk = "/dev/vda", *build_jobs = "8";
static char area[64] = "reserved";	/* the one that cma= makes */

static unsigned long cma_number(const char *file)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), CMA_DIR "/%s/%s", area, file);
	return read_text(path, text, sizeof(text)) > 0 ?
	       strtoul(text, NULL, 0) : 0;
}

static int cma_write(const char *file, unsigned long pages)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), CMA_DIR "/%s/%s", area, file);
	snprintf(text, sizeof(text), "%lu", pages);
	return write_text(path, text);
}

static void mount_all(void)
{
	mkdir("/run", 0755);
	mkdir(RUN_DIR, 0700);
	mkdir(ROOT_DIR, 0755);
	if (mount(disk, ROOT_DIR, "ext4", MS_NOATIME, NULL))
		scene_die(SCENE_ENV, "mount %s: %s", disk, strerror(errno));
	if (access(ROOT_DIR "/src/Makefile", R_OK))
		scene_die(SCENE_ENV, "%s has nothing to build", disk);
	if (mount("devtmpfs", ROOT_DIR "/dev", "devtmpfs", 0, NULL))
		scene_die(SCENE_ENV, "mount /dev: %s", strerror(errno));
}

/* Its output is kept: it tells how much was compiled, and why if nothing was */
static pid_t build_start(void)
{
	static const char script[] =
		"n=0; while :; do"
		" make -s -C /src OUTPUT=/out CC=gcc -j$0 all >/log 2>&1 || exit 1;"
		" rm -rf /out; n=$((n+1)); echo $n >/builds; done";
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		scene_die(SCENE_ENV, "fork: %s", strerror(errno));
	if (pid)
		return pid;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (chroot(ROOT_DIR) || chdir("/"))
		_exit(2);
	setenv("PATH", "/usr/bin", 1);
	setenv("TMPDIR", "/tmp", 1);
	execl("/usr/bin/sh", "sh", "-c", script, build_jobs, NULL);
	_exit(2);
}

static void build_check(pid_t pid)
{
	char text[1024];
	int status;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return;
	read_text(ROOT_DIR "/log", text, sizeof(text));
	printf("# build: %s\n", text);
	scene_die(SCENE_FAILED, "the build ended, status %d", status);
}

static void build_stop(pid_t pid)
{
	char text[32] = "0";

	kill(-pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	/* What it had started are its group, not our children */
	while (!kill(-pid, 0))
		nap_ms(50);
	read_text(ROOT_DIR "/builds", text, sizeof(text));
	printf("scene build jobs=%s completed=%lu\n", build_jobs,
	       strtoul(text, NULL, 10));
}

static unsigned int one_round(unsigned int round)
{
	unsigned int i, got = 0;
	double begin = now_ms(), ms, worst = 0;

	for (i = 0; i < PER_ROUND; i++) {
		ms = now_ms();
		got += !cma_write("alloc", PAGES);
		ms = now_ms() - ms;
		if (ms > worst)
			worst = ms;
	}
	printf("scene round n=%u got=%u of=%u ms=%.0f worst_ms=%.0f used=%lu\n",
	       round, got, PER_ROUND, now_ms() - begin, worst,
	       cma_number("used"));
	fflush(stdout);
	cma_write("free", got * PAGES);
	return got;
}

static void wait_ms(pid_t build, unsigned int ms)
{
	double end = now_ms() + ms;

	do {
		build_check(build);
		nap_ms(200);
	} while (now_ms() < end);
}

static void scene(void)
{
	unsigned long got = 0, spare = cma_number("count") - AREA_PAGES;
	double begin = now_ms();
	unsigned int round;
	pid_t build;

	audit_start(audit_ms);
	mount_all();
	/* A larger area: what is too much of it is out of the game */
	if (spare && cma_write("alloc", spare))
		scene_die(SCENE_FAILED, "cannot take %lu of the %lu pages of the CMA area",
			  spare, spare + AREA_PAGES);
	events_begin();
	build = build_start();
	wait_ms(build, WARM_MS);
	for (round = 1; round <= rounds; round++) {
		got += one_round(round);
		wait_ms(build, interval_ms);
		if (round % 5 == 0)
			scene_step("round %u of %u, %lu of %u allocations",
				   round, rounds, got, round * PER_ROUND);
	}
	printf("scene soaked seconds=%.1f\n", (now_ms() - begin) / 1000);
	build_stop(build);
	cma_write("free", spare);
	events_report();
	umount(ROOT_DIR "/dev");
	rest_drain();
	audit_stop();
	rest_report();
	printf("scene sum rounds=%u got=%lu of=%u used=%lu\n", rounds, got,
	       rounds * PER_ROUND, cma_number("used"));
	counters_print("end", -1);
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "r:i:a:d:j:c:")) != -1) {
		switch (c) {
		case 'r': rounds = strtoul(optarg, NULL, 10); break;
		case 'i': interval_ms = strtoul(optarg, NULL, 10); break;
		case 'a': audit_ms = strtoul(optarg, NULL, 10); break;
		case 'd': disk = optarg; break;
		case 'j': build_jobs = optarg; break;
		case 'c': snprintf(area, sizeof(area), "%s", optarg); break;
		default: optind = argc + 1;
		}
	}
	if (argc != optind || !rounds || !audit_ms) {
		fprintf(stderr, "usage: cma2014 [-r ROUNDS] [-i INTERVAL_MS] [-a AUDIT_MS] [-d DISK] [-j BUILD_JOBS] [-c CMA_AREA]\n");
		return SCENE_ENV;
	}
	printf("scene begin rounds=%u interval_ms=%u audit_ms=%u build_jobs=%s\n",
	       rounds, interval_ms, audit_ms, build_jobs);
	if (cma_number("count") < AREA_PAGES) {
		printf("scene skip job=cma2014 why=\"need a CMA area %s of %lu pages (cma=256M), have %lu\"\n",
		       area, AREA_PAGES, cma_number("count"));
		return 4;
	}
	scene();
	printf("scene end\n");
	return SCENE_OK;
}
