/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the scene "policy":
 *   policy.c      grow, job, shrink; result lines
 *   policy_tar.c  the job: tar extracts very many small files
 *   policy_owners.c  who allocated what keeps a memory block
 */
#ifndef _SCENE_POLICY_H
#define _SCENE_POLICY_H

#include <stdbool.h>

/* policy.c */
long oom_kills(void);
void memory_report(const char *when);

/* policy_tar.c */
bool tar_extract(const char *dir, unsigned long files);

/* policy_owners.c */
void block_owners(unsigned long block);

#endif
