// SPDX-License-Identifier: GPL-2.0
/* Common part of the load programs; see load.h. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define SPIN_NS		(10 * 1000000LL)	/* CPU time between two naps */
#define MAX_REPORTS	10			/* mismatches told in detail */
#define MAX_NODE	63

static struct load_status own_status;
static struct load_status *status = &own_status;
static char **words;
static const char *usage_args;
static volatile sig_atomic_t stop;
static long share = 100;	/* percent of one CPU */
static long node = -1;		/* whose memory to prefer; -1: any */
static long seconds;		/* end without a signal; 0: never */
static uint64_t corrupt_at;	/* self test: damage the n-th check */
static uint64_t checks;
static uint64_t random_state;
static struct timespec started;

static long long ns_since(clockid_t clock, const struct timespec *from)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (now.tv_sec - from->tv_sec) * 1000000000LL +
	       now.tv_nsec - from->tv_nsec;
}

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

/**
 * load_die - end the program: set-up failed, or the system refused a call
 * @fmt: what failed and for which object
 */
void load_die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(LOAD_BROKEN);
}

__attribute__((noreturn))
static void usage(void)
{
	fprintf(stderr,
		"usage: %s [-n NODE] [-c SHARE] [-s FILE] [-t SECONDS] [-x N] %s\n"
		"  -n  prefer memory of NODE\n"
		"  -c  percent of one CPU to use after set-up (default 100)\n"
		"  -s  status file to map (struct load_status)\n"
		"  -t  end after SECONDS (default: on SIGTERM)\n"
		"  -x  self test: damage the data seen by the N-th check\n"
		"exit: 0 data intact, 1 mismatch, 2 broken\n",
		program_invocation_short_name, usage_args);
	exit(LOAD_BROKEN);
}

static long number(const char *text, const char *name, long min, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 0);
	if (errno || end == text || *end || n < min || n > max) {
		fprintf(stderr, "%s: %s: '%s' is not a number in %ld..%ld\n",
			program_invocation_short_name, name, text, min, max);
		usage();
	}
	return n;
}

static void prefer_node(void)
{
	unsigned long mask = 1UL << node;

	/* The kernel reads maxnode - 1 bits */
	if (syscall(SYS_set_mempolicy, MPOL_PREFERRED, &mask, MAX_NODE + 2))
		load_die("prefer node %ld: %s", node, strerror(errno));
}

static void map_status(const char *file)
{
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, sizeof(*status)))
		load_die("status file %s: %s", file, strerror(errno));
	status = mmap(NULL, sizeof(*status), PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0);
	if (status == MAP_FAILED)
		load_die("map status file %s: %s", file, strerror(errno));
	close(fd);
}

/**
 * load_init - parse the common options and prepare signals, policy, status
 * @argc: from main()
 * @argv: from main()
 * @args: names of the program's own arguments, for the usage line
 * @nr_args: how many there are
 */
void load_init(int argc, char **argv, const char *args, int nr_args)
{
	struct sigaction sa = { .sa_handler = on_term };
	const char *file = NULL;
	int c;

	usage_args = args;
	while ((c = getopt(argc, argv, "n:c:s:t:x:")) != -1) {
		switch (c) {
		case 'n':
			node = number(optarg, "-n", 0, MAX_NODE);
			break;
		case 'c':
			share = number(optarg, "-c", 1, 100);
			break;
		case 's':
			file = optarg;
			break;
		case 't':
			seconds = number(optarg, "-t", 1, 86400);
			break;
		case 'x':
			corrupt_at = number(optarg, "-x", 1, 1L << 40);
			break;
		default:
			usage();
		}
	}
	if (argc - optind != nr_args)
		usage();
	words = argv + optind;
	if (file)
		map_status(file);
	if (node >= 0)
		prefer_node();

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	random_state = 0x853c49e6748fea9bULL ^ (uint64_t)getpid() << 17;
	clock_gettime(CLOCK_MONOTONIC, &started);
}

/**
 * load_arg - one of the program's own arguments as a number
 * @i: which one
 * @name: what to call it in a message
 * @min: smallest value allowed
 * @max: largest value allowed
 *
 * Return: the value; ends the program when it is not in range.
 */
unsigned long load_arg(int i, const char *name, unsigned long min,
		       unsigned long max)
{
	return number(words[i], name, min, max);
}

/**
 * load_word - one of the program's own arguments as text
 * @i: which one
 *
 * Return: the argument.
 */
const char *load_word(int i)
{
	return words[i];
}

/**
 * load_node - whose memory should the load use?
 *
 * Return: number of the node, or -1 when it does not matter.
 */
int load_node(void)
{
	return node;
}

/**
 * load_running - is there more to do?
 *
 * Return: false after SIGTERM or when the time given is over.
 */
bool load_running(void)
{
	if (seconds && ns_since(CLOCK_MONOTONIC, &started) >
	    seconds * 1000000000LL)
		stop = 1;
	return !stop;
}

