// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that input and output are in flight to, through hot-remove: direct
 * I/O, AIO, io_uring with plain and with fixed buffers, all on a disk that
 * takes SLOW_NS for each request, so that there is always one in flight; and
 * sendfile, splice, vmsplice and tee. See page_kinds.h.
 *
 * While a request is in flight its pages are pinned, and stay where they are;
 * when it has ended they can go. The offline has to meet such moments.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "page_kinds_test.h"

#define SLOW_NS		(20 * 1000 * 1000UL)
#define DISK		"pkio"
#define CHUNK		16	/* pages of one request */

static size_t chunk_bytes(void)
{
	return CHUNK * getpagesize();
}

/* A disk that holds the data of generation 0; pk->fd[0] is O_DIRECT */
static int make_disk(struct pk *pk)
{
	char dev[64];
	int ret;

	ret = pk_slow_disk(pk, DISK, 32, 0) ?:
	      pk_slow_disk_node(DISK, dev, sizeof(dev));
	if (ret)
		return ret;
	pk->fd[0] = open(dev, O_RDWR | O_DIRECT);
	if (pk->fd[0] < 0 || pwrite(pk->fd[0], pk->mem, PK_PAGES *
				    getpagesize(), 0) != PK_PAGES * getpagesize())
		return pk_fail(pk, -errno, "%s", dev);
	close(pk->fd[0]);
	pk->fd[0] = -1;
	ret = pk_slow_disk_speed(pk, DISK, SLOW_NS) ?:
	      pk_slow_disk_node(DISK, dev, sizeof(dev));
	if (ret)
		return ret;
	pk->fd[0] = open(dev, O_RDWR | O_DIRECT);
	return pk->fd[0] < 0 ? pk_fail(pk, -errno, "%s", dev) : 0;
}

static void drop_disk(struct pk *pk)
{
	if (pk->fd[0] >= 0)
		close(pk->fd[0]);
	pk->fd[0] = -1;
	pk_slow_disk_end(DISK);
}

static char *chunk_mem(struct pk *pk, size_t nr)
{
	return pk->mem + nr * chunk_bytes();
}

/* Chunks take turns; what is read must arrive, whatever was there before */
static size_t next_chunk(struct pk *pk)
{
	return pk->num[1]++ % (PK_PAGES / CHUNK);
}

static void spoil(struct pk *pk, size_t nr)
{
	memset(chunk_mem(pk, nr), 0xee, chunk_bytes());
}

static int verify_chunk(struct pk *pk, size_t nr)
{
	size_t i;

	for (i = nr * CHUNK; i < (nr + 1) * CHUNK; i++)
		if (!pk_page_ok(pk->mem + i * getpagesize(), pk->seed, i,
				pk->gen[i]))
			return pk_fail(pk, -EILSEQ, "wrong data in page %zu",
				       i);
	return 0;
}

/* The next generation, for a write */
static void renew(struct pk *pk, size_t nr)
{
	size_t i;

	for (i = nr * CHUNK; i < (nr + 1) * CHUNK; i++)
		pk_fill_page(pk->mem + i * getpagesize(), pk->seed, i,
			     ++pk->gen[i]);
}

/* All that is on the disk, into pages of its own */
static int check_disk(struct pk *pk)
{
	return pk_verify(pk) ?: pk_file_verify(pk, pk->fd[0]);
}

static int make_direct(struct pk *pk)
{
	return pk_anon(pk, PK_PAGES) ?: make_disk(pk);
}

static int use_direct(struct pk *pk)
{
	size_t nr = next_chunk(pk);
	ssize_t got;

	if (pk->num[1] % 3) {
		spoil(pk, nr);
		got = pread(pk->fd[0], chunk_mem(pk, nr), chunk_bytes(),
			    nr * chunk_bytes());
	} else {
		renew(pk, nr);
		got = pwrite(pk->fd[0], chunk_mem(pk, nr), chunk_bytes(),
			     nr * chunk_bytes());
	}
	if (got != (ssize_t)chunk_bytes())
		return pk_fail(pk, -EIO, "direct I/O: %s", strerror(errno));
	return verify_chunk(pk, nr);
}

static const struct pk_ops direct = {
	.name = "direct_io", .make = make_direct, .use = use_direct,
	.check = check_disk, .drop = drop_disk,
};

