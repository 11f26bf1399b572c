/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A boot loader that is the firmware, too: what its parts share.
 *
 * QEMU loads it by the multiboot protocol. It tells the kernel which ranges of
 * memory are mirrored, the way EFI firmware does, and enters it by the 64-bit boot
 * protocol (Documentation/arch/x86/boot.rst). Freestanding 32-bit code, all
 * memory below 4 GiB is mapped one to one.
 */
#ifndef LOADER_H
#define LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE	4096u
#define MAX_RANGES	32
#define MAX_E820	128	/* what fits into the zero page */
#define MAX_DESCS	(MAX_E820 + 2 * MAX_RANGES + 4)

/* Half-open */
struct range {
	uint64_t start;
	uint64_t end;
};

enum e820_type {
	E820_RAM	= 1,
	E820_RESERVED	= 2,
	E820_ACPI	= 3,
	E820_NVS	= 4,
	E820_UNUSABLE	= 5,
};

struct e820_entry {
	uint64_t addr;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

struct e820_map {
	unsigned int nr;
	struct e820_entry entry[MAX_E820];
};

/* UEFI specification, 7.2 EFI_MEMORY_DESCRIPTOR; 48 bytes as real firmware has it */
struct efi_desc {
	uint32_t type;
	uint32_t pad;
	uint64_t phys_addr;
	uint64_t virt_addr;
	uint64_t num_pages;
	uint64_t attribute;
	uint64_t reserved;
} __attribute__((packed));
_Static_assert(sizeof(struct efi_desc) == 48, "descriptor size");

#define EFI_DESC_VERSION	1

enum efi_type {
	EFI_RESERVED		= 0,
	EFI_RUNTIME_CODE	= 5,
	EFI_CONVENTIONAL	= 7,
	EFI_UNUSABLE		= 8,
	EFI_ACPI_RECLAIM	= 9,
	EFI_ACPI_NVS		= 10,
};

#define EFI_MEMORY_WB			0x8ull
#define EFI_MEMORY_MORE_RELIABLE	0x10000ull
#define EFI_MEMORY_RUNTIME		0x8000000000000000ull

/* The pages that a firmware keeps: see efi_tables.c */
#define FIRMWARE_PAGES	4

/* serial.c */
void serial_init(void);
void print(const char *text);
void print_hex(uint64_t value);
void print_dec(uint32_t value);
void __attribute__((noreturn)) stop(const char *what, const char *piece,
				    size_t len, const char *why);

/* string.c */
void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *text);

/* mirror.c */
struct mirror {
	unsigned int nr;
	struct range range[MAX_RANGES];
	const char *text[MAX_RANGES];	/* as they were written, for messages */
	size_t len[MAX_RANGES];
};
size_t mirror_parse(struct mirror *mirror, const char *cmdline, const char **word);
void mirror_check(const struct mirror *mirror, const struct e820_map *map);

/* efi_map.c */
void e820_reserve(struct e820_map *map, struct range what);
unsigned int efi_map_build(struct efi_desc *desc, const struct e820_map *map,
			   const struct mirror *mirror, uint64_t firmware);

/* efi_tables.c */
uint32_t efi_tables_build(uint32_t page);
uint32_t find_rsdp(void);

/* start.S */
extern char loader_start[], loader_end[];
extern const char efi_unsupported[], efi_unsupported_end[];
void __attribute__((noreturn)) enter_kernel(uint32_t entry, uint32_t boot_params);

#endif
