// SPDX-License-Identifier: GPL-2.0
/*
 * What mirror_reserve= and mirror_users= accept.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/mirror_reserve.h>
#include <linux/prandom.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "../mirror_reserve.h"

struct good_param {
	const char *arg;
	unsigned int nr_spans;
	unsigned int nr_wishes;
	u64 size;	/* of the last span or wish */
	u64 base;	/* of the last span */
	int node;	/* one that is in the last wish, or -1 for none */
};

static const struct good_param good_params[] = {
	{ "64M",		0, 1, SZ_64M,	0,	-1 },
	{ "1G",			0, 1, SZ_1G,	0,	-1 },
	{ "4194304",		0, 1, SZ_4M,	0,	-1 },
	{ "0x400000",		0, 1, SZ_4M,	0,	-1 },
	{ "64M,0",		0, 1, SZ_64M,	0,	0 },
	{ "64M,0,1",		0, 1, SZ_64M,	0,	1 },
	{ "512M@4G",		1, 0, SZ_512M,	SZ_4G,	-1 },
	{ "64M@0",		1, 0, SZ_64M,	0,	-1 },
	{ "512M@4G,256M@6G",	2, 0, SZ_256M,	SZ_4G + SZ_2G, -1 },
};

static void good_param_desc(const struct good_param *g, char *desc)
{
	strscpy(desc, g->arg, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(good_param, good_params, good_param_desc);

static struct mirror_params *new_params(struct kunit *test)
{
	struct mirror_params *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	return p;
}

static void parameter_says_what_it_means(struct kunit *test)
{
	const struct good_param *g = test->param_value;
	struct mirror_params *p = new_params(test);
	const char *bad;
	int len;

	KUNIT_ASSERT_EQ(test, 0, mirror_parse(g->arg, p, &bad, &len));
	KUNIT_EXPECT_EQ(test, g->nr_spans, p->nr_spans);
	KUNIT_EXPECT_EQ(test, g->nr_wishes, p->nr_wishes);
	if (g->nr_spans) {
		KUNIT_EXPECT_EQ(test, g->size, p->spans[g->nr_spans - 1].size);
		KUNIT_EXPECT_EQ(test, g->base, p->spans[g->nr_spans - 1].base);
	} else {
		KUNIT_EXPECT_EQ(test, g->size, p->wishes[0].size);
		KUNIT_EXPECT_EQ(test, g->node < 0, nodes_empty(p->wishes[0].nodes));
		if (g->node >= 0)
			KUNIT_EXPECT_TRUE(test, node_isset(g->node, p->wishes[0].nodes));
	}
}

struct bad_param {
	const char *arg;
	int error;
	const char *piece;	/* the piece that is named */
};

static const struct bad_param bad_params[] = {
	{ "",			-EINVAL, "" },
	{ "x",			-EINVAL, "x" },
	{ "-64M",		-EINVAL, "-64M" },
	{ "64Q",		-EINVAL, "64Q" },
	{ "64M ",		-EINVAL, "64M " },
	{ "0",			-ERANGE, "0" },
	{ "0M",			-ERANGE, "0M" },
	{ "64M,",		-EINVAL, "" },
	{ "64M,x",		-EINVAL, "x" },
	{ "64M,1G",		-EINVAL, "1G" },
	{ "64M,-1",		-EINVAL, "-1" },
	{ "64M,99999999",	-ERANGE, "99999999" },
	{ "64M,0,64M@4G",	-EINVAL, "64M@4G" },
	{ "@4G",		-EINVAL, "@4G" },
	{ "64M@",		-EINVAL, "64M@" },
	{ "64M@x",		-EINVAL, "64M@x" },
	{ "64M@4G@5G",		-EINVAL, "64M@4G@5G" },
	{ "0@4G",		-ERANGE, "0@4G" },
	{ "64M@0xffffffffffffffff", -ERANGE, "64M@0xffffffffffffffff" },
	{ "64M@4G,64M",		-EINVAL, "64M" },
	{ "64M@4G,,64M@5G",	-EINVAL, "" },
};

static void bad_param_desc(const struct bad_param *b, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "'%s'", b->arg);
}

KUNIT_ARRAY_PARAM(bad_param, bad_params, bad_param_desc);

static void bad_parameter_is_named_and_changes_nothing(struct kunit *test)
{
	const struct bad_param *b = test->param_value;
	struct mirror_params *p = new_params(test);
	const char *bad = NULL;
	char piece[64];
	int len = -1;

	p->nr_spans = 1;
	p->spans[0].size = SZ_64M;
	p->nr_wishes = 1;
	p->wishes[0].size = SZ_1G;

	KUNIT_EXPECT_EQ(test, b->error, mirror_parse(b->arg, p, &bad, &len));
	KUNIT_ASSERT_NOT_NULL(test, bad);
	snprintf(piece, sizeof(piece), "%.*s", len, bad);
	KUNIT_EXPECT_STREQ(test, b->piece, (const char *)piece);
	KUNIT_EXPECT_EQ(test, 1U, p->nr_spans);
	KUNIT_EXPECT_EQ(test, 1U, p->nr_wishes);
	KUNIT_EXPECT_EQ(test, (u64)SZ_64M, (u64)p->spans[0].size);
	KUNIT_EXPECT_EQ(test, (u64)SZ_1G, p->wishes[0].size);
}

static void too_many_pieces_are_refused(struct kunit *test)
{
	struct mirror_params *p = new_params(test);
	const char *bad;
	int i, len;

	for (i = 0; i < MIRROR_MAX_WISHES; i++)
		KUNIT_ASSERT_EQ(test, 0, mirror_parse("4M", p, &bad, &len));
	KUNIT_EXPECT_EQ(test, -ENOSPC, mirror_parse("4M", p, &bad, &len));
	KUNIT_EXPECT_EQ(test, (unsigned int)MIRROR_MAX_WISHES, p->nr_wishes);

	for (i = 0; i < MIRROR_MAX_SPANS; i++)
		KUNIT_ASSERT_EQ(test, 0, mirror_parse("4M@4G", p, &bad, &len));
	KUNIT_EXPECT_EQ(test, -ENOSPC, mirror_parse("4M@4G", p, &bad, &len));
	KUNIT_EXPECT_EQ(test, (unsigned int)MIRROR_MAX_SPANS, p->nr_spans);
}

/* Whatever it is: refused with a piece of it named, or understood */
static void random_text_is_refused_or_understood(struct kunit *test)
{
	static const char chars[] = "0123456789MGKx@,,@ -MQ.";
	struct mirror_params *p = new_params(test);
	struct rnd_state rnd;
	int i, j, len, ret;
	const char *bad;
	char arg[24];

	prandom_seed_state(&rnd, 1);
	for (i = 0; i < 10000; i++) {
		memset(p, 0, sizeof(*p));
		for (j = 0; j < sizeof(arg) - 1; j++)
			arg[j] = chars[prandom_u32_state(&rnd) % (sizeof(chars) - 1)];
		arg[prandom_u32_state(&rnd) % sizeof(arg)] = '\0';
		arg[sizeof(arg) - 1] = '\0';

		bad = NULL;
		len = -1;
		ret = mirror_parse(arg, p, &bad, &len);
		if (!ret) {
			KUNIT_EXPECT_TRUE_MSG(test, p->nr_spans || p->nr_wishes,
					      "'%s'", arg);
			continue;
		}
		KUNIT_EXPECT_TRUE_MSG(test, bad >= arg && len >= 0 &&
				      bad + len <= arg + strlen(arg), "'%s'", arg);
		KUNIT_EXPECT_EQ_MSG(test, 0U, p->nr_spans + p->nr_wishes, "'%s'", arg);
	}
}

static void users_have_one_name_each(struct kunit *test)
{
	static const char * const names[] = {
		"pgtable", "stack", "task", "mm", "inode", "dentry", "vmemmap",
	};
	int i;

	KUNIT_ASSERT_EQ(test, (int)ARRAY_SIZE(names), (int)NR_MIRROR_USERS);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		KUNIT_EXPECT_EQ(test, i, mirror_user_find(names[i], strlen(names[i])));
	KUNIT_EXPECT_EQ(test, -EINVAL, mirror_user_find("", 0));
	KUNIT_EXPECT_EQ(test, -EINVAL, mirror_user_find("pgtabl", 6));
	KUNIT_EXPECT_EQ(test, -EINVAL, mirror_user_find("pgtables", 8));
	KUNIT_EXPECT_EQ(test, -EINVAL, mirror_user_find("MM", 2));
}

static struct kunit_case mirror_params_cases[] = {
	KUNIT_CASE_PARAM(parameter_says_what_it_means, good_param_gen_params),
	KUNIT_CASE_PARAM(bad_parameter_is_named_and_changes_nothing, bad_param_gen_params),
	KUNIT_CASE(too_many_pieces_are_refused),
	KUNIT_CASE(random_text_is_refused_or_understood),
	KUNIT_CASE(users_have_one_name_each),
	{}
};

static struct kunit_suite mirror_params_suite = {
	.name = "mirror_params",
	.test_cases = mirror_params_cases,
};

kunit_test_suite(mirror_params_suite);