PK_TEST(direct_io_in_flight, direct)

/* AIO: four requests in flight at once */
#define AIO_NR	4

static int make_aio(struct pk *pk)
{
	aio_context_t *ctx = (aio_context_t *)&pk->num[2];

	*ctx = 0;
	if (syscall(__NR_io_setup, AIO_NR, ctx))
		return pk_fail(pk, errno == ENOSYS ? PK_SKIP : -errno,
			       "need AIO, have: %s", strerror(errno));
	return make_direct(pk);
}

static int use_aio(struct pk *pk)
{
	struct iocb cb[AIO_NR] = { }, *list[AIO_NR];
	struct io_event event[AIO_NR];
	size_t nr[AIO_NR];
	int i, ret;

	for (i = 0; i < AIO_NR; i++) {
		nr[i] = next_chunk(pk);
		cb[i].aio_lio_opcode = i % 2 ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
		if (i % 2)
			renew(pk, nr[i]);
		else
			spoil(pk, nr[i]);
		cb[i].aio_fildes = pk->fd[0];
		cb[i].aio_buf = (uintptr_t)chunk_mem(pk, nr[i]);
		cb[i].aio_nbytes = chunk_bytes();
		cb[i].aio_offset = nr[i] * chunk_bytes();
		list[i] = &cb[i];
	}
	ret = syscall(__NR_io_submit, pk->num[2], AIO_NR, list);
	if (ret != AIO_NR)
		return pk_fail(pk, -EIO, "io_submit: %s", strerror(errno));
	ret = syscall(__NR_io_getevents, pk->num[2], AIO_NR, AIO_NR, event,
		      NULL);
	if (ret != AIO_NR)
		return pk_fail(pk, -EIO, "io_getevents: %s", strerror(errno));
	for (i = 0; i < AIO_NR; i++)
		if ((size_t)event[i].res != chunk_bytes())
			return pk_fail(pk, -EIO, "AIO: %lld", event[i].res);
	for (i = 0, ret = 0; i < AIO_NR && !ret; i++)
		ret = verify_chunk(pk, nr[i]);
	return ret;
}

static void drop_aio(struct pk *pk)
{
	if (pk->num[2])
		syscall(__NR_io_destroy, pk->num[2]);
	drop_disk(pk);
}

static const struct pk_ops aio = {
	.name = "aio", .make = make_aio, .use = use_aio, .check = check_disk,
	.drop = drop_aio,
};

PK_TEST(aio_in_flight, aio)

/* io_uring: a ring of one entry */
struct ring {
	int fd;
	unsigned int *sq_tail, *sq_array, *cq_head, *cq_tail, cq_mask, sq_mask;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	void *sq, *cq;
	size_t sq_len, cq_len, sqe_len;
};

static int ring_open(struct pk *pk)
{
	struct io_uring_params p = { };
	struct ring *r = calloc(1, sizeof(*r));

	pk->priv = r;
	r->fd = syscall(__NR_io_uring_setup, 1, &p);
	if (r->fd < 0)
		return pk_fail(pk, errno == ENOSYS ? PK_SKIP : -errno,
			       "need io_uring, have: %s", strerror(errno));
	r->sq_len = p.sq_off.array + p.sq_entries * sizeof(unsigned int);
	r->cq_len = p.cq_off.cqes + p.cq_entries * sizeof(*r->cqe);
	r->sqe_len = p.sq_entries * sizeof(*r->sqe);
	r->sq = mmap(NULL, r->sq_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		     r->fd, IORING_OFF_SQ_RING);
	r->cq = mmap(NULL, r->cq_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		     r->fd, IORING_OFF_CQ_RING);
	r->sqe = mmap(NULL, r->sqe_len, PROT_READ | PROT_WRITE, MAP_SHARED,
		      r->fd, IORING_OFF_SQES);
	if (r->sq == MAP_FAILED || r->cq == MAP_FAILED || r->sqe == MAP_FAILED)
		return pk_fail(pk, -errno, "mmap of the ring");
	r->sq_tail = r->sq + p.sq_off.tail;
	r->sq_mask = *(unsigned int *)(r->sq + p.sq_off.ring_mask);
	r->sq_array = r->sq + p.sq_off.array;
	r->cq_head = r->cq + p.cq_off.head;
	r->cq_tail = r->cq + p.cq_off.tail;
	r->cq_mask = *(unsigned int *)(r->cq + p.cq_off.ring_mask);
	r->cqe = r->cq + p.cq_off.cqes;
	return 0;
}

