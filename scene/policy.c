// SPDX-License-Identifier: GPL-2.0
/*
 * A machine grows by hot-added memory that nobody says anything about, does a job
 * that takes much kernel memory, and shrinks again: what the online policy makes
 * of that.
 *
 *  1. DIMMs are added. They go online by themselves, as the policy decides.
 *  2. tar extracts very many small files; bystanders own memory beside it.
 *  3. The file system is unmounted: nobody wants that memory any more. What was
 *     harvested has a minute to be given back.
 *  4. All DIMMs are to be unplugged, the last one first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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

#include "policy.h"
#include "scene.h"

#define SYSMEM		"/sys/devices/system/memory"
#define DISK_DIR	RUN_DIR "/disk"
#define MAX_IDS		1024
#define NR_BYSTANDERS	10
#define BYSTANDER_BYTES	(4UL << 20)
#define PLUG_MS		60000
#define RETURN_MS	60000
#define UNPLUG_MS	60000
#define POLL_MS		100
#define AUDIT_MS	500

static int nr_dimms = 6, dimm_mb = 512;
static unsigned long files = 700000;
static pid_t bystanders[NR_BYSTANDERS];
static unsigned long boot[MAX_IDS];
static int nr_boot;

static long vmstat(const char *name)
{
	FILE *f = fopen("/proc/vmstat", "re");
	char word[64];
	long value = -1;

	if (!f)
		scene_die(SCENE_ENV, "/proc/vmstat: %s", strerror(errno));
	while (fscanf(f, "%63s %ld", word, &value) == 2 && strcmp(word, name))
		value = -1;
	fclose(f);
	return value;
}

/**
 * oom_kills - how many tasks the OOM killer has killed
 *
 * Return: that number.
 */
long oom_kills(void)
{
	return vmstat("oom_kill");
}

/**
 * memory_report - where memory is now
 * @when: which moment that is
 */
void memory_report(const char *when)
{
	static const char *const names[] = {
		"nr_free_pages", "nr_free_hotremove", "nr_slab_reclaimable",
		"nr_slab_unreclaimable", "nr_inactive_file", "nr_active_file",
		"hotremove_harvest", "hotremove_return", "oom_kill",
	};
	size_t i;

	write_text("/proc/sys/vm/stat_refresh", "1");
	printf("scene memory when=%s", when);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		printf(" %s=%ld", names[i], vmstat(names[i]));
	putchar('\n');
	fflush(stdout);
}

static bool hot_added(unsigned long id)
{
	int i;

	for (i = 0; i < nr_boot; i++)
		if (boot[i] == id)
			return false;
	return true;
}

/* What the hot-added memory blocks are, by their zone and their type */
static void blocks_report(const char *when)
{
	unsigned long ids[MAX_IDS];
	int nr = blocks_present(ids, MAX_IDS), i, added = 0;
	int movable = 0, hotremove = 0, kernel = 0, offline = 0;
	char path[96], text[64];

	for (i = 0; i < nr; i++) {
		if (!hot_added(ids[i]))
			continue;
		added++;
		snprintf(path, sizeof(path), SYSMEM "/memory%lu/valid_zones", ids[i]);
		if (!block_is(ids[i], "online")) {
			offline++;
		} else if (read_text(path, text, sizeof(text)) > 0 &&
			   !strcmp(text, "Movable")) {
			movable++;
		} else {
			snprintf(path, sizeof(path), SYSMEM "/memory%lu/online_type",
				 ids[i]);
			if (read_text(path, text, sizeof(text)) > 0 &&
			    !strcmp(text, "online_hotremove"))
				hotremove++;
			else
				kernel++;
		}
	}
	printf("scene blocks when=%s added=%d movable=%d hotremove=%d kernel=%d offline=%d\n",
	       when, added, movable, hotremove, kernel, offline);
	fflush(stdout);
}

static int nr_added(bool online)
{
	unsigned long ids[MAX_IDS];
	int nr = blocks_present(ids, MAX_IDS), i, added = 0;

	for (i = 0; i < nr; i++)
		added += hot_added(ids[i]) && (!online || block_is(ids[i], "online"));
	return added;
}

static void host(char *reply, size_t len, const char *verb, int dimm, const char *size)
{
	char id[16];

	snprintf(id, sizeof(id), "d%d", dimm);
	if (host_request(reply, len, verb, id, size, size ? "0" : NULL))
		scene_die(SCENE_ENV, "%s %s: %s", verb, id, reply);
}

static void grow(void)
{
	int per_dimm = dimm_mb / (block_pages() >> 8), i;
	char reply[256], size[16];
	double end;

	nr_boot = blocks_present(boot, MAX_IDS);
	snprintf(size, sizeof(size), "%d", dimm_mb);
	for (i = 0; i < nr_dimms; i++) {
		host(reply, sizeof(reply), "add", i, size);
		for (end = now_ms() + PLUG_MS; nr_added(true) < (i + 1) * per_dimm;
		     nap_ms(POLL_MS))
			if (now_ms() > end)
				scene_die(SCENE_FAILED, "DIMM %d: %d of %d blocks online", i,
					  nr_added(true) - i * per_dimm, per_dimm);
	}
}

