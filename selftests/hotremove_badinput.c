// SPDX-License-Identifier: GPL-2.0
/*
 * Words and blocks that `online_hotremove` must refuse, and many writers at
 * once: the errno is right and the state is what it was, never half of each.
 *
 * On a kernel without hotremove pageblocks the tests that need one FAIL:
 * `online_hotremove` is the feature under test.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define OFFLINE_MS	(10000 * pb_timeout_mul())
#define NR_BLOCKS	3
#define NR_WRITERS	6

static const char * const junk[] = {
	"hotremove", "online_hotremov", "online_hotremove2", "ONLINE_HOTREMOVE",
	" online_hotremove", "online_hotremove ", "online_hotremove,movable",
	"online-hotremove", "online_", "1", "\n",
};

FIXTURE(badinput) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block *block;
	int nid;
};

FIXTURE_SETUP(badinput)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	self->nid = pb_target_node();
	PB_HOTADD_OFFLINE(self, "bad", NR_BLOCKS * pb_block_mb());
	self->block = self->dimm.block;
}

FIXTURE_TEARDOWN_PARENT(badinput)
{
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

struct kind {
	char state[32];
	char type[32];
	char zone[64];
};

static void get_kind(const struct pb_block *block, struct kind *kind)
{
	memset(kind, 0, sizeof(*kind));
	pb_block_get(block, "state", kind->state, sizeof(kind->state));
	/* Absent on kernels without the feature: stays empty both times */
	pb_block_get(block, "online_type", kind->type, sizeof(kind->type));
	pb_block_get(block, "valid_zones", kind->zone, sizeof(kind->zone));
}

#define EXPECT_SAME_KIND(was, block) do {				\
	struct kind __now;						\
									\
	get_kind(block, &__now);					\
	EXPECT_STREQ((was)->state, __now.state);			\
	EXPECT_STREQ((was)->type, __now.type);				\
	EXPECT_STREQ((was)->zone, __now.zone);				\
} while (0)

TEST_F_TIMEOUT(badinput, unknown_word_leaves_an_offline_block_offline, 120)
{
	struct kind was;
	size_t i;

	get_kind(self->block, &was);
	ASSERT_STREQ("offline", was.state);
	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		EXPECT_EQ(-EINVAL, pb_block_set(self->block, junk[i]))
			TH_LOG("'%s'", junk[i]);
		EXPECT_SAME_KIND(&was, self->block);
	}
}

TEST_F_TIMEOUT(badinput, unknown_word_leaves_a_hotremove_block_as_it_is, 120)
{
	struct kind was;
	size_t i;

	ASSERT_ONLINE_HOTREMOVE(self->block);
	get_kind(self->block, &was);
	ASSERT_STREQ("online_hotremove", was.type);
	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		EXPECT_EQ(-EINVAL, pb_block_set(self->block, junk[i]))
			TH_LOG("'%s'", junk[i]);
		EXPECT_SAME_KIND(&was, self->block);
	}
}

TEST_F_TIMEOUT(badinput, a_newline_behind_the_word_is_fine, 120)
{
	int ret = pb_block_set(self->block, "online_hotremove\n");

	ASSERT_EQ(0, ret)
		TH_LOG("%s%s", strerror(-ret), ret == -EINVAL ?
		       " (this kernel lacks hotremove pageblocks)" : "");
	EXPECT_TRUE(pb_block_is(self->block, "online_type",
				"online_hotremove"));
}

/*
 * state_store() answers -EINVAL to whoever asks for what is done already. The
 * word must not stick: later, online_type would tell a lie, or the next plain
 * `online` would use it.
 */
TEST_F_TIMEOUT(badinput, an_online_block_keeps_its_type, 120)
{
	struct kind was;

	ASSERT_EQ(0, pb_block_set(self->block, "online_movable"));
	get_kind(self->block, &was);
	ASSERT_STREQ("online", was.state);
	EXPECT_STREQ("online_movable", was.type);
	EXPECT_EQ(-EINVAL, pb_block_set(self->block, "online_hotremove"));
	EXPECT_SAME_KIND(&was, self->block);
}

/*
 * ... nor may it be what the `online` file takes, which names no type. With
 * ZONE_MOVABLE on both sides the kernel's own choice is that zone.
 *
 *   |--movable--|--refused, offline, 1 > online--|--movable--|
 */
