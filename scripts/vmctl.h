/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of vmctl know of each other. */
#ifndef VMCTL_H
#define VMCTL_H

#define MAX_LINE	4096

/* vmctl.c: the clock, and the one line a request is answered with */
double now(void);
void reply(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern int mon_fd;		/* QEMU's monitor */

/* vmctl-clock.c: seconds during which process pid was not short of CPU time */
#define FAIR_START	1.0	/* not 0: that is "has not happened" */
double fair_time(int pid);

/* vmctl-hmp.c: requests; each sends exactly one reply */
void do_add(const char *arg);
void do_del(const char *arg);
void do_query(const char *arg);
void do_hmp(const char *arg);

#endif
