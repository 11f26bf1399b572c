// SPDX-License-Identifier: GPL-2.0
/*
 * What pageblocks of type MIGRATE_HOTREMOVE are, and whom they never serve.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/hotremove.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pagemap.h>

#include "../page_alloc.h"

struct type_rule {
	int mt;
	const char *name;
	bool movable_only;
	bool movable;
	bool mergeable;
};

static const struct type_rule type_rules[] = {
	{ MIGRATE_UNMOVABLE,	"Unmovable",	false, false, true },
	{ MIGRATE_MOVABLE,	"Movable",	false, true,  true },
	{ MIGRATE_RECLAIMABLE,	"Reclaimable",	false, false, true },
	{ MIGRATE_HIGHATOMIC,	"HighAtomic",	false, false, false },
#ifdef CONFIG_CMA
	{ MIGRATE_CMA,		"CMA",		true,  true,  false },
#endif
	{ MIGRATE_HOTREMOVE,	"Hotremove",	true,  true,  false },
	{ MIGRATE_ISOLATE,	"Isolate",	false, false, false },
};

static void type_rule_desc(const struct type_rule *rule, char *desc)
{
	strscpy(desc, rule->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(type_rule, type_rules, type_rule_desc);

static void type_follows_its_rules(struct kunit *test)
{
	const struct type_rule *rule = test->param_value;

	KUNIT_EXPECT_STREQ(test, migratetype_names[rule->mt], rule->name);
	KUNIT_EXPECT_EQ(test, is_migrate_movable_only(rule->mt),
			rule->movable_only);
	KUNIT_EXPECT_EQ(test, is_migrate_movable(rule->mt), rule->movable);
	KUNIT_EXPECT_EQ(test, migratetype_is_mergeable(rule->mt),
			rule->mergeable);
}

static void every_type_is_in_the_table(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, ARRAY_SIZE(type_rules), MIGRATE_TYPES);
	/* A type must fit into the pageblock bits besides isolation */
	KUNIT_EXPECT_LE(test, (unsigned long)__MIGRATE_TYPE_END,
			(unsigned long)PAGEBLOCK_MIGRATETYPE_MASK);
}

/* A free area that holds one page, on the list of one type */
struct one_page_area {
	struct free_area area;
	struct page page;
};

static struct free_area *area_with_page_of(struct kunit *test, int mt)
{
	struct one_page_area *opa = kunit_kzalloc(test, sizeof(*opa), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, opa);
	for (i = 0; i < MIGRATE_TYPES; i++)
		INIT_LIST_HEAD(&opa->area.free_list[i]);
	list_add(&opa->page.buddy_list, &opa->area.free_list[mt]);
	opa->area.nr_free = 1;

	return &opa->area;
}

static int fallback(struct free_area *area, int order, int mt, bool claimable)
{
	return find_suitable_fallback(area, order, mt, claimable, NULL);
}

static void hotremove_is_no_fallback_for_any_type(struct kunit *test)
{
	struct free_area *hotremove = area_with_page_of(test, MIGRATE_HOTREMOVE);
	struct free_area *ordinary;
	int mt, order;

	for (mt = 0; mt < MIGRATE_PCPTYPES; mt++) {
		ordinary = area_with_page_of(test, mt == MIGRATE_RECLAIMABLE ?
					     MIGRATE_UNMOVABLE :
					     MIGRATE_RECLAIMABLE);
		for (order = 0; order < NR_PAGE_ORDERS; order++) {
			/* The same search does find an ordinary page */
			KUNIT_ASSERT_EQ(test, FALLBACK_FOUND,
					fallback(ordinary, order, mt, false));

			KUNIT_EXPECT_EQ(test, FALLBACK_EMPTY,
					fallback(hotremove, order, mt, false));
			KUNIT_EXPECT_NE(test, FALLBACK_FOUND,
					fallback(hotremove, order, mt, true));
		}
	}
}

