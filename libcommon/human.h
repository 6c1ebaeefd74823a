/* human: numbers for and from people. Printing functions write into `out` (room for HUMAN_SIZE) and return it. */
#pragma once
#include <stdint.h>

#define HUMAN_SIZE 40
const char *human_count(char *out, uint64_t n);                  /* 12,034 */
const char *human_bytes(char *out, uint64_t bytes);              /* 412 kB, 1.3 MB (powers of 1000) */
const char *human_duration(char *out, uint64_t ns);              /* 350 us, 12 ms, 4.2 s, 3 m 12 s, 2 h 03 m */
const char *human_percent(char *out, double part, double whole); /* 12.3 %, 0 %, <0.1 %; "-" when whole is 0 */

/* "1.5", "10s", "500ms", "2m", "1h": plain numbers are seconds. 0 and *ns, or ERR_USAGE (empty, negative, not a
 * number, rest behind it, over 100 years). */
int human_parse_duration(const char *s, uint64_t *ns);
/* "100", "2.5", "1k", "1khz", "10kHz", "100hz": 0 and *hz > 0, or ERR_USAGE. */
int human_parse_rate(const char *s, double *hz);
/* "64", "64k", "64M", "1G" (powers of 1024). */
int human_parse_bytes(const char *s, uint64_t *bytes);
/* A pid: decimal or 0x hex, 1..4194304. */
int human_parse_pid(const char *s, int *pid);
