// SPDX-License-Identifier: GPL-2.0
/*
 * Who allocated the pages that keep a memory block, when page_owner knows
 * (PAGE_OWNER=1).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy.h"
#include "scene.h"

#define FRAMES		12
#define MAX_TOLD	200	/* pages of one block */

/* One entry: who and when, where, then a stack, a frame on each line */
static bool tell(unsigned long block, char *entry, unsigned long end_pfn)
{
	char *line, *save, *at, stack[900] = "";
	unsigned long pfn = 0, ts = 0;
	char comm[32] = "?";
	int frames = 0;

	for (line = strtok_r(entry, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		at = strstr(line, "ts ");
		if (!strncmp(line, "Page allocated", 14)) {
			if (at)
				sscanf(at, "ts %lu", &ts);
			at = strchr(strstr(line, "tgid") ?: line, '(');
			if (at)
				sscanf(at, "(%31[^)]", comm);
		} else if (!strncmp(line, "PFN ", 4)) {
			sscanf(line, "PFN 0x%lx", &pfn);
		} else if (line[0] == ' ' && frames++ < FRAMES) {
			line += strspn(line, " ");
			line[strcspn(line, "+")] = '\0';
			snprintf(stack + strlen(stack), sizeof(stack) - strlen(stack), "%s%s",
				 stack[0] ? "<" : "", line);
		}
	}
	if (!pfn || pfn >= end_pfn)
		return false;
	printf("scene owner block=%lu pfn=%#lx s=%.1f comm=\"%s\" stack=%s\n", block, pfn,
	       (double)ts / 1e9, comm, stack);
	return true;
}

/**
 * block_owners - name who allocated the pages of a memory block
 * @block: its number
 *
 * Does nothing when the kernel does not know: page_owner is off.
 */
void block_owners(unsigned long block)
{
	unsigned long pages = block_pages();
	int fd = open("/sys/kernel/debug/page_owner", O_RDONLY | O_CLOEXEC), told = 0;
	char entry[4096];
	ssize_t len;

	if (fd < 0)
		return;
	/* The offset in this file is a page frame number */
	if (lseek(fd, block * pages, SEEK_SET) >= 0) {
		do {
			len = read(fd, entry, sizeof(entry) - 1);
			entry[len > 0 ? len : 0] = '\0';
		} while (len > 0 && tell(block, entry, (block + 1) * pages) &&
			 ++told < MAX_TOLD);
	}
	close(fd);
}
