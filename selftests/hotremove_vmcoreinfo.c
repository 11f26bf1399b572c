// SPDX-License-Identifier: GPL-2.0
/*
 * What a tool that reads a dump of a crashed kernel has to know of free pages:
 * how many lists there are for each order, and which is that of hotremove memory.
 * The same note that a dump has is in /proc/kcore.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define KCORE		"/proc/kcore"
#define TYPES		"/proc/pagetypeinfo"
#define NOTE_NAME	"VMCOREINFO"
#define NOTES_MAX	(1UL << 20)

/* The text of the note called NOTE_NAME in @len bytes of notes, or NULL */
static char *find_note(const char *notes, size_t len)
{
	const Elf64_Nhdr *note;
	const char *name, *desc;
	size_t at = 0;

	while (at + sizeof(*note) <= len) {
		note = (const Elf64_Nhdr *)(notes + at);
		name = (const char *)(note + 1);
		desc = name + ((note->n_namesz + 3) & ~3UL);
		if (desc + note->n_descsz > notes + len)
			return NULL;
		if (note->n_namesz == sizeof(NOTE_NAME) && !strcmp(name, NOTE_NAME))
			return strndup(desc, note->n_descsz);
		at = desc + ((note->n_descsz + 3) & ~3UL) - notes;
	}
	return NULL;
}

/* VMCOREINFO of this kernel, to be freed; NULL with errno set if there is none */
static char *read_vmcoreinfo(void)
{
	char *notes = NULL, *text = NULL;
	Elf64_Phdr phdr;
	Elf64_Ehdr ehdr;
	int i, fd;

	fd = open(KCORE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	errno = EPROTO;
	if (pread(fd, &ehdr, sizeof(ehdr), 0) != sizeof(ehdr) ||
	    memcmp(ehdr.e_ident, ELFMAG, SELFMAG))
		goto out;
	for (i = 0; i < ehdr.e_phnum && !text; i++) {
		if (pread(fd, &phdr, sizeof(phdr), ehdr.e_phoff + i * sizeof(phdr)) !=
		    sizeof(phdr))
			goto out;
		if (phdr.p_type != PT_NOTE || phdr.p_filesz > NOTES_MAX)
			continue;
		free(notes);
		notes = malloc(phdr.p_filesz);
		if (!notes || pread(fd, notes, phdr.p_filesz, phdr.p_offset) !=
		    (ssize_t)phdr.p_filesz)
			goto out;
		text = find_note(notes, phdr.p_filesz);
	}
out:
	free(notes);
	close(fd);
	return text;
}

/* The number in the line "KEY=number" of @text, -1 if there is no such line */
static long number_of(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *line;

	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, len) && line[len] == '=')
			return strtol(line + len + 1, NULL, 10);
	}
	return -1;
}

/*
 * The migrate types in the order of their numbers, from the first zone that is
 * listed: how many there are, and *@number is that of @name, -1 if it has none.
 */
static int count_types(const char *name, int *number)
{
	char line[512], zone[64], first[64] = "", type[64];
	int nr = 0, node, first_node = -1;
	FILE *f = fopen(TYPES, "re");

	*number = -1;
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %d, zone %63[^,], type %63s", &node, zone,
			   type) != 3) {
			if (nr)
				break;
			continue;
		}
		if (!nr) {
			first_node = node;
			snprintf(first, sizeof(first), "%s", zone);
		}
		if (node != first_node || strcmp(zone, first))
			break;
		if (!strcmp(type, name))
			*number = nr;
		nr++;
	}
	fclose(f);
	return nr;
}

TEST(a_dump_tells_which_free_list_is_that_of_hotremove_memory)
{
	int nr_types, hotremove;
	char *text;

	if (access(KCORE, R_OK))
		SKIP(return, "need " KCORE " (CONFIG_PROC_KCORE), have: %s",
		     strerror(errno));
	text = read_vmcoreinfo();
	ASSERT_NE(NULL, text)
		TH_LOG("no note " NOTE_NAME " in " KCORE ": %s", strerror(errno));

	nr_types = count_types("Hotremove", &hotremove);
	ASSERT_LT(0, nr_types)
		TH_LOG(TYPES ": %s", strerror(-nr_types));
	EXPECT_EQ(nr_types, number_of(text, "LENGTH(free_area.free_list)"));
	EXPECT_LE(0, hotremove)
		TH_LOG("no type Hotremove in " TYPES);
	EXPECT_EQ(hotremove, number_of(text, "NUMBER(MIGRATE_HOTREMOVE)"));
	free(text);
}

TEST_HARNESS_MAIN
