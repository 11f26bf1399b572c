// SPDX-License-Identifier: GPL-2.0
/*
 * Isolates a block of a page that is out for page reporting, as virtio-balloon
 * does it: for the time of the report the page is on no free list, and
 * zone->lock is not held. Whoever isolates one of its blocks then finds
 * nothing in it; what counts is how the page is put back.
 *
 * The report says nothing to any host.
 */
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include "pageblock_debug.h"

/* A report begins 2 s after it was asked for, and may take several rounds. */
#define PB_REPORT_TIMEOUT	(30 * HZ)

static DEFINE_MUTEX(pb_report_lock);

/**
 * struct pb_report_dev - the device that gets the reports
 * @dev:	registered for the time of one write() only
 * @start_pfn:	where the page has to be
 * @end_pfn:	end of that
 * @hit:	there was a page, @ret is the result
 * @ret:	of the isolation
 */
struct pb_report_dev {
	struct page_reporting_dev_info dev;
	unsigned long start_pfn;
	unsigned long end_pfn;
	struct completion hit;
	int ret;
};

/* The second block: the page is put back by the type of the first. */
static int pb_report(struct page_reporting_dev_info *dev,
		     struct scatterlist *sgl, unsigned int nents)
{
	struct pb_report_dev *rep = container_of(dev, struct pb_report_dev, dev);
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(sgl, sg, nents, i) {
		unsigned long pfn = page_to_pfn(sg_page(sg));
		unsigned long nr = sg->length >> PAGE_SHIFT;

		if (completion_done(&rep->hit))
			break;
		if (nr <= pageblock_nr_pages || pfn < rep->start_pfn ||
		    pfn + nr > rep->end_pfn)
			continue;
		pfn += pageblock_nr_pages;
		rep->ret = pb_isolate(pfn, pfn + pageblock_nr_pages);
		complete_all(&rep->hit);
	}
	return 0;
}

static int pb_report_once(unsigned long start_pfn, unsigned long end_pfn)
{
	struct pb_report_dev *rep;
	int ret;

	rep = kzalloc(sizeof(*rep), GFP_KERNEL);
	if (!rep)
		return -ENOMEM;
	rep->dev.report = pb_report;
	rep->dev.order = pageblock_order;
	/* Much less than the default has to be free in the zone. */
	rep->dev.capacity = 4;
	rep->start_pfn = start_pfn;
	rep->end_pfn = end_pfn;
	init_completion(&rep->hit);

	ret = page_reporting_register(&rep->dev);
	if (!ret) {
		ret = wait_for_completion_killable_timeout(&rep->hit,
							   PB_REPORT_TIMEOUT);
		/* Ends the round: all pages are back on free lists. */
		page_reporting_unregister(&rep->dev);
		if (completion_done(&rep->hit) || ret > 0)
			ret = rep->ret;
		else if (!ret)
			ret = -ETIMEDOUT;
	}
	kfree(rep);
	return ret;
}

static ssize_t report_write(struct file *file, const char __user *ubuf,
			    size_t count, loff_t *ppos)
{
	unsigned long start_pfn, end_pfn;
	int ret;

	if (pageblock_order >= MAX_PAGE_ORDER)
		return -EOPNOTSUPP;
	ret = pb_parse_range(ubuf, count, &start_pfn, &end_pfn);
	if (ret)
		return ret;
	if (mutex_lock_killable(&pb_report_lock))
		return -EINTR;
	ret = pb_report_once(start_pfn, end_pfn);
	mutex_unlock(&pb_report_lock);
	return ret ?: count;
}

static const struct file_operations report_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= report_write,
	.llseek	= noop_llseek,
};

/**
 * pb_report_init() - create "report"
 * @dir:	debugfs directory
 */
void pb_report_init(struct dentry *dir)
{
	debugfs_create_file("report", 0200, dir, NULL, &report_fops);
}
