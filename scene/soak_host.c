// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs that the host takes part in: it asks the guest's virtio-mem device for
 * another size, and its balloon. The guest's pages of both come and go by
 * alloc_contig_range(), by memory blocks, and by ordinary allocations; what is
 * free it reports to the host all the time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scene.h"
#include "soak.h"

#define VMEM		"/machine/peripheral/vmem0"
#define AUTO_ONLINE	"/sys/devices/system/memory/auto_online_blocks"
#define MAX_VMEM_MB	512
#define BALLOON_SHARE	8	/* at most one in so many pages */
#define WAIT_MS		8000	/* for the guest to do what was asked */
#define LAST_WAIT_MS	60000
#define ALL_MB		1000000	/* more than there is: QEMU takes it for all */

static unsigned long balloon_full_mb;

/* One line of the monitor's; 0, or an error number that no file has */
static int hmp(char *reply, size_t len, const char *fmt, ...)
{
	char command[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return host_request(reply, len, "hmp", command, NULL, NULL) ?
	       EREMOTEIO : 0;
}

static bool vmem_is(unsigned long mb)
{
	char reply[256];
	unsigned long long bytes;

	return !hmp(reply, sizeof(reply), "qom-get " VMEM " size") &&
	       sscanf(reply, "ok %llu", &bytes) == 1 && bytes >> 20 == mb;
}

static bool balloon_is(unsigned long mb)
{
	char reply[256];
	unsigned long actual;

	return !hmp(reply, sizeof(reply), "info balloon") &&
	       sscanf(reply, "ok balloon: actual=%lu", &actual) == 1 &&
	       actual == mb;
}

/* While the job runs, the end of it is the end of any wait */
static bool wait_for(bool (*is)(unsigned long mb), unsigned long mb,
		     unsigned int ms)
{
	double end = now_ms() + ms;

	while (!is(mb)) {
		if (now_ms() > end || (job_stopping() && ms == WAIT_MS))
			return false;
		nap_ms(100);
	}
	return true;
}

static const char *virtio_mem_missing(const char *arg)
{
	char reply[256];

	(void)arg;
	return hmp(reply, sizeof(reply), "qom-get " VMEM " size") ?
	       job_lacks("a host with a virtio-mem device", "'%s'", reply) :
	       NULL;
}

static void virtio_mem_start(const char *arg)
{
	(void)arg;
	job_op("auto_online_blocks",
	       write_text(AUTO_ONLINE, soak_virtio_mem_online), 0);
}

/*
 * Memory that comes is movable or, one time in two and where the kernel knows
 * it, hotremove. A kernel zone is left as it is: it is what the tiny machine
 * has to use.
 */
static void vary_online(void)
{
	int err;

	if (strcmp(soak_virtio_mem_online, "online_movable"))
		return;
	err = write_text(AUTO_ONLINE, job_random(2) ? "online_hotremove" :
			 "online_movable");
	job_op("auto_online_blocks", err, EINVAL, 0);
}

static void virtio_mem_step(const char *arg)
{
	unsigned long mb = job_random(MAX_VMEM_MB / 2 + 1) * 2;
	char reply[256];

	(void)arg;
	vary_online();
	job_op("virtio-mem size",
	       hmp(reply, sizeof(reply), "qom-set " VMEM " requested-size %luM",
		   mb), 0);
	if (wait_for(vmem_is, mb, WAIT_MS))
		job_op("virtio-mem", 0, 0);
	else if (!job_stopping())
		job_timeout();
}

/*
 * The driver waits a minute and more before it tries again what failed. A new
 * size is a new reason.
 */
static void virtio_mem_stop(const char *arg)
{
	double end = now_ms() + LAST_WAIT_MS;
	char reply[256];
	bool gone;

	(void)arg;
	do {
		hmp(reply, sizeof(reply), "qom-set " VMEM " requested-size 2M");
		hmp(reply, sizeof(reply), "qom-set " VMEM " requested-size 0");
		gone = wait_for(vmem_is, 0, LAST_WAIT_MS / 10);
	} while (!gone && now_ms() < end);
	/* Memory in a kernel zone may stay */
	job_op("virtio-mem stays", gone ? 0 : EBUSY,
	       strcmp(soak_virtio_mem_online, "online_kernel") ? 0 : EBUSY, 0);
}

const struct soak_ops virtio_mem_ops = {
	.missing = virtio_mem_missing, .start = virtio_mem_start,
	.step = virtio_mem_step, .stop = virtio_mem_stop,
};

static const char *balloon_missing(const char *arg)
{
	char reply[256];

	(void)arg;
	if (hmp(reply, sizeof(reply), "info balloon") ||
	    sscanf(reply, "ok balloon: actual=%lu", &balloon_full_mb) != 1)
		return job_lacks("a host with a balloon device", "'%s'", reply);
	return NULL;
}

static void balloon_step(const char *arg)
{
	unsigned long mb = balloon_full_mb -
			   job_random(balloon_full_mb / BALLOON_SHARE);
	char reply[256];

	(void)arg;
	job_op("balloon size", hmp(reply, sizeof(reply), "balloon %lu", mb),
	       0);
	if (wait_for(balloon_is, mb, WAIT_MS))
		job_op("balloon", 0, 0);
	else if (!job_stopping())
		job_timeout();
}

static void balloon_stop(const char *arg)
{
	char reply[256];

	(void)arg;
	hmp(reply, sizeof(reply), "balloon %d", ALL_MB);
	job_op("balloon stays",
	       wait_for(balloon_is, balloon_full_mb, LAST_WAIT_MS) ? 0 : EBUSY,
	       0);
}

const struct soak_ops balloon_ops = {
	.missing = balloon_missing, .step = balloon_step, .stop = balloon_stop,
};
