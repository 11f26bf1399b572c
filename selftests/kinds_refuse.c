// SPDX-License-Identifier: GPL-2.0
/*
 * A memory block with pages that cannot be moved refuses to go offline, and is
 * what it was before: its state, its pageblocks, the zone's counters, the data.
 *
 *   |--kernel block: secretmem, page tables, slab, ...--|--movable-only block--|
 *
 * The last block is there first, so that the node's own threads find no place
 * on it. What stays for ever is refused at once; a pin that may end is waited
 * for until the offline is given up. In the movable-only block the page of a
 * pipe is held for a while: as soon as it is let go of, the block goes.
 *
 * The kernel block may stay when the program has ended: it wants a boot of its
 * own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mm/gup_test.h"
#include "page_kinds.h"
#include "pageblock_harness.h"

#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"
#define GUP_TEST	"/sys/kernel/debug/gup_test"
#define GIVE_UP_MS	(1000 * pb_timeout_mul())
#define NR_PAGES	64
#define MAX_MAP		64

#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif

static struct shared {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	pid_t pid;
} *shared;

/* What must not change */
struct state {
	char text[64];
	long present, managed, spanned, isolated;
	struct pb_map map[MAX_MAP];
	int nr_map;
};

FIXTURE(refuse) {
	struct pk pk;		/* for its patterns */
	struct pb_block *kernel, *movable;
	struct state before;
};

FIXTURE_SETUP(refuse)
{
	struct pb_dimm *dimm = &shared->dimm;

	memset(self->pk.fd, -1, sizeof(self->pk.fd));
	self->pk.nid = pb_target_node();
	self->pk.seed = getpid();
	if (!dimm->id[0]) {
		if (!pb_host())
			SKIP(return, "need a host that hot-adds memory, have none");
		if (pb_node_has_memory(self->pk.nid))
			SKIP(return, "need a node without memory, have node %d with %ld free pages",
			     self->pk.nid,
			     pb_node_vmstat(self->pk.nid, "nr_free_pages"));
		/* Once: what a hot-add that failed has left is ours */
		if (!shared->auto_online.path[0])
			ASSERT_EQ(0, pb_save(&shared->auto_online, AUTO_ONLINE));
		ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
		ASSERT_EQ(0, pb_hotadd(dimm, "refuse", 2 * pb_block_mb(),
				       self->pk.nid));
		if (pb_block_set(&dimm->block[1], "online_hotremove"))
			ASSERT_EQ(0, pb_block_set(&dimm->block[1],
						  "online_movable"));
		ASSERT_EQ(0, pb_block_set(&dimm->block[0], "online_kernel"));
	}
	self->kernel = &dimm->block[0];
	self->movable = &dimm->block[1];
	self->pk.block = *self->kernel;
}

FIXTURE_TEARDOWN(refuse)
{
	pk_end_try(&self->pk);
}

static void unplug(void)
{
	int ret;

	if (getpid() != shared->pid)
		return;
	ret = pb_hotdel(&shared->dimm);
	if (ret)
		printf("# memory%u stays, the kernel has found use for it: %s\n",
		       shared->dimm.block[0].id, strerror(-ret));
	if (pb_restore(&shared->auto_online))
		_exit(1);
}

static void look(struct _test_data_refuse *self, const struct pb_block *block,
		 struct state *s)
{
	memset(s, 0, sizeof(*s));
	pb_block_get(block, "state", s->text, sizeof(s->text));
	s->present = pb_zoneinfo(self->pk.nid, NULL, "present");
	s->managed = pb_zoneinfo(self->pk.nid, NULL, "managed");
	s->spanned = pb_zoneinfo(self->pk.nid, NULL, "spanned");
	s->nr_map = pb_map_read(block->start_pfn, block->end_pfn, s->map,
				MAX_MAP);
}

#define EXPECT_AS_BEFORE(self, b) do {					\
	struct state now;						\
	int i;								\
									\
	look(self, b, &now);						\
	EXPECT_STREQ((self)->before.text, now.text);			\
	EXPECT_EQ((self)->before.present, now.present);			\
	EXPECT_EQ((self)->before.managed, now.managed);			\
	EXPECT_EQ((self)->before.spanned, now.spanned);			\
	EXPECT_EQ((self)->before.nr_map, now.nr_map);			\
	/* Without the debug module there is no map, and no audit */	\
	for (i = 0; i < now.nr_map; i++) {				\
		EXPECT_EQ(0, now.map[i].isolated)			\
			TH_LOG("pageblock %#lx", now.map[i].pfn);	\
		EXPECT_STREQ((self)->before.map[i].type, now.map[i].type) \
			TH_LOG("pageblock %#lx", now.map[i].pfn);	\
	}								\
	if (now.nr_map > 0)						\
		EXPECT_EQ(0, pb_audit_count(""));			\
} while (0)

