// SPDX-License-Identifier: GPL-2.0
/*
 * Users of isolation that overlap must not undo each other's.
 *
 * Four of them at once on one gigantic page's worth of ZONE_MOVABLE, each in a
 * place of its own choice, with memory in it that has to be migrated:
 *
 *   |----------|----------|----------|----------|----------| ...
 *   offline         <---------------->                 a memory block, sysfs
 *   contig   <-->                                      some pageblocks
 *   gigantic <------------------------------------->   all, nr_hugepages
 *   isolate              <->                           held for a while
 *
 * Who meets a block that is isolated has to go away and leave it alone. The
 * debug module knows who isolated a block, and notices when it is undone by
 * somebody else; the isolating user looks for itself as well. Kernels where
 * alloc_contig_range() undoes after -EBUSY fail within moments, those where
 * isolation passes over offline memory in most runs. What would follow is an
 * offline that never ends, so the test ends at the first violation.
 *
 * PB_USERS_SECONDS is how long they run (default 20).
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define ZONE		"Movable"
#define LOAD_BYTES	(64UL << 20)
/* After "stop" a user has one operation to finish */
#define END_S		(5.0 * pb_timeout_mul())

static long seconds(void)
{
	return pb_env("PB_USERS_SECONDS", 20);
}

enum { OFFLINE, CONTIG, GIGANTIC, ISOLATE, LOAD, NR_USERS };

static const char * const names[NR_USERS] = {
	"offline", "contig", "gigantic", "isolate", "load",
};

/* What one user has seen. Written by that user only */
struct tally {
	atomic_long done;
	atomic_long refused;	/* somebody else was there */
	atomic_long foreign;	/* somebody else undid what was ours */
	atomic_long odd;	/* an error that has no place here */
	atomic_int odd_errno;
};

struct shared {
	atomic_bool stop;
	atomic_bool make_way;	/* begin nothing new for the moment */
	struct tally user[NR_USERS];
};

FIXTURE(users) {
	struct pb_saved movable_gigantic;
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block block[PB_MAX_BLOCKS];
	int nr;			/* blocks of the gigantic range */
	int nid;
	unsigned long nr_pages;	/* of a pageblock */
	char pool[160];
	struct shared *shared;
	bool wedged;		/* someone spins in the kernel: touch nothing */
};

FIXTURE_SETUP(users)
{
	long nr = pb_pageblock_pages();
	int i;

	if (nr < 0 || !pb_debug_has("owners"))
		SKIP(return, "need pageblock_debug.ko with its triggers, have none");
	self->nr_pages = nr;
	if (!pb_gigantic_bytes())
		SKIP(return, "need huge pages of a memory block or more, have none (CPU without pdpe1gb?)");
	if (pb_save(&self->movable_gigantic,
		    "/proc/sys/vm/movable_gigantic_pages"))
		SKIP(return, "need vm.movable_gigantic_pages, have no such file");
	self->shared = mmap(NULL, sizeof(*self->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->shared);

	ASSERT_EQ(0, pb_save(&self->auto_online,
			     PB_SYS_MEMORY "/auto_online_blocks"));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(self->auto_online.path, "offline"));
	self->nr = pb_gigantic_run(&self->dimm, "users", self->block);
	if (self->nr == -ENODEV) {
		self->nr = 0;
		SKIP(return, "need %lu MiB of aligned offline memory or a host that hot-adds it, have neither",
		     pb_gigantic_bytes() >> 20);
	}
	ASSERT_GT(self->nr, 0);
	self->nid = pb_block_node(&self->block[0]);
	ASSERT_GE(self->nid, 0);
	for (i = 0; i < self->nr; i++)
		ASSERT_EQ(0, pb_block_set(&self->block[i], "online_movable"));
	ASSERT_EQ(0, pb_write(self->movable_gigantic.path, "1"));
	pb_gigantic_pool(self->pool, sizeof(self->pool), self->nid);
}