/**
 * load_pace - nap so that the program stays within its share of a CPU
 *
 * A share of CPU time, not a rate of operations: the load presses as hard as
 * the machine can bear, slow or fast, and what runs beside it (kswapd, the
 * offline path, the auditor) always finds the rest of the CPU free.
 */
void load_pace(void)
{
	static struct timespec mark;
	struct timespec nap;
	long long used;

	if (share == 100 || status->hurry)
		return;
	used = ns_since(CLOCK_PROCESS_CPUTIME_ID, &mark);
	if (used < SPIN_NS)
		return;
	if (mark.tv_sec || mark.tv_nsec) {
		used = used * (100 - share) / share;
		nap.tv_sec = used / 1000000000LL;
		nap.tv_nsec = used % 1000000000LL;
		nanosleep(&nap, NULL);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mark);
}

/**
 * load_hurried - does the driver wait for memory to be used?
 *
 * Return: true when only what fills the preferred node is of use now.
 */
bool load_hurried(void)
{
	return status->hurry;
}

/** load_ready - tell that set-up is complete */
void load_ready(void)
{
	status->ready = 1;
}

/** load_op - count one operation */
void load_op(void)
{
	status->ops++;
}

/**
 * load_end - report the sums
 *
 * Return: the program's exit status.
 */
int load_end(void)
{
	printf("%s: ops %" PRIu64 " written_mb %" PRIu64 " verified_mb %" PRIu64
	       " mismatches %" PRIu64 "\n", program_invocation_short_name,
	       status->ops, status->written >> 20, status->verified >> 20,
	       status->mismatches);
	return status->mismatches ? LOAD_MISMATCH : LOAD_OK;
}

/**
 * load_random - a number that the next run draws, too
 * @below: exclusive upper bound
 *
 * Return: a number in [0, @below).
 */
unsigned long load_random(unsigned long below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 11) % below;
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/**
 * pattern_key - what the pattern of one piece of data follows from
 * @where: address, or file and offset
 * @generation: how often it has been rewritten
 *
 * Return: key for pattern_fill() and pattern_check().
 */
uint64_t pattern_key(uint64_t where, uint64_t generation)
{
	return mix(mix(where + 1) + generation);
}

/*
 * Words of a pattern differ from each other, and whole patterns by their key.
 * Most of the load's CPU time goes to these loops, and an emulated CPU runs
 * eight plain words in a row faster than vector code: the factor is small
 * enough for the displacement of one instruction.
 */
#define STEP UINT64_C(0x0e3779b1)
#define EACH8(do) do(0); do(1); do(2); do(3); do(4); do(5); do(6); do(7)

/**
 * pattern_fill - write the pattern
 * @buf: where to; aligned to 8 bytes
 * @len: how much; a last incomplete word is filled, too
 * @key: from pattern_key()
 */
void pattern_fill(void *buf, size_t len, uint64_t key)
{
	uint64_t *p = buf;
	size_t i;

#define PUT(n) (p[n] = key + (n) * STEP)
	for (i = len / 64; i; i--, p += 8, key += 8 * STEP) {
		EACH8(PUT);
	}
	for (i = len % 64 / 8; i; i--, key += STEP)
		*p++ = key;
	memcpy(p, &key, len % 8);
	status->written += len;
}

/* No branch per word: where the difference is, report() finds out */
static bool pattern_differs(const uint64_t *p, size_t nr, uint64_t key)
{
	uint64_t diff = 0;
	size_t i;

#define DIFF(n) (diff |= p[n] ^ (key + (n) * STEP))
	for (i = nr / 8; i && !diff; i--, p += 8, key += 8 * STEP) {
		EACH8(DIFF);
	}
	for (i = nr % 8; i && !diff; i--, key += STEP)
		diff |= *p++ ^ key;
	return diff;
}

static void report(const uint64_t *p, size_t len, uint64_t key,
		   const char *what, uint64_t where)
{
	size_t i;

	if (status->mismatches++ >= MAX_REPORTS)
		return;
	for (i = 0; i < len / 8 && p[i] == key + i * STEP; i++)
		;
	fprintf(stderr, "%s: MISMATCH in %s %#" PRIx64
		" at byte %zu of %zu: want %016" PRIx64 " found %016" PRIx64
		"\n", program_invocation_short_name, what, where, i * 8, len,
		key + i * STEP, i < len / 8 ? p[i] : 0);
}

/**
 * pattern_check - compare data with its pattern
 * @buf: the data; aligned to 8 bytes
 * @len: its length
 * @key: from pattern_key()
 * @what: kind of object, for the report
 * @where: which one, for the report
 *
 * Return: true when every byte is as written.
 */
bool pattern_check(const void *buf, size_t len, uint64_t key,
		   const char *what, uint64_t where)
{
	const uint64_t *p = buf;
	uint64_t last;

	if (++checks == corrupt_at)
		((volatile unsigned char *)buf)[len / 2] ^= 0x10;
	status->verified += len;
	last = key + len / 8 * STEP;
	if (!pattern_differs(p, len / 8, key) &&
	    !memcmp(p + len / 8, &last, len % 8))
		return true;
	report(p, len, key, what, where);
	return false;
}
