// SPDX-License-Identifier: GPL-2.0
/*
 * What else lives in hotremove memory, or happens to it: huge pages, pages that
 * KSM shares, pages that are taken out of service. Each is put there, the memory
 * block goes offline, and data is what it was.
 *
 *   node N: |--HOTREMOVE: the users--|--HOTREMOVE--|    node 0: room to go to
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

#define KSM		"/sys/kernel/mm/ksm/"
#define NR_BLOCKS	2
#define NR_HUGE		16
#define NR_PAGES	256
#define OFFLINE_MS	(20000 * pb_timeout_mul())
#define WAIT_S		(10.0 * pb_timeout_mul())
#define TEST_S		(60 * pb_timeout_mul())

FIXTURE(users) {
	struct pb_saved auto_online, nr_hugepages;
	struct pb_dimm dimm;
	int nid;
	size_t page;
};

FIXTURE_SETUP(users)
{
	int i;

	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	PB_NEED_EMPTY_NODE(self->nid);
	self->page = getpagesize();
	PB_HOTADD_OFFLINE(self, "users", NR_BLOCKS * pb_block_mb());
	for (i = 0; i < self->dimm.nr; i++)
		ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[i]);
}

FIXTURE_TEARDOWN_PARENT(users)
{
	EXPECT_EQ(0, pb_restore(&self->nr_hugepages));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
}

/* How many of @nr pages, @step bytes apart, are in the memory that was added? */
static int pages_inside(const struct pb_dimm *dimm, const char *mem, int nr, size_t step)
{
	int i, j, inside = 0;

	for (i = 0; i < nr; i++)
		for (j = 0; j < dimm->nr; j++)
			inside += pb_block_has(&dimm->block[j], pb_pfn(mem + i * step));
	return inside;
}

static int offline_all(const struct pb_dimm *dimm)
{
	int i, ret;

	for (i = 0; i < dimm->nr; i++) {
		ret = pb_offline(&dimm->block[i], OFFLINE_MS, NULL);
		if (ret)
			return ret;
	}
	return 0;
}