static void movable_only_lists_are_seen_as_such(struct kunit *test)
{
	struct free_area *area;
	int mt;

	for (mt = 0; mt < MIGRATE_TYPES; mt++) {
		area = area_with_page_of(test, mt);
		KUNIT_EXPECT_EQ(test, is_migrate_movable_only(mt),
				free_area_has_movable_only(area));
	}
}

struct request_class {
	const char *name;
	gfp_t gfp;
	bool movable_only;
};

static const struct request_class request_classes[] = {
	{ "GFP_KERNEL",			GFP_KERNEL,		false },
	{ "GFP_ATOMIC",			GFP_ATOMIC,		false },
	{ "GFP_NOFS",			GFP_NOFS,		false },
	{ "GFP_KERNEL reclaimable",	GFP_KERNEL | __GFP_RECLAIMABLE, false },
	{ "GFP_HIGHUSER",		GFP_HIGHUSER,		false },
	{ "GFP_HIGHUSER_MOVABLE",	GFP_HIGHUSER_MOVABLE,	true },
	{ "GFP_USER movable",		GFP_USER | __GFP_MOVABLE, true },
};

static void request_class_desc(const struct request_class *rc, char *desc)
{
	strscpy(desc, rc->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(request_class, request_classes, request_class_desc);

static void only_movable_requests_may_use_movable_only_memory(struct kunit *test)
{
	const struct request_class *rc = test->param_value;

	if (page_group_by_mobility_disabled)
		kunit_skip(test, "need pages grouped by mobility");

	KUNIT_EXPECT_EQ(test,
			!!(alloc_flags_movable_only(rc->gfp) & ALLOC_MOVABLE_ONLY),
			rc->movable_only);
}

struct mapping_rule {
	const char *name;
	gfp_t gfp;
	bool may;
};

static const struct mapping_rule mapping_rules[] = {
	{ "page cache",		GFP_HIGHUSER_MOVABLE,		true },
	{ "block device",	GFP_USER,			false },
	{ "metadata",		GFP_NOFS,			false },
	{ "metadata, movable",	GFP_NOFS | __GFP_MOVABLE,	false },
	{ "not movable",	GFP_HIGHUSER,			false },
};

static void mapping_rule_desc(const struct mapping_rule *rule, char *desc)
{
	strscpy(desc, rule->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(mapping_rule, mapping_rules, mapping_rule_desc);

static void migration_keeps_metadata_out(struct kunit *test)
{
	const struct mapping_rule *rule = test->param_value;
	struct address_space *mapping;
	struct folio *folio;

	mapping = kunit_kzalloc(test, sizeof(*mapping), GFP_KERNEL);
	folio = kunit_kzalloc(test, sizeof(*folio), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mapping);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	mapping_set_gfp_mask(mapping, rule->gfp);
	folio->mapping = mapping;
	folio->page.page_type = -1;

	KUNIT_EXPECT_EQ(test, rule->may, folio_may_be_hotremove(folio));
}

static void metadata_requests_are_not_movable(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 0U, alloc_flags_movable_only(
			gfp_metadata_folio(GFP_NOFS | __GFP_MOVABLE)));
	/* Others are not touched */
	KUNIT_EXPECT_TRUE(test, gfp_metadata_folio(GFP_NOFS) == GFP_NOFS);
}

static struct kunit_case hotremove_type_cases[] = {
	KUNIT_CASE_PARAM(type_follows_its_rules, type_rule_gen_params),
	KUNIT_CASE(every_type_is_in_the_table),
	KUNIT_CASE(hotremove_is_no_fallback_for_any_type),
	KUNIT_CASE(movable_only_lists_are_seen_as_such),
	KUNIT_CASE_PARAM(only_movable_requests_may_use_movable_only_memory,
			 request_class_gen_params),
	KUNIT_CASE_PARAM(migration_keeps_metadata_out, mapping_rule_gen_params),
	KUNIT_CASE(metadata_requests_are_not_movable),
	{}
};

static struct kunit_suite hotremove_type_suite = {
	.name = "hotremove_type",
	.test_cases = hotremove_type_cases,
};

kunit_test_suite(hotremove_type_suite);