static void drop_ring(struct pk *pk)
{
	struct ring *r = pk->priv;

	if (r && r->fd >= 0) {
		munmap(r->sq, r->sq_len);
		munmap(r->cq, r->cq_len);
		munmap(r->sqe, r->sqe_len);
		close(r->fd);
	}
	free(r);
	pk->priv = NULL;
	drop_disk(pk);
}

static int ring_do(struct pk *pk, int op, size_t nr)
{
	struct ring *r = pk->priv;
	unsigned int tail = *r->sq_tail, head = *r->cq_head;
	struct io_uring_sqe *sqe = &r->sqe[tail & r->sq_mask];
	int res;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = pk->fd[0];
	sqe->addr = (uintptr_t)chunk_mem(pk, nr);
	sqe->len = chunk_bytes();
	sqe->off = nr * chunk_bytes();
	r->sq_array[tail & r->sq_mask] = tail & r->sq_mask;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		return pk_fail(pk, -errno, "io_uring_enter");
	if (head == __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE))
		return pk_fail(pk, -EIO, "no completion");
	res = r->cqe[head & r->cq_mask].res;
	__atomic_store_n(r->cq_head, head + 1, __ATOMIC_RELEASE);
	if (res != (int)chunk_bytes())
		return pk_fail(pk, -EIO, "io_uring: %d", res);
	return 0;
}

static int use_ring(struct pk *pk, int op_read, int op_write)
{
	size_t nr = next_chunk(pk);
	bool write = pk->num[1] % 3 == 0;

	if (write)
		renew(pk, nr);
	else
		spoil(pk, nr);
	return ring_do(pk, write ? op_write : op_read, nr) ?:
	       verify_chunk(pk, nr);
}

static int make_ring(struct pk *pk)
{
	return ring_open(pk) ?: make_direct(pk);
}

static int use_ring_plain(struct pk *pk)
{
	return use_ring(pk, IORING_OP_READ, IORING_OP_WRITE);
}

static const struct pk_ops uring = {
	.name = "io_uring", .make = make_ring, .use = use_ring_plain,
	.check = check_disk, .drop = drop_ring,
};

PK_TEST(io_uring_in_flight, uring)

/* Fixed buffers are pinned for as long as they are: they leave the block first */
static int make_ring_fixed(struct pk *pk)
{
	struct iovec iov;
	int ret = make_ring(pk);

	if (ret)
		return ret;
	if (pk_inside(pk) != PK_PAGES)
		return pk_fail(pk, -ENODATA, "%ld of %d pages are in the block before they are registered",
			       pk_inside(pk), PK_PAGES);
	iov = (struct iovec){ pk->mem, PK_PAGES * getpagesize() };
	if (syscall(__NR_io_uring_register, ((struct ring *)pk->priv)->fd,
		    IORING_REGISTER_BUFFERS, &iov, 1))
		return pk_fail(pk, -errno, "IORING_REGISTER_BUFFERS");
	return 0;
}

static int use_ring_fixed(struct pk *pk)
{
	return use_ring(pk, IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED);
}

static const struct pk_ops uring_fixed = {
	.name = "io_uring_fixed", .make = make_ring_fixed,
	.use = use_ring_fixed, .check = check_disk, .drop = drop_ring,
	.never_there = true,
};

PK_TEST(io_uring_fixed_buffers_leave_before_they_are_pinned, uring_fixed)

/* A file of page cache in the block, and pipes that its pages go through */
static int make_piped_file(struct pk *pk)
{
	int pipe_fd[2], ret = pk_file(pk, pb_disk_dir(), PK_PAGES);

	if (ret)
		return ret;
	ret = pk_file_cache(pk, pk->fd[0]);
	if (ret)
		return ret;
	if (pipe(pipe_fd) || fcntl(pipe_fd[1], F_SETPIPE_SZ, chunk_bytes()) < 0)
		return pk_fail(pk, -errno, "pipe");
	pk->fd[1] = pipe_fd[0];
	pk->fd[2] = pipe_fd[1];
	pk->priv = aligned_alloc(getpagesize(), chunk_bytes());
	return 0;
}

