// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the kernel stop grouping pages by mobility, as on a machine with too
 * little memory for it, without a change to the kernel.
 *
 * build_all_zonelists() decides: when the pages above the high marks of all
 * zones are fewer than one pageblock for each migratetype, 12 to 16 MB on
 * x86-64, grouping is off. No such machine boots. But the decision is made
 * again when a zone becomes empty, and the marks can be set: with the high
 * mark of each zone above its size there are no pages above the marks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scene.h"
#include "soak.h"

#define MIN_FREE	"/proc/sys/vm/min_free_kbytes"
#define SCALE		"/proc/sys/vm/watermark_scale_factor"
#define MIN_SHARE	45	/* percent of memory: less than is free */
#define MAX_SCALE	"3000"	/* high mark 60 percent above the min mark */
#define TRY_S		20

static unsigned long total_kb(void)
{
	char line[128];
	unsigned long kb = 0;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemTotal: %lu", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb;
}

static void put(const char *path, const char *value)
{
	int err = write_text(path, value);

	if (err)
		scene_die(SCENE_ENV, "%s: %s", path, strerror(err));
}

/* The only block of ZONE_MOVABLE comes and goes while the marks are high */
static void empty_a_zone(unsigned long block)
{
	char min_old[32], scale_old[32], min_new[32];
	double ms;
	int err;

	if (read_text(MIN_FREE, min_old, sizeof(min_old)) <= 0 ||
	    read_text(SCALE, scale_old, sizeof(scale_old)) <= 0)
		scene_die(SCENE_ENV, "watermarks: %s", strerror(errno));
	err = block_set(block, "online_movable", TRY_S, &ms);
	if (err)
		scene_die(SCENE_FAILED, "memory%lu: online_movable: %s", block,
			  strerror(err));
	snprintf(min_new, sizeof(min_new), "%lu",
		 total_kb() * MIN_SHARE / 100);
	put(SCALE, MAX_SCALE);
	put(MIN_FREE, min_new);
	err = block_set(block, "offline", TRY_S, &ms);
	put(MIN_FREE, min_old);
	put(SCALE, scale_old);
	if (err)
		scene_die(SCENE_FAILED, "memory%lu: offline: %s", block,
			  strerror(err));
}

/**
 * grouping_off - stop grouping by mobility
 * @node: of the memory block that this needs
 *
 * To be called last of all that onlines memory in a zone that has none: that
 * would switch it on again.
 */
void grouping_off(int node)
{
	char reply[256], where[16], mb[24];
	unsigned long long addr;
	unsigned long block;
	double end;

	snprintf(where, sizeof(where), "%d", node);
	snprintf(mb, sizeof(mb), "%lu", block_pages() >> 8);
	if (host_request(reply, sizeof(reply), "add", "grouping", mb, where) ||
	    sscanf(reply, "ok addr=%llx", &addr) != 1)
		scene_die(SCENE_ENV, "hot-add: %s", reply);
	block = addr / (block_pages() << 12);
	for (end = now_ms() + 30000; block_gone(block); nap_ms(20))
		if (now_ms() > end)
			scene_die(SCENE_FAILED, "memory%lu did not come", block);
	kmsg_open();
	empty_a_zone(block);
	if (!kmsg_saw("mobility grouping off"))
		scene_die(SCENE_FAILED, "the kernel groups by mobility as before");
}

/**
 * grouping_stayed_off - has nothing switched it on again?
 *
 * Return: false when the kernel says so.
 */
bool grouping_stayed_off(void)
{
	return !kmsg_saw("mobility grouping on");
}
