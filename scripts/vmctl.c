// SPDX-License-Identifier: GPL-2.0
/*
 * vmctl - run one virtual machine and be the host its guest can ask
 *
 * usage: vmctl --results DIR [--deny FILE] [--allow FILE] [--slow N] [--boot S]
 *              [--quiet S] [--timeout S] [--interactive] -- qemu-system-x86_64 ARGS...
 *
 * The guest's console (ttyS0) goes to DIR/console.log and is searched for
 * splats (vmctl-splat.c).  Its second serial port (ttyS1) is the protocol: a
 * line that starts with "@vm " is a request, all others are the job's output
 * (DIR/job.log).
 *
 *	@vm boot			init runs
 *	@vm add ID SIZE_MB NODE		hot-add a DIMM		ok addr=.. node=..
 *	@vm del ID			ask for its removal	ok
 *	@vm query ID			ok present | ok absent
 *	@vm hmp COMMAND...		ok FIRST LINE OF OUTPUT
 *	@vm step TEXT			progress, no reply
 *	@vm exit N			the job's verdict, no reply
 *
 * Exit: the guest's N; 2 QEMU did not start or bad usage; 3 splat, crash, or
 * power-off without "@vm exit" (so a lost verdict is never a pass); 124 no
 * boot, no progress, or out of time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "vmctl.h"

#define EXIT_ENV	2
#define EXIT_CRASH	3
#define EXIT_TIMEOUT	124

#define TAIL_LINES	20
#define REQUEST_MARK	'\001'	/* opens a request in the middle of a line */
#define ESCAPE_KEY	'\001'	/* Ctrl-a, as QEMU's own stdio console */

struct channel {
	int fd;			/* our end of the socket pair, -1 after EOF */
	int guest_fd;		/* QEMU's end */
	FILE *log;
	void (*line)(char *text);
	size_t len;
	size_t held;		/* bytes of an output line a request cut in two */
	char buf[MAX_LINE];
	char hold[MAX_LINE];
};

static void console_line(char *text);
static void job_line(char *text);

static struct channel console = { .line = console_line };
static struct channel job = { .line = job_line };
int mon_fd;
static int mon_guest_fd;

static char tail[TAIL_LINES][256];
static unsigned int nr_tail;

static double t0;			/* real time, for people */
static double fair_now = FAIR_START;	/* as all below: see vmctl-clock.c */
static double last_progress = FAIR_START;
static double booted_at, panic_at, exit_at;	/* 0: not yet */
static double boot_limit = 60, quiet_limit = 180, total_limit = 900;
static double slow = 1;			/* the kernel: all limits are that much longer */
static int guest_exit = -1;
static char splat[256];
static bool interactive;
static struct termios saved_tty;
static bool tty_raw;
static pid_t qemu;
static volatile sig_atomic_t stopped_by;

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void restore_tty(void)
{
	if (tty_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved_tty);
	tty_raw = false;
}

void die(const char *fmt, ...)
{
	va_list ap;

	restore_tty();
	va_start(ap, fmt);
	fputs("vmctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	if (qemu > 0)
		kill(qemu, SIGKILL);
	exit(EXIT_ENV);
}

__attribute__((format(printf, 1, 2)))
static void step(const char *fmt, ...)
{
	va_list ap;

	printf("[%6.1f] ", now() - t0);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(interactive ? "\r\n" : "\n");
	fflush(stdout);
}

/* ---- requests ---- */

void reply(const char *fmt, ...)
{
	char text[MAX_LINE];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (len > (int)sizeof(text) - 2)
		len = sizeof(text) - 2;
	text[len++] = '\n';
	if (job.fd >= 0 && write(job.fd, text, len) != len)
		step("cannot answer the guest: %s", strerror(errno));
}

static void do_boot(const char *arg)
{
	double longer = (fair_now - FAIR_START) / 8;

	(void)arg;
	booted_at = fair_now;
	/*
	 * Fixed limits fail on slow hosts.  Boot is work of a known size: when
	 * it takes longer than usual, everything may.
	 */
	if (longer < slow)
		longer = slow;
	quiet_limit *= longer;
	total_limit *= longer;
	step("boot ok");
}

static void do_step(const char *text)
{
	step("%s", text);
}

static void do_exit(const char *arg)
{
	char *end;
	long code = strtol(arg, &end, 10);

	if (end == arg || *end || code < 0 || code > 255) {
		step("guest sent a bad exit status: %s", arg);
		code = EXIT_CRASH;
	}
	guest_exit = code;
	exit_at = fair_now;
}

static void request(char *text)
{
	static const struct {
		const char *verb;
		void (*run)(const char *arg);
	} table[] = {
		{ "add", do_add },	{ "del", do_del },
		{ "query", do_query },	{ "hmp", do_hmp },
		{ "boot", do_boot },	{ "step", do_step },
		{ "exit", do_exit },
	};
	size_t verb = strcspn(text, " "), i;
	const char *arg = text + verb + strspn(text + verb, " ");

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strlen(table[i].verb) == verb &&
		    !strncmp(table[i].verb, text, verb))
			return table[i].run(arg);
	reply("err unknown request: %s", text);
}