static void bystanders_start(void)
{
	char *data;
	int i;

	for (i = 0; i < NR_BYSTANDERS; i++) {
		fflush(stdout);
		bystanders[i] = fork();
		if (bystanders[i] < 0)
			scene_die(SCENE_ENV, "fork: %s", strerror(errno));
		if (bystanders[i])
			continue;
		prctl(PR_SET_NAME, "bystander");
		write_text("/proc/self/oom_score_adj", "0");
		data = mmap(NULL, BYSTANDER_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (data == MAP_FAILED)
			_exit(2);
		memset(data, 1, BYSTANDER_BYTES);
		for (;;)
			pause();
	}
}

static void bystanders_stop(void)
{
	int i, alive = 0;

	for (i = 0; i < NR_BYSTANDERS; i++) {
		if (!waitpid(bystanders[i], NULL, WNOHANG)) {
			alive++;
			kill(bystanders[i], SIGKILL);
			waitpid(bystanders[i], NULL, 0);
		}
	}
	printf("scene bystanders nr=%d alive=%d\n", NR_BYSTANDERS, alive);
}

/* Return: false if it hangs for good: then there is no end of the load */
static bool job(void)
{
	bool ended;

	mkdir(RUN_DIR, 0700);
	mkdir(DISK_DIR, 0755);
	if (mount("/dev/vda", DISK_DIR, "ext4", MS_NOATIME, NULL))
		scene_die(SCENE_ENV, "mount /dev/vda: %s", strerror(errno));
	scene_step("policy: tar extracts %lu files", files);
	ended = tar_extract(DISK_DIR, files);
	memory_report("done");
	blocks_report("done");
	bystanders_stop();
	if (!ended)
		return false;
	if (umount(DISK_DIR))
		scene_die(SCENE_FAILED, "umount: %s", strerror(errno));
	memory_report("ended");
	return true;
}

/* What is in the way: a conversion by hand is refused as well, but it says why */
static void name_offenders(void)
{
	unsigned long ids[MAX_IDS];
	int nr = blocks_present(ids, MAX_IDS), i;
	char path[96], text[64];

	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), SYSMEM "/memory%lu/online_type", ids[i]);
		if (!hot_added(ids[i]) || read_text(path, text, sizeof(text)) < 0 ||
		    !strcmp(text, "online_hotremove"))
			continue;
		kmsg_mark();
		write_text(path, "online_hotremove");
		kmsg_explain(ids[i], 0);
		block_contents(ids[i]);
		block_owners(ids[i]);
	}
}

/* What was harvested comes back by itself, if at all */
static void give_back(void)
{
	double begin = now_ms();

	while (vmstat("hotremove_return") < vmstat("hotremove_harvest") &&
	       now_ms() < begin + RETURN_MS)
		nap_ms(POLL_MS);
	printf("scene returned harvested=%ld returned=%ld ms=%.0f\n",
	       vmstat("hotremove_harvest"), vmstat("hotremove_return"),
	       now_ms() - begin);
	blocks_report("returned");
	if (vmstat("hotremove_return") < vmstat("hotremove_harvest"))
		name_offenders();
}

/* The kernel may try for ever, or give up: one minute is enough for either */
static bool unplug(int dimm)
{
	char reply[256], gone[256] = "";
	double begin = now_ms();
	int before = nr_added(false);
	bool ok, gave_up = false;

	kmsg_mark();
	host(reply, sizeof(reply), "del", dimm, NULL);
	do {
		nap_ms(POLL_MS);
		host(gone, sizeof(gone), "query", dimm, NULL);
		ok = !strcmp(gone, "ok absent") && nr_added(false) < before;
		gave_up = gave_up || kmsg_saw("Offline failed");
	} while (!ok && !gave_up && now_ms() < begin + UNPLUG_MS);
	if (!ok && !gave_up)
		close(open("/run/eject-pending", O_CREAT | O_WRONLY, 0600));
	printf("scene unplug dimm=%d ok=%d gave_up=%d ms=%.0f\n", dimm, ok, gave_up,
	       now_ms() - begin);
	return ok;
}

static void shrink(void)
{
	int i, ok = 0;

	for (i = nr_dimms - 1; i >= 0; i--)
		ok += unplug(i);
	blocks_report("unplugged");
	printf("scene shrunk unplugged=%d of=%d\n", ok, nr_dimms);
	scene_step("policy: %d of %d DIMMs unplugged", ok, nr_dimms);
}

/* Only now: a look at all of the memory takes as long as a hundred files */
static void audit(void)
{
	audit_start(AUDIT_MS);
	nap_ms(5 * AUDIT_MS);
	audit_stop();
}

static unsigned long number(const char *text, unsigned long max)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || !n || n > max) {
		fprintf(stderr, "policy: '%s' is no number from 1 to %lu\n", text, max);
		exit(SCENE_ENV);
	}
	return n;
}

int main(int argc, char **argv)
{
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	while ((c = getopt(argc, argv, "d:m:f:")) != -1) {
		switch (c) {
		case 'd': nr_dimms = number(optarg, 16); break;
		case 'm': dimm_mb = number(optarg, 4096); break;
		case 'f': files = number(optarg, 10000000); break;
		default: optind = argc + 1;
		}
	}
	if (optind != argc) {
		fprintf(stderr, "usage: policy [-d DIMMS] [-m MB_OF_EACH] [-f FILES]\n");
		return SCENE_ENV;
	}
	if (write_text("/proc/self/oom_score_adj", "-1000"))
		scene_die(SCENE_ENV, "oom_score_adj: %s", strerror(errno));
	kmsg_open();
	grow();
	blocks_report("grown");
	bystanders_start();
	if (job()) {
		give_back();
		shrink();
		audit();
	}
	printf("scene end\n");
	return SCENE_OK;
}
