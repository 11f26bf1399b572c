// SPDX-License-Identifier: GPL-2.0
/*
 * What the pageblock selftests share; see pageblock_util.h
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <numa.h>
#include <numaif.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "pageblock_util.h"

#define PB_VMREQ	"/opt/pageblock/vmreq"
#define PB_PAGE_OWNER	"/sys/kernel/debug/page_owner"

/* Time and text files */

double pb_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void pb_msleep(unsigned int ms)
{
	struct timespec ts = { ms / 1000, (ms % 1000) * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/*
 * A number from the environment, @def when there is none. 0 is allowed where it
 * is the default. A typing error must not become a test that does nothing.
 */
long pb_env(const char *name, long def)
{
	const char *text = getenv(name);
	long value, min = def ? 1 : 0;
	char *end;

	if (!text || !*text)
		return def;
	errno = 0;
	value = strtol(text, &end, 0);
	if (errno || *end || value < min || value > INT_MAX) {
		fprintf(stderr, "# %s=%s: need a number from %ld to %d\n", name,
			text, min, INT_MAX);
		exit(KSFT_FAIL);
	}
	return value;
}

/* How much slower than a real machine this one is: 5 when emulated, times pb_slow() */
int pb_timeout_mul(void)
{
	return pb_env("TIMEOUT_MUL", 1);
}

/* How much slower than an ordinary kernel this one is, which looks at all it does */
int pb_slow(void)
{
	return pb_env("PB_SLOW", 1);
}

int pb_read(const char *path, char *buf, size_t len)
{
	size_t have = 0;
	ssize_t got;
	int fd;

	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	while (have < len - 1) {
		got = read(fd, buf + have, len - 1 - have);
		if (got < 0) {
			got = -errno;
			close(fd);
			return got;
		}
		if (!got)
			break;
		have += got;
	}
	close(fd);
	while (have && isspace((unsigned char)buf[have - 1]))
		have--;
	buf[have] = '\0';
	return 0;
}

int pb_write(const char *path, const char *text)
{
	int fd, ret = 0;

	fd = open(path, O_WRONLY);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int pb_save(struct pb_saved *saved, const char *path)
{
	int ret;

	snprintf(saved->path, sizeof(saved->path), "%s", path);
	ret = pb_read(path, saved->value, sizeof(saved->value));
	if (ret)
		saved->path[0] = '\0';
	return ret;
}

/* Of a file that lists all words, the one in brackets, which is what it is set to */
int pb_save_choice(struct pb_saved *saved, const char *path)
{
	char buf[256], *word, *end;
	int ret;

	saved->path[0] = '\0';
	ret = pb_read(path, buf, sizeof(buf));
	if (ret)
		return ret;
	word = strchr(buf, '[');
	end = word ? strchr(word, ']') : NULL;
	if (!end)
		return -EPROTO;
	*end = '\0';
	snprintf(saved->path, sizeof(saved->path), "%s", path);
	snprintf(saved->value, sizeof(saved->value), "%s", word + 1);
	return 0;
}

int pb_restore(struct pb_saved *saved)
{
	if (!saved->path[0])
		return 0;
	return pb_write(saved->path, saved->value);
}

/*
 * For a child that may stay in the kernel for good: whoever reads our output
 * from a pipe would wait for its end as long.
 */
void pb_let_go_of_output(void)
{
	int fd = open("/dev/null", O_RDWR);

	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* Memory blocks and nodes */

unsigned long pb_block_bytes(void)
{
	static unsigned long bytes;
	char buf[32];

	if (!bytes && !pb_read(PB_SYS_MEMORY "/block_size_bytes", buf,
			       sizeof(buf)))
		bytes = strtoul(buf, NULL, 16);
	return bytes;
}

unsigned int pb_block_mb(void)
{
	return pb_block_bytes() >> 20;
}

unsigned long pb_block_pages(void)
{
	return pb_block_bytes() / sysconf(_SC_PAGESIZE);
}

static int pb_cmp_block(const void *a, const void *b)
{
	const struct pb_block *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

/* The memory<id> entries of @dir, sorted */
static int pb_scan_blocks(const char *dir, struct pb_block *block, int max)
{
	struct dirent *ent;
	unsigned int id;
	int nr = 0;
	DIR *d;

	d = opendir(dir);
	if (!d)
		return -errno;
	while ((ent = readdir(d))) {
		if (sscanf(ent->d_name, "memory%u", &id) != 1)
			continue;
		if (nr == max) {
			closedir(d);
			return -ERANGE;
		}
		block[nr].id = id;
		block[nr].start_pfn = id * pb_block_pages();
		block[nr].end_pfn = (id + 1UL) * pb_block_pages();
		nr++;
	}
	closedir(d);
	qsort(block, nr, sizeof(*block), pb_cmp_block);
	return nr;
}

int pb_all_blocks(struct pb_block *block, int max)
{
	return pb_scan_blocks(PB_SYS_MEMORY, block, max);
}

int pb_node_blocks(int nid, struct pb_block *block, int max)
{
	char dir[64];
	int nr;

	snprintf(dir, sizeof(dir), PB_SYS_NODE "/node%d", nid);
	nr = pb_scan_blocks(dir, block, max);
	return nr == -ENOENT ? 0 : nr;
}

int pb_block_get(const struct pb_block *block, const char *file, char *buf,
		 size_t len)
{
	char path[96];

	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/%s", block->id,
		 file);
	return pb_read(path, buf, len);
}

int pb_block_set(const struct pb_block *block, const char *state)
{
	char path[96];

	snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/state",
		 block->id);
	return pb_write(path, state);
}

bool pb_block_is(const struct pb_block *block, const char *file,
		 const char *want)
{
	char buf[64];

	return !pb_block_get(block, file, buf, sizeof(buf)) &&
	       !strcmp(buf, want);
}

bool pb_block_has(const struct pb_block *block, unsigned long pfn)
{
	return pfn >= block->start_pfn && pfn < block->end_pfn;
}

/*
 * The node that takes hot-added memory: PB_NODE, or the last possible one.
 * Firmware gives the hot-pluggable address range to that node.
 */
int pb_target_node(void)
{
	char buf[128], *last;

	if (getenv("PB_NODE"))
		return pb_env("PB_NODE", 0);
	if (pb_read(PB_SYS_NODE "/possible", buf, sizeof(buf)))
		return 0;
	last = buf + strlen(buf);
	while (last > buf && isdigit((unsigned char)last[-1]))
		last--;
	return atoi(last);
}

int pb_node_has_memory(int nid)
{
	return pb_node_vmstat(nid, "nr_free_pages") > 0;
}

/*
 * 1 when @nid is in the list of nodes in @file, 0 when not, or -errno. Not
 * libnuma's parser: that only knows the nodes that were there at its start.
 */
int pb_node_in(const char *file, int nid)
{
	char path[96], buf[256], *at = buf;
	int ret;

	snprintf(path, sizeof(path), PB_SYS_NODE "/%s", file);
	ret = pb_read(path, buf, sizeof(buf));
	if (ret)
		return ret;
	while (isdigit((unsigned char)*at)) {
		long first = strtol(at, &at, 10), last = first;

		if (*at == '-')
			last = strtol(at + 1, &at, 10);
		if (nid >= first && nid <= last)
			return 1;
		at += *at == ',';
	}
	return 0;
}

/* Offlining in a child, so that it can be given up by a signal */

pid_t pb_offline_start(const struct pb_block *block)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid) {
		pb_let_go_of_output();
		_exit(-pb_block_set(block, "offline"));
	}
	return pid < 0 ? -errno : pid;
}

/*
 * Wait for pb_offline_start()'s child. After @ms it gets SIGTERM, which an
 * offline that only waits for a page obeys; -ETIMEDOUT then. -EDEADLK: it
 * did not even die by SIGKILL, so it spins in the kernel.
 */
int pb_offline_wait(pid_t pid, unsigned int ms, double *took)
{
	double start = pb_now(), end = start + ms / 1000.0;
	int status, sig = 0;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
		if (pb_now() < end) {
			pb_msleep(2);
			continue;
		}
		if (sig == SIGKILL)
			return -EDEADLK;
		sig = sig ? SIGKILL : SIGTERM;
		kill(pid, sig);
		end = pb_now() + 3.0 * pb_timeout_mul();
	}
	if (took)
		*took = pb_now() - start;
	if (sig)
		return -ETIMEDOUT;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

int pb_offline(const struct pb_block *block, unsigned int ms, double *took)
{
	pid_t pid = pb_offline_start(block);

	return pid < 0 ? pid : pb_offline_wait(pid, ms, took);
}

/* Wait until somebody's offline of @block has begun */
bool pb_going_offline(const struct pb_block *block)
{
	double end = pb_now() + 5.0 * pb_timeout_mul();

	while (pb_now() < end) {
		if (pb_block_is(block, "state", "going-offline"))
			return true;
		pb_msleep(5);
	}
	return false;
}

/*
 * Wait @seconds for the end of a child that has one by itself; as long again
 * after SIGKILL. Nobody should have to kill it. What a failed fork() returned
 * is nobody's pid, but kill() would take it for everybody's.
 */
enum pb_end pb_child_end(pid_t pid, double seconds)
{
	enum pb_end how;
	double end;

	if (pid <= 0)
		return PB_NEVER;
	for (how = PB_BY_ITSELF; how < PB_NEVER; how++) {
		end = pb_now() + seconds;
		if (how == PB_BY_SIGNAL)
			kill(pid, SIGKILL);
		while (pb_now() < end) {
			if (waitpid(pid, NULL, WNOHANG) == pid)
				return how;
			pb_msleep(5);
		}
	}
	return how;
}

/* The host of the VM */

static const char *pb_vmreq(void)
{
	const char *path = getenv("PB_VMREQ");

	return path ? path : PB_VMREQ;
}

bool pb_host(void)
{
	char reply[128];

	if (getenv("PB_HOST") && !pb_env("PB_HOST", 0))
		return false;
	if (access(pb_vmreq(), X_OK))
		return false;
	return !pb_host_request(reply, sizeof(reply), "query pb-none");
}

/* One request; @reply gets the host's line. -EIO: the host said err */
int pb_host_request(char *reply, size_t len, const char *fmt, ...)
{
	char cmd[256];
	int n, status;
	va_list ap;
	FILE *f;

	n = snprintf(cmd, sizeof(cmd), "exec %s ", pb_vmreq());
	va_start(ap, fmt);
	vsnprintf(cmd + n, sizeof(cmd) - n, fmt, ap);
	va_end(ap);

	reply[0] = '\0';
	fflush(NULL);
	f = popen(cmd, "r");
	if (!f)
		return -errno;
	if (fgets(reply, len, f))
		reply[strcspn(reply, "\n")] = '\0';
	status = pclose(f);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		return -ENODEV;
	return WEXITSTATUS(status) ? -EIO : 0;
}

/*
 * Let the host plug @mb MiB into @nid and wait for the memory blocks. @tag
 * only has to be unique within this program's run.
 */
int pb_hotadd(struct pb_dimm *dimm, const char *tag, unsigned int mb, int nid)
{
	static struct pb_block before[PB_SCAN_BLOCKS], now[PB_SCAN_BLOCKS];
	double end = pb_now() + 20.0 * pb_timeout_mul();
	int nr_before, nr, want, i, j, ret;
	char reply[128];

	want = (mb * 1024UL * 1024UL) / pb_block_bytes();
	if (!want || want > PB_MAX_BLOCKS)
		return -ERANGE;
	nr_before = pb_node_blocks(nid, before, PB_SCAN_BLOCKS);
	if (nr_before < 0)
		return nr_before;

	memset(dimm, 0, sizeof(*dimm));
	dimm->nid = nid;
	snprintf(dimm->id, sizeof(dimm->id), "t%d-%.16s", getpid(), tag);
	ret = pb_host_request(reply, sizeof(reply), "add %s %u %d", dimm->id,
			      mb, nid);
	if (ret) {
		fprintf(stderr, "# host, add %s %u %d: %s\n", dimm->id, mb,
			nid, reply);
		dimm->id[0] = '\0';
		return ret;
	}

	do {
		nr = pb_node_blocks(nid, now, PB_SCAN_BLOCKS);
		if (nr < 0)
			return nr;
		dimm->nr = 0;
		for (i = 0; i < nr; i++) {
			for (j = 0; j < nr_before; j++)
				if (now[i].id == before[j].id)
					break;
			if (j == nr_before && dimm->nr < PB_MAX_BLOCKS)
				dimm->block[dimm->nr++] = now[i];
		}
		if (dimm->nr == want)
			return 0;
		pb_msleep(20);
	} while (pb_now() < end);
	return -ETIMEDOUT;
}

/* Offline what is still online, unplug the DIMM, wait until it is gone */
int pb_hotdel(struct pb_dimm *dimm)
{
	double end;
	char reply[128], path[64];
	int i, ret, left;

	if (!dimm->id[0])
		return 0;
	for (i = 0; i < dimm->nr; i++) {
		if (pb_block_is(&dimm->block[i], "state", "offline"))
			continue;
		ret = pb_offline(&dimm->block[i], 15000 * pb_timeout_mul(),
				 NULL);
		if (ret)
			return ret;
	}
	ret = pb_host_request(reply, sizeof(reply), "del %s", dimm->id);
	if (ret) {
		fprintf(stderr, "# host, del %s: %s\n", dimm->id, reply);
		return ret;
	}
	end = pb_now() + 20.0 * pb_timeout_mul();
	do {
		/*
		 * Not by reading: try_remove_memory() removes the files below
		 * mem_hotplug_lock, which a writer of "state" takes while it
		 * holds the file. device_hotplug_lock keeps the two apart, but
		 * lockdep, which looks at this when a file is open, cannot know.
		 */
		for (i = left = 0; i < dimm->nr; i++) {
			snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u",
				 dimm->block[i].id);
			left += !access(path, F_OK);
		}
		/* The kernel lets go of its blocks first, and ejects it then */
		if (!left) {
			ret = pb_host_request(reply, sizeof(reply), "query %s",
					      dimm->id);
			if (ret) {
				fprintf(stderr, "# host, query %s: %s\n",
					dimm->id, reply);
				return ret;
			}
			if (!strcmp(reply, "ok absent")) {
				dimm->id[0] = '\0';
				return 0;
			}
		}
		pb_msleep(20);
	} while (pb_now() < end);
	return -ETIMEDOUT;
}

