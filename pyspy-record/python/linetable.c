#include "pyspy-record/python/linetable.h"

#include <string.h>

enum {
	ENTRY_START = 0x80, /* bit 7 of an entry's first byte */
	KIND_SHORT_LAST = 9,
	KIND_LINE_DELTA_0 = 10,
	KIND_LINE_DELTA_2 = 12,
	KIND_LONG = 14, /* 13: the same without columns and end line */
	KIND_NONE = 15,
	UNIT = 2, /* bytes of a code unit */

	NO_LINE_STEP = -128, /* in the table of ranges */
};

struct bytes {
	const uint8_t *p, *end;
};

/* Steps of a broken table may add up to anything. */
static int32_t add(int32_t a, int32_t b)
{
	return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* Beyond the end 0 is read, as the interpreter would: a bytes object ends with a 0 that does not count. */
static uint8_t read_byte(struct bytes *in)
{
	return in->p < in->end ? *in->p++ : 0;
}

static uint32_t read_varint(struct bytes *in)
{
	uint32_t value = 0;
	for (unsigned shift = 0; in->p < in->end; shift += 6) {
		uint8_t b = *in->p++;
		if (shift < 32)
			value |= (uint32_t)(b & 63) << shift;
		if (!(b & 64))
			break;
	}
	return value;
}

static int32_t read_signed(struct bytes *in)
{
	uint32_t v = read_varint(in);
	return v & 1 ? (int32_t)(0u - (v >> 1)) : (int32_t)(v >> 1);
}

static bool on_line(struct linetable_place *place, int32_t line)
{
	place->has_line = true;
	place->line = place->end_line = line;
	return true;
}

/* Pairs of bytes: so far on, that many lines more. The line changes where the address has been reached. */
static bool find_in_steps(struct bytes in, bool is_signed, int32_t line, uint32_t instr, struct linetable_place *place)
{
	uint64_t at = 0;
	while (in.end - in.p >= 2) {
		at += *in.p++;
		if (at > instr)
			break;
		uint8_t step = *in.p++;
		line = add(line, is_signed ? (int8_t)step : step);
	}
	return on_line(place, line);
}

/* Pairs of bytes: a range so long, which stands that many lines below the last one that had a line. */
static bool find_in_ranges(struct bytes in, int32_t line, uint32_t instr, struct linetable_place *place)
{
	uint64_t at = 0;
	while (in.p < in.end) {
		at += read_byte(&in);
		int8_t step = (int8_t)read_byte(&in);
		if (step != NO_LINE_STEP)
			line = add(line, step);
		if (instr < at)
			return step != NO_LINE_STEP && line >= 0 && on_line(place, line);
	}
	return false;
}

/* The body of an entry; `line` is the running line. False when the entry has none. */
static bool read_location(unsigned kind, struct bytes *in, int32_t *line, struct linetable_place *place)
{
	int32_t lines = 0, column = -1, end_column = -1; /* none */
	if (kind == KIND_NONE)
		return false;
	if (kind <= KIND_SHORT_LAST) {
		uint8_t second = read_byte(in);
		column = (int32_t)(kind << 3 | (second >> 4 & 7));
		end_column = column + (second & 15);
	} else if (kind <= KIND_LINE_DELTA_2) {
		*line = add(*line, (int32_t)kind - KIND_LINE_DELTA_0);
		column = read_byte(in);
		end_column = read_byte(in);
	} else {
		*line = add(*line, read_signed(in));
		if (kind == KIND_LONG) {
			lines = (int32_t)read_varint(in);
			column = add((int32_t)read_varint(in), -1);
			end_column = add((int32_t)read_varint(in), -1);
		}
	}
	if (column >= 0 && end_column >= 0) {
		place->has_columns = true;
		place->column = column;
		place->end_column = end_column;
	}
	on_line(place, *line);
	place->end_line = add(*line, lines);
	return *line >= 0 && place->end_line >= *line;
}

static bool find_in_locations(struct bytes in, int32_t line, uint32_t instr, struct linetable_place *place)
{
	uint64_t at = 0;
	while (in.p < in.end) {
		uint8_t head = *in.p++;
		if (!(head & ENTRY_START))
			break;
		struct linetable_place here = {0};
		bool has_line = read_location(head >> 3 & 15, &in, &line, &here);
		at += ((head & 7u) + 1) * UNIT;
		if (instr < at) {
			if (has_line)
				*place = here;
			return has_line;
		}
	}
	return false;
}

bool linetable_find(enum linetable_kind kind, const uint8_t *table, size_t n, int32_t first_line, uint32_t instr,
                    struct linetable_place *place)
{
	struct bytes in = {table, table + n};
	memset(place, 0, sizeof *place);
	if (instr == LINETABLE_NOT_STARTED)
		return on_line(place, first_line);
	switch (kind) {
	case LINETABLE_LNOTAB_UNSIGNED:
	case LINETABLE_LNOTAB_SIGNED:
		return find_in_steps(in, kind == LINETABLE_LNOTAB_SIGNED, first_line, instr, place);
	case LINETABLE_RANGES:
		return find_in_ranges(in, first_line, instr, place);
	case LINETABLE_LOCATIONS:
		return find_in_locations(in, first_line, instr, place);
	}
	return false;
}