FIXTURE_TEARDOWN_PARENT(users)
{
	int i;

	if (self->wedged)
		return;
	pb_debug("owners", "0");
	EXPECT_EQ(0, pb_undo_all());
	pb_write(self->pool, "0");
	EXPECT_EQ(0, pb_restore(&self->movable_gigantic));
	for (i = 0; i < self->nr; i++)
		if (!pb_block_is(&self->block[i], "state", "offline"))
			EXPECT_EQ(0, pb_offline(&self->block[i],
						10000 * pb_timeout_mul(), NULL))
				TH_LOG("memory%u", self->block[i].id);
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

static long pool_now(const char *pool)
{
	char buf[32];

	return pb_read(pool, buf, sizeof(buf)) ? -1 : atol(buf);
}

/* One operation has ended with @err. Only some errors say "not now" */
static void note(struct tally *t, int err)
{
	switch (err) {
	case 0:
		t->done++;
		break;
	case -EBUSY:
		t->refused++;
		break;
	case -EINTR:
		break;
	default:
		t->odd++;
		t->odd_errno = -err;
	}
}

/* A range of up to @max pageblocks, somewhere */
static unsigned long pick(const struct _test_data_users *self, int max,
			  unsigned long *end)
{
	unsigned long first = self->block[0].start_pfn;
	long nr = self->nr * pb_block_pages() / self->nr_pages, len, at;

	len = 1 + rand() % max;
	at = rand() % (nr - len + 1);
	*end = first + (at + len) * self->nr_pages;
	return first + at * self->nr_pages;
}

static bool all_online(const struct _test_data_users *self, unsigned long start,
		       unsigned long end)
{
	int i;

	for (i = 0; i < self->nr; i++)
		if (start < self->block[i].end_pfn &&
		    end > self->block[i].start_pfn &&
		    !pb_block_is(&self->block[i], "state", "online"))
			return false;
	return true;
}

static void use_offline(const struct _test_data_users *self, struct tally *t)
{
	const struct pb_block *block = &self->block[rand() % self->nr];
	int err = pb_block_set(block, "offline");

	note(t, err);
	if (err)
		return;
	pb_msleep(rand() % 10);
	err = pb_block_set(block, "online_movable");
	if (err)
		note(t, err);
}

static void use_contig(const struct _test_data_users *self, struct tally *t)
{
	unsigned long end, start = pick(self, 16, &end);
	bool online = all_online(self, start, end);
	int err = pb_debug_range("contig", start, end);

	/* Some of it was offline, or is by now */
	if (err == -EINVAL && !(online && all_online(self, start, end)))
		err = -EBUSY;
	/* As busy: pages of the load had nowhere to go at that moment */
	if (err == -ENOMEM)
		err = -EBUSY;
	note(t, err);
}

/*
 * Whoever wants all of the range hardly ever gets it, and what the others do
 * with a gigantic page would not be seen. So they make way now and then, until
 * it is there; what they have begun they finish.
 */
static void use_gigantic(const struct _test_data_users *self, struct tally *t)
{
	static unsigned int turn;
	int err;

	if (turn++ % 4 == 3) {
		atomic_store(&self->shared->make_way, true);
		pb_msleep(20 * pb_timeout_mul());
	}
	err = pb_write(self->pool, "1");
	atomic_store(&self->shared->make_way, false);
	/* nr_hugepages never fails, it is less than asked for */
	if (!err && pool_now(self->pool) != 1)
		err = -EBUSY;
	note(t, err);
	pb_msleep(rand() % 50);
	err = pb_write(self->pool, "0");
	if (err)
		note(t, err);
}

static void use_isolate(const struct _test_data_users *self, struct tally *t)
{
	unsigned long end, start = pick(self, 4, &end);
	bool online = all_online(self, start, end);
	int err = pb_debug_range("isolate", start, end);

	if (err == -EINVAL && !(online && all_online(self, start, end)))
		err = -EBUSY;
	note(t, err);
	if (err)
		return;
	pb_msleep(rand() % 20);
	err = pb_debug_range("undo", start, end);
	if (err == -ESTALE)
		t->foreign++;
	else if (err)
		note(t, err);
}

/* Memory that is used, moved about by the others, and must not change */
static void use_load(const struct _test_data_users *self, struct tally *t)
{
	static struct pb_load load;

	note(t, pb_load_step(&load, LOAD_BYTES, self->nid, false));
	pb_msleep(5);
}

static void (* const use[NR_USERS])(const struct _test_data_users *self,
				    struct tally *t) = {
	use_offline, use_contig, use_gigantic, use_isolate, use_load,
};

static pid_t start_user(const struct _test_data_users *self, int user)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	pb_die_with(parent);
	pb_let_go_of_output();
	prctl(PR_SET_NAME, names[user]);
	srand(user + 1);
	while (!atomic_load(&self->shared->stop)) {
		use[user](self, &self->shared->user[user]);
		do
			pb_msleep(rand() % 4);
		while (user != GIGANTIC &&
		       atomic_load(&self->shared->make_way));
	}
	_exit(0);
}