/* Memory that gigantic pages can come from */

/* The smallest huge page size that alloc_contig_range() has to serve, or 0 */
unsigned long pb_gigantic_bytes(void)
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
static int pb_find_run(const struct pb_block *all, int nr, int want,
		       struct pb_block *run)
{
	int i, j;

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

/*
 * The offline memory blocks of one gigantic page into @run, PB_MAX_BLOCKS of
 * them at most; hot-added as @dimm when there are none. Returns how many.
 * -ENODEV: no such blocks, and no host.
 */
int pb_gigantic_run(struct pb_dimm *dimm, const char *tag,
		    struct pb_block *run)
{
	static struct pb_block all[PB_SCAN_BLOCKS];
	unsigned long bytes = pb_gigantic_bytes();
	int want = bytes / pb_block_bytes(), nr;

	/* Twice the size holds one aligned run wherever it lands */
	if (!want || 2 * want > PB_MAX_BLOCKS)
		return -ERANGE;
	nr = pb_all_blocks(all, PB_SCAN_BLOCKS);
	if (nr < 0)
		return nr;
	nr = pb_find_run(all, nr, want, run);
	if (nr)
		return nr;
	if (!pb_host())
		return -ENODEV;
	nr = pb_hotadd(dimm, tag, 2 * bytes >> 20, pb_target_node());
	if (nr < 0)
		return nr;
	nr = pb_find_run(dimm->block, dimm->nr, want, run);
	return nr ? nr : -ENOENT;
}

/* The node of a memory block, which sysfs tells the other way round only */
int pb_block_node(const struct pb_block *block)
{
	static struct pb_block b[PB_SCAN_BLOCKS];
	int nid, nr;

	for (nid = 0; nid < 1024; nid++) {
		nr = pb_node_blocks(nid, b, PB_SCAN_BLOCKS);
		while (nr-- > 0)
			if (b[nr].id == block->id)
				return nid;
	}
	return -ENOENT;
}

/* nr_hugepages of gigantic pages on @nid */
void pb_gigantic_pool(char *path, size_t len, int nid)
{
	snprintf(path, len, PB_SYS_NODE
		 "/node%d/hugepages/hugepages-%lukB/nr_hugepages", nid,
		 pb_gigantic_bytes() >> 10);
}

/* Counters */

/* The number behind "<name>" or "<name>:" at the start of a line */
static long pb_file_value(const char *path, const char *name)
{
	char line[256], key[64];
	long value, ret = -ENOENT;
	FILE *f;

	f = fopen(path, "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %63[^: \t]%*[: \t]%ld", key, &value) != 2)
			continue;
		if (!strcmp(key, name)) {
			ret = value;
			break;
		}
	}
	fclose(f);
	return ret;
}

