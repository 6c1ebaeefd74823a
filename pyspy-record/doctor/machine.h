/* machine: what this user may do on this machine, and why not more. */
#pragma once
#include "pyspy-record/doctor/finding.h"
#include "pyspy-record/doctor/trial.h"

struct machine {
	uint32_t uid, euid;
	uint64_t effective, permitted, bounding, ambient; /* capabilities: bit 1 << CAP_* */
	bool no_new_privs, first_user_namespace;
	int seccomp;        /* 0 none, 1 strict, 2 filter */
	int yama;           /* access_yama */
	int hidepid;        /* of /proc; 0 = all processes are shown */
	char container[64]; /* "docker", "a container"; "" = no sign of one */
	struct trial_own own;
	struct trial_kernel kernel;
	bool may_attach_own, may_attach_others, may_start; /* as was tried; others: or concluded */
};

/* Look, and add what was found. `alone`: no process was named, so what stands in the way of all is a problem. `pid`:
 * sizes the kernel engine's tables; 0 = none. */
void machine_examine(struct machine *m, struct findings *f, bool alone, pid_t pid);
/* Remedies that give a missing right here, over other processes or (`kernel`) also for the kernel's engine: sudo and
 * setcap where the right can still be had, in a container what gives it to the container. */
uint32_t machine_rights(const struct machine *m, bool kernel);
