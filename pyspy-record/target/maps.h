/* maps: /proc/PID/maps parsed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct maps_entry {
	uint64_t begin, end, offset;
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	char perms[5];
	const char *path; /* "" for anonymous; may end in " (deleted)" (then deleted is set and the suffix removed) */
	bool deleted;
};
struct maps {
	struct maps_entry *v; /* ascending */
	size_t n;
	char *text; /* paths point into it */
};
int maps_read(pid_t pid, struct maps *m); /* 0, ERR_GONE, ERR_PERMISSION, ERR_NO_MEMORY */
void maps_done(struct maps *m);
/* The entry that holds addr, or NULL. */
const struct maps_entry *maps_find(const struct maps *m, uint64_t addr);
