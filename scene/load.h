/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the load programs of the scene have in common.
 *
 * Each program does one job: it sets up its data, then keeps touching,
 * dropping and creating it until SIGTERM. All data carries a pattern that
 * follows from its address (or file and offset) and a generation number, and
 * is compared whenever it is touched again; before it ends a program checks
 * everything that it owns once more. One wrong byte makes it exit 1.
 *
 * Progress is visible to the driver in a struct load_status, a file that both
 * sides map.
 */
#ifndef _SCENE_LOAD_H
#define _SCENE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum load_exit {
	LOAD_OK = 0,		/* all data was as written */
	LOAD_MISMATCH = 1,	/* some data was not */
	LOAD_BROKEN = 2,	/* usage, set-up or a failed system call */
};

/**
 * struct load_status - what a load program and the driver tell each other
 * @hurry: from the driver: nothing is being measured, do not nap
 * @ready: 0 during set-up, 1 once all data exists
 * @ops: operations since set-up
 * @written: bytes written with a pattern, set-up included
 * @verified: bytes compared with their pattern
 * @mismatches: pieces of data that differed
 */
struct load_status {
	_Atomic uint64_t hurry;
	_Atomic uint64_t ready;
	_Atomic uint64_t ops;
	_Atomic uint64_t written;
	_Atomic uint64_t verified;
	_Atomic uint64_t mismatches;
};

#define LOAD_PAGE 4096UL

void load_init(int argc, char **argv, const char *args, int nr_args);
bool load_running(void);
void load_pace(void);
bool load_hurried(void);
void load_ready(void);
void load_op(void);
int load_end(void);
__attribute__((noreturn, format(printf, 1, 2)))
void load_die(const char *fmt, ...);

unsigned long load_arg(int i, const char *name, unsigned long min,
		       unsigned long max);
const char *load_word(int i);
int load_node(void);
unsigned long load_random(unsigned long below);

uint64_t pattern_key(uint64_t where, uint64_t generation);
void pattern_fill(void *buf, size_t len, uint64_t key);
bool pattern_check(const void *buf, size_t len, uint64_t key,
		   const char *what, uint64_t where);

#endif
