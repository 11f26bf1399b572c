/* SPDX-License-Identifier: GPL-2.0 */
/* DIMMs of one memory block each: see dimm.c. */
#ifndef _SCENE_DIMM_H
#define _SCENE_DIMM_H

#include <stdbool.h>

/**
 * struct dimm - a DIMM under test
 * @id: its name, for the host
 * @block: the memory block that it brought, in sysfs
 */
struct dimm {
	char id[16];
	unsigned long block;
};

void dimm_plug(struct dimm *dimm, int node);
bool dimm_unplug(const struct dimm *dimm, int timeout_s);
bool dimm_eject_pending(void);

#endif
