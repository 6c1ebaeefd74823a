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
		uint32_t name, code, frame; /* code: up to 3.10 */
	} generator;
	struct {
		uint32_t object;
	} weakref;
};

/* The row for this layout; never NULL for a layout of layout_find or layout_from_debug_offsets. */
const struct values_layout *values_layout_find(const struct layout *l);
