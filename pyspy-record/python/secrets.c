#include "pyspy-record/python/secrets.h"

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
	regmatch_t all = {.rm_so = 0, .rm_eo = (regoff_t)n};
	return s && s->is_on && regexec(&s->expression, name, 1, &all, REG_STARTEND) == 0;
}
