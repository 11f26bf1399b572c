/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Allocations that fail on demand, below one function of the kernel only, and
 * exactly how many did. Needs CONFIG_FAULT_INJECTION_STACKTRACE_FILTER.
 *
 * Functions return 0 or -errno; the state of the kernel is what it was before
 * after pf_disarm(), which a program must call before it ends.
 */
#ifndef __PAGEBLOCK_FAULTS_H
#define __PAGEBLOCK_FAULTS_H

#include <stdbool.h>

/* What this kernel lacks, "" if nothing */
const char *pf_missing(void);

/*
 * Slab and page allocations fail with that probability, of whatever task, as
 * long as @function is one of the callers. 0: only those that pf_nth() names.
 */
int pf_arm(const char *function, unsigned int percent);
long pf_disarm(void);	/* how many have failed since pf_arm() */

/* The nth allocation of this task from now on fails; pf_nth_hit(): it has */
int pf_nth(unsigned int n);
bool pf_nth_hit(void);

/* The memory notifier answers @event, as "MEM_GOING_ONLINE", with -@err; 0: no more */
int pf_notifier(const char *event, int err);

#endif /* __PAGEBLOCK_FAULTS_H */
