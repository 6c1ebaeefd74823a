/* gil: who holds the GIL of an interpreter, who waits for it. Facts in shared/cpython/walking.md; all from words read
 * with the sample (target.words, sample_interp.words).
 */
#pragma once
#include "pyspy-record/sample/target.h"

/* `image`: the bytes of the thread's state, as of the sample. */
bool gil_is_held(const struct target *t, const struct sample_thread *th, const unsigned char *image);
/* A thread blocked in a futex inside the GIL's own struct waits for the GIL. */
bool gil_is_awaited(const struct target *t, const struct sample_thread *th, long syscall, uint64_t arg);
/* WIRE_FLAG_GIL and WIRE_FLAG_GC of a sample. */
uint32_t gil_flags(const struct target *t, const struct sample_thread *th, const unsigned char *image);