TEST_F_TIMEOUT(users, huge_pages_live_there_and_leave, TEST_S)
{
	size_t huge = pb_huge_bytes(), i;
	char path[128], *mem;
	long wrong = 0;

	snprintf(path, sizeof(path), PB_SYS_NODE "/node%d/hugepages/hugepages-%zukB/nr_hugepages",
		 self->nid, huge >> 10);
	if (access(path, W_OK))
		SKIP(return, "need huge pages of %zu kB, have none", huge >> 10);
	ASSERT_EQ(0, pb_save(&self->nr_hugepages, "/proc/sys/vm/nr_hugepages"));
	ASSERT_EQ(0, pb_write(path, "16"));
	ASSERT_EQ(0, pb_prefer_node(self->nid));
	mem = mmap(NULL, NR_HUGE * huge, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	for (i = 0; i < NR_HUGE * huge; i += self->page)
		*(uint64_t *)(mem + i) = i;
	pb_prefer_node(-1);
	ASSERT_EQ(NR_HUGE, pages_inside(&self->dimm, mem, NR_HUGE, huge));

	EXPECT_EQ(0, offline_all(&self->dimm));
	EXPECT_EQ(0, pages_inside(&self->dimm, mem, NR_HUGE, huge));
	for (i = 0; i < NR_HUGE * huge; i += self->page)
		wrong += *(uint64_t *)(mem + i) != i;
	EXPECT_EQ(0, wrong);
	munmap(mem, NR_HUGE * huge);
}

static long ksm_value(const char *name)
{
	char path[96], buf[32];

	snprintf(path, sizeof(path), KSM "%s", name);
	return pb_read(path, buf, sizeof(buf)) ? -1 : atol(buf);
}

TEST_F_TIMEOUT(users, pages_that_ksm_shares_leave_and_stay_shared, TEST_S)
{
	size_t len = NR_PAGES * self->page, i;
	double end = pb_now() + WAIT_S;
	struct pb_saved run, speed;
	char *mem, want[4096];
	int inside, wrong = 0;
	long shared;

	if (pb_save(&run, KSM "run"))
		SKIP(return, "need KSM, have none");
	ASSERT_EQ(0, pb_save(&speed, KSM "pages_to_scan"));
	ASSERT_EQ(0, pb_write(KSM "pages_to_scan", "10000"));
	/* Each content twice: what is shared is NR_PAGES / 2 pages */
	mem = pb_mmap_node(len, self->nid);
	ASSERT_NE(NULL, mem);
	madvise(mem, len, MADV_NOHUGEPAGE);
	for (i = 0; i < NR_PAGES; i++)
		memset(mem + i * self->page, 1 + i / 2, self->page);
	ASSERT_EQ(0, madvise(mem, len, MADV_MERGEABLE));
	ASSERT_EQ(0, pb_write(KSM "run", "1"));
	while (ksm_value("pages_sharing") < NR_PAGES / 2 - 2 && pb_now() < end)
		pb_msleep(50);
	shared = ksm_value("pages_shared");
	ASSERT_LT(NR_PAGES / 4, shared);
	inside = pages_inside(&self->dimm, mem, NR_PAGES, self->page);
	ASSERT_LT(NR_PAGES / 2, inside);

	EXPECT_EQ(0, offline_all(&self->dimm));
	EXPECT_EQ(0, pages_inside(&self->dimm, mem, NR_PAGES, self->page));
	EXPECT_EQ(shared, ksm_value("pages_shared"));
	for (i = 0; i < NR_PAGES; i++) {
		memset(want, 1 + i / 2, self->page);
		wrong += !!memcmp(mem + i * self->page, want, self->page);
	}
	EXPECT_EQ(0, wrong);
	munmap(mem, len);
	EXPECT_EQ(0, pb_restore(&run));
	EXPECT_EQ(0, pb_restore(&speed));
}

TEST_F_TIMEOUT(users, a_page_is_taken_out_of_service_with_its_content_saved, TEST_S)
{
	char *mem = pb_mmap_node(NR_PAGES * self->page, self->nid);
	unsigned long pfn;
	uint64_t flags;
	int i, wrong = 0;

	ASSERT_NE(NULL, mem);
	madvise(mem, NR_PAGES * self->page, MADV_NOHUGEPAGE);
	memset(mem, 7, NR_PAGES * self->page);
	ASSERT_EQ(NR_PAGES, pages_inside(&self->dimm, mem, NR_PAGES, self->page));
	pfn = pb_pfn(mem);

	if (madvise(mem, self->page, MADV_SOFT_OFFLINE))
		SKIP(return, "need MADV_SOFT_OFFLINE (CONFIG_MEMORY_FAILURE), have %s",
		     strerror(errno));
	EXPECT_NE(pfn, pb_pfn(mem));
	ASSERT_EQ(0, pb_page_flags(pfn, &flags));
	EXPECT_TRUE(flags & PB_KPF_HWPOISON);
	for (i = 0; i < (int)(NR_PAGES * self->page); i++)
		wrong += mem[i] != 7;
	EXPECT_EQ(0, wrong);
	/* A page in no service is in nobody's way */
	EXPECT_EQ(0, offline_all(&self->dimm));
	munmap(mem, NR_PAGES * self->page);
}

static sigjmp_buf poisoned;

static void on_sigbus(int sig)
{
	siglongjmp(poisoned, sig);
}

TEST_F_TIMEOUT(users, a_poisoned_page_kills_its_user_and_nothing_else, TEST_S)
{
	struct sigaction act = { .sa_handler = on_sigbus };
	char *mem = pb_mmap_node(NR_PAGES * self->page, self->nid);
	volatile char *bad = mem + 3 * self->page;
	int i, wrong = 0;

	ASSERT_NE(NULL, mem);
	madvise(mem, NR_PAGES * self->page, MADV_NOHUGEPAGE);
	memset(mem, 7, NR_PAGES * self->page);
	ASSERT_EQ(NR_PAGES, pages_inside(&self->dimm, mem, NR_PAGES, self->page));
	sigaction(SIGBUS, &act, NULL);
	if (!sigsetjmp(poisoned, 1)) {
		if (madvise((void *)bad, self->page, MADV_HWPOISON))
			SKIP(return, "need MADV_HWPOISON (CONFIG_MEMORY_FAILURE), have %s",
			     strerror(errno));
		EXPECT_EQ(0, *bad + 1000) TH_LOG("the poisoned page can be read");
	}
	for (i = 0; i < NR_PAGES; i++)
		wrong += i != 3 && mem[i * self->page] != 7;
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, offline_all(&self->dimm));
	for (i = 0; i < NR_PAGES; i++)
		wrong += i != 3 && mem[i * self->page] != 7;
	EXPECT_EQ(0, wrong);
	munmap(mem, NR_PAGES * self->page);
}

TEST_HARNESS_MAIN