TEST_F_TIMEOUT(badinput, a_refused_word_is_not_used_later, 120)
{
	struct pb_block *mid = &self->block[1];
	struct kind was;
	char path[96];
	int i;

	for (i = 0; i < NR_BLOCKS; i++)
		ASSERT_EQ(0, pb_block_set(&self->block[i], "online_movable"));
	get_kind(mid, &was);
	ASSERT_EQ(-EINVAL, pb_block_set(mid, "online_hotremove"));
	ASSERT_EQ(0, pb_offline(mid, OFFLINE_MS, NULL));
	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/online",
		 mid->id);
	ASSERT_EQ(0, pb_write(path, "1"));
	EXPECT_SAME_KIND(&was, mid);

	/* FAILS where the word is unknown: refused for another reason */
	ASSERT_EQ(0, pb_offline(mid, OFFLINE_MS, NULL));
	ASSERT_EQ(0, pb_offline(&self->block[0], OFFLINE_MS, NULL));
	ASSERT_EQ(0, pb_offline(&self->block[2], OFFLINE_MS, NULL));
	ASSERT_ONLINE_HOTREMOVE(mid);
}

TEST_F_TIMEOUT(badinput, a_hotremove_block_is_not_made_movable_while_online, 120)
{
	static const char * const words[] = {
		"online", "online_kernel", "online_movable", "online_hotremove",
	};
	struct kind was;
	size_t i;

	ASSERT_ONLINE_HOTREMOVE(self->block);
	get_kind(self->block, &was);
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		EXPECT_EQ(-EINVAL, pb_block_set(self->block, words[i]))
			TH_LOG("'%s'", words[i]);
		EXPECT_SAME_KIND(&was, self->block);
	}
	EXPECT_NE(0, pb_map_all_type(self->block, "Hotremove"));
}

TEST_F_TIMEOUT(badinput, an_offline_block_cannot_be_offlined_again, 120)
{
	ASSERT_ONLINE_HOTREMOVE(self->block);
	ASSERT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
	EXPECT_EQ(-EINVAL, pb_block_set(self->block, "offline"));
	EXPECT_TRUE(pb_block_is(self->block, "state", "offline"));
}

TEST_F_TIMEOUT(badinput, boot_memory_keeps_its_type, 120)
{
	struct pb_block all[PB_SCAN_BLOCKS];
	struct kind was;
	int nr;

	nr = pb_all_blocks(all, PB_SCAN_BLOCKS);
	ASSERT_GT(nr, 0);
	get_kind(&all[0], &was);
	ASSERT_STREQ("online", was.state)
		TH_LOG("memory%u is expected to be boot memory", all[0].id);
	EXPECT_EQ(-EINVAL, pb_block_set(&all[0], "online_hotremove"));
	EXPECT_SAME_KIND(&was, &all[0]);

	/*
	 * The word itself must be known, or the refusal above says nothing.
	 * FAILS on a kernel without the feature.
	 */
	ASSERT_ONLINE_HOTREMOVE(self->block);
}

/*
 *   |--movable--|--this one--|--movable--|
 *
 * Inside the span of ZONE_MOVABLE the block either becomes what was asked
 * for, in a kernel zone, or is refused with its state unchanged. Hotremove
 * pageblocks inside ZONE_MOVABLE would be neither.
 */
TEST_F_TIMEOUT(badinput, a_block_inside_zone_movable_is_never_both, 120)
{
	struct pb_block *mid = &self->block[1];
	struct kind was, now;
	int ret;

	ASSERT_EQ(0, pb_block_set(&self->block[0], "online_movable"));
	ASSERT_EQ(0, pb_block_set(&self->block[2], "online_movable"));
	get_kind(mid, &was);
	ret = pb_block_set(mid, "online_hotremove");
	get_kind(mid, &now);
	if (ret) {
		EXPECT_EQ(-EINVAL, ret);
		EXPECT_SAME_KIND(&was, mid);
		/* Refused for where it is, not for the word */
		ASSERT_EQ(0, pb_offline(&self->block[0], OFFLINE_MS, NULL));
		ASSERT_EQ(0, pb_offline(&self->block[2], OFFLINE_MS, NULL));
		ASSERT_ONLINE_HOTREMOVE(mid);
		return;
	}
	EXPECT_STREQ("online_hotremove", now.type);
	EXPECT_STRNE("Movable", now.zone);
	EXPECT_STRNE("none", now.zone);
	EXPECT_NE(0, pb_map_all_type(mid, "Hotremove"));
	EXPECT_NE(1, pb_map_all_type(&self->block[0], "Hotremove"));
	EXPECT_NE(1, pb_map_all_type(&self->block[2], "Hotremove"));
}