/* Blocks whose isolation somebody else undid, or took for his own */
static long violations(void)
{
	long foreign = pb_owners("foreign"), taken = pb_owners("taken");

	/* An owner that was not noted might hide one */
	if (foreign < 0 || taken < 0 || pb_owners("lost"))
		return -EOVERFLOW;
	return foreign + taken;
}

/* Each of them has had its way, and has found somebody else there */
static bool all_met(const struct _test_data_users *self)
{
	int i;

	for (i = 0; i < NR_USERS; i++) {
		if (!self->shared->user[i].done ||
		    (i != LOAD && !self->shared->user[i].refused))
			return false;
	}
	return true;
}

TEST_F_TIMEOUT(users, of_isolation_leave_each_others_blocks_alone, 600 + seconds())
{
	static const char * const end_names[] = {
		"by itself", "only when killed", "never",
	};
	pid_t pid[NR_USERS];
	double start, end;
	char owners[2048];
	enum pb_end how;
	int i, told;

	/* The range is one that each of them can have */
	ASSERT_EQ(0, pb_write(self->pool, "1"));
	ASSERT_EQ(1, pool_now(self->pool))
		TH_LOG("no gigantic page comes out of an empty range");
	ASSERT_EQ(0, pb_write(self->pool, "0"));
	ASSERT_EQ(0, pb_counter(self->nid, ZONE, "nr_isolate_pageblock"));
	ASSERT_EQ(0, pb_audit_count(""));

	ASSERT_EQ(0, pb_debug("owners", "1"));
	for (i = 0; i < NR_USERS; i++) {
		pid[i] = start_user(self, i);
		ASSERT_GT(pid[i], 0);
	}
	start = pb_now();
	end = start + seconds();
	/* They have longer to meet where all takes longer */
	for (told = 0; (pb_now() < end ||
			(!all_met(self) && pb_now() < end + 20.0 * pb_timeout_mul())) &&
		       !violations();) {
		pb_msleep(100);
		/* Whoever watches us wants to see that we live */
		if (pb_now() - start < 30 * (told + 1))
			continue;
		told++;
		TH_LOG("%d of %ld s: %ld isolations, %ld refused", 30 * told,
		       seconds(), pb_owners("isolations"),
		       pb_owners("refused"));
	}
	atomic_store(&self->shared->stop, true);

	for (i = 0; i < NR_USERS; i++) {
		struct tally *t = &self->shared->user[i];

		start = pb_now();
		how = pb_child_end(pid[i], END_S);
		TH_LOG("%s (%d): %ld done, %ld refused, ends %s after %.3f s",
		       names[i], pid[i], t->done, t->refused, end_names[how],
		       pb_now() - start);
		EXPECT_EQ(PB_BY_ITSELF, how);
		if (how == PB_NEVER)
			self->wedged = true;
		EXPECT_EQ(0, t->odd)
			TH_LOG("%s: %s", names[i], strerror(t->odd_errno));
		EXPECT_EQ(0, t->foreign)
			TH_LOG("%s: what was isolated here was undone",
			       names[i]);
	}
	ASSERT_FALSE(self->wedged);
	ASSERT_EQ(0, pb_read(PB_DEBUGFS "/owners", owners, sizeof(owners)));
	TH_LOG("%s", owners);
	ASSERT_EQ(0, violations());

	/* They did work, and they did meet */
	for (i = 0; i < NR_USERS; i++) {
		EXPECT_GT(self->shared->user[i].done, 0)
			TH_LOG("%s", names[i]);
		if (i != LOAD)
			EXPECT_GT(self->shared->user[i].refused, 0)
				TH_LOG("%s", names[i]);
	}
	EXPECT_EQ(0, pool_now(self->pool));
	for (i = 0; i < self->nr; i++)
		EXPECT_TRUE(pb_block_is(&self->block[i], "state", "online"));
	EXPECT_EQ(0, pb_counter(self->nid, ZONE, "nr_isolate_pageblock"));
	EXPECT_EQ(0, pb_audit_count(""));
}

TEST_HARNESS_MAIN
