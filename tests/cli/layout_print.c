/* usage: layout_print PY_VERSION_HEX BUILD (LAYOUT_RELEASE, ...): the row that layout_find gives, a member a line. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pyspy-record/python/layout.h"

static const char *const builds[] = {
    [LAYOUT_RELEASE] = "LAYOUT_RELEASE",
    [LAYOUT_DEBUG] = "LAYOUT_DEBUG",
    [LAYOUT_TRACEREFS] = "LAYOUT_TRACEREFS",
    [LAYOUT_FREETHREADED] = "LAYOUT_FREETHREADED",
    [LAYOUT_FREETHREADED_DEBUG] = "LAYOUT_FREETHREADED_DEBUG",
};
static const char *const roots[] = {
    [LAYOUT_ROOT_FRAME] = "LAYOUT_ROOT_FRAME",
    [LAYOUT_ROOT_CFRAME] = "LAYOUT_ROOT_CFRAME",
    [LAYOUT_ROOT_TSTATE] = "LAYOUT_ROOT_TSTATE",
};
static const char *const gils[] = {
    [LAYOUT_GIL_CURRENT] = "LAYOUT_GIL_CURRENT",
    [LAYOUT_GIL_STATUS] = "LAYOUT_GIL_STATUS",
    [LAYOUT_GIL_STATE] = "LAYOUT_GIL_STATE",
};
static const char *const kinds[] = {
    [LINETABLE_LNOTAB_UNSIGNED] = "LINETABLE_LNOTAB_UNSIGNED",
    [LINETABLE_LNOTAB_SIGNED] = "LINETABLE_LNOTAB_SIGNED",
    [LINETABLE_RANGES] = "LINETABLE_RANGES",
    [LINETABLE_LOCATIONS] = "LINETABLE_LOCATIONS",
};
static const char *const generations[] = {
    [LAYOUT_GENERATION_NONE] = "LAYOUT_GENERATION_NONE",
    [LAYOUT_GENERATION_MADE] = "LAYOUT_GENERATION_MADE",
    [LAYOUT_GENERATION_DESTROYED] = "LAYOUT_GENERATION_DESTROYED",
};

#define PRINT(member) printf(#member " = %" PRIu32 "\n", (uint32_t)l->member)

int main(int argc, char **argv)
{
	const struct layout *l = NULL;
	for (size_t i = 0; argc == 3 && i < sizeof builds / sizeof *builds; i++)
		if (strcmp(argv[2], builds[i]) == 0)
			l = layout_find((uint32_t)strtoul(argv[1], NULL, 0), (enum layout_build)i);
	if (!l) {
		fprintf(stderr, "layout_print: no such row\n");
		return 1;
	}
	printf("build = %s\n", builds[l->build]);
	printf("frame_root = %s\n", roots[l->frame_root]);
	printf("gil_kind = %s\n", gils[l->gil_kind]);
	printf("lines = %s\n", kinds[l->lines]);
	printf("generation_kind = %s\n", generations[l->generation_kind]);
	printf("is_python2 = %s\n", l->is_python2 ? "true" : "false");
	PRINT(object.size);
	PRINT(object.type);
	PRINT(object.wide_sizes);
	PRINT(runtime.interpreters_head);
	PRINT(runtime.gil_current);
	PRINT(runtime.gil);
	PRINT(runtime.gc_collecting);
	PRINT(interp.next);
	PRINT(interp.id);
	PRINT(interp.threads_head);
	PRINT(interp.modules);
	PRINT(interp.sysdict);
	PRINT(interp.gc_collecting);
	PRINT(interp.gil);
	PRINT(interp.own_gil);
	PRINT(interp.next_version);
	PRINT(interp.code_generation);
	PRINT(interp.copies_generation);
	PRINT(tstate.size);
	PRINT(tstate.cframe);
	PRINT(tstate.next);
	PRINT(tstate.interp);
	PRINT(tstate.frame_root);
	PRINT(tstate.status);
	PRINT(tstate.state);
	PRINT(tstate.id);
	PRINT(tstate.thread_id);
	PRINT(tstate.native_thread_id);
	PRINT(tstate.datastack_chunk);
	PRINT(tstate.datastack_top);
	PRINT(tstate.status_active);
	PRINT(gil.size);
	PRINT(gil.last_holder);
	PRINT(gil.locked);
	PRINT(gil.enabled);
	PRINT(cframe.size);
	PRINT(cframe.current_frame);
	PRINT(cframe.previous);
	PRINT(frame.size);
	PRINT(frame.first);
	PRINT(frame.previous);
	PRINT(frame.code);
	PRINT(frame.globals);
	PRINT(frame.instr);
	PRINT(frame.owner);
	PRINT(frame.tlbc_index);
	PRINT(frame.owner_cstack);
	PRINT(frame.owner_last);
	PRINT(frame.is_entry);
	PRINT(frame.instr_unit);
	PRINT(frame.tag_mask);
	PRINT(code.size);
	PRINT(code.flags);
	PRINT(code.first_line);
	PRINT(code.version);
	PRINT(code.filename);
	PRINT(code.name);
	PRINT(code.qualname);
	PRINT(code.linetable);
	PRINT(code.first_traceable);
	PRINT(code.code_adaptive);
	PRINT(code.ob_size);
	PRINT(code.bytecode);
	PRINT(code.tlbc);
	PRINT(code.ident_from);
	PRINT(code.ident_end);
	PRINT(code.ident_skip);
	PRINT(unicode.length);
	PRINT(unicode.state);
	PRINT(unicode.ascii_size);
	PRINT(unicode.compact_size);
	PRINT(unicode.data);
	PRINT(unicode.kind_shift);
	PRINT(unicode.compact);
	PRINT(unicode.ascii);
	PRINT(bytes.ob_size);
	PRINT(bytes.ob_sval);
	PRINT(dict.keys);
	PRINT(dict.values);
	PRINT(dict.values_first);
	PRINT(dict.mask);
	PRINT(dict.table);
	PRINT(keys.log2_size);
	PRINT(keys.log2_index_bytes);
	PRINT(keys.kind);
	PRINT(keys.n_entries);
	PRINT(keys.indices);
	PRINT(keys.slots);
	PRINT(keys.entries);
	PRINT(list.ob_size);
	PRINT(list.ob_item);
	PRINT(tuple.ob_size);
	PRINT(tuple.ob_item);
	PRINT(type.name);
	PRINT(type.basicsize);
	PRINT(type.flags);
	PRINT(type.dictoffset);
	PRINT(type.cached_keys);
	PRINT(module.dict);
	PRINT(integer.value);
	PRINT(integer.tag);
	PRINT(integer.digit);
	PRINT(integer.tag_has_count);
	PRINT(integer.digit_bits);
	PRINT(integer.digit_size);
	return 0;
}