long pb_vmstat(const char *name)
{
	return pb_file_value("/proc/vmstat", name);
}

long pb_node_vmstat(int nid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), PB_SYS_NODE "/node%d/vmstat", nid);
	return pb_file_value(path, name);
}

long pb_numastat(int nid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), PB_SYS_NODE "/node%d/numastat", nid);
	return pb_file_value(path, name);
}

/* In kilobytes, as the file says it */
long pb_meminfo(const char *name)
{
	return pb_file_value("/proc/meminfo", name);
}

/* @name as printed, e.g. "managed" or "nr_free_pages"; @zone may be NULL */
long pb_zoneinfo(int nid, const char *zone, const char *name)
{
	char line[256], key[64], z[16];
	bool in_zone = false, any = false;
	long value, sum = 0;
	int n;
	FILE *f;

	f = fopen("/proc/zoneinfo", "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %d, zone %15s", &n, z) == 2) {
			in_zone = n == nid && (!zone || !strcmp(z, zone));
			continue;
		}
		if (!in_zone || sscanf(line, " %63s %ld", key, &value) != 2)
			continue;
		if (!strcmp(key, name)) {
			sum += value;
			any = true;
		}
	}
	fclose(f);
	return any ? sum : -ENOENT;
}

/* Reading it folds every CPU's differences into the global counters */
void pb_fold_counters(void)
{
	char buf[8];

	pb_read("/proc/sys/vm/stat_refresh", buf, sizeof(buf));
}