/* The offline of @b ends with @want, and nothing has changed by it */
#define EXPECT_REFUSED(self, b, want) do {				\
	double took = 0;						\
	int ret;							\
									\
	look(self, b, &(self)->before);					\
	ASSERT_STREQ("online", (self)->before.text);			\
	ret = pb_offline(b, GIVE_UP_MS, &took);				\
	TH_LOG("memory%u: %s after %.3f s", (b)->id, strerror(-ret), took); \
	EXPECT_EQ(want, ret);						\
	EXPECT_AS_BEFORE(self, b);					\
} while (0)

/*
 * Before a test makes its pages: does the block go offline, and come back? Then
 * a refusal is theirs. Only the first test can rely on that: memory that the
 * kernel has found use for stays, and a refusal is still right then.
 */
static int off_and_on(struct _test_data_refuse *self)
{
	return pb_offline(self->kernel, pk_offline_ms(), NULL) ?:
	       pb_block_set(self->kernel, "online_kernel");
}

static long inside(struct _test_data_refuse *self)
{
	return pk_inside(&self->pk);
}

TEST_F_TIMEOUT(refuse, secretmem, 180)
{
	struct pk *pk = &self->pk;
	int ret;

	ret = off_and_on(self);
	if (ret)
		SKIP(return, "need a kernel block that goes offline, have memory%u: %s",
		     self->kernel->id, strerror(-ret));
	pk->fd[0] = syscall(__NR_memfd_secret, 0);
	if (pk->fd[0] < 0)
		SKIP(return, "need memfd_secret(), have: %s", strerror(errno));
	ASSERT_EQ(0, ftruncate(pk->fd[0], NR_PAGES * getpagesize()));
	ASSERT_EQ(0, pk_map(pk, NR_PAGES, MAP_SHARED, pk->fd[0]));
	ASSERT_EQ(0, pb_prefer_node(pk->nid));
	pk_fill(pk);
	ASSERT_EQ(0, pb_prefer_node(-1));
	ASSERT_EQ(NR_PAGES, inside(self));

	EXPECT_REFUSED(self, self->kernel, -EBUSY);
	EXPECT_EQ(NR_PAGES, inside(self));
	EXPECT_EQ(0, pk_verify(pk));
}

TEST_F_TIMEOUT(refuse, page_tables, 180)
{
	const size_t step = 2 << 20, len = NR_PAGES * step;
	size_t i;
	char *mem;
	int ret;

	ret = off_and_on(self);
	if (ret)
		TH_LOG("memory%u does not go without them either: %s",
		       self->kernel->id, strerror(-ret));
	mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	ASSERT_EQ(0, pb_prefer_node(self->pk.nid));
	for (i = 0; i < len; i += step)
		mem[i] = i / step;
	ASSERT_EQ(0, pb_prefer_node(-1));
	ASSERT_GE(pb_count_flags(self->kernel, PB_KPF_PGTABLE), NR_PAGES / 2);

	EXPECT_REFUSED(self, self->kernel, -EBUSY);
	for (i = 0; i < len; i += step)
		ASSERT_EQ((char)(i / step), mem[i]);
}

