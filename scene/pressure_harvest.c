// SPDX-License-Identifier: GPL-2.0
/*
 * After the load: which of the memory blocks that were harvested are hotremove
 * again within a minute, and can be taken offline. What holds the others is named.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pressure.h"
#include "scene.h"

#define MAX_IDS		1024
#define RETURN_MS	60000
#define POLL_MS		500
#define OFFLINE_S	10
#define TYPE_FILE	"/sys/devices/system/memory/memory%lu/online_type"

/* Memory blocks that the log says were harvested, each once */
static int harvested_blocks(unsigned long *ids, int max)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unsigned long id;
	int nr = 0, i;
	char *text;

	if (fd < 0)
		scene_die(SCENE_ENV, "/dev/kmsg: %s", strerror(errno));
	while ((text = kmsg_record(fd))) {
		text = strstr(text, "hotremove: memory block ");
		if (!text || sscanf(text, "hotremove: memory block %lu is harvested", &id) != 1 ||
		    !strstr(text, "is harvested"))
			continue;
		for (i = 0; i < nr && ids[i] != id; i++)
			;
		if (i == nr && nr < max)
			ids[nr++] = id;
	}
	close(fd);
	return nr;
}

static bool is_hotremove(unsigned long id)
{
	char path[96], text[64];

	snprintf(path, sizeof(path), TYPE_FILE, id);
	return read_text(path, text, sizeof(text)) > 0 &&
	       !strcmp(text, "online_hotremove");
}

static int nr_back(const unsigned long *ids, int nr)
{
	int back = 0, i;

	for (i = 0; i < nr; i++)
		back += is_hotremove(ids[i]);
	return back;
}

/* All of them at once have to fit into what is left: back online, each */
static bool removable(unsigned long id)
{
	double ms;
	int err;

	err = block_set(id, "offline", OFFLINE_S, &ms);
	printf("scene offline block=%lu error=%s ms=%.0f\n", id,
	       err ? strerrorname_np(err) : "0", ms);
	if (err)
		return false;
	err = block_set(id, "online_hotremove", OFFLINE_S, &ms);
	if (err)
		scene_die(SCENE_FAILED, "memory%lu online again: %s", id, strerror(err));
	return true;
}

/* A conversion by hand is refused as well, but it says why */
static void name_offender(unsigned long id)
{
	char path[96];
	int err;

	snprintf(path, sizeof(path), TYPE_FILE, id);
	err = write_text(path, "online_hotremove");
	printf("scene convert block=%lu error=%s\n", id, err ? strerrorname_np(err) : "0");
}

/** harvest_report - wait for the blocks that were harvested; a line for each miss */
void harvest_report(void)
{
	unsigned long ids[MAX_IDS], harvested = vmstat_value("hotremove_harvest");
	int nr = harvested_blocks(ids, MAX_IDS), back, ok = 0, i;
	double begin = now_ms(), ms;

	while ((back = nr_back(ids, nr)) < nr && now_ms() < begin + RETURN_MS)
		nap_ms(POLL_MS);
	ms = now_ms() - begin;
	for (i = 0; i < nr; i++) {
		kmsg_mark();
		if (!is_hotremove(ids[i]))
			name_offender(ids[i]);
		else if (removable(ids[i])) {
			ok++;
			continue;
		}
		kmsg_explain(ids[i], 0);
		block_contents(ids[i]);
	}
	printf("scene harvest blocks=%d back=%d removable=%d pageblocks=%lu returned=%lu ms=%.0f\n",
	       nr, back, ok, harvested, vmstat_value("hotremove_return"), ms);
}
