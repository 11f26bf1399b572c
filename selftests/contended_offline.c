// SPDX-License-Identifier: GPL-2.0
/*
 * Reproducer: alloc_contig_range() must not undo an isolation that is not its
 * own.
 *
 * One gigantic page's worth of ZONE_MOVABLE, one memory block of which is on
 * its way offline but held up by a page with a short-term reference:
 *
 *   |--movable--|--movable--|--ISOLATED by offline--|--movable--| ...
 *                                    ^ page in a pipe (vmsplice)
 *   <------------- alloc_contig_range() by nr_hugepages ----------->
 *
 * The writer of nr_hugepages finds the isolated block and gets -EBUSY. Kernels
 * with the bug then clear the isolation of *every* block in the range. Nobody
 * sets it again: the offline, which has all its pages migrated once the
 * reference goes, waits until a signal for test_pages_isolated() to succeed.
 * Worse when the writer goes on: it isolates the blocks itself, the offline
 * takes that for its own isolation and succeeds, and the writer walks a range
 * whose end is no longer there, in the kernel, until it is killed.
 *
 * Everything is done through sysfs; a kprobe only looks on. Without kprobes a
 * test that finds nothing wrong is skipped: nobody saw that the two have met.
 *
 * PB_ROUNDS is how often each kind of contention is repeated (default 4),
 * PB_HOLD_MS for how long at least the page is held each time (default: until
 * offline and writer have met).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define KPROBE_EVENTS	"kprobe_events"
#define PROBE		"pageblock/contended"

/* The offline has to end this long after the last reference has gone */
#define RELEASE_MS	(1000 * pb_slow())
/* After that it is given up by a signal, for it would wait for ever */
#define GIVE_UP_MS	(5000 * pb_slow())
/* At the very worst: 30 s for a round, 50 s before and after; more if emulated */
#define ROUND_S		(pb_timeout_mul() > 1 ? 90 : 30)
#define LIMIT_S		(50 + rounds() * (ROUND_S + (int)hold_ms() / 1000))

static int rounds(void)
{
	return pb_env("PB_ROUNDS", 4);
}

static unsigned int hold_ms(void)
{
	return pb_env("PB_HOLD_MS", 0);
}

FIXTURE(contended) {
	struct pb_saved movable_gigantic;
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	struct pb_block block[PB_MAX_BLOCKS];
	int nr;			/* blocks of the gigantic range */
	int nid;
	int held;		/* index of the block that holds the page */
	unsigned long gigantic;	/* bytes */
	char pool[160];		/* nr_hugepages of that size on that node */
	atomic_bool *stop;	/* shared with the writer */
	bool wedged;		/* someone spins in the kernel: touch nothing */
	char trace[64];		/* tracefs, empty: none */
	struct pb_hold hold;
};

static void trace_file(const char *trace, const char *file, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", trace, file);
	fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fprintf(stderr, "# %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

/*
 * Watch who isolates: a return probe. Refused (-EBUSY) isolations prove that
 * the two met; one that worked, while the offline is held up, took away what
 * was the offline's.
 */
static void trace_start(char *trace, size_t len)
{
	snprintf(trace, len, "/sys/kernel/tracing");
	if (access("/sys/kernel/tracing/" KPROBE_EVENTS, W_OK))
		mount("nodev", trace, "tracefs", 0, NULL);
	if (access("/sys/kernel/tracing/" KPROBE_EVENTS, W_OK)) {
		trace[0] = '\0';
		return;
	}
	trace_file(trace, KPROBE_EVENTS,
		   "r:" PROBE " start_isolate_page_range ret=$retval:s32\n");
	trace_file(trace, "events/" PROBE "/enable", "1");
}

struct meetings {
	int refused;
	int taken;
};

static void trace_count(const char *trace, struct meetings *met)
{
	char path[128], line[512];
	FILE *f;

	met->refused = met->taken = 0;
	snprintf(path, sizeof(path), "%s/trace", trace);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		met->refused += !!strstr(line, "ret=-16");
		met->taken += !!strstr(line, "ret=0");
	}
	if (f)
		fclose(f);
}

static void trace_clear(const char *trace)
{
	char path[128];
	int fd;

	if (!trace[0])
		return;
	snprintf(path, sizeof(path), "%s/trace", trace);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd >= 0)
		close(fd);
}

static void trace_stop(const char *trace)
{
	if (!trace[0])
		return;
	trace_file(trace, "events/" PROBE "/enable", "0");
	trace_file(trace, KPROBE_EVENTS, "-:" PROBE "\n");
}

static long pool_now(const char *pool)
{
	char buf[32];

	return pb_read(pool, buf, sizeof(buf)) ? -1 : atol(buf);
}

