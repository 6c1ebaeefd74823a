/* gil: who holds the GIL of an interpreter, who waits for it. Facts in shared/cpython/walking.md; all from words read
 * with the sample (target.words, sample_interp.words).
 */
#pragma once
#include "pyspy-record/sample/target.h"

/* Does the thread hold its interpreter's GIL, in this thread state? `image`: the state's bytes, as of the sample.
 * Where the GIL is switched off (free-threaded builds) nobody does. */
bool gil_is_held(const struct target *t, raddr_t tstate, uint32_t interp, const unsigned char *image);
/* A thread blocked in a futex inside a GIL's own struct waits for that GIL: one of an interpreter that it is in. */
bool gil_is_awaited(const struct target *t, const struct sample_thread *th, long syscall, uint64_t arg);
/* WIRE_FLAG_GIL and WIRE_FLAG_GC of a sample, of one state; of a thread, whose states were read with the words. */
uint32_t gil_state_flags(const struct target *t, raddr_t tstate, uint32_t interp, const unsigned char *image);
uint32_t gil_flags(const struct target *t, const struct sample_thread *th);