/* ---- what the guest prints ---- */

static void console_line(char *text)
{
	const char *reason;

	snprintf(tail[nr_tail++ % TAIL_LINES], sizeof(tail[0]), "%s", text);
	switch (is_splat(text, &reason)) {
	case NO_SPLAT:
		return;
	case SPLAT_ALLOWED:
		step("allowed: %s (%s)", text, reason);
		return;
	case SPLAT:
		if (!splat[0])
			snprintf(splat, sizeof(splat), "%s", text);
		if (strstr(text, "Kernel panic") && !panic_at)
			panic_at = fair_now;
	}
}

static void job_line(char *text)
{
	if (!strncmp(text, "@vm ", 4))
		return request(text + 4);
	fprintf(job.log, "%s\n", text);
	fflush(job.log);
}

static void take_byte(struct channel *c, char byte)
{
	/*
	 * Several processes write to ttyS1.  A request that arrives while
	 * another one's line is half out would be lost inside that line, and
	 * its sender would wait for ever: vmreq marks the start of a request,
	 * the half line is put aside until the request is over.
	 */
	if (byte == REQUEST_MARK && c == &job) {
		memcpy(c->hold, c->buf, c->len);
		c->held = c->len;
		c->len = 0;
		return;
	}
	if (byte == '\r')
		return;
	if (byte != '\n' && byte)
		c->buf[c->len++] = byte;
	if (byte != '\n' && c->len < sizeof(c->buf) - 1)
		return;
	c->buf[c->len] = '\0';
	c->line(c->buf);
	memcpy(c->buf, c->hold, c->held);
	c->len = c->held;
	c->held = 0;
}

static void take_input(struct channel *c)
{
	char data[4096];
	ssize_t n = read(c->fd, data, sizeof(data));
	ssize_t i;

	if (n <= 0) {
		close(c->fd);
		c->fd = -1;
		if (c->len)
			take_byte(c, '\n');
		return;
	}
	last_progress = fair_now;
	if (c == &console) {
		fwrite(data, 1, n, c->log);
		fflush(c->log);
		if (interactive && write(STDOUT_FILENO, data, n) != n)
			die("stdout: %s", strerror(errno));
	}
	for (i = 0; i < n; i++)
		take_byte(c, data[i]);
}

/* Keys to the console; Ctrl-a x ends the machine.  False at end of input. */
static bool take_keys(void)
{
	static bool escape;
	char key;

	if (read(STDIN_FILENO, &key, 1) != 1)
		return false;
	if (escape && key == 'x')
		stopped_by = SIGINT;
	escape = key == ESCAPE_KEY && !escape;
	if (!escape && console.fd >= 0 && write(console.fd, &key, 1) != 1)
		return false;
	return true;
}

/* ---- start, watch, end ---- */

static void open_channel(int *ours, int *guest)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
		die("socketpair: %s", strerror(errno));
	fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	*ours = fds[0];
	*guest = fds[1];
}

static FILE *open_log(const char *dir, const char *name)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (!f)
		die("%s: %s", path, strerror(errno));
	return f;
}

