// SPDX-License-Identifier: GPL-2.0
/*
 * loader - boots a bzImage in a machine with mirrored memory
 *
 * usage: qemu-system-x86_64 -kernel loader -initrd BZIMAGE,INITRAMFS \
 *	  -append "mirror=SIZE@ADDR,... KERNEL PARAMETERS"
 *
 * Without mirror= it boots in the same way, with no memory mirrored.
 */
#include "loader.h"

#define MULTIBOOT_LOADED	0x2badb002
#define MULTIBOOT_NEED		0x4c	/* command line, modules, memory map */

struct multiboot_info {
	uint32_t flags;
	uint32_t mem_lower, mem_upper;
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_length, mmap_addr;
};

struct multiboot_mod {
	uint32_t start, end;
	uint32_t cmdline;
	uint32_t reserved;
};

struct multiboot_mmap {
	uint32_t size;		/* of the rest */
	uint64_t addr;
	uint64_t len;
	uint32_t type;
} __attribute__((packed));

/* Documentation/arch/x86/boot.rst: the fields that matter here, from 0x1f1 on */
struct setup_header {
	uint8_t setup_sects;
	uint8_t pad1[0x1fe - 0x1f2];
	uint16_t boot_flag;
	uint8_t jump, header_size;
	uint32_t magic;
	uint16_t version;
	uint8_t pad2[0x210 - 0x208];
	uint8_t type_of_loader, loadflags;
	uint8_t pad3[0x218 - 0x212];
	uint32_t ramdisk_image, ramdisk_size;
	uint8_t pad4[0x228 - 0x220];
	uint32_t cmd_line_ptr;
	uint8_t pad5[0x236 - 0x22c];
	uint16_t xloadflags;
	uint32_t cmdline_size;
	uint8_t pad6[0x258 - 0x23c];
	uint64_t pref_address;
	uint32_t init_size;
} __attribute__((packed));
_Static_assert(offsetof(struct setup_header, init_size) == 0x260 - 0x1f1, "header");

/* Documentation/arch/x86/zero-page.rst */
struct boot_params {
	uint8_t pad1[0x70];
	uint64_t acpi_rsdp_addr;
	uint8_t pad2[0x1c0 - 0x78];
	uint32_t efi_signature, efi_systab;
	uint32_t efi_desc_size, efi_desc_version;
	uint32_t efi_map, efi_map_size;
	uint32_t efi_systab_hi, efi_map_hi;
	uint8_t pad3[0x1e8 - 0x1e0];
	uint8_t e820_entries;
	uint8_t pad4[0x1f1 - 0x1e9];
	struct setup_header hdr;
	uint8_t pad5[0x2d0 - 0x1f1 - sizeof(struct setup_header)];
	struct e820_entry e820[MAX_E820];
	uint8_t pad6[4096 - 0x2d0 - MAX_E820 * sizeof(struct e820_entry)];
} __attribute__((packed));
_Static_assert(sizeof(struct boot_params) == 4096, "zero page");

#define HEADER_OFFSET		0x1f1
#define HEADER_MAGIC		0x53726448	/* "HdrS" */
#define HEADER_END		0x202		/* plus header_size */
#define XLF_KERNEL_64		1
#define LOADER_UNDEFINED	0xff
#define EFI64_SIGNATURE		0x34364c45	/* "EL64" */
#define ENTRY_64		0x200

static struct boot_params params;
static struct e820_map map;
static struct mirror mirror;
static char cmdline[4096];

static void read_cmdline(const char *text)
{
	const char *word;
	size_t len;

	/* The first word is the loader's own file name */
	while (*text && *text != ' ')
		text++;
	while (*text == ' ')
		text++;
	len = strlen(text);
	if (len >= sizeof(cmdline))
		stop("command line", NULL, 0, "longer than 4095");
	memcpy(cmdline, text, len + 1);
	len = mirror_parse(&mirror, text, &word);
	if (len)
		memset(cmdline + (word - text), ' ', len);
}