/* Pages */

/* Size of a transparent huge page, 0: none */
unsigned long pb_huge_bytes(void)
{
	char buf[32];

	if (pb_read("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", buf,
		    sizeof(buf)))
		return 0;
	return strtoul(buf, NULL, 10);
}

/*
 * Where the @nr pages from @addr on are: *pfn 0 for one that is not present (or
 * we may not know: not root)
 */
void pb_pfns(const void *addr, size_t nr, unsigned long *pfn)
{
	uint64_t entry[512];
	off_t at = (uintptr_t)addr / getpagesize() * sizeof(entry[0]);
	int fd = open("/proc/self/pagemap", O_RDONLY);
	size_t i, n;

	for (; nr; nr -= n, pfn += n, at += n * sizeof(entry[0])) {
		n = nr < 512 ? nr : 512;
		memset(entry, 0, sizeof(entry));
		if (fd < 0 || pread(fd, entry, n * sizeof(entry[0]), at) !=
			      (ssize_t)(n * sizeof(entry[0])))
			memset(entry, 0, sizeof(entry));
		for (i = 0; i < n; i++)
			pfn[i] = entry[i] >> 63 ? entry[i] & ((1ULL << 55) - 1) : 0;
	}
	if (fd >= 0)
		close(fd);
}

/* 0 when @addr is not present (or we may not know: not root) */
unsigned long pb_pfn(const void *addr)
{
	unsigned long pfn;

	pb_pfns(addr, 1, &pfn);
	return pfn;
}

/* How many of the @nr pages from @addr on are in the block */
size_t pb_pages_in(const struct pb_block *block, const void *addr, size_t nr)
{
	unsigned long pfn[512];
	size_t i, n, in = 0;

	for (; nr; nr -= n, addr = (const char *)addr + n * getpagesize()) {
		n = nr < 512 ? nr : 512;
		pb_pfns(addr, n, pfn);
		for (i = 0; i < n; i++)
			in += pb_block_has(block, pfn[i]);
	}
	return in;
}

int pb_page_flags(unsigned long pfn, uint64_t *flags)
{
	static int fd = -1;	/* one for all: to open it takes longer than to read */

	if (fd < 0)
		fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pread(fd, flags, sizeof(*flags), pfn * sizeof(*flags)) !=
	    sizeof(*flags))
		return -EIO;
	return 0;
}

/*
 * How many pages of @block have one of the flags in @any; @first, if given,
 * becomes the pfn of the first of them
 */
static long pb_look_for_flags(const struct pb_block *block, uint64_t any,
			      unsigned long *first)
{
	unsigned long nr = block->end_pfn - block->start_pfn, i;
	uint64_t *flags;
	long count = 0;
	int fd;

	fd = open("/proc/kpageflags", O_RDONLY);
	if (fd < 0)
		return -errno;
	flags = calloc(nr, sizeof(*flags));
	if (!flags) {
		close(fd);
		return -ENOMEM;
	}
	if (pread(fd, flags, nr * sizeof(*flags),
		  block->start_pfn * sizeof(*flags)) !=
	    (ssize_t)(nr * sizeof(*flags)))
		count = -EIO;
	for (i = 0; i < nr && count >= 0; i++) {
		if (!(flags[i] & any))
			continue;
		if (!count++ && first)
			*first = block->start_pfn + i;
	}
	free(flags);
	close(fd);
	return count;
}

long pb_count_flags(const struct pb_block *block, uint64_t any)
{
	return pb_look_for_flags(block, any, NULL);
}

/* The first such page, or -ENOENT */
long pb_find_flags(const struct pb_block *block, uint64_t any)
{
	unsigned long pfn;
	long count = pb_look_for_flags(block, any, &pfn);

	return count > 0 ? (long)pfn : count ?: -ENOENT;
}

/*
 * What the kernel does when the hardware reports that a page is lost. It may
 * fail to do anything about it, -errno then; the page is marked all the same,
 * and that is all that 0 says: -ENODATA when it is not.
 */
int pb_poison(unsigned long pfn)
{
	char text[32];
	uint64_t flags;
	int err, ret;

	snprintf(text, sizeof(text), "%#lx", pfn * getpagesize());
	err = pb_write(PB_SYS_MEMORY "/hard_offline_page", text);
	ret = pb_page_flags(pfn, &flags);
	if (ret)
		return ret;
	if (flags & PB_KPF_HWPOISON)
		return 0;
	return err ?: -ENODATA;
}

/* Lines of the debug module's map in the range. -ENOENT: no module */
int pb_map_read(unsigned long start_pfn, unsigned long end_pfn,
		struct pb_map *map, int max)
{
	struct pb_map m;
	char line[160];
	int nr = 0;
	FILE *f;

