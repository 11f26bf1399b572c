// SPDX-License-Identifier: GPL-2.0
/*
 * hotremove=SIZE@ADDR: what is understood, and what is said about the rest.
 */
#include <kunit/test.h>
#include <linux/hotremove.h>
#include <linux/sizes.h>
#include <linux/string.h>

struct right_range {
	const char *text;
	u64 start;
	u64 end;
};

static const struct right_range right_ranges[] = {
	{ "1G@4G",			4ULL * SZ_1G,	5ULL * SZ_1G },
	{ "512m@0",			0,		SZ_512M },
	{ "0x8000000@0x100000000",	1ULL << 32,	(1ULL << 32) + SZ_128M },
	{ "0X10m@0x1g",			SZ_1G,		SZ_1G + SZ_16M },
	{ "1@1",			1,		2 },
	{ "1K@1T",			1ULL << 40,	(1ULL << 40) + SZ_1K },
	{ "1P@1E",			1ULL << 60,	(1ULL << 60) + (1ULL << 50) },
	{ "1@18446744073709551614",	U64_MAX - 1,	U64_MAX },
};

static void right_range_desc(const struct right_range *r, char *desc)
{
	strscpy(desc, r->text, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(right_range, right_ranges, right_range_desc);

static void a_range_is_understood(struct kunit *test)
{
	const struct right_range *r = test->param_value;
	u64 start = 42, end = 42;

	KUNIT_EXPECT_NULL(test, hotremove_parse_range(r->text, &start, &end));
	KUNIT_EXPECT_EQ(test, r->start, start);
	KUNIT_EXPECT_EQ(test, r->end, end);
}

struct wrong_range {
	const char *text;
	const char *wrong;
};

static const struct wrong_range wrong_ranges[] = {
	{ "",				"a number is missing" },
	{ "@4G",			"a number is missing" },
	{ "1G@",			"a number is missing" },
	{ "G@4G",			"a number is missing" },
	{ "-1G@4G",			"a number is missing" },
	{ " 1G@4G",			"a number is missing" },
	{ "0x@4G",			"a number is wrong" },
	{ "08@4G",			"a number is wrong" },
	{ "1G",				"need SIZE@ADDR" },
	{ "1GB@4G",			"need SIZE@ADDR" },
	{ "1G$4G",			"need SIZE@ADDR" },
	{ "1G @4G",			"need SIZE@ADDR" },
	{ "1G@4G ",			"more than SIZE@ADDR" },
	{ "1G@4GB",			"more than SIZE@ADDR" },
	{ "1G@4G@8G",			"more than SIZE@ADDR" },
	{ "0@4G",			"the size is 0" },
	{ "0G@4G",			"the size is 0" },
	{ "18446744073709551616@0",	"a number is too large" },
	{ "99999999999999999999999@0",	"a number is too large" },
	{ "16E@0",			"a number is too large" },
	{ "17179869185G@4G",		"a number is too large" },
	{ "1G@16E",			"a number is too large" },
	{ "15E@2E",			"it ends beyond all addresses" },
	{ "2@18446744073709551614",	"it ends beyond all addresses" },
	{ "srat",			"a number is missing" },
};

static void wrong_range_desc(const struct wrong_range *r, char *desc)
{
	strscpy(desc, *r->text ? r->text : "empty", KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(wrong_range, wrong_ranges, wrong_range_desc);

static void what_is_wrong_is_said(struct kunit *test)
{
	const struct wrong_range *r = test->param_value;
	u64 start, end;

	KUNIT_EXPECT_STREQ(test, r->wrong,
			   hotremove_parse_range(r->text, &start, &end));
}

static struct kunit_case hotremove_boot_cases[] = {
	KUNIT_CASE_PARAM(a_range_is_understood, right_range_gen_params),
	KUNIT_CASE_PARAM(what_is_wrong_is_said, wrong_range_gen_params),
	{}
};

static struct kunit_suite hotremove_boot_suite = {
	.name = "hotremove_boot",
	.test_cases = hotremove_boot_cases,
};

kunit_test_suite(hotremove_boot_suite);
