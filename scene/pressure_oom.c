// SPDX-License-Identifier: GPL-2.0
/* The first OOM report in the kernel log: how long it is, and the report. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pressure.h"
#include "scene.h"

/** oom_report - a line with its length, and the first report verbatim */
void oom_report(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int lines = 0, reports = 0;
	bool in = false;
	char *text;

	while (fd >= 0 && (text = kmsg_record(fd))) {
		if (strstr(text, "invoked oom-killer")) {
			in = true;
			reports++;
		}
		if (in && reports == 1) {
			lines++;
			printf("# oom %s\n", text);
		}
		if (strstr(text, "Killed process"))
			in = false;
	}
	if (fd >= 0)
		close(fd);
	printf("scene report reports=%d lines=%d\n", reports, lines);
}
