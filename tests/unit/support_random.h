/* support_random: numbers as good as random and the same in each run: what a seed makes is always the same. */
#pragma once
#include <stdint.h>

/* The next 64 bits, and the new seed; the high ones are the better ones. */
static inline uint64_t support_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed;
}

/* 0 to below - 1. */
static inline uint32_t support_draw(uint64_t *seed, uint32_t below)
{
	return (uint32_t)(support_random(seed) >> 33) % below;
}
