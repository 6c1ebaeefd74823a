/* values_layout: where the values of variables are, in frames and in objects that only repr and locals look into.
 *
 * What `struct layout` is for taking samples, for every version and build of it; from the same data
 * (scripts/gen-layouts). Offsets in bytes from the start of the object, 0 where a version has no such field. These
 * structs did not change within a minor version, nor do vendors change them.
 */
#pragma once
#include "pyspy-record/python/layout.h"

struct values_layout {
	uint32_t since;
	enum layout_build build;
	struct {
		uint32_t locals, localsplus, code; /* code: up to 3.13 the same as layout's, counted from the frame */
	} frame;
	struct {
		uint32_t argcount, kwonlyargcount, nlocals, nlocalsplus;
		uint32_t varnames, cellvars, freevars; /* up to 3.10 */
		uint32_t names, kinds;                 /* co_localsplusnames, co_localspluskinds: 3.11 and later */
	} code;
	struct {
		uint32_t ref;
	} cell;
	struct {
		uint32_t value;
	} floating, complex;
	struct {
		uint32_t used, mask, table;
	} set;
	struct {
		uint32_t start;
	} bytearray; /* pointer; its ob_size is where a bytes' is */
	struct {
		uint32_t used, size;
	} dict;
	struct {
		uint32_t itemsize, repr, base, dict, mro;
		uint32_t qualname; /* of a heap type; 2.x: its name */
	} type;
	struct {
		uint32_t code, name, module; /* name: the qualified one where there is one */
	} function;
	struct {
		uint32_t function, self;
	} method;
	struct {
		uint32_t definition, self, module;
	} builtin;
	struct {
		/* of a generator's frame: 3.10 and later; completed: 3.11 to 3.14 */
		int32_t created, running, completed, cleared, awaits, awaits_locked;
	} state;
	struct {
		/* A generator is suspended in an await when this comes next, with this argument or a higher one; up to
		 * 3.12. `also`: another form of it, 0 = none. */
		uint32_t opcode, also, argument;
	} awaits;
	struct {
		uint32_t name, code, frame; /* code, frame: up to 3.10 */
		uint32_t running;           /* a byte, up to 3.9 */
		uint32_t state, iframe;     /* state: a byte; iframe: the frame itself; 3.11 and later */
	} generator;
	/* What a frame that is suspended has on its stack: `values`, a pointer, and how many; or a pointer behind the
	 * last. Up to 3.10 of the frame object, from then on of the frame. */
	struct {
		uint32_t values;  /* 3.8 to 3.10 */
		uint32_t pointer; /* up to 3.9, and 3.14 and later */
		uint32_t count;   /* 4 bytes: 3.10; 3.11 to 3.13, where locals count too */
		uint32_t state;   /* a byte: 3.10 */
	} stack;
	struct { /* _asyncio.Task; awaited_by and node: 3.14 and later */
		uint32_t loop, state, waiter, coroutine, name, context, awaited_by, awaited_by_is_set, node;
	} task;
	struct {
		uint32_t of_thread; /* head of a list of tasks, in a thread state: 3.14 and later */
	} tasks;
	struct {
		uint32_t object;
	} weakref;
};

/* The row for this layout; never NULL for a layout of layout_find or layout_from_debug_offsets. */
const struct values_layout *values_layout_find(const struct layout *l);
