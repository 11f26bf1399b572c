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
 * Everything is done through sysfs; a kprobe, where there are kprobes, only
 * looks on.
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
#include "kselftest_harness.h"

#define KPROBE_EVENTS	"kprobe_events"
#define PROBE		"pageblock/contended"

/* The offline has to end this long after the last reference has gone */
#define RELEASE_MS	1000
/* After that it is given up by a signal, for it would wait for ever */
#define GIVE_UP_MS	5000

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

/* The smallest huge page size that alloc_contig_range() has to serve */
static unsigned long gigantic_bytes(void)
{
	unsigned long kb, best = 0;
	struct dirent *ent;
	DIR *d;

	d = opendir("/sys/kernel/mm/hugepages");
	while (d && (ent = readdir(d))) {
		if (sscanf(ent->d_name, "hugepages-%lukB", &kb) != 1)
			continue;
		if (kb * 1024 >= pb_block_bytes() && (!best || kb < best))
			best = kb;
	}
	if (d)
		closedir(d);
	return best * 1024;
}

/* An aligned run of offline blocks, as long as a gigantic page */
static int find_run(const struct pb_block *all, int nr, unsigned long bytes,
		    struct pb_block *run)
{
	int want = bytes / pb_block_bytes(), i, j;

	for (i = 0; i + want <= nr; i++) {
		if (all[i].id % want)
			continue;
		for (j = 0; j < want; j++)
			if (all[i + j].id != all[i].id + j ||
			    !pb_block_is(&all[i + j], "state", "offline"))
				break;
		if (j < want)
			continue;
		memcpy(run, all + i, want * sizeof(*run));
		return want;
	}
	return 0;
}

static int block_node(const struct pb_block *block)
{
	struct pb_block b[PB_SCAN_BLOCKS];
	int nid, nr;

	for (nid = 0; nid < 1024; nid++) {
		nr = pb_node_blocks(nid, b, PB_SCAN_BLOCKS);
		while (nr-- > 0)
			if (b[nr].id == block->id)
				return nid;
	}
	return -1;
}

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
	struct pb_block all[PB_SCAN_BLOCKS];
	int nr, i;

	self->stop = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->stop);
	self->gigantic = gigantic_bytes();
	if (!self->gigantic)
		SKIP(return, "need huge pages of a memory block or more, have none (CPU without pdpe1gb?)");
	if (pb_save(&self->movable_gigantic,
		    "/proc/sys/vm/movable_gigantic_pages"))
		SKIP(return, "need vm.movable_gigantic_pages, have no such file");
	ASSERT_LE(2 * self->gigantic, PB_MAX_BLOCKS * pb_block_bytes());

	ASSERT_EQ(0, pb_save(&self->auto_online,
			     PB_SYS_MEMORY "/auto_online_blocks"));
	ASSERT_EQ(0, pb_write(self->auto_online.path, "offline"));

	nr = pb_all_blocks(all, PB_SCAN_BLOCKS);
	ASSERT_GT(nr, 0);
	self->nr = find_run(all, nr, self->gigantic, self->block);
	if (!self->nr && pb_host()) {
		/* Twice the size holds one aligned run wherever it lands */
		ASSERT_EQ(0, pb_hotadd(&self->dimm, "contended",
				       2 * self->gigantic >> 20,
				       pb_target_node()));
		self->nr = find_run(self->dimm.block, self->dimm.nr,
				    self->gigantic, self->block);
		ASSERT_NE(0, self->nr);
	}
	if (!self->nr) {
		pb_restore(&self->auto_online);
		SKIP(return, "need %lu MiB of aligned offline memory or a host that hot-adds it, have neither",
		     self->gigantic >> 20);
	}
	self->nid = block_node(&self->block[0]);
	ASSERT_GE(self->nid, 0);
	for (i = 0; i < self->nr; i++)
		ASSERT_EQ(0, pb_block_set(&self->block[i], "online_movable"));

	ASSERT_EQ(0, pb_write(self->movable_gigantic.path, "1"));
	snprintf(self->pool, sizeof(self->pool), PB_SYS_NODE
		 "/node%d/hugepages/hugepages-%lukB/nr_hugepages", self->nid,
		 self->gigantic >> 10);
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

/* Fills and empties the pool, @rounds times or until *@stop */
static pid_t start_writer(const char *pool, int rounds, atomic_bool *stop)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid)
		return pid;
	pb_let_go_of_output();
	while (!atomic_load(stop) && (rounds < 0 || rounds--))
		if (pb_write(pool, "3") || pb_write(pool, "0"))
			_exit(1);
	_exit(0);
}

enum writer_end { BY_ITSELF, BY_SIGNAL, NEVER };

/* Nobody may have to kill it: what it does has an end of its own */
static enum writer_end stop_writer(pid_t pid, atomic_bool *stop)
{
	enum writer_end how = BY_ITSELF;
	double end;

