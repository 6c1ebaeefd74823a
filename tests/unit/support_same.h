/* support_same: whether two profiles say the same, whatever numbers their strings, locations and stacks have. */
#pragma once
#include "pyspy-report/profile/profile.h"

/* A hash that goes on. */
uint64_t support_mix(uint64_t h, uint64_t v);
uint64_t support_mix_bytes(uint64_t h, const void *bytes, size_t n);
/* The frames of a stack, as a hash. */
uint64_t support_stack_says(const struct profile *p, uint32_t id);
/* Fails the test where they differ: recordings, processes, threads, damage, the tally's rows in their order. */
void support_same_profile(const struct profile *a, const struct profile *b);