static void read_memory_map(const struct multiboot_info *info)
{
	uint32_t at = info->mmap_addr;

	while (at < info->mmap_addr + info->mmap_length) {
		const struct multiboot_mmap *m = (const struct multiboot_mmap *)at;

		if (map.nr == MAX_E820)
			stop("memory map", NULL, 0, "too many entries");
		map.entry[map.nr++] = (struct e820_entry){ m->addr, m->len, m->type };
		at += m->size + sizeof(m->size);
	}
}

/* The last pages of low memory, which no kernel wants, go to the firmware */
static uint32_t place_firmware(void)
{
	uint64_t top = 0;

	for (unsigned int i = 0; i < map.nr; i++) {
		const struct e820_entry *e = &map.entry[i];

		if (e->type == E820_RAM && e->addr + e->size <= 0x100000)
			top = e->addr + e->size;
	}
	top = (top & -(uint64_t)PAGE_SIZE) - FIRMWARE_PAGES * PAGE_SIZE;
	e820_reserve(&map, (struct range){ top, top + FIRMWARE_PAGES * PAGE_SIZE });
	return top;
}

static void make_firmware(void)
{
	uint32_t page = place_firmware();
	struct efi_desc *desc = (struct efi_desc *)(page + PAGE_SIZE);
	unsigned int nr = efi_map_build(desc, &map, &mirror, page);

	_Static_assert(MAX_DESCS * sizeof(*desc) <= (FIRMWARE_PAGES - 1) * PAGE_SIZE,
		       "descriptors fit");
	params.efi_signature = EFI64_SIGNATURE;
	params.efi_systab = efi_tables_build(page);
	params.efi_desc_size = sizeof(*desc);
	params.efi_desc_version = EFI_DESC_VERSION;
	params.efi_map = (uint32_t)desc;
	params.efi_map_size = nr * sizeof(*desc);
	params.acpi_rsdp_addr = find_rsdp();
}

/* Copies the kernel to where it wants to be. Returns its entry point */
static uint32_t load_kernel(const struct multiboot_mod *mod)
{
	const uint8_t *image = (const uint8_t *)mod->start;
	const struct setup_header *hdr = (const void *)(image + HEADER_OFFSET);
	uint32_t size = mod->end - mod->start, setup;

	if (size < 1024 || hdr->magic != HEADER_MAGIC || hdr->version < 0x20c ||
	    !(hdr->xloadflags & XLF_KERNEL_64))
		stop("first module", NULL, 0, "not a 64-bit bzImage");
	if (hdr->pref_address + hdr->init_size > (uint32_t)loader_start)
		stop("kernel", NULL, 0, "its load range reaches up to the loader");
	if (strlen(cmdline) > hdr->cmdline_size)
		stop("command line", NULL, 0, "longer than the kernel takes");

	memcpy((uint8_t *)&params + HEADER_OFFSET, hdr,
	       HEADER_END + hdr->header_size - HEADER_OFFSET);
	setup = ((hdr->setup_sects ? : 4) + 1) * 512;
	memcpy((void *)(uint32_t)hdr->pref_address, image + setup, size - setup);
	return hdr->pref_address + ENTRY_64;
}

void __attribute__((noreturn)) loader_main(uint32_t magic,
					   const struct multiboot_info *info)
{
	const struct multiboot_mod *mods;
	uint32_t entry;

	serial_init();
	if (magic != MULTIBOOT_LOADED || (info->flags & MULTIBOOT_NEED) != MULTIBOOT_NEED)
		stop("multiboot", NULL, 0, "no command line, modules or memory map");
	if (info->mods_count != 2)
		stop("multiboot", NULL, 0, "want two modules: -initrd BZIMAGE,INITRAMFS");
	mods = (const void *)info->mods_addr;

	read_cmdline((const char *)info->cmdline);
	read_memory_map(info);
	mirror_check(&mirror, &map);
	make_firmware();
	entry = load_kernel(&mods[0]);

	params.hdr.type_of_loader = LOADER_UNDEFINED;
	params.hdr.cmd_line_ptr = (uint32_t)cmdline;
	params.hdr.ramdisk_image = mods[1].start;
	params.hdr.ramdisk_size = mods[1].end - mods[1].start;
	params.e820_entries = map.nr;
	memcpy(params.e820, map.entry, map.nr * sizeof(map.entry[0]));
	enter_kernel(entry, (uint32_t)&params);
}