static int verify_buffer(struct pk *pk, size_t nr)
{
	size_t i;

	for (i = 0; i < CHUNK; i++)
		if (!pk_page_ok(pk->priv + i * getpagesize(), pk->seed,
				nr * CHUNK + i, pk->gen[nr * CHUNK + i]))
			return pk_fail(pk, -EILSEQ, "wrong data in page %zu of what came out",
				       nr * CHUNK + i);
	return 0;
}

static int drain(struct pk *pk, int fd, size_t nr)
{
	size_t have = 0;
	ssize_t got;

	while (have < chunk_bytes()) {
		got = read(fd, pk->priv + have, chunk_bytes() - have);
		if (got <= 0)
			return pk_fail(pk, -EIO, "read from the pipe: %s",
				       strerror(errno));
		have += got;
	}
	return verify_buffer(pk, nr);
}

static int check_piped(struct pk *pk)
{
	return pk_file_verify(pk, pk->fd[0]);
}

static void drop_piped(struct pk *pk)
{
	free(pk->priv);
	pk->priv = NULL;
}

static int use_sendfile(struct pk *pk)
{
	size_t nr = next_chunk(pk);
	off_t off = nr * chunk_bytes();

	if (sendfile(pk->fd[2], pk->fd[0], &off, chunk_bytes()) !=
	    (ssize_t)chunk_bytes())
		return pk_fail(pk, -EIO, "sendfile: %s", strerror(errno));
	return drain(pk, pk->fd[1], nr);
}

static const struct pk_ops sendfiled = {
	.name = "sendfile", .make = make_piped_file, .inside = pk_file_inside,
	.use = use_sendfile, .check = check_piped, .drop = drop_piped,
};

PK_TEST(sendfile, sendfiled)

/* Into the pipe, as a second copy into another one, and both out again */
static int use_splice(struct pk *pk)
{
	size_t nr = next_chunk(pk);
	loff_t off = nr * chunk_bytes();
	int second[2], ret;

	if (pipe(second))
		return pk_fail(pk, -errno, "pipe");
	fcntl(second[1], F_SETPIPE_SZ, chunk_bytes());
	if (splice(pk->fd[0], &off, pk->fd[2], NULL, chunk_bytes(), 0) !=
	    (ssize_t)chunk_bytes())
		ret = pk_fail(pk, -EIO, "splice: %s", strerror(errno));
	else if (tee(pk->fd[1], second[1], chunk_bytes(), 0) !=
		 (ssize_t)chunk_bytes())
		ret = pk_fail(pk, -EIO, "tee: %s", strerror(errno));
	else
		ret = drain(pk, pk->fd[1], nr) ?: drain(pk, second[0], nr);
	close(second[0]);
	close(second[1]);
	return ret;
}

static const struct pk_ops spliced = {
	.name = "splice_tee", .make = make_piped_file, .inside = pk_file_inside,
	.use = use_splice, .check = check_piped, .drop = drop_piped,
};

PK_TEST(splice_and_tee, spliced)

/* User pages themselves are in the pipe */
static int make_vmsplice(struct pk *pk)
{
	int pipe_fd[2], ret = pk_anon(pk, PK_PAGES);

	if (ret)
		return ret;
	if (pipe(pipe_fd) || fcntl(pipe_fd[1], F_SETPIPE_SZ, chunk_bytes()) < 0)
		return pk_fail(pk, -errno, "pipe");
	pk->fd[1] = pipe_fd[0];
	pk->fd[2] = pipe_fd[1];
	pk->priv = aligned_alloc(getpagesize(), chunk_bytes());
	return 0;
}

static int use_vmsplice(struct pk *pk)
{
	size_t nr = next_chunk(pk);
	struct iovec iov = { chunk_mem(pk, nr), chunk_bytes() };

	if (pk->num[1] % 2)
		renew(pk, nr);
	if (vmsplice(pk->fd[2], &iov, 1, 0) != (ssize_t)chunk_bytes())
		return pk_fail(pk, -EIO, "vmsplice: %s", strerror(errno));
	return drain(pk, pk->fd[1], nr);
}

static const struct pk_ops vmspliced = {
	.name = "vmsplice", .make = make_vmsplice, .use = use_vmsplice,
	.drop = drop_piped,
};

PK_TEST(vmsplice, vmspliced)

PK_MAIN
