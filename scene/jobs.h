/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver of SCENE=jobs, by parts:
 *   jobs.c		the story: set up, no-I/O check, jobs and hotplug, rest
 *   jobs_run.c		each job: a process that does one verified round after the other
 *   jobs_blocks.c	blocks off and on, DIMMs out and in
 *   jobs_noio.c	is anything written while dirty and anonymous pages move?
 * What a round does is in scripts/guest/rounds/.
 */
#ifndef _SCENE_JOBS_H
#define _SCENE_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#define ROOT_DIR	RUN_DIR "/root"		/* the disk with the programs */

#define JOBS_NICE	8	/* who offlines gets a CPU when it wants one */

/* jobs_run.c */
void jobs_damage(const char *names);
void jobs_only(const char *names);
void jobs_start(int node);
void jobs_stop(void);

/* jobs_blocks.c */
void blocks_plug(int nr, int node, const char *online, int timeout_s);
int blocks_nr(void);
unsigned long blocks_id(int i);
bool blocks_try(int i, const char *phase);
void blocks_replace(int i);
void blocks_report(void);

/* jobs_noio.c */
void noio_check(int node);

/* jobs.c */
uint64_t vmstat(const char *name);
void prefer_node(int node);

#endif
