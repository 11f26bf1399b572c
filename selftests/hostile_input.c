// SPDX-License-Identifier: GPL-2.0
/*
 * Whatever is written to the files of this series and of the debug module: an
 * error or a valid value, never a splat, and memory goes offline and online
 * meanwhile. And who is not root writes nothing.
 *
 * PB_WRITES=  writes for each file (default 10000)
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pageblock_util.h"
#include "pageblock_harness.h"

#define MAX_FILES	64
#define NOBODY		65534
#define AUTO_ONLINE	PB_SYS_MEMORY "/auto_online_blocks"

/* Files of the series: any text may be written, the value is put back */
static const char * const series_files[] = {
	"/proc/sys/vm/hotremove_harvest",
	"/proc/sys/vm/freepage_audit",
	"/sys/module/memory_hotplug/parameters/online_policy",
	AUTO_ONLINE,
	"/sys/kernel/mm/mirror_reserve/node*/size_kb",
};

/* Of a memory block that is ours, and that the other task plays with */
static const char * const block_files[] = {
	"state", "online_type", "hotremove_strict",
};

/* Some words of the debug module do what they say: none of them is written */
static const char * const words[] = {
	"online", "offline", "online_kernel", "online_movable",
	"online_hotremove", "kernel", "hotremove", "movable", "0", "1", "2",
	"3", "-1", "4096", "262144", "18446744073709551616", "0x7fffffffffffffff",
	"auto-movable", "auto-hotremove", "contig-zones", "contig", "on", "off",
	"y", "n", "%s%n", "../../state", " ", "\n", "\t1", "1 ", "1\n\n",
};

FIXTURE(hostile) {
	struct pb_saved auto_online;
	struct pb_dimm dimm;
	unsigned int seed;
};

FIXTURE_SETUP(hostile)
{
	if (!pb_host())
		SKIP(return, "need a host that hot-adds memory, have none");
	ASSERT_EQ(0, pb_save(&self->auto_online, AUTO_ONLINE));
	PB_TEARDOWN_FROM_HERE();
	ASSERT_EQ(0, pb_write(AUTO_ONLINE, "offline"));
	ASSERT_EQ(0, pb_hotadd(&self->dimm, "hostile", 2 * pb_block_mb(),
			       pb_target_node()));
	/* A kernel without the series fails here */
	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[0]);
	ASSERT_ONLINE_HOTREMOVE(&self->dimm.block[1]);
	self->seed = 1;
}

FIXTURE_TEARDOWN_PARENT(hostile)
{
	EXPECT_EQ(0, pb_hotdel(&self->dimm));
	EXPECT_EQ(0, pb_restore(&self->auto_online));
}

/* Some bytes; a word; two words; a word with a byte that is wrong */
static size_t random_text(unsigned int *seed, char *text, size_t len, bool garbage)
{
	size_t i, n = rand_r(seed) % (len - 1) + 1;
	unsigned int how = garbage ? 0 : rand_r(seed) % 4;

	if (!how) {
		for (i = 0; i < n; i++)
			text[i] = rand_r(seed);
		/* Not by chance what the module does: it starts with no letter */
		text[0] = '!' + rand_r(seed) % 8;
		return n;
	}
	n = snprintf(text, len, "%s", words[rand_r(seed) % (sizeof(words) / sizeof(*words))]);
	if (how == 2)
		n += snprintf(text + n, len - n, " %s",
			      words[rand_r(seed) % (sizeof(words) / sizeof(*words))]);
	if (how == 3 && n)
		text[rand_r(seed) % n] = rand_r(seed);
	return n;
}

/*
 * These would make a block kernel memory, which slab may keep from ever being
 * anything else: no random text, but a wish that came true.
 */
static bool makes_it_kernel(const char *text, size_t len)
{
	static const char * const kernel[] = { "online_kernel", "online", "kernel" };
	size_t i;

	if (len && text[len - 1] == '\n')
		len--;
	for (i = 0; i < sizeof(kernel) / sizeof(*kernel); i++)
		if (len == strlen(kernel[i]) && !memcmp(text, kernel[i], len))
			return true;
	return false;
}

static long throw_at(const char *path, long writes, unsigned int *seed, bool garbage)
{
	bool block = !strncmp(path, PB_SYS_MEMORY "/memory", strlen(PB_SYS_MEMORY "/memory"));
	char text[300];
	long done = 0, i;
	size_t len;
	int fd;

	for (i = 0; i < writes; i++) {
		len = random_text(seed, text, sizeof(text), garbage);
		if (block && makes_it_kernel(text, len))
			continue;
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			return errno == EACCES || errno == ENOENT ? 0 : -errno;
		if (write(fd, text, len) >= 0)
			done++;
		close(fd);
	}
	return done;
}

