// SPDX-License-Identifier: GPL-2.0
/* The memory maps: e820 as the BIOS gave it, and the EFI map made from it */
#include "loader.h"

static const struct {
	enum e820_type e820;
	enum efi_type efi;
} types[] = {
	{ E820_RAM,		EFI_CONVENTIONAL },
	{ E820_RESERVED,	EFI_RESERVED },
	{ E820_ACPI,		EFI_ACPI_RECLAIM },
	{ E820_NVS,		EFI_ACPI_NVS },
	{ E820_UNUSABLE,	EFI_UNUSABLE },
};

/* Takes @what out of the one range of RAM that encloses it */
void e820_reserve(struct e820_map *map, struct range what)
{
	unsigned int i;

	for (i = 0; i < map->nr; i++) {
		struct e820_entry *e = &map->entry[i];
		uint64_t end = e->addr + e->size;

		if (e->type != E820_RAM || e->addr > what.start || end < what.end)
			continue;
		if (map->nr + 2 > MAX_E820)
			stop("e820", NULL, 0, "too many entries");
		e->size = what.start - e->addr;
		/* In order of address: shift the rest by two */
		for (unsigned int j = map->nr + 1; j > i + 2; j--)
			map->entry[j] = map->entry[j - 2];
		map->entry[i + 1] = (struct e820_entry){ what.start,
			what.end - what.start, E820_RESERVED };
		map->entry[i + 2] = (struct e820_entry){ what.end,
			end - what.end, E820_RAM };
		map->nr += 2;
		return;
	}
	stop("e820", NULL, 0, "no low memory for the firmware");
}

static void add(struct efi_desc *desc, unsigned int *nr, enum efi_type type,
		uint64_t start, uint64_t end, uint64_t attribute)
{
	if (start >= end)
		return;
	if (*nr == MAX_DESCS)
		stop("EFI memory map", NULL, 0, "too many descriptors");
	memset(&desc[*nr], 0, sizeof(*desc));
	desc[*nr].type = type;
	desc[*nr].phys_addr = start;
	desc[*nr].num_pages = (end - start) / PAGE_SIZE;
	desc[*nr].attribute = attribute;
	(*nr)++;
}

/* RAM, cut where mirrored memory begins and ends */
static void add_ram(struct efi_desc *desc, unsigned int *nr, uint64_t start,
		    uint64_t end, const struct mirror *mirror)
{
	while (start < end) {
		uint64_t attribute = EFI_MEMORY_WB, next = end;

		for (unsigned int i = 0; i < mirror->nr; i++) {
			const struct range *r = &mirror->range[i];

			if (r->start <= start && start < r->end) {
				attribute |= EFI_MEMORY_MORE_RELIABLE;
				if (r->end < next)
					next = r->end;
			} else if (start < r->start && r->start < next) {
				next = r->start;
			}
		}
		add(desc, nr, EFI_CONVENTIONAL, start, next, attribute);
		start = next;
	}
}

/*
 * One or more descriptors per e820 entry that is memory. Reserved ranges are when
 * they adjoin RAM, which they were cut from; others are addresses of devices, and
 * the kernel would count them as memory that is not mirrored. @firmware is the
 * address that e820_reserve() was called for. Returns the number of descriptors.
 */
unsigned int efi_map_build(struct efi_desc *desc, const struct e820_map *map,
			   const struct mirror *mirror, uint64_t firmware)
{
	unsigned int i, j, nr = 0;
	uint64_t last = 0;	/* where memory ended so far */

	for (i = 0; i < map->nr; i++) {
		const struct e820_entry *e = &map->entry[i];
		uint64_t start = e->addr, end = e->addr + e->size;

		if (e->type == E820_RESERVED && e->addr != last)
			continue;
		last = end;
		if (e->type == E820_RAM) {
			start = (start + PAGE_SIZE - 1) & -(uint64_t)PAGE_SIZE;
			end &= -(uint64_t)PAGE_SIZE;
			add_ram(desc, &nr, start, end, mirror);
			continue;
		}
		start &= -(uint64_t)PAGE_SIZE;
		end = (end + PAGE_SIZE - 1) & -(uint64_t)PAGE_SIZE;
		if (start == firmware) {
			add(desc, &nr, EFI_RUNTIME_CODE, start, end,
			    EFI_MEMORY_WB | EFI_MEMORY_RUNTIME);
			continue;
		}
		for (j = 0; j < sizeof(types) / sizeof(types[0]); j++)
			if (types[j].e820 == e->type)
				break;
		add(desc, &nr, j < sizeof(types) / sizeof(types[0]) ?
		    types[j].efi : EFI_RESERVED, start, end, 0);
	}
	return nr;
}
