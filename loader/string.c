// SPDX-License-Identifier: GPL-2.0
/* What the compiler takes for granted */
#include "loader.h"

void *memcpy(void *to, const void *from, size_t n)
{
	void *ret = to;

	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (n) : : "memory");
	return ret;
}

void *memset(void *to, int c, size_t n)
{
	void *ret = to;

	asm volatile("rep stosb" : "+D" (to), "+c" (n) : "a" (c) : "memory");
	return ret;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *p = a, *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *text)
{
	size_t n = 0;

	while (text[n])
		n++;
	return n;
}
