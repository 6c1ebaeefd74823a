/* linetable: from an instruction to its place in the source. Pure: bytes in, numbers out.
 *
 * Three tables, all behind the same field of the code object (2.3-3.9 co_lnotab, 3.10+ co_linetable):
 *   line steps      2.3-3.9   Objects/lnotab_notes.txt, PyCode_Addr2Line in Objects/codeobject.c
 *   ranges          3.10      Objects/lnotab_notes.txt of that version
 *   locations       3.11+     Objects/locations.md (3.13+: InternalDocs/code_objects.md), Objects/codeobject.c
 * The answers are those of the interpreter itself: PyCode_Addr2Line, frame.f_lineno, co_lines, co_positions.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linetable_kind {
	LINETABLE_LNOTAB_UNSIGNED, /* 2.3-3.5: lines only grow */
	LINETABLE_LNOTAB_SIGNED,   /* 3.6-3.9 */
	LINETABLE_RANGES,          /* 3.10 */
	LINETABLE_LOCATIONS,       /* 3.11+ */
};

/* In place of an instruction: the frame has begun and executed none of its own (f_lasti is negative). */
#define LINETABLE_NOT_STARTED UINT32_MAX

struct linetable_place {
	bool has_line, has_columns;
	int32_t line, end_line, column, end_column; /* columns 0-based, as co_positions; before 3.11 end_line is line */
};

/* Where the instruction at byte offset `instr` of the bytecode stands (3.10: twice what the frame holds). A frame that
 * has not started stands on first_line, whatever the table says. False when no line is known: from 3.10 on code of no
 * line, a line below 0 (f_lineno is None) and what lies beyond the table; line steps have no such code, and beyond
 * their end the last line holds. The table may be anything: it is read within its n bytes only. */
bool linetable_find(enum linetable_kind kind, const uint8_t *table, size_t n, int32_t first_line, uint32_t instr,
                    struct linetable_place *place);
