// SPDX-License-Identifier: GPL-2.0
/* What all drivers of scenes need: how to end, what to tell, time. */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "scene.h"

/**
 * scene_die - tell why the scene ends here
 * @rc: exit status
 * @fmt: the reason
 */
void scene_die(enum scene_exit rc, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("scene error rc=%d text=\"%s\"\n", rc, text);
	fflush(stdout);
	exit(rc);
}

/**
 * scene_step - progress for the host's screen
 * @fmt: what is being done
 */
void scene_step(const char *fmt, ...)
{
	va_list ap;

	printf("@vm step ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/**
 * now_ms - monotonic time
 *
 * Return: milliseconds.
 */
double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/**
 * nap_ms - sleep
 * @ms: milliseconds
 */
void nap_ms(unsigned int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

/* An option's number; if it is none in [@min, @max], says so and calls @usage */
int scene_number(const char *text, int min, int max, void (*usage)(void))
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < min || n > max) {
		fprintf(stderr, "'%s' is not a number in %d..%d\n", text, min,
			max);
		usage();
	}
	return n;
}