TEST_F_TIMEOUT(badinput, junk_in_auto_online_blocks_changes_nothing, 120)
{
	char buf[64];
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		EXPECT_EQ(-EINVAL, pb_write(AUTO_ONLINE, junk[i]))
			TH_LOG("'%s'", junk[i]);
		ASSERT_EQ(0, pb_read(AUTO_ONLINE, buf, sizeof(buf)));
		EXPECT_STREQ("offline", buf);
	}
	ret = pb_write(AUTO_ONLINE, "online_hotremove");
	ASSERT_EQ(0, ret)
		TH_LOG("auto_online_blocks: %s%s", strerror(-ret),
		       ret == -EINVAL ?
		       " (this kernel lacks hotremove pageblocks)" : "");
	for (i = 0; i < ARRAY_SIZE(junk); i++) {
		EXPECT_EQ(-EINVAL, pb_write(AUTO_ONLINE, junk[i]));
		ASSERT_EQ(0, pb_read(AUTO_ONLINE, buf, sizeof(buf)));
		EXPECT_STREQ("online_hotremove", buf);
	}
}

/* Many writers: each wants something else of the same block */

struct writers {
	const struct pb_block *block;
	atomic_bool stop;
	atomic_long done[2];	/* hotremove onlines, offlines that worked */
	atomic_int odd;		/* an errno that nobody expects */
};

static void *writer(void *arg)
{
	static const char * const words[] = {
		"online_hotremove", "offline", "online_movable", "offline",
	};
	static atomic_uint seed;
	unsigned int i = atomic_fetch_add(&seed, 1);
	struct writers *w = arg;
	int ret;

	while (!atomic_load(&w->stop)) {
		const char *word = words[i++ % ARRAY_SIZE(words)];

		ret = pb_block_set(w->block, word);
		if (!ret && !strcmp(word, "online_hotremove"))
			atomic_fetch_add(&w->done[0], 1);
		else if (!ret && !strcmp(word, "offline"))
			atomic_fetch_add(&w->done[1], 1);
		else if (ret && ret != -EINVAL && ret != -EBUSY)
			atomic_store(&w->odd, ret);
	}
	return NULL;
}

/* A block is of one kind at any time, whoever looks */
static bool consistent(const struct pb_block *block)
{
	struct kind k;
	int all;

	get_kind(block, &k);
	all = pb_map_all_type(block, "Hotremove");
	if (!strcmp(k.state, "offline"))
		return !strcmp(k.type, "offline");
	if (!strcmp(k.type, "online_hotremove"))
		return strcmp(k.zone, "Movable") && strcmp(k.zone, "none") &&
		       all;
	return !strcmp(k.type, "online_movable") &&
	       !strcmp(k.zone, "Movable") && all != 1;
}

TEST_F_TIMEOUT(badinput, concurrent_writers_never_make_a_mixed_block, 300)
{
	struct writers w = { .block = self->block };
	double end = pb_now() + pb_env("PB_SECONDS", 8) * pb_slow();
	pthread_t thread[NR_WRITERS];
	char buf[32];
	int i;

	ASSERT_ONLINE_HOTREMOVE(self->block);
	for (i = 0; i < NR_WRITERS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, writer, &w));
	while (pb_now() < end) {
		/* "none" at the very end of an offline is no mixed block */
		for (i = 0; i < 5; i++) {
			ASSERT_EQ(0, pb_block_get(self->block, "online_type",
						  buf, sizeof(buf)));
			if (strcmp(buf, "none"))
				break;
			pb_msleep(1);
		}
		EXPECT_STRNE("none", buf);
		pb_msleep(1);
	}
	atomic_store(&w.stop, true);
	for (i = 0; i < NR_WRITERS; i++)
		pthread_join(thread[i], NULL);
	TH_LOG("%ld times hotremove, %ld times offline",
	       atomic_load(&w.done[0]), atomic_load(&w.done[1]));
	EXPECT_GT(atomic_load(&w.done[0]), 0);
	EXPECT_GT(atomic_load(&w.done[1]), 0);
	EXPECT_EQ(0, atomic_load(&w.odd));
	EXPECT_TRUE(consistent(self->block));

	if (!pb_block_is(self->block, "state", "offline"))
		ASSERT_EQ(0, pb_offline(self->block, OFFLINE_MS, NULL));
	EXPECT_TRUE(consistent(self->block));
	EXPECT_EQ(0, pb_meminfo("HotremoveTotal"));
	EXPECT_EQ(0, pb_vmstat("nr_free_isolated"));
}

TEST_HARNESS_MAIN
