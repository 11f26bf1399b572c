/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The drivers of the scenes, by parts:
 *   offline_scene.c  hot-add, fill, offline and online, unplug
 *   cma2014.c        CMA allocations beside a build
 *   soak.c           all users of isolation at once; its parts: soak.h
 *   offline_cost.c   instructions of one offline, by content
 *   pressure.c       memory pressure; its parts: pressure.h
 *   mirror.c         the mirror reserve when there is no other memory
 *   jobs.c           real programs in memory that is unplugged; its parts: jobs.h
 *   policy.c         a machine that grows and shrinks; its parts: policy.h
 *   virtio.c         virtio-mem gives its memory back
 *   scene.c          how to end, what to tell, time
 *   dimm.c           DIMMs of one memory block added and removed
 *   sysmem.c         memory blocks in sysfs, requests to the host
 *   blockmap.c       pageblock map and other files of pageblock_debug.ko
 *   kmsg.c           what the kernel log says about a miss
 *   loads.c          start, watch and stop the load programs
 *   events.c         how much happened
 *   rest.c           the audit when nothing happens any more
 *
 * Result lines start with "scene " and have key=value words (text in double
 * quotes); scripts/report-run reads them. Progress goes to the host as
 * "@vm step".
 */
#ifndef _SCENE_SCENE_H
#define _SCENE_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_BLOCKS	8
#define PB_DIR		"/sys/kernel/debug/pageblock"
#define BIN_DIR		"/opt/pageblock"
#define RUN_DIR		"/run/scene"

enum scene_exit {
	SCENE_OK = 0,		/* the scene went to its end: judge the lines */
	SCENE_FAILED = 1,	/* a precondition or a step failed */
	SCENE_ENV = 2,		/* usage, missing module, host or device */
};

/* scene.c */
__attribute__((noreturn, format(printf, 2, 3)))
void scene_die(enum scene_exit rc, const char *fmt, ...);
__attribute__((format(printf, 1, 2)))
void scene_step(const char *fmt, ...);
double now_ms(void);
void nap_ms(unsigned int ms);
int scene_number(const char *text, int min, int max, void (*usage)(void));

/* sysmem.c */
ssize_t read_text(const char *path, char *buf, size_t len);
int write_text(const char *path, const char *text);
unsigned long block_pages(void);
int blocks_present(unsigned long *ids, int max);
bool block_on_node(unsigned long id, int node);
bool block_is(unsigned long id, const char *state);
int block_set(unsigned long id, const char *state, int timeout_s, double *ms);
void block_online(unsigned long id, const char *how, int timeout_s);
bool block_gone(unsigned long id);
int host_request(char *reply, size_t len, const char *verb, const char *id,
		 const char *size, const char *node);

/* blockmap.c */
void map_print(const char *title);
void map_fill(const unsigned long *ids, int nr, double *pct);
unsigned long pageblock_pages(void);
void audit_start(unsigned int interval_ms);
unsigned long audit_looks(void);
void audit_report(void);
void audit_stop(void);
void counters_print(const char *when, int node);

/* kmsg.c */
void kmsg_open(void);
void kmsg_mark(void);
char *kmsg_record(int fd);
void kmsg_explain(unsigned long block, int round);
bool kmsg_saw(const char *text);
void block_contents(unsigned long block);

/* loads.c */
void loads_size(unsigned int percent);
void loads_start(int node, int percent, const char *disk);
bool loads_ready(void);
void loads_alive(void);
void loads_hurry(bool on);
void loads_stop(void);

/* events.c */
void events_begin(void);
uint64_t events_allocs(void);
void events_report(void);

/* rest.c */
void rest_drain(void);
void rest_report(void);

#endif
