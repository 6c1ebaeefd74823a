/* table: memory for hash tables, all zero. Freed by free().
 *
 * Large ones ask for large pages: entries are looked for all over the table, and with small pages each look would cost
 * the CPU another miss in its translation table.
 */
#pragma once
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { TABLE_ALIGN = 64, TABLE_PAGE = 2 << 20 };

static inline void *table_new(size_t bytes)
{
	size_t align = bytes >= 2 * (size_t)TABLE_PAGE ? TABLE_PAGE : TABLE_ALIGN;
	void *p = bytes > SIZE_MAX / 2 ? NULL : aligned_alloc(align, (bytes + align - 1) / align * align);

	if (!p)
		return NULL;
	if (align == TABLE_PAGE)
		madvise(p, bytes, MADV_HUGEPAGE); /* a wish: where it is not to be had, nothing is lost */
	return memset(p, 0, bytes);
}