	f = fopen(PB_DEBUGFS "/map", "r");
	if (!f)
		return -errno;
	while (nr < max && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%li %d %15s %15s %d %lu/%lu",
			   (long *)&m.pfn, &m.nid, m.zone, m.type, &m.isolated,
			   &m.free, &m.total) != 7)
			continue;
		if (m.pfn >= start_pfn && m.pfn < end_pfn)
			map[nr++] = m;
	}
	fclose(f);
	return nr;
}

/* The type of the pageblock that @pfn is in */
int pb_map_type(unsigned long pfn, char *type, size_t len)
{
	struct pb_map *map;
	int nr, i, ret = -ENOENT, max = pb_block_pages();
	unsigned long start = pfn / pb_block_pages() * pb_block_pages();

	map = calloc(max, sizeof(*map));
	if (!map)
		return -ENOMEM;
	nr = pb_map_read(start, start + pb_block_pages(), map, max);
	if (nr < 0)
		ret = nr;
	for (i = 0; i < nr; i++) {
		if (pfn < map[i].pfn || pfn >= map[i].pfn + map[i].total)
			continue;
		snprintf(type, len, "%s", map[i].type);
		ret = 0;
	}
	free(map);
	return ret;
}

/* 1 when every pageblock of @block has @type, 0 when not, or -errno */
int pb_map_all_type(const struct pb_block *block, const char *type)
{
	int nr, i, max = pb_block_pages(), ret = 1;
	struct pb_map *map;

	map = calloc(max, sizeof(*map));
	if (!map)
		return -ENOMEM;
	nr = pb_map_read(block->start_pfn, block->end_pfn, map, max);
	if (nr <= 0)
		ret = nr ? nr : -ENOENT;
	for (i = 0; i < nr; i++)
		if (strcasecmp(map[i].type, type))
			ret = 0;
	free(map);
	return ret;
}

bool pb_owner_on(void)
{
	char buf[16];
	int fd;
	bool on;

	fd = open(PB_PAGE_OWNER, O_RDONLY);
	if (fd < 0)
		return false;
	on = read(fd, buf, sizeof(buf)) >= 0 || errno != EINVAL;
	close(fd);
	return on;
}

static int pb_owner_parse(char *rec, struct pb_owner *o)
{
	char *paren = strchr(rec, '('), *close_paren, *pfn, *comm, type[16];

	memset(o, 0, sizeof(*o));
	if (sscanf(rec, "Page allocated via order %u,", &o->order) != 1 ||
	    !paren)
		return -EPROTO;
	close_paren = strchr(paren, ')');
	pfn = strstr(rec, "\nPFN 0x");
	if (!close_paren || !pfn || sscanf(pfn, "\nPFN 0x%lx", &o->pfn) != 1)
		return -EPROTO;
	snprintf(o->gfp, sizeof(o->gfp), "%.*s",
		 (int)(close_paren - paren - 1), paren + 1);
	/* What the mask says; its names do not (GFP_TRANSHUGE is movable) */
	if (sscanf(pfn, "\nPFN %*s type %15s", type) != 1)
		return -EPROTO;
	o->movable = !strcmp(type, "Movable");
	comm = strchr(close_paren, '(');
	if (comm && comm < pfn)
		snprintf(o->comm, sizeof(o->comm), "%.*s",
			 (int)strcspn(comm + 1, ")\n"), comm + 1);
	return 0;
}

/*
 * Calls @fn for each allocation in the range and stops when it returns
 * non-zero. The file offset of page_owner is a pfn, so only the range is
 * searched; each read() gives one record. Stacks are left out where the
 * kernel can (mode=handle), because printing them takes most of the time.
 * Returns the number of pages that have an owner.
 */
long pb_owner_walk(unsigned long start_pfn, unsigned long end_pfn,
		   int (*fn)(const struct pb_owner *owner, void *arg),
		   void *arg)
{
	struct pb_owner o;
	char rec[4096];
	long pages = 0;
	ssize_t got;
	int fd;

	fd = open(PB_PAGE_OWNER, O_RDWR);
	if (fd >= 0) {
		/* 2nd best: an older kernel prints the stacks as well */
		if (write(fd, "mode=handle", 11) < 0 && errno != EINVAL)
			goto fail;
	} else {
		fd = open(PB_PAGE_OWNER, O_RDONLY);
		if (fd < 0)
			return -errno;
	}
	if (lseek(fd, start_pfn, SEEK_SET) < 0)
		goto fail;
	for (;;) {
		got = read(fd, rec, sizeof(rec) - 1);
		if (got < 0)
			goto fail;
		if (!got)
			break;
		rec[got] = '\0';
		if (pb_owner_parse(rec, &o)) {
			errno = EPROTO;
			goto fail;
		}
		if (o.pfn >= end_pfn)
			break;
		pages += 1L << o.order;
		if (fn(&o, arg))
			break;
	}
	close(fd);
	return pages;
fail:
	pages = -errno;
	close(fd);
	return pages;
}

/* The whole record of one page, stack included */
int pb_owner_stack(unsigned long pfn, char *buf, size_t len)
{
	ssize_t got;
	int fd, ret = 0;

	fd = open(PB_PAGE_OWNER, O_RDONLY);
	if (fd < 0)
		return -errno;
	if (lseek(fd, pfn, SEEK_SET) < 0) {
		ret = -errno;
	} else {
		got = read(fd, buf, len - 1);
		if (got < 0)
			ret = -errno;
		buf[got > 0 ? got : 0] = '\0';
	}
	close(fd);
	return ret;
}

/* The debug module */

int pb_debug(const char *file, const char *fmt, ...)
{
	char path[96], text[96];
	va_list ap;

	snprintf(path, sizeof(path), PB_DEBUGFS "/%s", file);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return pb_write(path, text);
}

