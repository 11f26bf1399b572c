// SPDX-License-Identifier: GPL-2.0
/* What the loader has to say, on the first serial line, and how it gives up */
#include "loader.h"

#define COM1		0x3f8
#define LINE_STATUS	(COM1 + 5)
#define TX_EMPTY	0x20
#define RESET_CONTROL	0xcf9

static void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a" (value), "Nd" (port));
}

static uint8_t inb(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a" (value) : "Nd" (port));
	return value;
}

void serial_init(void)
{
	outb(COM1 + 1, 0);		/* no interrupts */
	outb(COM1 + 3, 0x80);		/* divisor: 115200 */
	outb(COM1 + 0, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 0x03);		/* 8 bits, no parity */
	outb(COM1 + 2, 0xc7);		/* FIFO */
	outb(COM1 + 4, 0x03);
}

static void put(char c)
{
	while (!(inb(LINE_STATUS) & TX_EMPTY))
		;
	outb(COM1, c);
}

static void print_len(const char *text, size_t len)
{
	while (len--) {
		if (*text == '\n')
			put('\r');
		put(*text++);
	}
}

void print(const char *text)
{
	print_len(text, strlen(text));
}

void print_hex(uint64_t value)
{
	int shift = 60;

	print("0x");
	while (shift && !(value >> shift))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put("0123456789abcdef"[(value >> shift) & 15]);
}

void print_dec(uint32_t value)
{
	if (value >= 10)
		print_dec(value / 10);
	put('0' + value % 10);
}

/* "loader: WHAT 'PIECE': WHY", and the machine resets. QEMU ends with -no-reboot. */
void stop(const char *what, const char *piece, size_t len, const char *why)
{
	print("loader: ");
	print(what);
	if (piece) {
		print(" '");
		print_len(piece, len);
		print("'");
	}
	print(": ");
	print(why);
	print("\n");
	outb(RESET_CONTROL, 0x02);
	outb(RESET_CONTROL, 0x06);
	for (;;)
		asm volatile("cli; hlt");
}
