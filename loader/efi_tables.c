// SPDX-License-Identifier: GPL-2.0
/*
 * The EFI system table and what hangs on it, all in one page that stays reserved.
 * UEFI specification, chapters 4 and 8.
 *
 * There are no runtime services: each returns EFI_UNSUPPORTED. The first that a
 * kernel calls is SetVirtualAddressMap(), and after that answer it calls no
 * other. (With efi=noruntime it would not even call this one, but forget the
 * memory map, too.)
 */
#include "loader.h"

struct table_header {
	uint64_t signature;
	uint32_t revision;
	uint32_t size;
	uint32_t crc32;
	uint32_t reserved;
} __attribute__((packed));

struct system_table {
	struct table_header header;
	uint64_t vendor;
	uint32_t vendor_revision;
	uint32_t pad;
	uint64_t consoles[6];
	uint64_t runtime;
	uint64_t boottime;
	uint64_t nr_tables;
	uint64_t tables;
} __attribute__((packed));
_Static_assert(sizeof(struct system_table) == 120, "EFI_SYSTEM_TABLE");

struct runtime_services {
	struct table_header header;
	uint64_t service[14];
} __attribute__((packed));

struct config_table {
	uint8_t guid[16];
	uint64_t table;
} __attribute__((packed));

struct firmware_page {
	struct system_table system;
	struct runtime_services runtime;
	struct config_table config[3];
	uint16_t vendor[8];
	uint8_t code[64];
};
_Static_assert(sizeof(struct firmware_page) <= PAGE_SIZE, "one page");

#define SYSTEM_SIGNATURE	0x5453595320494249ull	/* "IBI SYST" */
#define RUNTIME_SIGNATURE	0x56524553544e5552ull	/* "RUNTSERV" */
#define EFI_2_70		((2 << 16) | 70)

static const uint8_t guid_acpi10[16] = {
	0x30, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11,
	0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d,
};
static const uint8_t guid_acpi20[16] = {
	0x71, 0xe8, 0x68, 0x88, 0xf1, 0xe4, 0xd3, 0x11,
	0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81,
};
static const uint8_t guid_smbios[16] = {
	0x31, 0x2d, 0x9d, 0xeb, 0x88, 0x2d, 0xd3, 0x11,
	0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d,
};
static const uint8_t guid_smbios3[16] = {
	0x44, 0x15, 0xfd, 0xf2, 0x94, 0x97, 0x2c, 0x4a,
	0x99, 0x2e, 0xe5, 0xbb, 0xcf, 0x20, 0xe3, 0x94,
};

/* What a BIOS leaves below 1 MiB: the entry point with this anchor, or 0 */
static uint32_t find_anchor(const char *anchor, size_t sum_size)
{
	uint32_t at;

	for (at = 0xe0000; at < 0x100000; at += 16) {
		const uint8_t *p = (const uint8_t *)at;
		uint8_t sum = 0;

		if (memcmp(p, anchor, strlen(anchor)))
			continue;
		for (size_t i = 0; i < sum_size; i++)
			sum += p[i];
		if (!sum)
			return at;
	}
	return 0;
}

uint32_t find_rsdp(void)
{
	return find_anchor("RSD PTR ", 20);
}

static void add_config(struct firmware_page *page, const uint8_t *guid, uint32_t table)
{
	struct config_table *entry = &page->config[page->system.nr_tables];

	if (!table)
		return;
	memcpy(entry->guid, guid, sizeof(entry->guid));
	entry->table = table;
	page->system.nr_tables++;
}

/* Builds it all in the page at @address. Returns the address of the system table */
uint32_t efi_tables_build(uint32_t address)
{
	struct firmware_page *page = (struct firmware_page *)address;
	uint32_t rsdp = find_rsdp();
	size_t i, code_size = efi_unsupported_end - efi_unsupported;

	if (!rsdp)
		stop("ACPI", NULL, 0, "the BIOS left no RSDP");
	if (code_size > sizeof(page->code))
		stop("EFI", NULL, 0, "no room for the runtime service");
	memset(page, 0, PAGE_SIZE);
	for (i = 0; i < 6; i++)
		page->vendor[i] = "loader"[i];
	memcpy(page->code, efi_unsupported, code_size);

	page->runtime.header.signature = RUNTIME_SIGNATURE;
	page->runtime.header.revision = EFI_2_70;
	page->runtime.header.size = sizeof(page->runtime);
	for (i = 0; i < 14; i++)
		page->runtime.service[i] = (uint32_t)page->code;

	page->system.header.signature = SYSTEM_SIGNATURE;
	page->system.header.revision = EFI_2_70;
	page->system.header.size = sizeof(page->system);
	page->system.vendor = (uint32_t)page->vendor;
	page->system.runtime = (uint32_t)&page->runtime;
	page->system.tables = (uint32_t)page->config;
	/* Revision 0 of the RSDP is ACPI 1.0 */
	add_config(page, ((const uint8_t *)rsdp)[15] ? guid_acpi20 : guid_acpi10, rsdp);
	add_config(page, guid_smbios, find_anchor("_SM_", 0x1f));
	add_config(page, guid_smbios3, find_anchor("_SM3_", 0x18));
	return (uint32_t)&page->system;
}
