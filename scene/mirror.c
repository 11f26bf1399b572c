// SPDX-License-Identifier: GPL-2.0
/*
 * The mirror reserve when all other memory is gone, when it is gone itself, and
 * when it is given back.
 *
 *  1. An eater takes anonymous memory until the OOM killer takes the eater, and
 *     at the worst moment __GFP_MIRROR requests are served from the reserve.
 *  2. Page tables of a second eater fill the reserve: the rest of its requests
 *     are served with ordinary memory, and counted.
 *  3. Both are gone: everything is home again.
 *  4. The reserve is handed to the page allocator and taken back.
 *
 * The audit looks all the time; where memory is, the debug module tells by
 * address. A machine without a reserve plays what it can for comparison (-p): the
 * marks, and how much the first eater gets.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

#define MIRROR		PB_DIR "/mirror"
#define SYS		"/sys/kernel/mm/mirror_reserve"
#define KPF_USER	((1ULL << 5) | (1ULL << 11) | (1ULL << 12) | (1ULL << 13))
#define KPF_PGTABLE	(1ULL << 26)
#define RESERVE_BLOCKS	8192
#define HELD_PAGES	4096
#define EATEN_AT_ONCE	(64UL << 10)

static unsigned long blocks[RESERVE_BLOCKS];
static int nr_blocks;

static long number_in(const char *path, const char *key)
{
	static char text[65536];
	char *at;

	if (read_text(path, text, sizeof(text)) < 0)
		scene_die(SCENE_ENV, "%s: %s", path, strerror(errno));
	at = text;
	while ((at = strstr(at, key)) && at != text && at[-1] != '\n' && at[-1] != ' ')
		at++;
	return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

static long vmstat(const char *key)
{
	return number_in("/proc/vmstat", key);
}

/* The walk of the debug module over all nodes: free and all pages */
static void walk(long *free_pages, long *all, long *counted)
{
	char text[4096], *line;
	long p, f, n;

	*free_pages = *all = *counted = 0;
	if (read_text(MIRROR, text, sizeof(text)) < 0)
		scene_die(SCENE_ENV, MIRROR ": %s", strerror(errno));
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		if (sscanf(line, "node=%*d pages=%ld free=%ld largest=%*d nr_free=%ld",
			   &p, &f, &n) != 3)
			continue;
		*all += p;
		*free_pages += f;
		*counted += n;
	}
}

static void find_blocks(void)
{
	char line[160], type[32];
	unsigned long pfn;
	FILE *map = fopen(PB_DIR "/map", "re");

	if (!map)
		scene_die(SCENE_ENV, "no map: %s", strerror(errno));
	nr_blocks = 0;
	while (nr_blocks < RESERVE_BLOCKS && fgets(line, sizeof(line), map)) {
		if (sscanf(line, "%lu %*d %*s %31s", &pfn, type) == 2 &&
		    !strcmp(type, "Mirror"))
			blocks[nr_blocks++] = pfn;
	}
	fclose(map);
}

/* Pages of the reserve with one of these flags */
static long count_flags(uint64_t any)
{
	static uint64_t flags[1 << 15];
	long per = pageblock_pages(), found = 0;
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC), b;

	if (fd < 0 || per > 1 << 15)
		scene_die(SCENE_ENV, "kpageflags: %s", strerror(errno));
	for (b = 0; b < nr_blocks; b++) {
		if (pread(fd, flags, per * 8, blocks[b] * 8) != per * 8)
			scene_die(SCENE_FAILED, "kpageflags of pfn %lu: %s",
				  blocks[b], strerror(errno));
		for (long i = 0; i < per; i++)
			found += !!(flags[i] & any);
	}
	close(fd);
	return found;
}

static void report(const char *when)
{
	long free_pages, all, counted;

	walk(&free_pages, &all, &counted);
	printf("scene mirror when=%s pages=%ld free=%ld counted=%ld user=%ld pagetables=%ld alloc=%ld fallback=%ld mem_free=%ld oom_kill=%ld\n",
	       when, all, free_pages, counted, count_flags(KPF_USER),
	       count_flags(KPF_PGTABLE), vmstat("mirror_alloc "),
	       vmstat("mirror_fallback "), vmstat("nr_free_pages "),
	       vmstat("oom_kill "));
	fflush(stdout);
}

static void be_first_to_die(void)
{
	write_text("/proc/self/oom_score_adj", "1000");
}

/* Takes memory until it is killed, and says in *@eaten how much, in kB */
static pid_t eat_memory(volatile long *eaten)
{
	const size_t most = 64UL << 30;
	pid_t pid = fork();
	char *area;

	if (pid)
		return pid;
	be_first_to_die();
	area = mmap(NULL, most, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED || madvise(area, most, MADV_NOHUGEPAGE))
		_exit(1);
	for (size_t at = 0; at < most; at += EATEN_AT_ONCE) {
		memset(area + at, 1, EATEN_AT_ONCE);
		*eaten += EATEN_AT_ONCE >> 10;
	}
	_exit(1);
}