FIXTURE_SETUP(contended)
{
	int i;

	self->stop = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->stop);
	self->gigantic = pb_gigantic_bytes();
	if (!self->gigantic)
		SKIP(return, "need huge pages of a memory block or more, have none (CPU without pdpe1gb?)");
	if (pb_save(&self->movable_gigantic,
		    "/proc/sys/vm/movable_gigantic_pages"))
		SKIP(return, "need vm.movable_gigantic_pages, have no such file");

	ASSERT_EQ(0, pb_save(&self->auto_online,
			     PB_SYS_MEMORY "/auto_online_blocks"));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(self->auto_online.path, "offline"));
	self->nr = pb_gigantic_run(&self->dimm, "contended", self->block);
	if (self->nr == -ENODEV) {
		self->nr = 0;
		SKIP(return, "need %lu MiB of aligned offline memory or a host that hot-adds it, have neither",
		     self->gigantic >> 20);
	}
	ASSERT_GT(self->nr, 0);
	self->nid = pb_block_node(&self->block[0]);
	ASSERT_GE(self->nid, 0);
	for (i = 0; i < self->nr; i++)
		ASSERT_EQ(0, pb_block_set(&self->block[i], "online_movable"));

	ASSERT_EQ(0, pb_write(self->movable_gigantic.path, "1"));
	pb_gigantic_pool(self->pool, sizeof(self->pool), self->nid);
	trace_start(self->trace, sizeof(self->trace));
}

FIXTURE_TEARDOWN_PARENT(contended)
{
	int i;

	if (self->wedged)
		return;
	trace_stop(self->trace);
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

/* A page of the range with a reference of its own, in a known block */
#define ASSERT_HOLD_PAGE(self) do {					\
	int __i;							\
									\
	ASSERT_EQ(0, pb_hold_page(&(self)->hold, (self)->nid));		\
	(self)->held = -1;						\
	for (__i = 0; __i < (self)->nr; __i++)				\
		if (pb_block_has(&(self)->block[__i], (self)->hold.pfn)) \
			(self)->held = __i;				\
	ASSERT_GE((self)->held, 0)					\
		TH_LOG("pfn %lx is in none of the blocks",		\
		       (self)->hold.pfn);				\
} while (0)

/* Fills and empties the pool, @times or until *@stop */
static pid_t start_writer(const char *pool, int times, atomic_bool *stop)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	pb_die_with(parent);
	pb_let_go_of_output();
	while (!atomic_load(stop) && (times < 0 || times--))
		if (pb_write(pool, "3") || pb_write(pool, "0"))
			_exit(1);
	_exit(0);
}

#define EXPECT_REFUSED_ONLY(self, met) do {				\
	if ((self)->trace[0]) {						\
		trace_count((self)->trace, met);			\
		EXPECT_GT((met)->refused, 0)				\
			TH_LOG("the writer never met the isolated block"); \
		EXPECT_EQ(0, (met)->taken)				\
			TH_LOG("the writer isolated what the offline has"); \
	}								\
} while (0)

/* How the offlines of all rounds ended */
struct ends {
	int in_time;
	int in_a_second;
	double longest;
};

static void count_end(struct ends *ends, int ret, double took, int limit_ms)
{
	if (ret)
		return;
	ends->in_time += took * 1000 <= limit_ms;
	ends->in_a_second += took <= 1;
	if (took > ends->longest)
		ends->longest = took;
}

/* No counter may be off either, where there is somebody to look */
#define EXPECT_ALL_IN_TIME(ends) do {					\
	TH_LOG("%d of %d offlines ended in time (%d within a second), the longest took %.3f s", \
	       (ends)->in_time, rounds(), (ends)->in_a_second,		\
	       (ends)->longest);					\
	EXPECT_EQ(rounds(), (ends)->in_time);				\
	if (pb_debug_has("audit"))					\
		EXPECT_EQ(0, pb_audit_count(""));			\
} while (0)

/* Let the page be held for PB_HOLD_MS in all */
static void hold_since(double since)
{
	double left = since + hold_ms() / 1000.0 - pb_now();

	if (left > 0)
		pb_msleep(left * 1000);
}

/*
 * What the others compare with: the reference alone holds the offline up, and
 * its end lets it go. Also the proof that the range is one that the writer of
 * nr_hugepages can take, or the next tests would contend with nobody.
 */
