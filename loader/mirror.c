// SPDX-License-Identifier: GPL-2.0
/*
 * mirror=SIZE@ADDR[,SIZE@ADDR...] on the command line: which ranges are mirrored.
 * Numbers as the kernel writes them: decimal or 0x, with K, M or G. Only the
 * loader reads it, and it takes it away. What it cannot use ends the boot.
 */
#include "loader.h"

#define ADDRESS_BITS	46	/* what any machine with four levels has */

static const char prefix[] = "mirror=";

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* The word that starts with mirror=, behind @from; NULL: there is none */
static const char *find_word(const char *from)
{
	const char *at;

	for (at = from; *at; at++)
		if ((at == from || is_blank(at[-1])) &&
		    !memcmp(at, prefix, sizeof(prefix) - 1))
			return at;
	return NULL;
}

/* Leaves *text behind the number. False: none, or it is too large */
static bool parse_number(const char **text, const char *end, uint64_t *value)
{
	const uint64_t limit = 1ull << ADDRESS_BITS;
	const char *at = *text;
	unsigned int base = 10, shift = 0;
	uint64_t sum = 0;
	bool any = false;

	if (end - at > 2 && at[0] == '0' && (at[1] | 32) == 'x') {
		base = 16;
		at += 2;
	}
	for (; at < end; at++) {
		unsigned int digit;

		if (*at >= '0' && *at <= '9')
			digit = *at - '0';
		else if (base == 16 && (*at | 32) >= 'a' && (*at | 32) <= 'f')
			digit = (*at | 32) - 'a' + 10;
		else
			break;
		sum = sum * base + digit;
		any = true;
		if (sum > limit)
			return false;
	}
	if (at < end) {
		switch (*at | 32) {
		case 'k': shift = 10; break;
		case 'm': shift = 20; break;
		case 'g': shift = 30; break;
		}
		if (shift)
			at++;
	}
	if (!any || sum > limit >> shift)
		return false;
	*value = sum << shift;
	*text = at;
	return true;
}

static void parse_piece(struct mirror *mirror, const char *piece, const char *end)
{
	const char *at = piece;
	uint64_t size, start;
	unsigned int i;

	if (at == end)
		stop("mirror=", piece, 0, "an empty range, want SIZE@ADDR");
	if (!parse_number(&at, end, &size) || at == end || *at++ != '@' ||
	    !parse_number(&at, end, &start) || at != end)
		stop("mirror=", piece, end - piece, "not SIZE@ADDR, as in 512M@4G");
	if (!size)
		stop("mirror=", piece, end - piece, "the size is 0");
	if ((size | start) % PAGE_SIZE)
		stop("mirror=", piece, end - piece, "not in whole pages of 4K");
	if (start + size > 1ull << ADDRESS_BITS)
		stop("mirror=", piece, end - piece, "ends beyond 64T");
	if (mirror->nr == MAX_RANGES)
		stop("mirror=", piece, end - piece, "more than 32 ranges");
	for (i = 0; i < mirror->nr; i++)
		if (start < mirror->range[i].end &&
		    start + size > mirror->range[i].start)
			stop("mirror=", piece, end - piece, "overlaps one before it");
	mirror->text[mirror->nr] = piece;
	mirror->len[mirror->nr] = end - piece;
	mirror->range[mirror->nr++] = (struct range){ start, start + size };
}

/* Fills @mirror; it keeps pointers into @cmdline. Returns the length of the word at @word */
size_t mirror_parse(struct mirror *mirror, const char *cmdline, const char **word)
{
	const char *at;

	mirror->nr = 0;
	*word = find_word(cmdline);
	if (!*word)
		return 0;
	at = *word + sizeof(prefix) - 1;
	for (;;) {
		const char *piece = at;

		while (*at && !is_blank(*at) && *at != ',')
			at++;
		parse_piece(mirror, piece, at);
		if (*at != ',')
			break;
		at++;
	}
	if (find_word(at))
		stop("mirror=", NULL, 0, "given twice");
	return at - *word;
}

/* Whether each range has memory can only be said when the memory map is known */
void mirror_check(const struct mirror *mirror, const struct e820_map *map)
{
	unsigned int i, j;

	for (i = 0; i < mirror->nr; i++) {
		const struct range *r = &mirror->range[i];
		uint64_t found = 0;

		for (j = 0; j < map->nr; j++) {
			const struct e820_entry *e = &map->entry[j];
			uint64_t start = e->addr > r->start ? e->addr : r->start;
			uint64_t end = e->addr + e->size;

			if (end > r->end)
				end = r->end;
			if (e->type == E820_RAM && start < end)
				found += end - start;
		}
		print("loader: mirror ");
		print_hex(r->start);
		print("-");
		print_hex(r->end);
		print(": ");
		print_dec(found >> 20);
		print("M of memory\n");
		if (!found)
			stop("mirror=", mirror->text[i], mirror->len[i],
			     "no memory in this range");
	}
}
