// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests of page kinds share: a disk in memory whose requests take as
 * long as the test wants (null_blk by configfs); see page_kinds.h
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "page_kinds.h"

#define CONFIGFS	"/sys/kernel/config"

static int disk_set(const char *name, const char *file, unsigned long value)
{
	char path[128], text[32];

	snprintf(path, sizeof(path), CONFIGFS "/nullb/%s/%s", name, file);
	snprintf(text, sizeof(text), "%lu", value);
	return pb_write(path, text);
}

/* @nsec for each request; what was written stays when this is changed */
int pk_slow_disk_speed(struct pk *pk, const char *name, unsigned long nsec)
{
	int ret = disk_set(name, "power", 0);

	ret = ret ?: disk_set(name, "completion_nsec", nsec) ?:
	      disk_set(name, "irqmode", nsec ? 2 : 0) ?:
	      disk_set(name, "power", 1);
	return ret ? pk_fail(pk, ret, "slow disk %s", name) : 0;
}

/* A new disk of zeroes */
int pk_slow_disk(struct pk *pk, const char *name, unsigned int mb,
		 unsigned long nsec)
{
	char path[128];
	int ret;

	if (access(CONFIGFS "/nullb", F_OK))
		mount("configfs", CONFIGFS, "configfs", 0, NULL);
	if (access(CONFIGFS "/nullb", F_OK))
		return pk_fail(pk, PK_SKIP, "need null_blk with configfs (CONFIG_BLK_DEV_NULL_BLK), have none");
	snprintf(path, sizeof(path), CONFIGFS "/nullb/%s", name);
	if (mkdir(path, 0700))
		return pk_fail(pk, -errno, "%s", path);
	ret = disk_set(name, "size", mb) ?: disk_set(name, "memory_backed", 1) ?:
	      disk_set(name, "blocksize", 4096) ?:
	      disk_set(name, "submit_queues", 1);
	if (ret)
		return pk_fail(pk, ret, "%s", path);
	return pk_slow_disk_speed(pk, name, nsec);
}

int pk_slow_disk_node(const char *name, char *dev, size_t len)
{
	char path[128], text[16];
	int ret;

	/* Kernels differ: named by number or by the folder */
	snprintf(dev, len, "/dev/%s", name);
	if (!access(dev, F_OK))
		return 0;
	snprintf(path, sizeof(path), CONFIGFS "/nullb/%s/index", name);
	ret = pb_read(path, text, sizeof(text));
	snprintf(dev, len, "/dev/nullb%s", text);
	return ret ?: access(dev, F_OK) ? -ENOENT : 0;
}

void pk_slow_disk_end(const char *name)
{
	char path[128];

	disk_set(name, "power", 0);
	snprintf(path, sizeof(path), CONFIGFS "/nullb/%s", name);
	rmdir(path);
}
