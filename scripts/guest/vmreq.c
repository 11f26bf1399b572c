// SPDX-License-Identifier: GPL-2.0
/*
 * vmreq - ask the host that runs this virtual machine (see scripts/vmctl.c)
 *
 * usage: vmreq add ID SIZE_MB NODE | del ID | query ID | hmp COMMAND...
 *        vmreq step TEXT...
 *
 * Prints the host's reply. Exit: 0 "ok", 1 "err", 2 no host that answers (no
 * /dev/ttyS1, or PB_HOST=0 in the environment) or bad usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <unistd.h>

#define PORT		"/dev/ttyS1"
#define LOCK		"/run/vmctl.lock"
#define REPLY_WAIT_MS	(120 * 1000)

static int no_host(const char *what)
{
	fprintf(stderr, "vmreq: no host: %s\n", what);
	return 2;
}

/* One line, without its newline; false when none comes in time. */
static int read_reply(int fd, char *line, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	char c;

	while (poll(&p, 1, REPLY_WAIT_MS) > 0 && read(fd, &c, 1) == 1) {
		if (c == '\n') {
			line[len] = '\0';
			return 1;
		}
		if (c != '\r' && len < size - 1)
			line[len++] = c;
	}
	return 0;
}

int main(int argc, char **argv)
{
	/* \001: the host keeps a half-printed line of another process whole. */
	char text[2048] = "\001@vm", line[2048];
	const char *env = getenv("PB_HOST");
	struct termios tty;
	size_t len = strlen(text);
	int fd, lock, i;

	if (argc < 3) {
		fprintf(stderr, "usage: vmreq add ID SIZE_MB NODE | del ID | "
				"query ID | hmp COMMAND... | step TEXT...\n");
		return 2;
	}
	if (env && !strcmp(env, "0"))
		return no_host("PB_HOST=0");
	for (i = 1; i < argc; i++) {
		if (strpbrk(argv[i], "\r\n\001") ||
		    len + strlen(argv[i]) + 3 > sizeof(text)) {
			fprintf(stderr, "vmreq: not one short line: %s\n",
				argv[i]);
			return 2;
		}
		len += sprintf(text + len, " %s", argv[i]);
	}
	len += sprintf(text + len, "\n");

	fd = open(PORT, O_RDWR | O_NOCTTY);
	if (fd < 0 || tcgetattr(fd, &tty))
		return no_host(PORT);
	/* One request at a time: a reply carries no name. */
	lock = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (lock < 0 || flock(lock, LOCK_EX)) {
		perror("vmreq: " LOCK);
		return 2;
	}
	/* The reply to a request whose sender was killed is not ours. */
	tcflush(fd, TCIFLUSH);
	/* One write: the tty layer does not let others in between. */
	if (write(fd, text, len) != (ssize_t)len)
		return no_host(strerror(errno));
	if (!strcmp(argv[1], "step"))
		return 0;
	if (!read_reply(fd, line, sizeof(line)))
		return no_host("no reply");
	puts(line);
	return strncmp(line, "ok", 2) ? 1 : 0;
}
