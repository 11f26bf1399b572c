// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that a balloon has taken for the host, through hot-remove: they hold no
 * data of the guest's, but have to be moved, and given back at the end. The
 * block is added to the node of the CPUs, whose free pages the balloon takes
 * first. See page_kinds.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PK_NID	0
#include "page_kinds_test.h"

#define BALLOON_MB	16

static int resize(struct pk *pk, long mb)
{
	int ret = pb_balloon_resize(mb, 10.0);

	return ret ? pk_fail(pk, ret, "the balloon leaves %ld MB, not %ld",
			     pb_balloon_mb(), mb) : 0;
}

static int make_balloon(struct pk *pk)
{
	long mb = pb_balloon_mb();

	if (mb < 0)
		return pk_fail(pk, PK_SKIP, "need a balloon device, have none");
	pk->num[0] = mb;
	pk->pages = (BALLOON_MB << 20) / getpagesize();
	return resize(pk, mb - BALLOON_MB);
}

/* PG_offline: the pages of a balloon, and nobody else's in an online block */
static long inside_balloon(struct pk *pk)
{
	return pb_count_flags(&pk->block, PB_KPF_OFFLINE);
}

/* As other memory is used: there is no other use of these */
static int use_balloon(struct pk *pk)
{
	(void)pk;
	pb_msleep(10);
	return 0;
}

static int check_balloon(struct pk *pk)
{
	long mb = pb_balloon_mb();

	if (mb != pk->num[0] - BALLOON_MB)
		return pk_fail(pk, -EPROTO, "the balloon leaves %ld MB, not %ld",
			       mb, pk->num[0] - BALLOON_MB);
	/* The second time it is let go of, from where it is now */
	return pk->num[1]++ ? resize(pk, pk->num[0]) : 0;
}

static void drop_balloon(struct pk *pk)
{
	if (pk->num[0] > 0)
		resize(pk, pk->num[0]);
}

static const struct pk_ops balloon = {
	.name = "balloon", .make = make_balloon, .inside = inside_balloon,
	.use = use_balloon, .check = check_balloon, .drop = drop_balloon,
};

PK_TEST(balloon, balloon)

PK_MAIN