int pb_debug_range(const char *file, unsigned long start_pfn,
		   unsigned long end_pfn)
{
	return pb_debug(file, "%lu %lu", start_pfn, end_pfn);
}

bool pb_debug_has(const char *file)
{
	char path[96];

	snprintf(path, sizeof(path), PB_DEBUGFS "/%s", file);
	return !access(path, F_OK);
}

/* How did the last load of "press" end: count, failed or killed? */
bool pb_press_ended(const char *how)
{
	char text[512], want[32];

	if (pb_read(PB_DEBUGFS "/press", text, sizeof(text)) < 0)
		return false;
	snprintf(want, sizeof(want), " end=%s ", how);
	return strstr(text, want);
}

/* Pages of one pageblock, as the module's map says it */
long pb_pageblock_pages(void)
{
	unsigned int order = 0;
	char line[128] = "";
	FILE *f;

	f = fopen(PB_DEBUGFS "/map", "r");
	if (!f)
		return -errno;
	if (!fgets(line, sizeof(line), f) ||
	    sscanf(line, "# v1 pageblock_order=%u", &order) != 1)
		order = 0;
	fclose(f);
	return order ? 1L << order : -EPROTO;
}

/* Free pages of @order on one list, from /proc/pagetypeinfo */
long pb_free_of_order(int nid, const char *zone, const char *type, int order)
{
	char line[512], z[16], t[16];
	int n, pos, i;
	unsigned long nr = 0;
	long ret = -ENOENT;
	char *at;
	FILE *f;

	f = fopen("/proc/pagetypeinfo", "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %d, zone %15[^,], type %15s%n", &n, z,
			   t, &pos) != 3 ||
		    n != nid || strcmp(z, zone) || strcmp(t, type))
			continue;
		for (at = line + pos, i = 0; i <= order; i++)
			nr = strtoul(at, &at, 10);
		ret = nr;
		break;
	}
	fclose(f);
	return ret;
}

/* Order of the largest free page: buddyinfo has one column for each order */
int pb_max_order(void)
{
	char line[512], *at;
	int nr = 0;
	FILE *f;

	f = fopen("/proc/buddyinfo", "r");
	if (!f)
		return -errno;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	/* Node 0, zone      DMA      1      0 ... */
	for (at = strtok(line, " \n"); at; at = strtok(NULL, " \n"))
		nr++;
	return nr > 4 ? nr - 5 : -EPROTO;
}

/* One value of the module's "counters", which are folded */
long pb_counter(int nid, const char *zone, const char *key)
{
	char line[1024], want[64], *at;
	long ret = -ENOENT;
	FILE *f;

	f = fopen(PB_DEBUGFS "/counters", "r");
	if (!f)
		return -errno;
	snprintf(want, sizeof(want), "node=%d zone=%s ", nid, zone);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, want, strlen(want)))
			continue;
		snprintf(want, sizeof(want), " %s=", key);
		at = strstr(line, want);
		/* "absent" when this kernel lacks it */
		if (at && strncmp(at + strlen(want), "absent", 6))
			ret = atol(at + strlen(want));
		break;
	}
	fclose(f);
	return ret;
}

/* What the map says of @nid and @zone, or of a range when @zone is NULL */
static long pb_map_sum(int nid, const char *zone, unsigned long start_pfn,
		       unsigned long end_pfn, bool usable)
{
	struct pb_map m;
	char line[160];
	long sum = 0;
	FILE *f;

	f = fopen(PB_DEBUGFS "/map", "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%li %d %15s %15s %d %lu/%lu", (long *)&m.pfn,
			   &m.nid, m.zone, m.type, &m.isolated, &m.free,
			   &m.total) != 7)
			continue;
		if (zone && (m.nid != nid || strcmp(m.zone, zone)))
			continue;
		if (m.pfn < start_pfn || m.pfn >= end_pfn)
			continue;
		if (!usable || !m.isolated)
			sum += m.free;
	}
	fclose(f);
	return sum;
}

/* Free pages of the pageblocks in the range, isolated or not */
long pb_map_free(unsigned long start_pfn, unsigned long end_pfn)
{
	return pb_map_sum(0, NULL, start_pfn, end_pfn, false);
}

/* -EAGAIN: it came to no verdict */
static long audit_once(const char *what)
{
	char line[256], key[64];
	bool verdict = false;
	long count = 0;
	FILE *f;

	f = fopen(PB_DEBUGFS "/audit", "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		verdict |= !strncmp(line, "ok ", 3) || !strncmp(line, "FAIL ", 5);
		if (sscanf(line, "zone %*d %*s %63s", key) != 1)
			continue;
		if (!*what || !strcmp(key, what)) {
			printf("# audit: %s", line);
			count++;
		}
	}
	fclose(f);
	return verdict ? count : -EAGAIN;
}

/*
 * One audit: the number of violations of one kind, of all when @what is "". It
 * may give up a look that would keep a lock for too long: -EAGAIN when it does
 * so again and again.
 */
long pb_audit_count(const char *what)
{
	long count;
	int try;

	for (try = 0; try < 5; try++) {
		count = audit_once(what);
		if (count != -EAGAIN)
			break;
	}
	return count;
}

/* The number after a word in a file of the module */
long pb_debug_value(const char *file, const char *key)
{
	char path[96], buf[2048], *at;
	long value;
	int ret;

	snprintf(path, sizeof(path), PB_DEBUGFS "/%s", file);
	ret = pb_read(path, buf, sizeof(buf));
	if (ret)
		return ret;
	at = strstr(buf, key);
	if (!at || sscanf(at + strlen(key), " %ld", &value) != 1)
		return -EPROTO;
	return value;
}

/* One number of the module's "owners", which is about all users of isolation */
long pb_owners(const char *key)
{
	return pb_debug_value("owners", key);
}

