/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way in, from multiboot (32 bits, no paging), and the way out, into the
 * 64-bit entry point of the kernel.
 */
#define MULTIBOOT_MAGIC		0x1badb002
#define MULTIBOOT_FLAGS		3	/* modules on page boundaries; memory map */

#define CR0_PG			(1 << 31)
#define CR4_PAE			(1 << 5)
#define MSR_EFER		0xc0000080
#define EFER_LME		(1 << 8)

#define PTE_PRESENT_WRITE	3
#define PTE_LARGE		0x80

/* The selectors that the boot protocol asks for */
#define BOOT_CS			0x10
#define BOOT_DS			0x18

	.section .multiboot, "a"
	.balign	4
	.long	MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.text
	.code32
	.globl	_start
_start:
	cli
	cld
	movl	$stack_top, %esp
	pushl	%ebx			/* multiboot information */
	pushl	%eax			/* multiboot magic */
	call	loader_main
	hlt

/* void enter_kernel(uint32_t entry, uint32_t boot_params) */
	.globl	enter_kernel
enter_kernel:
	movl	4(%esp), %ebx
	movl	8(%esp), %esi

	/* 4 GiB one to one, in pages of 2 MiB: PML4, PDPT, four directories */
	movl	$(pdpt + PTE_PRESENT_WRITE), pml4
	xorl	%ecx, %ecx
1:	movl	%ecx, %eax
	shll	$12, %eax
	addl	$(directory + PTE_PRESENT_WRITE), %eax
	movl	%eax, pdpt(, %ecx, 8)
	incl	%ecx
	cmpl	$4, %ecx
	jb	1b
	xorl	%ecx, %ecx
2:	movl	%ecx, %eax
	shll	$21, %eax
	addl	$(PTE_LARGE + PTE_PRESENT_WRITE), %eax
	movl	%eax, directory(, %ecx, 8)
	incl	%ecx
	cmpl	$(4 * 512), %ecx
	jb	2b

	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4
	movl	$pml4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax
	wrmsr
	lgdt	gdt_pointer
	movl	%cr0, %eax
	orl	$CR0_PG, %eax
	movl	%eax, %cr0
	ljmp	$BOOT_CS, $long_mode

	.code64
long_mode:
	movl	$BOOT_DS, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%ebx, %ebx
	movl	%esi, %esi
	jmp	*%rbx

/* Every EFI runtime service there is: it returns EFI_UNSUPPORTED. Copied. */
	.globl	efi_unsupported, efi_unsupported_end
efi_unsupported:
	endbr64
	movabsq	$0x8000000000000003, %rax
	ret
efi_unsupported_end:

	.section .rodata
	.balign	8
gdt:
	.quad	0, 0
	.quad	0x00af9b000000ffff	/* BOOT_CS: 64-bit code */
	.quad	0x00cf93000000ffff	/* BOOT_DS: flat data */
gdt_pointer:
	.word	. - gdt - 1
	.long	gdt

	.bss
	.balign	4096
pml4:	.skip	4096
pdpt:	.skip	4096
directory:
	.skip	4 * 4096
	.skip	16384
stack_top:

	.section .note.GNU-stack, "", @progbits
