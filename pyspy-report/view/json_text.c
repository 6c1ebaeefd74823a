#include "pyspy-report/view/json_text.h"

#include <time.h>

#include "libcommon/buf.h"
#include "libcommon/utf8.h"

json_t *json_text_number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

json_t *json_text_bytes(const char *s, size_t n)
{
	json_t *j = json_stringn(s, n);
	struct buf b;

	if (j)
		return j;
	buf_init(&b, 0);
	for (size_t i = 0, len; i < n; i += len) {
		uint32_t cp;
		len = utf8_next(s + i, n - i, &cp);
		if (cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
			buf_str(&b, "\xEF\xBF\xBD");
		else
			buf_put(&b, s + i, len);
	}
	j = json_stringn(buf_cstr(&b), b.len);
	buf_done(&b);
	return j;
}

json_t *json_text_string(const struct profile *p, uint32_t string)
{
	size_t n;
	const char *s = profile_text(p, string, &n);

	return json_text_bytes(s, n);
}

json_t *json_text_time(int64_t realtime_ns)
{
	char out[64];
	time_t s = (time_t)(realtime_ns / 1000000000);
	struct tm tm;

	if (!realtime_ns || !gmtime_r(&s, &tm) || /* 0: not known */
	    !strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%SZ", &tm))
		return NULL;
	return json_string(out);
}
