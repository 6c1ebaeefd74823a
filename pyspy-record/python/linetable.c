#include "pyspy-record/python/linetable.h"

#include <string.h>

enum {
	ENTRY_START = 0x80, /* bit 7 of an entry's first byte */
	KIND_SHORT_LAST = 9,
	KIND_LINE_DELTA_0 = 10,
	KIND_LINE_DELTA_2 = 12,
	KIND_NO_COLUMNS = 13,
	KIND_LONG = 14,
	KIND_NONE = 15,
	UNIT = 2, /* bytes of a code unit */
};

static uint32_t read_varint(const uint8_t **p, const uint8_t *end)
{
	uint32_t value = 0;
	for (unsigned shift = 0; *p < end; shift += 6) {
		uint8_t b = *(*p)++;
		if (shift < 32)
			value |= (uint32_t)(b & 63) << shift;
		if (!(b & 64))
			break;
	}
	return value;
}

static int32_t read_signed(const uint8_t **p, const uint8_t *end)
{
	uint32_t v = read_varint(p, end);
	return v & 1 ? (int32_t)(0u - (v >> 1)) : (int32_t)(v >> 1);
}

static uint8_t read_byte(const uint8_t **p, const uint8_t *end)
{
	return *p < end ? *(*p)++ : 0;
}

static int32_t add(int32_t a, int32_t b)
{
	return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* One entry's body; `line` is the running line. */
static void read_entry(unsigned kind, const uint8_t **p, const uint8_t *end, int32_t *line,
                       struct linetable_place *place)
{
	memset(place, 0, sizeof *place);
	if (kind == KIND_NONE)
		return;
	place->has_line = true;
	if (kind <= KIND_SHORT_LAST) {
		uint8_t second = read_byte(p, end);
		place->has_columns = true;
		place->column = (int32_t)(kind << 3 | (second >> 4 & 7));
		place->end_column = place->column + (second & 15);
	} else if (kind <= KIND_LINE_DELTA_2) {
		*line = add(*line, (int32_t)kind - KIND_LINE_DELTA_0);
		place->has_columns = true;
		place->column = read_byte(p, end);
		place->end_column = read_byte(p, end);
	} else if (kind == KIND_NO_COLUMNS) {
		*line = add(*line, read_signed(p, end));
	} else {
		*line = add(*line, read_signed(p, end));
		int32_t lines = (int32_t)read_varint(p, end);
		place->column = (int32_t)read_varint(p, end) - 1;
		place->end_column = (int32_t)read_varint(p, end) - 1;
		place->has_columns = place->column >= 0 && place->end_column >= 0 && lines >= 0;
		place->end_line = add(*line, lines);
	}
	place->line = *line;
	if (kind != KIND_LONG)
		place->end_line = *line;
}

bool linetable_find(const uint8_t *table, size_t n, int32_t first_line, uint32_t instr, struct linetable_place *place)
{
	const uint8_t *p = table, *end = table + n;
	int32_t line = first_line;
	uint64_t at = 0;
	while (p < end) {
		uint8_t head = *p++;
		if (!(head & ENTRY_START))
			break;
		read_entry(head >> 3 & 15, &p, end, &line, place);
		at += ((head & 7u) + 1) * UNIT;
		if (instr < at)
			return place->has_line;
	}
	memset(place, 0, sizeof *place);
	return false;
}
