/* names: thread names as `threading` knows them. */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/layout.h"
#include "pyspy-record/python/object_trail.h"

/* For each threading.Thread of the interpreter at `interp`: its ident (pthread id) and name. `name` is valid until the
 * callback returns. */
typedef void names_visit(void *ctx, uint64_t ident, const char *name, size_t n);
/* 0; ERR_AGAIN: threading is not imported. While `trail` (NULL = none; its pieces are added to those it has) holds, the
 * same call tells the same names. */
int names_read(struct reader *r, const struct layout *l, raddr_t interp, names_visit *visit, void *ctx,
               struct object_trail *trail);