TEST_F_TIMEOUT(contended, offline_alone_ends_when_the_reference_goes, 300)
{
	double took = 0;
	pid_t off;
	int ret;

	ASSERT_EQ(0, pb_write(self->pool, "1"));
	ASSERT_EQ(1, pool_now(self->pool))
		TH_LOG("no gigantic page comes out of an empty range");
	ASSERT_EQ(0, pb_write(self->pool, "0"));
	ASSERT_EQ(0, pool_now(self->pool));

	ASSERT_HOLD_PAGE(self);
	off = pb_offline_start(&self->block[self->held]);
	ASSERT_GT(off, 0);
	ASSERT_TRUE(pb_going_offline(&self->block[self->held]));
	pb_msleep(500);
	ASSERT_EQ(0, waitpid(off, NULL, WNOHANG))
		TH_LOG("the reference does not hold the offline up");
	pb_release_page(&self->hold);
	ret = pb_offline_wait(off, 10000 * pb_timeout_mul(), &took);
	TH_LOG("offline ended %.3f s after the release: %d", took, ret);
	EXPECT_EQ(0, ret);
	EXPECT_LE(took * 1000, RELEASE_MS);
	EXPECT_EQ(0x5a, self->hold.page[0]);
}

/*
 * An offline of the block that holds the page, as far as its isolation: from now
 * on nobody else may isolate it.
 */
#define ASSERT_OFFLINE_BEGUN(self, off) do {				\
	struct meetings __met = { };					\
	double __end = pb_now() + 5.0 * pb_timeout_mul();		\
									\
	trace_clear((self)->trace);					\
	off = pb_offline_start(&(self)->block[(self)->held]);		\
	ASSERT_GT(off, 0);						\
	ASSERT_TRUE(pb_going_offline(&(self)->block[(self)->held]));	\
	while ((self)->trace[0] && !__met.taken && pb_now() < __end) {	\
		pb_msleep(10);						\
		trace_count((self)->trace, &__met);			\
	}								\
	ASSERT_TRUE(!(self)->trace[0] || __met.taken)			\
		TH_LOG("the offline isolates nothing");			\
	/* The pcp lists are drained, the page is tried */		\
	pb_msleep(200);							\
	trace_clear((self)->trace);					\
} while (0)

/*
 * The writer has come and gone before the reference goes, so nobody is left
 * who could help: deterministic, and the kernel stays usable.
 */
TEST_F_TIMEOUT(contended, offline_ends_after_a_gigantic_page_writer_has_gone, LIMIT_S)
{
	struct meetings met = { };
	struct ends ends = { };
	double took, held;
	int round, ret;
	pid_t off, writer;

	ASSERT_EQ(0, pb_write(self->pool, "1"));
	ASSERT_EQ(1, pool_now(self->pool));
	ASSERT_EQ(0, pb_write(self->pool, "0"));

	for (round = 0; round < rounds(); round++) {
		ASSERT_HOLD_PAGE(self);
		held = pb_now();
		ASSERT_OFFLINE_BEGUN(self, off);
		writer = start_writer(self->pool, 3, self->stop);
		EXPECT_EQ(writer, waitpid(writer, NULL, 0));
		EXPECT_EQ(0, pool_now(self->pool));
		EXPECT_REFUSED_ONLY(self, &met);
		hold_since(held);
		ASSERT_EQ(0, waitpid(off, NULL, WNOHANG));

		pb_release_page(&self->hold);
		ret = pb_offline_wait(off, GIVE_UP_MS, &took);
		TH_LOG("round %d: isolation refused %d times, taken away %d times; offline %s %.3f s after the release (%d)",
		       round, met.refused, met.taken, ret ? "given up" : "ended", took, ret);
		EXPECT_EQ(0x5a, self->hold.page[0]);
		munmap(self->hold.page, getpagesize());
		count_end(&ends, ret, took, RELEASE_MS);
		if (!ret)
			ASSERT_EQ(0, pb_block_set(&self->block[self->held],
						  "online_movable"));
	}
	EXPECT_ALL_IN_TIME(&ends);
	if (!self->trace[0])
		SKIP(return, "need kprobes to see that writer and offline met, have none");
}

/*
 * Have the held page in block @at of the range: take the others away while it
 * is allocated.
 */
static int hold_in_block(struct _test_data_contended *self, int at)
{
	int i, ret;

	for (i = 0; i < self->nr; i++) {
		if (i == at || pb_block_is(&self->block[i], "state", "offline"))
			continue;
		ret = pb_offline(&self->block[i], GIVE_UP_MS, NULL);
		if (ret)
			return ret;
	}
	if (pb_block_is(&self->block[at], "state", "offline")) {
		ret = pb_block_set(&self->block[at], "online_movable");
		if (ret)
			return ret;
	}
	ret = pb_hold_page(&self->hold, self->nid);
	for (i = 0; i < self->nr && !ret; i++)
		if (i != at)
			ret = pb_block_set(&self->block[i], "online_movable");
	self->held = at;
	if (!ret && !pb_block_has(&self->block[at], self->hold.pfn))
		ret = -ENXIO;
	return ret;
}

