/* linetable: from an instruction to its place in the source. Pure: bytes in, numbers out.
 *
 * 3.11+ location table (CPython: Objects/locations.md, Objects/codeobject.c).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linetable_kind {
	LINETABLE_LNOTAB_UNSIGNED, /* up to 3.5 */
	LINETABLE_LNOTAB_SIGNED,   /* 3.6 to 3.9 */
	LINETABLE_RANGES,          /* 3.10 */
	LINETABLE_LOCATIONS,       /* 3.11 and later */
};

/* `instr` of a frame that has begun and has executed nothing (up to 3.10: f_lasti -1). */
#define LINETABLE_NOT_STARTED UINT32_MAX

struct linetable_place {
	bool has_line, has_columns;
	int32_t line, end_line, column, end_column; /* columns 0-based, as co_positions */
};

/* Where the instruction at byte offset `instr` stands. False when the table does not cover it (then no line is known).
 * The table may be anything: it is read within its n bytes only. */
bool linetable_find(const uint8_t *table, size_t n, int32_t first_line, uint32_t instr, struct linetable_place *place);
