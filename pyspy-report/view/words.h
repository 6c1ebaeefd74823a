/* words: names of the format's numbers, the same in every view. Never NULL; unknown numbers are "unknown". */
#pragma once
#include <stdint.h>

const char *words_state(uint32_t state);     /* on-cpu */
const char *words_way(uint32_t way);         /* outside */
const char *words_engine(uint32_t engine);   /* outside, kernel, both */
const char *words_lost(uint32_t cause);      /* late */
const char *words_lost_long(uint32_t cause); /* samples lost because ... */
const char *words_taken(uint32_t taken);     /* enum summary_taken: held */
const char *words_taken_long(uint32_t taken);
const char *words_counter(uint32_t counter); /* stopped_ns; "" = no such counter */
const char *words_reason(uint32_t reason);   /* duration */
const char *words_reason_long(uint32_t reason);
const char *words_how(uint32_t how);    /* exited */
const char *words_problem(int problem); /* enum decode_problem: truncated */
const char *words_problem_long(int problem);
const char *words_thread_kind(uint32_t kind);
/* Name of view default `bit` (0 ..): "gil"; NULL after the last. */
const char *words_view_default(uint32_t bit);
