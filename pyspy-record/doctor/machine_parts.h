/* machine_parts: between the parts of machine. */
#pragma once
#include "pyspy-record/doctor/machine.h"

/* Not in linux/capability.h before 5.8. */
enum { MACHINE_PERFMON = 38, MACHINE_BPF = 39 };

/* Our own file's capabilities, and whether they took effect. */
void machine_examine_file(const struct machine *m, struct findings *f);
/* Are we in a container? Sets m->container. */
void machine_examine_container(struct machine *m, struct findings *f);
/* The kernel's engine, and what it needs. */
void machine_examine_kernel(const struct machine *m, struct findings *f);
