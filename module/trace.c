// SPDX-License-Identifier: GPL-2.0
/*
 * Probes on tracepoints that are not exported, found by name.
 */
#include <linux/tracepoint.h>
#include "pageblock_debug.h"

/* What pb_find_trace() is looking for */
struct pb_trace_list {
	struct pb_trace *trace;
	unsigned int nr;
};

static void pb_find_trace(struct tracepoint *tp, void *data)
{
	struct pb_trace_list *list = data;
	unsigned int i;

	for (i = 0; i < list->nr; i++) {
		if (!strcmp(tp->name, list->trace[i].name))
			list->trace[i].tp = tp;
	}
}

/**
 * pb_traces_find() - look up tracepoints
 * @trace:	what to find, with their names; gets their addresses
 * @nr:		how many
 *
 * Return: true if this kernel has all of them.
 */
bool pb_traces_find(struct pb_trace *trace, unsigned int nr)
{
	struct pb_trace_list list = { trace, nr };
	unsigned int i;

	for_each_kernel_tracepoint(pb_find_trace, &list);
	for (i = 0; i < nr; i++) {
		if (!trace[i].tp)
			return false;
	}
	return true;
}

/**
 * pb_traces_on() - register all probes, or none
 * @trace:	tracepoints that were found, and their probes
 * @nr:		how many
 *
 * Undone by pb_traces_off().
 *
 * Return: 0 or the error of the one that could not be registered.
 */
int pb_traces_on(struct pb_trace *trace, unsigned int nr)
{
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = tracepoint_probe_register(trace[i].tp, trace[i].probe, NULL);
		if (ret) {
			pb_traces_off(trace, i);
			return ret;
		}
	}
	return 0;
}

/**
 * pb_traces_off() - undo pb_traces_on()
 * @trace:	the same
 * @nr:		how many are registered
 *
 * Waits until no probe runs: the module may go away after it.
 */
void pb_traces_off(struct pb_trace *trace, unsigned int nr)
{
	while (nr--)
		tracepoint_probe_unregister(trace[nr].tp, trace[nr].probe, NULL);
	tracepoint_synchronize_unregister();
}
