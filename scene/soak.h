/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver of the soak, by parts:
 *   soak.c		the story: set up, run all jobs for a time, rest, tell
 *   soak_job.c		one job: a process that repeats one step, and its score
 *   soak_dimms.c	hot-added memory by kind; job: offline and online it
 *   soak_grouping.c	make the kernel stop grouping pages by mobility
 *   soak_contig.c	jobs: alloc_contig_range() anywhere, and CMA areas
 *   soak_hugetlb.c	job: grow and shrink a pool of huge pages
 *   soak_host.c	jobs: virtio-mem, balloon
 *   soak_thp.c		job: transparent huge pages made, split and collapsed
 *   soak_atomic.c	job: bursts of atomic requests of higher orders
 *   soak_poison.c	job: soft offline and unpoison
 *   soak_swap.c	job: more memory than there is
 * The loads of the offline scene run as well: their data is verified.
 */
#ifndef _SCENE_SOAK_H
#define _SCENE_SOAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct soak_stats - a job's score, shared with the driver
 * @done: operations that did what was asked
 * @refused: operations that failed in a way that has to be expected
 * @timeouts: operations given up after their time
 * @errors: operations that failed in a way that never should happen
 * @first: what the first of these was
 */
struct soak_stats {
	_Atomic uint64_t done;
	_Atomic uint64_t refused;
	_Atomic uint64_t timeouts;
	_Atomic uint64_t errors;
	char first[200];
};

/**
 * struct soak_ops - what a job does; all of it but @missing in its own process
 * @missing: what this machine lacks, "need ..., have ...", or NULL
 * @start: once before the first step; may be NULL
 * @step: again and again
 * @stop: put back what the job changed; may be NULL
 */
struct soak_ops {
	const char *(*missing)(const char *arg);
	void (*start)(const char *arg);
	void (*step)(const char *arg);
	void (*stop)(const char *arg);
};

extern const struct soak_ops blocks_ops, contig_ops, cma_ops, hugetlb_ops;
extern const struct soak_ops virtio_mem_ops, balloon_ops, thp_ops, atomic_ops;
extern const struct soak_ops poison_ops, swap_ops;

/* soak.c: settings that jobs need */
extern const char *soak_virtio_mem_online;
extern int soak_node;	/* of the hot-added memory; -1: no matter */

/* soak_job.c */
void jobs_want(const char *names);
void jobs_start(void);
void jobs_alive(void);
void jobs_stop(void);
void jobs_report(void);
bool job_stopping(void);
unsigned long job_random(unsigned long below);
void job_nap(unsigned int ms);
void job_op(const char *what, int err, ...);
void job_timeout(void);
__attribute__((format(printf, 2, 3)))
const char *job_lacks(const char *need, const char *have, ...);
unsigned long read_number(const char *path);

/* soak_dimms.c */
void dimms_plug(const char *kinds, int node);
bool dimms_pick(unsigned long *start_pfn, unsigned long *pages);
unsigned long boot_end_pfn(void);

/* soak_grouping.c */
void grouping_off(int node);
bool grouping_stayed_off(void);

/* soak_isolated.c */
void isolated_sample(void);
void isolated_report(void);

#endif
