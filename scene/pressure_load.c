// SPDX-License-Identifier: GPL-2.0
/*
 * The loads: kernel memory, taken page by page by the debug module, or by system
 * calls that everybody may make, until it cannot go on; or movable work.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "pressure.h"
#include "scene.h"

#define TMPFS_DIR	RUN_DIR "/inodes%d"
#define NR_TMPFS	2		/* as /tmp and /dev/shm */
#define PER_DIR		1000
#define NAME_DIGITS	200		/* too long to be kept in the dentry */
#define PIPE_SIZE	(1 << 20)
#define TABLE_SPAN	(2UL << 20)	/* what one page table maps */
#define TABLE_AREA	(1UL << 40)
#define NET_BUFFER	(4 << 20)
#define MAX_FDS		400000
#define SPARE_PAGES	1024

struct load {
	const char *name;
	void (*prepare)(void);
	int (*one)(unsigned long i);	/* 0 or an error number */
};

static void many_fds(void)
{
	struct rlimit limit = { MAX_FDS, MAX_FDS };

	setrlimit(RLIMIT_NOFILE, &limit);
}

/* One page at a time: a pipe's ring comes first, then what is in it */
static int one_pipe_page(unsigned long i)
{
	static int fd[2];
	static bool room;
	char page[4096] = { 1 };

	(void)i;
	if (!room) {
		if (pipe2(fd, O_NONBLOCK))
			return errno;
		if (fcntl(fd[1], F_SETPIPE_SZ, PIPE_SIZE) < 0)
			return errno;
		room = true;
	}
	if (write(fd[1], page, sizeof(page)) == (ssize_t)sizeof(page))
		return 0;
	room = false;
	return errno == EAGAIN ? 0 : errno;
}

static int one_file(const char *where, unsigned long i)
{
	char path[64 + NAME_DIGITS];
	int fd;

	snprintf(path, sizeof(path), "%s/%lu", where, i / PER_DIR);
	if (i % PER_DIR == 0 && mkdir(path, 0700))
		return errno;
	snprintf(path, sizeof(path), "%s/%lu/%0*lu", where, i / PER_DIR,
		 NAME_DIGITS, i);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void mount_tmpfs(void)
{
	char dir[64];
	int i;

	mkdir(RUN_DIR, 0700);
	for (i = 0; i < NR_TMPFS; i++) {
		snprintf(dir, sizeof(dir), TMPFS_DIR, i);
		mkdir(dir, 0755);
		if (mount("tmpfs", dir, "tmpfs", 0, NULL))
			scene_die(SCENE_ENV, "mount tmpfs: %s",
				  strerror(errno));
	}
}

/* One mount after the other, each as many as its default limit lets it have */
static int one_inode(unsigned long i)
{
	static unsigned long first;
	static int mounted;
	char dir[64];
	int err;

	snprintf(dir, sizeof(dir), TMPFS_DIR, mounted);
	err = one_file(dir, i - first);
	if (err != ENOSPC || mounted == NR_TMPFS - 1)
		return err;
	mounted++;
	first = i + 1;
	return 0;
}

static int one_ext4(unsigned long i)
{
	return one_file(PRESSURE_DISK, i);
}

/* Reading maps the page of zeroes: nothing but the table is new */
static int one_table(unsigned long i)
{
	static volatile char *area;
	static unsigned long left;

	(void)i;
	if (!left) {
		area = mmap(NULL, TABLE_AREA, PROT_READ, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (area == MAP_FAILED)
			return errno;
		madvise((void *)area, TABLE_AREA, MADV_NOHUGEPAGE);
		left = TABLE_AREA / TABLE_SPAN;
	}
	(void)*area;
	area += TABLE_SPAN;
	left--;
	return 0;
}

static void many_threads(void)
{
	write_text("/proc/sys/kernel/pid_max", "400000");
	write_text("/proc/sys/kernel/threads-max", "400000");
	write_text("/proc/sys/vm/max_map_count", "1000000");
}

static void *sleeper(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int one_thread(unsigned long i)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	(void)i;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	pthread_attr_setguardsize(&attr, 0);
	err = pthread_create(&thread, &attr, sleeper, NULL);
	pthread_attr_destroy(&attr);
	return err;
}

static int one_datagram(unsigned long i)
{
	static int fd[2], size = NET_BUFFER;
	static bool room;
	char data[3000] = { 1 };	/* a page each, with the header */

	(void)i;
	if (!room) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd))
			return errno;
		setsockopt(fd[0], SOL_SOCKET, SO_SNDBUFFORCE, &size,
			   sizeof(size));
		room = true;
	}
	if (send(fd[0], data, sizeof(data), MSG_NOSIGNAL) > 0)
		return 0;
	room = false;
	return errno == EAGAIN ? 0 : errno;
}

static const struct load loads[] = {
	{ "pipes", many_fds, one_pipe_page },
	{ "inodes", mount_tmpfs, one_inode },
	{ "ext4", NULL, one_ext4 },
	{ "pagetables", NULL, one_table },
	{ "threads", many_threads, one_thread },
	{ "netbuf", many_fds, one_datagram },
	{ "read", work_open, work_read },
	{ "anon", NULL, work_anon },
	{ "thp", work_thp_open, work_thp },
	{ "none", NULL, NULL },
	{ "pages", NULL, NULL },	/* the debug module's */
};

static const struct load *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
		if (!strcmp(loads[i].name, name))
			return &loads[i];
	return NULL;
}

/**
 * load_known - is there such a load?
 * @name: the name
 *
 * Return: true when load_eat() takes it.
 */
bool load_known(const char *name)
{
	return find(name);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/*
 * A request that fails has killed nobody, and left nothing to whoever comes next:
 * to open a file in order to report it would kill one bystander after the other,
 * and panic after the last. So some pages are given back first, by a file that is
 * open already. The report counts them as taken.
 */
static void eat_pages(unsigned long count, const char *gfp, struct eaten *eaten)
{
	int fd = open(PB_DIR "/press", O_WRONLY | O_CLOEXEC);
	char text[64];

	snprintf(text, sizeof(text), "0 %lu %s", count, gfp);
	if (fd >= 0 && write(fd, text, strlen(text)) >= 0)
		return;
	eaten->error = errno;
	if (errno != ENOMEM)
		return;
	snprintf(text, sizeof(text), "free %d", SPARE_PAGES);
	if (write(fd, text, strlen(text)) < 0)
		eaten->error = errno;
	else
		eaten->spare = SPARE_PAGES;
}

/**
 * load_eat - take kernel memory
 * @name: what for
 * @count: how often, 0: as long as it can
 * @gfp: request of the load "pages"
 * @eaten: what came of it; shared, for the caller may be killed
 */
void load_eat(const char *name, unsigned long count, const char *gfp,
	      struct eaten *eaten)
{
	const struct load *load = find(name);
	uint64_t ns;

	if (!strcmp(name, "pages")) {
		eat_pages(count, gfp, eaten);
		return;
	}
	if (load->prepare)
		load->prepare();
	while (load->one && (!count || eaten->ops < count)) {
		ns = now_ns();
		eaten->error = load->one(eaten->ops);
		ns = now_ns() - ns;
		if (eaten->error)
			return;
		eaten->ops++;
		eaten->ns += ns;
		if (ns > eaten->worst_ns)
			eaten->worst_ns = ns;
	}
}