	atomic_store(stop, true);
	for (; how < NEVER; how++) {
		end = pb_now() + 3.0 * pb_timeout_mul();
		if (how == BY_SIGNAL)
			kill(pid, SIGKILL);
		while (pb_now() < end) {
			if (waitpid(pid, NULL, WNOHANG) == pid)
				return how;
			pb_msleep(5);
		}
	}
	return how;
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
 * The writer has come and gone before the reference goes, so nobody is left
 * who could help: deterministic, and the kernel stays usable.
 */
TEST_F_TIMEOUT(contended, offline_ends_after_a_gigantic_page_writer_has_gone, 170)
{
	int rounds = pb_env("PB_ROUNDS", 4), round, in_time = 0, ret;
	struct meetings met = { };
	double took;
	pid_t off, writer;

	ASSERT_EQ(0, pb_write(self->pool, "1"));
	ASSERT_EQ(1, pool_now(self->pool));
	ASSERT_EQ(0, pb_write(self->pool, "0"));

	for (round = 0; round < rounds; round++) {
		ASSERT_HOLD_PAGE(self);
		off = pb_offline_start(&self->block[self->held]);
		ASSERT_GT(off, 0);
		ASSERT_TRUE(pb_going_offline(&self->block[self->held]));
		/* Isolated by now: pcp lists are drained, the page is tried */
		pb_msleep(200);
		trace_clear(self->trace);
		writer = start_writer(self->pool, 3, self->stop);
		EXPECT_EQ(writer, waitpid(writer, NULL, 0));
		EXPECT_EQ(0, pool_now(self->pool));
		EXPECT_REFUSED_ONLY(self, &met);
		ASSERT_EQ(0, waitpid(off, NULL, WNOHANG));

		pb_release_page(&self->hold);
		ret = pb_offline_wait(off, GIVE_UP_MS, &took);
		TH_LOG("round %d: isolation refused %d times, taken away %d times; offline %s %.3f s after the release (%d)",
		       round, met.refused, met.taken, ret ? "given up" : "ended", took, ret);
		EXPECT_EQ(0x5a, self->hold.page[0]);
		munmap(self->hold.page, getpagesize());
		in_time += !ret && took * 1000 <= RELEASE_MS;
		if (!ret)
			ASSERT_EQ(0, pb_block_set(&self->block[self->held],
						  "online_movable"));
	}
	TH_LOG("%d of %d offlines ended within %d ms", in_time, rounds,
	       RELEASE_MS);
	EXPECT_EQ(rounds, in_time);
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
	int ready[2];
	pid_t pid;
	char *p;

	if (pipe(ready))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (!pid) {
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

/* False: it does not die, something of it is held in the kernel */
static bool end_filler(pid_t pid)
{
	double end = pb_now() + 3.0 * pb_timeout_mul();

	kill(pid, SIGKILL);
	while (pb_now() < end) {
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return true;
		pb_msleep(5);
	}
	return false;
}

/* @rounds of: offline of block @at held up, writer beside, release */
static void contend(struct __test_metadata *_metadata,
		    struct _test_data_contended *self, int at, int rounds)
{
	static const char * const end_names[] = {
		"by itself", "only when killed, it span in the kernel", "never",
	};
	/*
	 * The writer looks at each page of the range under zone->lock, over
	 * and over; where CPUs are emulated one such look takes 0.1 to 0.3 s.
	 */
	const int limit = RELEASE_MS * (pb_timeout_mul() > 1 ? 3 : 1);
	int round, in_time = 0, ret, i;
	struct meetings met;
	enum writer_end how;
	double took = 0;
	pid_t off, writer, filler;

	for (round = 0; round < rounds; round++) {
		met.refused = met.taken = 0;
		ret = hold_in_block(self, at);
		ASSERT_EQ(0, ret) TH_LOG("%s", strerror(-ret));
		off = pb_offline_start(&self->block[self->held]);
		ASSERT_GT(off, 0);
		ASSERT_TRUE(pb_going_offline(&self->block[self->held]));
		pb_msleep(200);
		/* Gets nothing of the block that is isolated by now */
		filler = start_filler(self->nid);
		ASSERT_GT(filler, 0);
		trace_clear(self->trace);
		atomic_store(self->stop, false);
		writer = start_writer(self->pool, -1, self->stop);
		ASSERT_GT(writer, 0);
		/* Several tries, or the middle of one that was let in */
		for (i = 0; i < 300 && met.refused < 3 && !met.taken; i++) {
			pb_msleep(10);
			if (self->trace[0])
				trace_count(self->trace, &met);
		}
		pb_msleep(100);
		EXPECT_REFUSED_ONLY(self, &met);
		ASSERT_EQ(0, waitpid(off, NULL, WNOHANG));

		pb_release_page(&self->hold);
		ret = pb_offline_wait(off, limit + GIVE_UP_MS, &took);
		EXPECT_TRUE(end_filler(filler));
		how = stop_writer(writer, self->stop);
		TH_LOG("round %d: isolation refused %d times, taken away %d times; offline %s %.3f s after the release (%d), writer ends %s",
		       round, met.refused, met.taken,
		       ret ? "given up" : "ended", took, ret, end_names[how]);
		self->wedged = how == NEVER;
		ASSERT_NE(NEVER, how);
		EXPECT_EQ(BY_ITSELF, how);
		EXPECT_EQ(0, pb_write(self->pool, "0"));
		munmap(self->hold.page, getpagesize());
		in_time += !ret && took * 1000 <= limit;
		if (!ret)
			ASSERT_EQ(0, pb_block_set(&self->block[self->held],
						  "online_movable"));
		/* Isolation is in nobody's hands now: later rounds may hang */
		if (met.taken)
			break;
	}
	TH_LOG("%d of %d offlines ended within %d ms", in_time, rounds, limit);
	EXPECT_EQ(rounds, in_time);
}

/* The writer goes on all the time, and the offline ends among its tries */
TEST_F_TIMEOUT(contended, offline_ends_while_a_gigantic_page_writer_goes_on, 170)
{
	contend(_metadata, self, 0, pb_env("PB_ROUNDS", 4));
}

/*
 * The same with the block at the end of the range: when that goes away under
 * the writer, __alloc_contig_migrate_range() must notice.
 */
TEST_F_TIMEOUT(contended, writer_ends_when_the_tail_of_its_range_goes_offline, 170)
{
	contend(_metadata, self, self->nr - 1, pb_env("PB_ROUNDS", 4));
}

TEST_HARNESS_MAIN
