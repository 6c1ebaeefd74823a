#include "pyspy-record/python/secrets.h"

#include <string.h>

#include "libcommon/err.h"

int secrets_init(struct secrets *s, const char *pattern, char *why, size_t n)
{
	*s = (struct secrets){0};
	int bad = regcomp(&s->expression, pattern, REG_EXTENDED | REG_ICASE | REG_NOSUB);
	if (bad) {
		regerror(bad, &s->expression, why, n);
		return ERR_USAGE;
	}
	s->is_on = true;
	s->is_own = strcmp(pattern, SECRETS_DEFAULT) != 0;
	return 0;
}

void secrets_done(struct secrets *s)
{
	if (s->is_on)
		regfree(&s->expression);
	*s = (struct secrets){0};
}

bool secrets_hides(const struct secrets *s, const char *name, size_t n)
{
	char text[SECRETS_NAME_MAX + 1];
	if (!s || !s->is_on)
		return false;
	n = n < SECRETS_NAME_MAX ? n : SECRETS_NAME_MAX;
	for (size_t i = 0; i < n; i++)
		text[i] = name[i] ? name[i] : '?';
	text[n] = 0;
	return regexec(&s->expression, text, 0, NULL, 0) == 0;
}
