/* owner: on whose behalf we run, when our rights are more than that person's. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

/* Under sudo: who typed the command (SUDO_UID, SUDO_GID), when that is not root. False: nobody stands behind us, or we
 * are setuid: whoever starts such a program chooses its environment. */
bool owner_behind_sudo(uid_t *uid, gid_t *gid);
