// SPDX-License-Identifier: GPL-2.0
/*
 * vmctl, second half: what a guest may ask of its machine, by way of QEMU's
 * monitor.  HMP is plain text and needs no JSON in C.
 */
#include <ctype.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmctl.h"

#define PROMPT		"(qemu) "
#define MEMORY_BLOCK_MB	128	/* x86-64 guests of less than 64 GiB */

static bool mon_ready;		/* the monitor's first prompt was seen */

/*
 * Reads up to the next prompt.  The console and the job wait meanwhile: QEMU
 * keeps what they wrote, and an answer takes milliseconds.
 */
static bool mon_read(char *out, size_t size)
{
	double end = now() + 60;
	size_t len = 0;
	ssize_t n;

	while (now() < end) {
		struct pollfd p = { .fd = mon_fd, .events = POLLIN };

		if (poll(&p, 1, 1000) <= 0)
			continue;
		/* Keep the end: that is where the prompt appears. */
		if (len == size - 1) {
			memmove(out, out + size / 2, len - size / 2);
			len -= size / 2;
		}
		n = read(mon_fd, out + len, size - 1 - len);
		if (n <= 0)
			return false;
		len += n;
		out[len] = '\0';
		if (len >= strlen(PROMPT) &&
		    !strcmp(out + len - strlen(PROMPT), PROMPT)) {
			out[len - strlen(PROMPT)] = '\0';
			return true;
		}
	}
	return false;
}

/* Runs one command; false when the monitor is gone or does not answer. */
static bool hmp(char *out, size_t size, const char *fmt, ...)
{
	char cmd[MAX_LINE];
	char *from, *to;
	va_list ap;

	if (!mon_ready && !mon_read(out, size))
		return false;
	mon_ready = true;
	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd) - 1, fmt, ap);
	va_end(ap);
	strcat(cmd, "\n");
	if (write(mon_fd, cmd, strlen(cmd)) != (ssize_t)strlen(cmd))
		return false;
	if (!mon_read(out, size))
		return false;

	/* The first line is the echo of the command; lines end in CR LF. */
	from = strchr(out, '\n');
	from = from ? from + 1 : out + strlen(out);
	for (to = out; *from; from++)
		if (*from != '\r')
			*to++ = *from;
	*to = '\0';
	return true;
}

/* Where a DIMM is in the output of "info memory-devices", or NULL. */
static char *find_dimm(char *list, const char *id)
{
	char key[80];

	snprintf(key, sizeof(key), "[dimm]: \"%s\"\n", id);
	return strstr(list, key);
}

static bool valid_id(const char *id)
{
	size_t i;

	for (i = 0; id[i]; i++)
		if (!isalnum(id[i]) && !strchr("-_.", id[i]))
			return false;
	return i && i <= 40 && isalpha(id[0]);
}

/* HMP prints nothing on success and "Error: ..." otherwise. */
static bool failed(char *out)
{
	out[strcspn(out, "\n")] = '\0';
	return out[0];
}

void do_add(const char *arg)
{
	unsigned long long addr = 0;
	unsigned int mb, node;
	char out[16384], id[64], rest;
	char *dimm, *field;

	if (sscanf(arg, "%63s %u %u %c", id, &mb, &node, &rest) != 3 ||
	    !valid_id(id) || !mb)
		return reply("err usage: add ID SIZE_MB NODE, got: %s", arg);
	/* QEMU takes any size; the guest would see a DIMM it cannot use. */
	if (mb % MEMORY_BLOCK_MB)
		return reply("err size %u is not a multiple of %u MiB", mb,
			     MEMORY_BLOCK_MB);
	if (!hmp(out, sizeof(out), "info memory-devices"))
		return reply("err no answer from the monitor");
	if (find_dimm(out, id))
		return reply("err %s is present", id);
	/*
	 * device_del leaves the memory behind the DIMM in place, and there is
	 * no event on HMP to tell when the guest let go: it is freed here, when
	 * the name is wanted again.  "not found" is the usual answer.
	 */
	if (!hmp(out, sizeof(out), "object_del mem-%s", id) ||
	    !hmp(out, sizeof(out),
		 "object_add memory-backend-ram,id=mem-%s,size=%uM", id, mb))
		return reply("err no answer from the monitor");
	if (failed(out))
		return reply("err %s", out);
	if (!hmp(out, sizeof(out),
		 "device_add pc-dimm,id=%s,memdev=mem-%s,node=%u", id, id, node))
		return reply("err no answer from the monitor");
	if (failed(out)) {
		reply("err %s", out);
		hmp(out, sizeof(out), "object_del mem-%s", id);
		return;
	}
	if (!hmp(out, sizeof(out), "info memory-devices"))
		return reply("err no answer from the monitor");
	dimm = find_dimm(out, id);
	field = dimm ? strstr(dimm, "addr: ") : NULL;
	if (!field || sscanf(field, "addr: %llx", &addr) != 1)
		return reply("err %s was accepted but is not listed", id);
	reply("ok addr=0x%llx node=%u", addr, node);
}

void do_del(const char *id)
{
	char out[4096];

	if (!valid_id(id))
		return reply("err usage: del ID, got: %s", id);
	if (!hmp(out, sizeof(out), "device_del %s", id))
		return reply("err no answer from the monitor");
	if (failed(out))
		return reply("err %s", out);
	reply("ok");
}

void do_query(const char *id)
{
	char out[16384];

	if (!valid_id(id))
		return reply("err usage: query ID, got: %s", id);
	if (!hmp(out, sizeof(out), "info memory-devices"))
		return reply("err no answer from the monitor");
	reply(find_dimm(out, id) ? "ok present" : "ok absent");
}

void do_hmp(const char *cmd)
{
	char out[16384];

	if (!hmp(out, sizeof(out), "%s", cmd))
		return reply("err no answer from the monitor");
	out[strcspn(out, "\n")] = '\0';
	if (!strncmp(out, "Error:", 6) || !strncmp(out, "unknown command", 15))
		return reply("err %s", out);
	reply("ok %s", out);
}
