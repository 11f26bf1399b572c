// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel functions this module needs are mm internals and rightly not
 * exported. kallsyms_lookup_name() is not exported either, but a kprobe can
 * be put on it by name, and the kprobe knows its address.
 */
#include <linux/kprobes.h>
#include "pageblock_debug.h"

struct pb_symbols pb_sym;

typedef unsigned long (*pb_lookup_fn)(const char *name);

static pb_lookup_fn pb_find_lookup(void)
{
	struct kprobe kp = { .symbol_name = "kallsyms_lookup_name" };
	pb_lookup_fn lookup;

	if (register_kprobe(&kp) < 0)
		return NULL;
	lookup = (pb_lookup_fn)(unsigned long)kp.addr;
	unregister_kprobe(&kp);
	return lookup;
}

/* One name for the member and the symbol, so that they cannot get mixed up. */
#define PB_SYMBOL(name) { #name, offsetof(struct pb_symbols, name) }

static const struct {
	const char *name;
	size_t offset;
	bool optional;
} pb_wanted[] = {
	PB_SYMBOL(start_isolate_page_range),
	PB_SYMBOL(undo_isolate_page_range),
	PB_SYMBOL(boot_zonestats),
	PB_SYMBOL(mem_hotplug_lock),
	PB_SYMBOL(try_to_compact_pages),
	PB_SYMBOL(lru_add_drain_all),
	PB_SYMBOL(free_pages_nolock),
	PB_SYMBOL(drain_all_pages),
	PB_SYMBOL(put_task_stack),
#ifdef CONFIG_MEMORY_FAILURE
	PB_SYMBOL(mf_mutex),
#endif
	/* Static: the compiler may have put it into its callers */
	{ "pgdat_balanced", offsetof(struct pb_symbols, pgdat_balanced), true },
	{ "allow_direct_reclaim", offsetof(struct pb_symbols, allow_direct_reclaim), true },
#ifdef CONFIG_MIGRATE_HOTREMOVE
	PB_SYMBOL(lock_device_hotplug),
	PB_SYMBOL(unlock_device_hotplug),
	PB_SYMBOL(hotremove_convert),
#endif
};

/**
 * pb_symbols_init() - find every symbol of struct pb_symbols
 *
 * Return: 0, or -ENOENT when one is missing; the log names it. An optional one
 * that is missing is NULL.
 */
int pb_symbols_init(void)
{
	pb_lookup_fn lookup = pb_find_lookup();
	unsigned long addr;
	int i;

	if (!lookup) {
		pr_err("no kprobe on kallsyms_lookup_name (CONFIG_KPROBES?)\n");
		return -ENOENT;
	}

	for (i = 0; i < ARRAY_SIZE(pb_wanted); i++) {
		addr = lookup(pb_wanted[i].name);
		if (!addr && !pb_wanted[i].optional) {
			pr_err("kernel has no symbol %s (CONFIG_KALLSYMS_ALL?)\n",
			       pb_wanted[i].name);
			return -ENOENT;
		}
		*(unsigned long *)((char *)&pb_sym + pb_wanted[i].offset) = addr;
	}
	return 0;
}