/* The first run of pageblocks that the module has isolated */
int pb_isolated_range(unsigned long *start_pfn, unsigned long *end_pfn)
{
	char buf[4096];
	int ret;

	ret = pb_read(PB_DEBUGFS "/isolate", buf, sizeof(buf));
	if (ret)
		return ret;
	return sscanf(buf, "%lu %lu", start_pfn, end_pfn) == 2 ? 0 : -ENODATA;
}

int pb_undo_all(void)
{
	unsigned long start, end;
	int ret;

	while (!(ret = pb_isolated_range(&start, &end))) {
		ret = pb_debug_range("undo", start, end);
		if (ret)
			return ret;
	}
	/* Nothing left, or no module that could have isolated anything */
	return ret == -ENODATA || ret == -ENOENT ? 0 : ret;
}

/* Loads */

#define LOAD_PIECE	(256UL << 10)

/*
 * One piece of @bytes of anonymous memory, chosen at random, is verified, freed and
 * written again. All are written first, in the first step, with @nid preferred.
 * -EIO: it was not what had been written.
 */
int pb_load_step(struct pb_load *load, size_t bytes, int nid, bool huge)
{
	unsigned char *piece;
	size_t at, i;
	int ret = 0;

	if (!load->mem) {
		ret = pb_prefer_node(nid);
		if (ret)
			return ret;
		load->mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (load->mem == MAP_FAILED) {
			load->mem = NULL;
			return -errno;
		}
		if (!huge)
			madvise(load->mem, bytes, MADV_NOHUGEPAGE);
		for (at = 0; at < bytes; at += LOAD_PIECE)
			memset(load->mem + at, at / LOAD_PIECE, LOAD_PIECE);
	}
	at = rand() % (bytes / LOAD_PIECE);
	piece = load->mem + at * LOAD_PIECE;
	for (i = 0; i < LOAD_PIECE; i += getpagesize())
		if (piece[i] != (unsigned char)at)
			ret = -EIO;
	madvise(piece, LOAD_PIECE, MADV_DONTNEED);
	memset(piece, at, LOAD_PIECE);
	return ret;
}

/* Anonymous memory that can only come from @nid; nothing is touched yet */
void *pb_mmap_node(size_t len, int nid)
{
	struct bitmask *mask = numa_allocate_nodemask();
	void *p;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED) {
		numa_bitmask_setbit(mask, nid);
		if (mbind(p, len, MPOL_BIND, mask->maskp, mask->size + 1, 0)) {
			munmap(p, len);
			p = MAP_FAILED;
		}
	}
	numa_free_nodemask(mask);
	return p;
}

/* This task's allocations, kernel ones too, try @nid first; -1: as before */
int pb_prefer_node(int nid)
{
	struct bitmask *mask = numa_allocate_nodemask();
	int ret;

	if (nid < 0) {
		ret = set_mempolicy(MPOL_DEFAULT, NULL, 0);
	} else {
		numa_bitmask_setbit(mask, nid);
		ret = set_mempolicy(MPOL_PREFERRED, mask->maskp,
				    mask->size + 1);
	}
	ret = ret ? -errno : 0;
	numa_free_nodemask(mask);
	return ret;
}

/*
 * The page at @page in a pipe. Without SPLICE_F_GIFT the pipe only takes a
 * reference, a short-term one: nothing moves the page away first.
 */
int pb_hold_at(struct pb_hold *hold, char *page)
{
	struct iovec iov = { .iov_base = page, .iov_len = getpagesize() };

	hold->page = page;
	if (pipe(hold->pipe))
		return -errno;
	if (vmsplice(hold->pipe[1], &iov, 1, 0) != getpagesize())
		return -errno;
	hold->pfn = pb_pfn(hold->page);
	return hold->pfn ? 0 : -EPERM;
}

/* An anonymous page of @nid in a pipe */
int pb_hold_page(struct pb_hold *hold, int nid)
{
	char *page = pb_mmap_node(getpagesize(), nid);

	if (page == MAP_FAILED)
		return -ENOMEM;
	memset(page, 0x5a, getpagesize());
	return pb_hold_at(hold, page);
}

/*
 * Lets go of the reference; the page stays mapped. Reading it out of the pipe
 * does that: children forked meanwhile keep the pipe itself open.
 */
void pb_release_page(struct pb_hold *hold)
{
	char buf[getpagesize()];

	if (read(hold->pipe[0], buf, getpagesize()) != getpagesize())
		perror("# pipe with the held page");
	close(hold->pipe[0]);
	close(hold->pipe[1]);
}

/*
 * Pages behind a pipe are the plainest unmovable pages that user space can
 * ask for, and they follow the task's memory policy.
 */
int pb_pipes_fill(struct pb_pipes *pipes, size_t bytes)
{
	const int size = 1 << 20;
	static char buf[1 << 16];
	int i, max = bytes / size;
	ssize_t put;

	pipes->nr = 0;
	pipes->bytes = 0;
	pipes->fd = calloc(max, sizeof(*pipes->fd));
	if (!pipes->fd)
		return -ENOMEM;
	for (i = 0; i < max; i++) {
		if (pipe2(pipes->fd[i], O_NONBLOCK))
			return -errno;
		pipes->nr++;
		if (fcntl(pipes->fd[i][1], F_SETPIPE_SZ, size) < 0)
			return -errno;
		while ((put = write(pipes->fd[i][1], buf, sizeof(buf))) > 0)
			pipes->bytes += put;
		if (put < 0 && errno != EAGAIN)
			return -errno;
	}
	return 0;
}

void pb_pipes_free(struct pb_pipes *pipes)
{
	int i;

	for (i = 0; i < pipes->nr; i++) {
		close(pipes->fd[i][0]);
		close(pipes->fd[i][1]);
	}
	free(pipes->fd);
	pipes->fd = NULL;
	pipes->nr = 0;
}

