// SPDX-License-Identifier: GPL-2.0
/*
 * The words for memory block states, and the zone that they lead to.
 */
#include <kunit/test.h>
#include <linux/errno.h>
#include <linux/memory_hotplug.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>

struct state_word {
	const char *name;
	const char *word;
	int online_type;
};

static const struct state_word state_words[] = {
	{ "offline",		"offline",		MMOP_OFFLINE },
	{ "online",		"online",		MMOP_ONLINE },
	{ "online_kernel",	"online_kernel",	MMOP_ONLINE_KERNEL },
	{ "online_movable",	"online_movable",	MMOP_ONLINE_MOVABLE },
	{ "online_hotremove",	"online_hotremove",	MMOP_ONLINE_HOTREMOVE },
	{ "with newline",	"online_hotremove\n",	MMOP_ONLINE_HOTREMOVE },
	{ "prefix",		"online_hotremov",	-EINVAL },
	{ "longer",		"online_hotremovex",	-EINVAL },
	{ "two lines",		"online_hotremove\n\n",	-EINVAL },
	{ "two words",		"online hotremove",	-EINVAL },
	{ "leading blank",	" online_hotremove",	-EINVAL },
	{ "upper case",		"ONLINE_HOTREMOVE",	-EINVAL },
	{ "bare",		"hotremove",		-EINVAL },
	{ "empty",		"",			-EINVAL },
};

static void state_word_desc(const struct state_word *w, char *desc)
{
	strscpy(desc, w->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(state_word, state_words, state_word_desc);

static void word_gives_its_state_or_einval(struct kunit *test)
{
	const struct state_word *w = test->param_value;

	KUNIT_EXPECT_EQ(test, w->online_type, mhp_online_type_from_str(w->word));
}

static void every_state_has_a_word_that_leads_back(struct kunit *test)
{
	int type;

	for (type = MMOP_OFFLINE; type <= MMOP_ONLINE_HOTREMOVE; type++) {
		const char *word = mhp_online_type_to_str(type);

		KUNIT_ASSERT_NOT_NULL(test, word);
		KUNIT_EXPECT_EQ(test, type, mhp_online_type_from_str(word));
	}
	KUNIT_EXPECT_NULL(test, mhp_online_type_to_str(type));
	KUNIT_EXPECT_NULL(test, mhp_online_type_to_str(-1));
}

static void hotremove_goes_to_the_kernel_zone(struct kunit *test)
{
	int nid = first_online_node;
	struct pglist_data *pgdat = NODE_DATA(nid);
	unsigned long pfn = pgdat_end_pfn(pgdat);
	struct zone *zone;

	pfn = ALIGN(pfn, PAGES_PER_SECTION);
	zone = zone_for_pfn_range(MMOP_ONLINE_HOTREMOVE, nid, NULL, pfn,
				  PAGES_PER_SECTION);
	KUNIT_EXPECT_PTR_EQ(test, zone,
			    zone_for_pfn_range(MMOP_ONLINE_KERNEL, nid, NULL,
					       pfn, PAGES_PER_SECTION));
	KUNIT_EXPECT_LE(test, (int)zone_idx(zone), (int)ZONE_NORMAL);
}

static struct kunit_case hotremove_online_type_cases[] = {
	KUNIT_CASE_PARAM(word_gives_its_state_or_einval, state_word_gen_params),
	KUNIT_CASE(every_state_has_a_word_that_leads_back),
	KUNIT_CASE(hotremove_goes_to_the_kernel_zone),
	{}
};

static struct kunit_suite hotremove_online_type_suite = {
	.name = "hotremove_online_type",
	.test_cases = hotremove_online_type_cases,
};

kunit_test_suite(hotremove_online_type_suite);
