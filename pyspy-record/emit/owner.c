#include "pyspy-record/emit/owner.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* A number from the environment, as sudo leaves it; -1 = not there. */
static long env_id(const char *name)
{
	const char *text = getenv(name);
	if (!text || *text < '0' || *text > '9')
		return -1;
	char *end;
	errno = 0;
	long v = strtol(text, &end, 10);
	return errno || *end || v < 0 || v >= UINT32_MAX ? -1 : v;
}

bool owner_behind_sudo(uid_t *uid, gid_t *gid)
{
	long u = env_id("SUDO_UID"), g = env_id("SUDO_GID");
	if (getuid() != 0 || geteuid() != 0 || u <= 0 || g < 0)
		return false;
	*uid = (uid_t)u;
	*gid = (gid_t)g;
	return true;
}
