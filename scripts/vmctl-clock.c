// SPDX-License-Identifier: GPL-2.0
/*
 * vmctl, the clock its limits count on: time during which the machine could
 * have run.  Two builds beside it on a host of two CPUs, and a guest that boots
 * in four seconds has not printed a line after sixty; that says nothing about
 * the guest.  Time its threads spent waiting for a CPU does not count.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vmctl.h"

#define MAX_THREADS	64

static struct thread {
	int tid;
	unsigned long long waited;	/* ns in the run queue, ever */
} threads[MAX_THREADS];

static double last_wall, fair = FAIR_START;

/* ns this thread has waited since the last look; 0 at the first one */
static unsigned long long new_wait(int tid, unsigned long long waited)
{
	unsigned long long delta;
	int i;

	for (i = 0; i < MAX_THREADS; i++) {
		if (threads[i].tid && threads[i].tid != tid)
			continue;
		delta = threads[i].tid ? waited - threads[i].waited : 0;
		threads[i] = (struct thread){ tid, waited };
		return delta;
	}
	return 0;
}

/*
 * Advances the clock by the real time since the last call, less the longest
 * wait of any thread of process @pid: one vCPU that cannot run holds up all.
 * Without schedstat in the host's kernel this is real time.
 */
double fair_time(int pid)
{
	unsigned long long waited, delta, longest = 0;
	double wall = now(), step = last_wall ? wall - last_wall : 0;
	char path[64];
	struct dirent *entry;
	DIR *dir;
	FILE *f;

	last_wall = wall;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		int tid = atoi(entry->d_name);

		if (!tid)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", pid,
			 tid);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%*u %llu", &waited) == 1) {
			delta = new_wait(tid, waited);
			if (delta > longest)
				longest = delta;
		}
		fclose(f);
	}
	if (dir)
		closedir(dir);
	step -= longest / 1e9;
	if (step > 0)
		fair += step;
	return fair;
}