/* Offline and online again, until killed */
static pid_t start_hotplug(const struct pb_block *block)
{
	static const char * const kinds[] = {
		"online_hotremove", "online_movable",
	};
	pid_t pid = fork();
	int i;

	if (pid)
		return pid;
	pb_let_go_of_output();
	for (i = 0; ; i++) {
		pb_block_set(block, "offline");
		pb_block_set(block, kinds[i % 2]);
	}
}

static void stop_hotplug(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F_TIMEOUT(hostile, files_of_the_series_take_any_text, 600)
{
	long writes = pb_env("PB_WRITES", 10000), done;
	pid_t pid = start_hotplug(&self->dimm.block[1]);
	struct pb_saved saved;
	char path[192];
	size_t i, j;
	glob_t found;

	ASSERT_GT(pid, 0);
	for (i = 0; i < sizeof(series_files) / sizeof(*series_files); i++) {
		if (glob(series_files[i], 0, NULL, &found))
			continue;
		for (j = 0; j < found.gl_pathc; j++) {
			ASSERT_EQ(0, pb_save(&saved, found.gl_pathv[j]));
			done = throw_at(found.gl_pathv[j], writes, &self->seed, false);
			TH_LOG("%s: %ld of %ld accepted", found.gl_pathv[j], done, writes);
			EXPECT_GE(done, 0);
			EXPECT_LT(done, writes);
			EXPECT_EQ(0, pb_restore(&saved));
		}
		globfree(&found);
	}
	for (i = 0; i < sizeof(block_files) / sizeof(*block_files); i++) {
		for (j = 0; j < 2; j++) {
			snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/%s",
				 self->dimm.block[j].id, block_files[i]);
			/* These wait for memory to be moved */
			done = throw_at(path, writes / 10 + 1, &self->seed, false);
			EXPECT_GE(done, 0) TH_LOG("%s", path);
		}
	}
	stop_hotplug(pid);
	/* Both are still blocks like any other */
	for (i = 0; i < 2; i++) {
		pb_block_set(&self->dimm.block[i], "offline");
		EXPECT_TRUE(pb_block_is(&self->dimm.block[i], "state", "offline"));
		EXPECT_EQ(0, pb_block_set(&self->dimm.block[i], "online_hotremove"));
	}
}

TEST_F_TIMEOUT(hostile, files_of_the_module_refuse_garbage, 600)
{
	long writes = pb_env("PB_WRITES", 10000), done;
	pid_t pid;
	glob_t found;
	size_t i;

	if (glob(PB_DEBUGFS "/*", 0, NULL, &found))
		SKIP(return, "need the debug module, have none");
	pid = start_hotplug(&self->dimm.block[1]);
	ASSERT_GT(pid, 0);
	ASSERT_GT(found.gl_pathc, 5UL);
	for (i = 0; i < found.gl_pathc; i++) {
		done = throw_at(found.gl_pathv[i], writes, &self->seed, true);
		EXPECT_EQ(0, done) TH_LOG("%s", found.gl_pathv[i]);
	}
	globfree(&found);
	stop_hotplug(pid);
	pb_block_set(&self->dimm.block[1], "offline");
	EXPECT_EQ(0, pb_block_set(&self->dimm.block[1], "online_hotremove"));
}

static int open_as_nobody(const char *path)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (setgid(NOBODY) || setuid(NOBODY))
			_exit(100);
		_exit(open(path, O_WRONLY | O_CLOEXEC) < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

TEST_F(hostile, who_is_not_root_writes_nothing)
{
	char path[192];
	size_t i, j, checked = 0;
	glob_t found;

	for (i = 0; i < sizeof(series_files) / sizeof(*series_files); i++) {
		if (glob(series_files[i], 0, NULL, &found))
			continue;
		for (j = 0; j < found.gl_pathc; j++, checked++)
			EXPECT_EQ(EACCES, open_as_nobody(found.gl_pathv[j]))
				TH_LOG("%s", found.gl_pathv[j]);
		globfree(&found);
	}
	for (i = 0; i < sizeof(block_files) / sizeof(*block_files); i++, checked++) {
		snprintf(path, sizeof(path), PB_SYS_MEMORY "/memory%u/%s",
			 self->dimm.block[0].id, block_files[i]);
		EXPECT_EQ(EACCES, open_as_nobody(path)) TH_LOG("%s", path);
	}
	if (!glob(PB_DEBUGFS "/*", 0, NULL, &found)) {
		for (j = 0; j < found.gl_pathc; j++, checked++)
			EXPECT_EQ(EACCES, open_as_nobody(found.gl_pathv[j]))
				TH_LOG("%s", found.gl_pathv[j]);
		globfree(&found);
	}
	EXPECT_GT(checked, 6UL);
}

TEST_HARNESS_MAIN