/* What a pipe holds is the kernel's own */
TEST_F_TIMEOUT(refuse, pages_of_a_pipe, 180)
{
	const size_t size = getpagesize();
	long free_before, in_pipe;
	int fd[2], room, ret;
	size_t i, nr;

	ret = off_and_on(self);
	if (ret)
		TH_LOG("memory%u does not go without them either: %s",
		       self->kernel->id, strerror(-ret));
	ASSERT_EQ(0, pipe(fd));
	room = fcntl(fd[1], F_SETPIPE_SZ, 1 << 20);
	ASSERT_GT(room, 0);
	nr = room / size;
	ASSERT_EQ(0, pk_map(&self->pk, nr, MAP_PRIVATE | MAP_ANONYMOUS, -1));
	pk_fill(&self->pk);
	free_before = pb_map_free(self->kernel->start_pfn,
				  self->kernel->end_pfn);
	if (free_before < 0)
		SKIP(return, "need the debug module's map, have none");
	ASSERT_EQ(0, pb_prefer_node(self->pk.nid));
	ASSERT_EQ(room, write(fd[1], self->pk.mem, room));
	ASSERT_EQ(0, pb_prefer_node(-1));
	in_pipe = free_before - pb_map_free(self->kernel->start_pfn,
					    self->kernel->end_pfn);
	/* Some of them come from per-CPU lists */
	ASSERT_GE(in_pipe, (long)nr / 2);

	EXPECT_REFUSED(self, self->kernel, -EBUSY);
	memset(self->pk.mem, 0, room);
	for (i = 0; i < nr; i++)
		ASSERT_EQ((ssize_t)size, read(fd[0], self->pk.mem + i * size,
					      size));
	EXPECT_EQ(0, pk_verify(&self->pk));
}

/* In kernel memory a longterm pin may stay where it is, for ever */
TEST_F_TIMEOUT(refuse, longterm_pin_in_kernel_memory, 180)
{
	struct pin_longterm_test args = { .flags =
		PIN_LONGTERM_TEST_FLAG_USE_WRITE };
	struct pk *pk = &self->pk;
	int ret, i, fd;

	fd = open(GUP_TEST, O_RDWR);
	if (fd < 0)
		SKIP(return, "need " GUP_TEST " (CONFIG_GUP_TEST), have none");
	/* The movable-only block of the node has to be full of others, or off */
	ASSERT_EQ(0, pb_offline(self->movable, pk_offline_ms(), NULL));
	ret = pk_anon(pk, NR_PAGES);
	if (ret || inside(self) != NR_PAGES)
		TH_LOG("%ld pages in memory%u", inside(self), self->kernel->id);
	ASSERT_EQ(NR_PAGES, inside(self));
	args.addr = (uintptr_t)pk->mem;
	args.size = NR_PAGES * getpagesize();
	ASSERT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_START, &args));
	ASSERT_EQ(NR_PAGES, inside(self));

	/* Refused at once where something else is in the way, else given up */
	look(self, self->kernel, &self->before);
	ret = pb_offline(self->kernel, GIVE_UP_MS, NULL);
	TH_LOG("memory%u: %s", self->kernel->id, strerror(-ret));
	EXPECT_TRUE(ret == -ETIMEDOUT || ret == -EBUSY);
	EXPECT_AS_BEFORE(self, self->kernel);
	EXPECT_EQ(NR_PAGES, inside(self));
	EXPECT_EQ(0, pk_verify(pk));
	/* And they are used as before */
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, pk_use(pk));
	EXPECT_EQ(0, ioctl(fd, PIN_LONGTERM_TEST_STOP));
	close(fd);
	if (pb_block_set(self->movable, "online_hotremove"))
		EXPECT_EQ(0, pb_block_set(self->movable, "online_movable"));
}

/* A reference that ends: given up while it is there, offline when it is gone */
TEST_F_TIMEOUT(refuse, a_page_held_in_a_pipe_until_it_is_let_go, 180)
{
	struct pb_hold hold;
	struct pk *pk = &self->pk;
	int ret;

	pk->block = *self->movable;
	/* What per-CPU lists have left of the kernel block would be taken first */
	pb_debug("alloc", "drain");
	ASSERT_EQ(0, pk_anon(pk, NR_PAGES));
	ret = inside(self);
	if (ret != NR_PAGES) {
		SKIP(return, "need %d pages in memory%u, have %d", NR_PAGES,
		     self->movable->id, ret);
	}
	ASSERT_EQ(0, pb_hold_at(&hold, pk->mem));
	EXPECT_REFUSED(self, self->movable, -ETIMEDOUT);
	EXPECT_EQ(0, pk_verify(pk));

	pb_release_page(&hold);
	EXPECT_EQ(0, pb_offline(self->movable, pk_offline_ms(), NULL));
	EXPECT_EQ(0, pk_verify(pk));
	EXPECT_EQ(0, inside(self));
	if (pb_block_set(self->movable, "online_hotremove"))
		EXPECT_EQ(0, pb_block_set(self->movable, "online_movable"));
}

int main(int argc, char **argv)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return KSFT_FAIL;
	shared->pid = getpid();
	atexit(unplug);
	return test_harness_run(argc, argv);
}