/*
 * Fills the range with pages that the writer has to move one by one, so that
 * it is inside for a while once its isolation has worked.
 */
static pid_t start_filler(int nid)
{
	const size_t len = 128 << 20;
	pid_t parent = getpid(), pid;
	int ready[2];
	char *p;

	if (pipe(ready))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		pb_die_with(parent);
		pb_let_go_of_output();
		pb_prefer_node(nid);
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			_exit(1);
		madvise(p, len, MADV_NOHUGEPAGE);
		memset(p, 1, len);
		close(ready[0]);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	/* End of file: it has closed its end, or died */
	while (read(ready[0], &p, 1) > 0)
		;
	close(ready[0]);
	return pid;
}

/*
 * In which the offline has to end. The writer looks at each page of the range
 * under zone->lock, over and over; where CPUs are emulated one such look takes
 * 0.1 to 0.3 s, or more when the host is busy: @try_s, as measured.
 */
static int release_ms(double try_s)
{
	int ms = 10 * 1000 * try_s;

	if (pb_timeout_mul() <= 1)
		return RELEASE_MS;
	return ms > 3 * RELEASE_MS ? ms : 3 * RELEASE_MS;
}

/* Rounds of: offline of block @at held up, writer beside, release */
static void contend(struct __test_metadata *_metadata,
		    struct _test_data_contended *self, int at)
{
	static const char * const end_names[] = {
		"by itself", "only when killed, it span in the kernel", "never",
	};
	const double stop_s = 3.0 * pb_timeout_mul();
	pid_t off, writer, filler;
	double took = 0, held;
	struct ends ends = { };
	struct meetings met;
	enum pb_end how;
	int round, ret, limit;
	double since;

	for (round = 0; round < rounds(); round++) {
		met.refused = met.taken = 0;
		ret = hold_in_block(self, at);
		ASSERT_EQ(0, ret) TH_LOG("%s", strerror(-ret));
		held = pb_now();
		ASSERT_OFFLINE_BEGUN(self, off);
		/* Gets nothing of the block that is isolated by now */
		filler = start_filler(self->nid);
		ASSERT_GT(filler, 0);
		atomic_store(self->stop, false);
		writer = start_writer(self->pool, -1, self->stop);
		ASSERT_GT(writer, 0);
		/* Several tries, or the middle of one that was let in */
		since = pb_now();
		while (met.refused < 3 && !met.taken && pb_now() < since + stop_s) {
			pb_msleep(10);
			if (self->trace[0])
				trace_count(self->trace, &met);
		}
		limit = release_ms((pb_now() - since) / (met.refused + 1));
		pb_msleep(100);
		hold_since(held);
		EXPECT_REFUSED_ONLY(self, &met);
		ASSERT_EQ(0, waitpid(off, NULL, WNOHANG));

		pb_release_page(&self->hold);
		ret = pb_offline_wait(off, limit + GIVE_UP_MS, &took);
		/* Or something of it is held in the kernel */
		kill(filler, SIGKILL);
		EXPECT_EQ(PB_BY_ITSELF, pb_child_end(filler, stop_s));
		atomic_store(self->stop, true);
		how = pb_child_end(writer, stop_s);
		TH_LOG("round %d: isolation refused %d times, taken away %d times; offline %s %.3f s after the release (%d), writer ends %s",
		       round, met.refused, met.taken,
		       ret ? "given up" : "ended", took, ret, end_names[how]);
		self->wedged = how == PB_NEVER;
		ASSERT_NE(PB_NEVER, how);
		EXPECT_EQ(PB_BY_ITSELF, how);
		EXPECT_EQ(0, pb_write(self->pool, "0"));
		munmap(self->hold.page, getpagesize());
		count_end(&ends, ret, took, limit);
		if (!ret)
			ASSERT_EQ(0, pb_block_set(&self->block[self->held],
						  "online_movable"));
		/* Isolation is in nobody's hands now: later rounds may hang */
		if (met.taken)
			break;
	}
	EXPECT_ALL_IN_TIME(&ends);
	if (!self->trace[0])
		SKIP(return, "need kprobes to see that writer and offline met, have none");
}

/* The writer goes on all the time, and the offline ends among its tries */
TEST_F_TIMEOUT(contended, offline_ends_while_a_gigantic_page_writer_goes_on, LIMIT_S)
{
	contend(_metadata, self, 0);
}

/*
 * The same with the block at the end of the range: when that goes away under
 * the writer, __alloc_contig_migrate_range() must notice.
 */
TEST_F_TIMEOUT(contended, writer_ends_when_the_tail_of_its_range_goes_offline, LIMIT_S)
{
	contend(_metadata, self, self->nr - 1);
}

TEST_HARNESS_MAIN