/* Inherited sockets: no path that could be too long, stale or left behind. */
static void start(char **argv, int argc, const char *dir)
{
	FILE *errors = open_log(dir, "qemu.log");
	char opt[3][64];
	char **args;
	int n = argc;

	args = calloc(argc + 16, sizeof(*args));
	if (!args)
		die("out of memory");
	memcpy(args, argv, argc * sizeof(*args));
	open_channel(&console.fd, &console.guest_fd);
	open_channel(&job.fd, &job.guest_fd);
	open_channel(&mon_fd, &mon_guest_fd);
	snprintf(opt[0], 64, "socket,id=console,fd=%d", console.guest_fd);
	snprintf(opt[1], 64, "socket,id=job,fd=%d", job.guest_fd);
	snprintf(opt[2], 64, "socket,id=mon,fd=%d", mon_guest_fd);
	args[n++] = "-chardev"; args[n++] = opt[0];
	args[n++] = "-chardev"; args[n++] = opt[1];
	args[n++] = "-chardev"; args[n++] = opt[2];
	args[n++] = "-serial"; args[n++] = "chardev:console";
	args[n++] = "-serial"; args[n++] = "chardev:job";
	args[n++] = "-mon"; args[n++] = "chardev=mon,mode=readline";

	qemu = fork();
	if (qemu < 0)
		die("fork: %s", strerror(errno));
	if (!qemu) {
		/* No machine outlives its supervisor, however that ends. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
		dup2(fileno(errors), STDOUT_FILENO);
		dup2(fileno(errors), STDERR_FILENO);
		execvp(args[0], args);
		dprintf(STDERR_FILENO, "%s: %s\n", args[0], strerror(errno));
		_exit(EXIT_ENV);
	}
	close(console.guest_fd);
	close(job.guest_fd);
	close(mon_guest_fd);
	fclose(errors);
	free(args);
}

/* Why the machine has to be stopped now, or NULL. */
static const char *overdue(void)
{
	double t = fair_now = fair_time(qemu);

	if (stopped_by)
		return "stopped by the user";
	if (panic_at && t > panic_at + 10)
		return "panicked, and did not go down";
	if (exit_at && t > exit_at + 60 * slow)
		return "did not power off after its job";
	if (interactive)
		return NULL;
	if (!booted_at && t > FAIR_START + boot_limit * slow)
		return "no boot marker";
	if (t > last_progress + quiet_limit)
		return "no progress";
	if (total_limit && t > FAIR_START + total_limit)
		return "out of time";
	return NULL;
}

/* Returns the reason the machine was stopped, or NULL: it ended by itself. */
static const char *watch(void)
{
	bool keys = interactive;
	const char *why;

	while (console.fd >= 0 || job.fd >= 0) {
		struct pollfd p[] = {
			{ .fd = console.fd, .events = POLLIN },
			{ .fd = job.fd, .events = POLLIN },
			{ .fd = keys ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (poll(p, 3, 500) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		why = overdue();
		if (why)
			return why;
		if (p[0].fd >= 0 && p[0].revents)
			take_input(&console);
		if (p[1].fd >= 0 && p[1].revents)
			take_input(&job);
		if (keys && p[2].revents)
			keys = take_keys();
	}
	return NULL;
}

static void show_tail(const char *dir)
{
	unsigned int i = nr_tail > TAIL_LINES ? nr_tail - TAIL_LINES : 0;

	fprintf(stderr, "--- last console lines (all: %s/console.log)\n", dir);
	for (; i < nr_tail; i++)
		fprintf(stderr, "| %s\n", tail[i % TAIL_LINES]);
}

static int verdict(const char *why, int status, const char *dir)
{
	fflush(stdout);
	if (splat[0]) {
		fprintf(stderr, "FAIL guest crashed: %s\n", splat);
	} else if (why && (interactive || stopped_by)) {
		fprintf(stderr, "%s\n", why);
		return interactive ? 0 : EXIT_ENV;
	} else if (why) {
		fprintf(stderr, "FAIL timeout: %s\n", why);
	} else if (!nr_tail && status) {
		fprintf(stderr, "FAIL qemu did not start, see %s/qemu.log\n",
			dir);
		return EXIT_ENV;
	} else if (interactive) {
		return 0;	/* who sits there has seen how it ended */
	} else if (guest_exit < 0) {
		fprintf(stderr, "FAIL guest went away without a verdict\n");
	} else {
		return guest_exit;
	}
	show_tail(dir);
	return why && !splat[0] ? EXIT_TIMEOUT : EXIT_CRASH;
}

static void on_signal(int sig)
{
	stopped_by = sig;
}

static double seconds(const char *arg, const char *name)
{
	char *end;
	double s = strtod(arg, &end);

	if (end == arg || *end || s < 0)
		die("--%s: not a number of seconds: %s", name, arg);
	return s;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "results", required_argument, NULL, 'r' },
		{ "deny", required_argument, NULL, 'd' },
		{ "allow", required_argument, NULL, 'a' },
		{ "slow", required_argument, NULL, 's' },
		{ "boot", required_argument, NULL, 'b' },
		{ "quiet", required_argument, NULL, 'q' },
		{ "timeout", required_argument, NULL, 't' },
		{ "interactive", no_argument, NULL, 'i' },
		{ }
	};
	struct sigaction sa = { .sa_handler = on_signal };
	const char *why, *start_time = getenv("PB_T0");
	char *dir = NULL;
	pid_t parent = getppid();
	int c, status;

	/* Elapsed times of one command count from its start, not from ours. */
	t0 = start_time && atof(start_time) > 0 ? atof(start_time) : now();
	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (c) {
		case 'r': dir = optarg; break;
		case 'd': load_deny(optarg); break;
		case 'a': load_allow(optarg); break;
		case 's': slow = seconds(optarg, "slow"); break;
		case 'b': boot_limit = seconds(optarg, "boot"); break;
		case 'q': quiet_limit = seconds(optarg, "quiet"); break;
		case 't': total_limit = seconds(optarg, "timeout"); break;
		case 'i': interactive = true; break;
		default: return EXIT_ENV;
		}
	}
	if (!dir || optind == argc)
		die("usage: vmctl --results DIR [options] -- qemu ARGS...");

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* Who waits for the verdict is gone: nobody else would end the machine. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		die("the process that started it is gone");
	console.log = open_log(dir, "console.log");
	job.log = open_log(dir, "job.log");
	if (interactive && !tcgetattr(STDIN_FILENO, &saved_tty)) {
		struct termios raw = saved_tty;

		cfmakeraw(&raw);
		tty_raw = !tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	start(argv + optind, argc - optind, dir);
	why = watch();
	if (why)
		kill(qemu, SIGKILL);
	while (waitpid(qemu, &status, 0) < 0 && errno == EINTR)
		if (stopped_by)
			kill(qemu, SIGKILL);
	restore_tty();
	fclose(console.log);
	fclose(job.log);
	return verdict(why, status, dir);
}
