// SPDX-License-Identifier: GPL-2.0
/*
 * vmctl, what a splat is: a line of the console that matches a pattern of
 * splat.deny and none of splat.allow.
 *
 *	splat.deny	REGEX<tab>REASON
 *	splat.allow	REGEX<tab>REASON<tab>LINK<tab>YYYY-MM-DD
 *
 * Whoever allows a splat says why, where that is being dealt with, and when to
 * look again: the last day on which the entry holds, at most a year ahead. What
 * is wrong with an entry is an error before the machine starts. Else one that
 * has expired would be found by whoever looks at the next red run, and one that
 * has lost its tabs would allow nothing, or everything.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmctl.h"

#define MAX_PATTERNS	64
#define MAX_DAYS	366
#define DAY_S		(24 * 60 * 60)

struct pattern {
	regex_t regex;
	char *reason;
};

static struct pattern deny[MAX_PATTERNS], allow[MAX_PATTERNS];
static int nr_deny, nr_allow;

static void compile(struct pattern *pattern, const char *text, const char *where)
{
	char why[128];
	int err = regcomp(&pattern->regex, text, REG_EXTENDED | REG_NOSUB);

	if (!err)
		return;
	regerror(err, &pattern->regex, why, sizeof(why));
	die("%s: bad pattern '%s': %s", where, text, why);
}

static bool matches(const struct pattern *pattern, const char *text)
{
	return !regexec(&pattern->regex, text, 0, NULL, 0);
}

/* Calls @entry for each line that says something, with the place of it */
static void load(const char *file, void (*entry)(char *line, const char *where))
{
	FILE *f = fopen(file, "re");
	char line[1024], where[512];
	int nr = 0;

	if (!f)
		die("%s: %s", file, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		nr++;
		snprintf(where, sizeof(where), "%s:%d", file, nr);
		if (!strchr(line, '\n') && !feof(f))
			die("%s: a line of more than %zu characters", where,
			    sizeof(line) - 2);
		line[strcspn(line, "\n")] = '\0';
		if (line[0] && line[0] != '#')
			entry(line, where);
	}
	fclose(f);
}

static void deny_entry(char *line, const char *where)
{
	if (nr_deny == MAX_PATTERNS)
		die("%s: more than %d patterns", where, MAX_PATTERNS);
	line[strcspn(line, "\t")] = '\0';
	compile(&deny[nr_deny++], line, where);
}

/* Midnight after that day (UTC), or -1 when there is no such day */
static time_t end_of_day(const char *date)
{
	struct tm tm = { 0 };
	char again[16];
	time_t t;

	if (strlen(date) != 10 ||
	    sscanf(date, "%4d-%2d-%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday) != 3)
		return -1;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	t = timegm(&tm);
	strftime(again, sizeof(again), "%Y-%m-%d", &tm);
	return strcmp(again, date) ? -1 : t + DAY_S;
}

static void allow_entry(char *line, const char *where)
{
	struct pattern *pattern = &allow[nr_allow];
	char *field[5], *rest = line;
	time_t end;
	int nr = 0;

	if (nr_allow == MAX_PATTERNS)
		die("%s: more than %d patterns", where, MAX_PATTERNS);
	while (rest && nr < 5)
		field[nr++] = strsep(&rest, "\t");
	if (nr != 4 || !field[0][0] || !field[1][0])
		die("%s: '%s': want REGEX, REASON, LINK and YYYY-MM-DD, with one tab between them",
		    where, field[0]);
	compile(pattern, field[0], where);
	if (matches(pattern, "") || matches(pattern, "Kernel panic - not syncing: "))
		die("%s: '%s' would allow more than one splat", where, field[0]);
	if (strncmp(field[2], "https://", 8) || !field[2][8])
		die("%s: '%s': the link '%s' is none: want https://...",
		    where, field[0], field[2]);
	end = end_of_day(field[3]);
	if (end < 0)
		die("%s: '%s': '%s' is no day: want YYYY-MM-DD",
		    where, field[0], field[3]);
	if (end <= time(NULL))
		die("%s: '%s' has expired on %s; see %s",
		    where, field[0], field[3], field[2]);
	if (end > time(NULL) + (time_t)(MAX_DAYS + 1) * DAY_S)
		die("%s: '%s': %s is more than %d days ahead",
		    where, field[0], field[3], MAX_DAYS);
	pattern->reason = strdup(field[1]);
	nr_allow++;
}

void load_deny(const char *file)
{
	load(file, deny_entry);
	if (!nr_deny)
		die("%s: no patterns: no splat would ever be seen", file);
}

void load_allow(const char *file)
{
	load(file, allow_entry);
}

enum splat is_splat(const char *text, const char **reason)
{
	int i;

	for (i = 0; i < nr_deny && !matches(&deny[i], text); i++)
		;
	if (i == nr_deny)
		return NO_SPLAT;
	for (i = 0; i < nr_allow; i++) {
		if (matches(&allow[i], text)) {
			*reason = allow[i].reason;
			return SPLAT_ALLOWED;
		}
	}
	return SPLAT;
}