/* Takes page tables: one for each 2 MB that has a page of zeroes in it */
static pid_t eat_page_tables(int ready, long tables)
{
	const size_t step = 2UL << 20;
	pid_t pid = fork();
	volatile char *area;
	char sum = 0;

	if (pid)
		return pid;
	be_first_to_die();
	area = mmap(NULL, tables * step, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED || madvise((void *)area, tables * step, MADV_NOHUGEPAGE))
		_exit(1);
	for (long i = 0; i < tables; i++)
		sum += area[i * step];
	if (write(ready, &sum, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void held(const char *when)
{
	printf("scene held when=%s in=%ld out=%ld\n", when,
	       number_in(MIRROR, "in="), number_in(MIRROR, "out="));
}

static void ask(const char *what, bool may_fail)
{
	int ret = write_text(MIRROR, what);

	if (ret && !may_fail)
		scene_die(SCENE_FAILED, "'%s': %s", what, strerror(ret));
	printf("scene ask what=\"%s\" rc=%d\n", what, ret);
}

static void until_oom(bool reserve)
{
	long kills = vmstat("oom_kill "), lowest = vmstat("nr_free_pages ");
	volatile long *eaten = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char what[64];
	long served = 0;
	siginfo_t end = { 0 };
	pid_t eater;
	int status;

	if (eaten == MAP_FAILED)
		scene_die(SCENE_ENV, "mmap: %s", strerror(errno));
	eater = eat_memory(eaten);
	snprintf(what, sizeof(what), "0 %d strict", HELD_PAGES / 64);
	while (vmstat("oom_kill ") == kills) {
		if (!waitid(P_PID, eater, &end, WEXITED | WNOHANG | WNOWAIT) &&
		    end.si_pid && end.si_code != CLD_KILLED)
			scene_die(SCENE_FAILED, "the eater ended by itself");
		/* A few at a time all the way down, whatever is left elsewhere */
		if (reserve && served < HELD_PAGES && !write_text(MIRROR, what))
			served += HELD_PAGES / 64;
		if (vmstat("nr_free_pages ") < lowest)
			lowest = vmstat("nr_free_pages ");
		nap_ms(20);
	}
	printf("scene oom lowest_free=%ld served=%ld eaten_kb=%ld\n", lowest,
	       served, *eaten);
	if (reserve) {
		report("oom");
		held("oom");
	}
	kill(eater, SIGKILL);
	waitpid(eater, &status, 0);
	munmap((void *)eaten, getpagesize());
	if (reserve)
		ask("free", false);
}

static void until_empty(void)
{
	int ready[2], status;
	long tables = vmstat("nr_free_mirror ") + 2000;
	pid_t eater;
	char c;

	if (pipe(ready))
		scene_die(SCENE_ENV, "pipe: %s", strerror(errno));
	eater = eat_page_tables(ready[1], tables);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		scene_die(SCENE_FAILED, "no %ld page tables: the eater ended", tables);
	report("empty");
	/* More than somebody else's page table or two that has come home since */
	ask("0 128 strict", true);
	ask("0 1 unmovable", false);
	held("empty");
	ask("free", false);
	kill(eater, SIGKILL);
	waitpid(eater, &status, 0);
	close(ready[0]);
}

static void resize(long percent)
{
	char path[128], text[32];
	long kb, unit;
	int nid, ret;

	for (nid = 0; nid < 64; nid++) {
		snprintf(path, sizeof(path), SYS "/node%d/max_kb", nid);
		if (access(path, F_OK))
			continue;
		read_text(path, text, sizeof(text));
		unit = 4096;
		kb = strtol(text, NULL, 10) * percent / 100 / unit * unit;
		snprintf(path, sizeof(path), SYS "/node%d/size_kb", nid);
		snprintf(text, sizeof(text), "%ld", kb);
		ret = write_text(path, text);
		printf("scene resize node=%d kb=%ld rc=%d mem_total=%ld\n", nid, kb,
		       ret, number_in("/proc/meminfo", "MemTotal:"));
		if (ret)
			scene_die(SCENE_FAILED, "%s: %s: %s", path, text, strerror(ret));
	}
}

/* What the page allocator has, and its marks: the reserve must not show there */
static void marks(void)
{
	static const char *const names[] = { "managed", "min", "low", "high" };
	long sum[4] = { 0 }, value;
	char line[160], name[32];
	FILE *f = fopen("/proc/zoneinfo", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %31s %ld", name, &value) != 2)
			continue;
		for (int i = 0; i < 4; i++)
			sum[i] += strcmp(name, names[i]) ? 0 : value;
	}
	if (f)
		fclose(f);
	printf("scene marks managed=%ld min=%ld low=%ld high=%ld free=%ld\n",
	       sum[0], sum[1], sum[2], sum[3], vmstat("nr_free_pages "));
}

int main(int argc, char **argv)
{
	printf("scene begin\n");
	marks();
	if (argc > 1) {
		if (strcmp(argv[1], "-p"))
			scene_die(SCENE_ENV, "unknown option '%s', known: -p (what needs no reserve)", argv[1]);
		until_oom(false);
		printf("scene end\n");
		return SCENE_OK;
	}
	if (number_in("/proc/meminfo", "MirrorTotal:") <= 0)
		scene_die(SCENE_ENV, "no mirror reserve: boot with mirror_reserve=");
	find_blocks();
	map_print("before");
	audit_start(50);
	report("start");
	scene_step("until the OOM killer comes");
	until_oom(true);
	scene_step("until the reserve is empty");
	until_empty();
	/* What RCU and workqueues still had to free */
	nap_ms(500);
	report("freed");
	scene_step("given back and taken again");
	resize(50);
	report("returned");
	resize(100);
	report("taken");
	audit_stop();
	counters_print("end", -1);
	printf("scene end\n");
	return SCENE_OK;
}
