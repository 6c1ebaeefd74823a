/* crc32c: the Castagnoli checksum (RFC 3720, reflected polynomial 0x82F63B78, initial and final complement).
 * crc32c(0, "123456789", 9) == 0xE3069283. Chain by passing the previous result as `crc`. */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(uint32_t crc, const void *p, size_t n);
/* The same without the processor's help: what crc32c does where there is none (tests compare the two). */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);