/* A directory on a file system whose page cache can be reclaimed, or NULL */
const char *pb_disk_dir(void)
{
	static char dir[128];
	char line[512], mnt[128], type[32];
	FILE *f;

	if (dir[0])
		return dir;
	if (getenv("PB_DISK_DIR")) {
		snprintf(dir, sizeof(dir), "%s", getenv("PB_DISK_DIR"));
		return dir;
	}
	f = fopen("/proc/mounts", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%*s %127s %31s", mnt, type) != 2)
			continue;
		if (!strcmp(type, "ext4") || !strcmp(type, "xfs") ||
		    !strcmp(type, "btrfs"))
			snprintf(dir, sizeof(dir), "%s", mnt);
	}
	if (f)
		fclose(f);
	if (dir[0])
		return dir;
	snprintf(dir, sizeof(dir), "/tmp/pb-disk");
	mkdir(dir, 0700);
	if (!mount("/dev/vda", dir, "ext4", 0, NULL))
		return dir;
	dir[0] = '\0';
	return NULL;
}

/* The kernel thread called @comm, or 0 */
pid_t pb_kthread(const char *comm)
{
	char path[64], buf[64];
	struct dirent *ent;
	pid_t pid = 0;
	DIR *d;

	d = opendir("/proc");
	while (d && (ent = readdir(d))) {
		if (!isdigit((unsigned char)ent->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", ent->d_name);
		if (!pb_read(path, buf, sizeof(buf)) && !strcmp(buf, comm)) {
			pid = atoi(ent->d_name);
			break;
		}
	}
	if (d)
		closedir(d);
	return pid;
}

/* CPU time in clock ticks, user and system */
long pb_task_ticks(pid_t pid)
{
	char path[64], buf[512], *p;
	unsigned long utime, stime;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (pb_read(path, buf, sizeof(buf)))
		return -ESRCH;
	p = strrchr(buf, ')');
	if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			 &utime, &stime) != 2)
		return -EPROTO;
	return utime + stime;
}

/* How often it went to sleep by itself: one more for each time it was woken */
long pb_task_switches(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return pb_file_value(path, "voluntary_ctxt_switches");
}

/* Of a child that has no end by itself: not to outlive a test that fails */
void pb_die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
}

/* Wait at most @seconds until it sleeps in the kernel, for what no signal ends */
bool pb_task_sleeps(pid_t pid, double seconds)
{
	char path[64], buf[512], *p;
	double end = pb_now() + seconds;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	do {
		if (pb_read(path, buf, sizeof(buf)))
			return false;
		p = strrchr(buf, ')');
		if (p && p[1] && p[2] == 'D')
			return true;
		pb_msleep(5);
	} while (pb_now() < end);
	return false;
}

/* Pages that an unmovable request could have, as the kernel counts them */
long pb_usable_free(void)
{
	long hotremove;

	pb_fold_counters();
	hotremove = pb_vmstat("nr_free_hotremove");
	return pb_vmstat("nr_free_pages") - pb_vmstat("nr_free_cma") -
	       (hotremove > 0 ? hotremove : 0);
}

/* How many blocks of a DIMM are online as @kind */
int pb_blocks_of_kind(const struct pb_dimm *dimm, const char *kind)
{
	int i, nr = 0;

	for (i = 0; i < dimm->nr; i++)
		nr += pb_block_is(&dimm->block[i], "online_type", kind);
	return nr;
}

/* Mirror reserve */

#define MIRROR_SYS	"/sys/kernel/mm/mirror_reserve"

/* A file of the reserve of a node, or a negative errno */
long pb_mirror_kb(int nid, const char *file)
{
	char path[96], buf[32];
	int ret;

	snprintf(path, sizeof(path), MIRROR_SYS "/node%d/%s", nid, file);
	ret = pb_read(path, buf, sizeof(buf));
	return ret < 0 ? ret : atol(buf);
}

int pb_mirror_resize(int nid, long kb)
{
	char path[96], text[32];

	snprintf(path, sizeof(path), MIRROR_SYS "/node%d/size_kb", nid);
	snprintf(text, sizeof(text), "%ld", kb);
	return pb_write(path, text);
}

/* The kernel's log */

/* For pb_kmsg_next(): what is logged from now on */
int pb_kmsg_open_end(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (lseek(fd, 0, SEEK_END) < 0) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}

/* The next record of /dev/kmsg, which is open for reading and does not block */
bool pb_kmsg_next(int fd, char *record, size_t len)
{
	ssize_t got;

	do {
		got = read(fd, record, len - 1);
	} while (got < 0 && errno == EPIPE);	/* overwritten before it was read */
	record[got > 0 ? got : 0] = '\0';
	return got > 0;
}

/* An io_uring with one fixed buffer, which is pinned until the ring is closed */
int pb_ring_with_buffer(void *mem, size_t len)
{
	struct io_uring_params params = { };
	struct iovec iov = { .iov_base = mem, .iov_len = len };
	int fd, ret;

	fd = syscall(__NR_io_uring_setup, 1, &params);
	if (fd < 0)
		return -errno;
	ret = syscall(__NR_io_uring_register, fd, IORING_REGISTER_BUFFERS,
		      &iov, 1);
	if (ret) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* What the balloon leaves to the guest, in MB; -ENODEV: no balloon */
long pb_balloon_mb(void)
{
	char reply[256];
	long mb;

	if (pb_host_request(reply, sizeof(reply), "hmp info balloon") ||
	    sscanf(reply, "ok balloon: actual=%ld", &mb) != 1)
		return -ENODEV;
	return mb;
}

/* -ETIMEDOUT: the guest has not come to @mb within @seconds */
int pb_balloon_resize(long mb, double seconds)
{
	double end = pb_now() + seconds * pb_timeout_mul();
	char reply[256];

	if (pb_host_request(reply, sizeof(reply), "hmp balloon %ld", mb))
		return -EIO;
	while (pb_balloon_mb() != mb) {
		if (pb_now() > end)
			return -ETIMEDOUT;
		pb_msleep(50);
	}
	return 0;
}
