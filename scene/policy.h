/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the scene "policy":
 *   policy.c      grow, job, shrink; result lines
 *   policy_tar.c  the job: tar extracts very many small files
 */
#ifndef _SCENE_POLICY_H
#define _SCENE_POLICY_H

/* policy.c */
void memory_report(const char *when);

/* policy_tar.c */
void tar_extract(const char *dir, unsigned long files);

#endif
