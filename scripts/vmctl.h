/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of vmctl know of each other. */
#ifndef VMCTL_H
#define VMCTL_H

#include <stdbool.h>

#define MAX_LINE	4096

/* vmctl.c: the clock, the one line a request is answered with, the end */
double now(void);
void reply(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);
extern int mon_fd;		/* QEMU's monitor */

/* vmctl-clock.c: seconds during which process pid was not short of CPU time */
#define FAIR_START	1.0	/* not 0: that is "has not happened" */
double fair_time(int pid);

/* vmctl-splat.c: patterns of files; what is wrong with those ends it all */
enum splat { NO_SPLAT, SPLAT, SPLAT_ALLOWED };
void load_deny(const char *file);
void load_allow(const char *file);
enum splat is_splat(const char *text, const char **reason);

/* vmctl-hmp.c: requests; each sends exactly one reply */
void do_add(const char *arg);
void do_del(const char *arg);
void do_query(const char *arg);
void do_hmp(const char *arg);

#endif
