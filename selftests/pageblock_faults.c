// SPDX-License-Identifier: GPL-2.0
/*
 * Allocations that fail on demand; see pageblock_faults.h
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pageblock_faults.h"
#include "pageblock_util.h"

#define DEBUG		"/sys/kernel/debug"
#define NOTIFIER	DEBUG "/notifier-error-inject/memory/actions"
#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define TIMES		(1 << 30)	/* counted down by each fault */
#define DEPTH		"32"		/* as many callers as the kernel looks at */

static const char *const attrs[] = { "failslab", "fail_page_alloc" };

static int set(const char *attr, const char *file, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUG "/%s/%s", attr, file);
	return pb_write(path, value);
}

static int set_number(const char *attr, const char *file, unsigned long value)
{
	char text[32];

	snprintf(text, sizeof(text), strncmp(file, "require", 7) ? "%lu" : "0x%lx",
		 value);
	return set(attr, file, text);
}

static long get_number(const char *attr, const char *file)
{
	char path[128], text[32];
	int ret;

	snprintf(path, sizeof(path), DEBUG "/%s/%s", attr, file);
	ret = pb_read(path, text, sizeof(text));
	return ret < 0 ? ret : strtol(text, NULL, 0);
}

const char *pf_missing(void)
{
	if (access(DEBUG "/failslab/require-start", W_OK))
		return "failslab with a stack trace filter";
	if (access(DEBUG "/fail_page_alloc/require-start", W_OK))
		return "fail_page_alloc with a stack trace filter";
	if (access(NOTIFIER "/MEM_GOING_ONLINE/error", W_OK))
		return "errors of memory notifiers";
	if (access(FAIL_NTH, W_OK))
		return "fail-nth";
	return "";
}

/* The compiler adds ".isra.0" and the like to what it has changed */
static bool same_function(const char *name, const char *function)
{
	size_t len = strlen(function);

	return !strncmp(name, function, len) && (!name[len] || name[len] == '.');
}

/* From there to the next symbol. -ENOENT: there is none, or more than one */
static int range_of(const char *function, unsigned long *start, unsigned long *end)
{
	unsigned long addr, after = -1UL;
	FILE *f = fopen("/proc/kallsyms", "re");
	char line[512], name[256];
	int found = 0, pass;

	if (!f)
		return -errno;
	for (pass = 0; pass < 2; pass++) {
		rewind(f);
		while (fgets(line, sizeof(line), f)) {
			if (sscanf(line, "%lx %*c %255s", &addr, name) != 2)
				continue;
			if (!pass && same_function(name, function)) {
				*start = addr;
				found++;
			} else if (pass && addr > *start && addr < after) {
				after = addr;
			}
		}
		if (found != 1)
			break;
	}
	fclose(f);
	*end = after;
	return found == 1 ? 0 : -ENOENT;
}

int pf_arm(const char *function, unsigned int percent)
{
	unsigned long start, end;
	int ret = range_of(function, &start, &end);
	unsigned int i;

	ret = ret ?: set("fail_page_alloc", "ignore-gfp-highmem", "N") ?:
	      set("fail_page_alloc", "min-order", "0");
	for (i = 0; !ret && i < sizeof(attrs) / sizeof(attrs[0]); i++) {
		ret = set(attrs[i], "ignore-gfp-wait", "N") ?:
		      set(attrs[i], "verbose", "0") ?:
		      set(attrs[i], "interval", "1") ?:
		      set(attrs[i], "stacktrace-depth", DEPTH) ?:
		      set_number(attrs[i], "require-start", start) ?:
		      set_number(attrs[i], "require-end", end) ?:
		      set_number(attrs[i], "times", TIMES) ?:
		      set_number(attrs[i], "probability", percent);
	}
	if (ret)
		pf_disarm();
	return ret;
}

long pf_disarm(void)
{
	long left, nr = 0;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		ret = set(attrs[i], "probability", "0") ?: ret;
	for (i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++) {
		left = get_number(attrs[i], "times");
		nr += left > 0 && left <= TIMES ? TIMES - left : 0;
		ret = set(attrs[i], "stacktrace-depth", "0") ?: ret;
		ret = set(attrs[i], "times", "1") ?: ret;
		ret = set(attrs[i], "require-start", "0") ?: ret;
		ret = set(attrs[i], "require-end", "0xffffffffffffffff") ?: ret;
		ret = set(attrs[i], "ignore-gfp-wait", "Y") ?: ret;
	}
	ret = set("fail_page_alloc", "ignore-gfp-highmem", "Y") ?: ret;
	ret = set("fail_page_alloc", "min-order", "1") ?: ret;
	return ret ? ret : nr;
}

int pf_nth(unsigned int n)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", n);
	return pb_write(FAIL_NTH, text);
}

bool pf_nth_hit(void)
{
	char text[16] = "";
	int ret = pb_read(FAIL_NTH, text, sizeof(text));

	pb_write(FAIL_NTH, "0");
	return !ret && !strcmp(text, "0");
}

int pf_notifier(const char *event, int err)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), NOTIFIER "/%s/error", event);
	snprintf(text, sizeof(text), "%d", -err);
	return pb_write(path, text);
}
