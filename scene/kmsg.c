// SPDX-License-Identifier: GPL-2.0
/*
 * What held a block: the pages that the kernel dumped while it tried, and the
 * kinds of pages that are in the block.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"

#define MAX_TOLD	4	/* dumped pages told per miss */
#define MAX_LINES	200	/* of the log kept per miss */
#define KPF(name, word) ((word) >> KPF_##name & 1)

/* One dump_page() as it comes, line by line */
struct dump {
	unsigned long pfn;
	char refs[32], flags[160], mapping[160], owner[160], reason[64];
};

static int kmsg = -1;

/** kmsg_open - be ready to read the kernel log */
void kmsg_open(void)
{
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		scene_die(SCENE_ENV, "/dev/kmsg: %s", strerror(errno));
}

/** kmsg_mark - only what comes from now on is of interest */
void kmsg_mark(void)
{
	lseek(kmsg, 0, SEEK_END);
}

/**
 * kmsg_record - read one record of the kernel log
 * @fd: /dev/kmsg, opened with O_NONBLOCK
 *
 * Return: its text, until the next call, or NULL when there is none.
 */
char *kmsg_record(int fd)
{
	static char record[8192];
	char *text;
	ssize_t n;

	do {
		n = read(fd, record, sizeof(record) - 1);
	} while (n < 0 && errno == EPIPE);	/* overwritten: go on */
	if (n <= 0)
		return NULL;
	record[n] = '\0';
	text = strchr(record, ';');
	text = text ? text + 1 : record;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

/**
 * kmsg_saw - has a message come since the last call or kmsg_mark()?
 * @text: part of the message
 *
 * Return: true when it was found; all new records are consumed.
 */
bool kmsg_saw(const char *text)
{
	bool found = false;
	char *line;

	while ((line = kmsg_record(kmsg)))
		if (strstr(line, text))
			found = true;
	return found;
}

/* Text that goes between double quotes */
static void keep(char *to, size_t len, const char *from)
{
	snprintf(to, len, "%s", from);
	for (; *to; to++)
		if (*to == '"')
			*to = '\'';
}

static void dump_line(struct dump *d, const char *line)
{
	if (strstr(line, "flags: 0x"))
		keep(d->flags, sizeof(d->flags), line);
	else if (!strncmp(line, "aops:", 5))
		keep(d->mapping, sizeof(d->mapping), line);
	else if (!strncmp(line, "page dumped because: ", 21))
		keep(d->reason, sizeof(d->reason), line + 21);
	else if (!strncmp(line, "page last allocated", 19))
		keep(d->owner, sizeof(d->owner), line);
}

static bool dump_begin(struct dump *d, const char *line)
{
	const char *p = strstr(line, " pfn:0x");

	if (strncmp(line, "page: refcount:", 15) || !p)
		return false;
	memset(d, 0, sizeof(*d));
	d->pfn = strtoul(p + 5, NULL, 16);
	keep(d->refs, sizeof(d->refs), line + 6);
	d->refs[strcspn(d->refs, " ")] = '\0';
	return true;
}

/**
 * kmsg_explain - tell which pages held a block
 * @block: number of the memory block
 * @round: of the scene
 *
 * Reads the log since kmsg_mark(): one line for each of the first dumped
 * pages, and the log verbatim.
 */
void kmsg_explain(unsigned long block, int round)
{
	unsigned long per_block = block_pages();
	struct dump d[MAX_TOLD + 1] = { 0 };
	int nr = 0, lines = 0, i;
	char *line;

	/* A dump that nobody has room for goes to the last element */
	while ((line = kmsg_record(kmsg))) {
		if (lines++ < MAX_LINES)
			printf("# kmsg %s\n", line);
		if (dump_begin(&d[nr], line)) {
			if (nr < MAX_TOLD && d[nr].pfn / per_block == block)
				nr++;
		} else {
			dump_line(&d[nr ? nr - 1 : 0], line);
		}
	}
	for (i = 0; i < nr; i++)
		printf("scene held round=%d block=%lu pfn=%#lx reason=\"%s\" page=\"%s %s %s\" owner=\"%s\"\n",
		       round, block, d[i].pfn, d[i].reason, d[i].refs,
		       d[i].flags, d[i].mapping, d[i].owner);
	fflush(stdout);
}

/**
 * block_contents - count the kinds of pages in a block
 * @block: number of the memory block
 */
void block_contents(unsigned long block)
{
	unsigned long per_block = block_pages(), i;
	unsigned long lru = 0, anon = 0, slab = 0, table = 0, nr_free = 0;
	unsigned long tail = 0, other = 0, other_pfn = 0;
	uint64_t *word = calloc(per_block, sizeof(*word));
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	ssize_t len = per_block * sizeof(*word);

	if (!word || fd < 0 || pread(fd, word, len, block * len) != len)
		scene_die(SCENE_ENV, "/proc/kpageflags: %s", strerror(errno));
	close(fd);
	for (i = 0; i < per_block; i++) {
		if (KPF(BUDDY, word[i]))
			nr_free++;
		else if (KPF(SLAB, word[i]))
			slab++;
		else if (KPF(PGTABLE, word[i]))
			table++;
		else if (KPF(ANON, word[i]))
			anon++;
		else if (KPF(LRU, word[i]))
			lru++;
		else if (KPF(COMPOUND_TAIL, word[i]))
			tail++;
		else if (!other++)
			other_pfn = block * per_block + i;
	}
	free(word);
	printf("scene contents block=%lu free=%lu lru=%lu anon=%lu tail=%lu slab=%lu pagetable=%lu other=%lu first_other=%#lx\n",
	       block, nr_free, lru, anon, tail, slab, table, other, other_pfn);
	fflush(stdout);
}
