#include "pyspy-record/core_open.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "libcommon/path.h"

enum { NAME_BYTES = 512, TOLD_MAX = 6 };

static void escaped(char *out, size_t size, const char *text)
{
	struct buf b;
	buf_init(&b, 0);
	escape_text(&b, text, strlen(text));
	snprintf(out, size, "%s", buf_cstr(&b));
	buf_done(&b);
}

/* "/usr/bin/python3.11 (build id 12..)" and what is the matter with it */
static void binary_words(const struct corefile_binary *b, char *out, size_t size)
{
	char name[NAME_BYTES], id[160];
	escaped(name, sizeof name, b->path);
	corefile_build_id_words(b, id);
	const char *what = b->state == BINARY_OTHER ? ": what is here of that name is another one"
	                   : b->state == BINARY_UNPROVED
	                       ? ": nothing in the core (coredump_filter) tells whether what is here is the same"
	                       : " is not here";
	snprintf(out, size, "%s%s%s", name, id, what);
}

static bool is_lacking(const struct corefile_binary *b)
{
	return b->missed && b->fd < 0;
}

/* Of those that lack, the one that holds the interpreter: the program, or a libpython. */
static const struct corefile_binary *main_lack(const struct corefile *c)
{
	const struct corefile_binary *found = NULL;
	for (size_t i = 0; i < c->binaries.n; i++) {
		const struct corefile_binary *b = &c->binaries.v[i];
		if (is_lacking(b) && strncmp(path_base(b->path), "libpython", 9) == 0)
			return b;
		if (is_lacking(b) && (strcmp(b->path, c->exe) == 0 || b->path[0] != '/'))
			found = b;
	}
	return found;
}

static bool is_truncated(const struct corefile *c)
{
	return c->wanted > c->size;
}

static void explain(int rc, const struct corefile *c, const struct target *t, const char *path, char *message,
                    size_t size)
{
	char name[NAME_BYTES], words[2 * NAME_BYTES], there[HUMAN_SIZE], wanted[HUMAN_SIZE];
	const struct corefile_binary *lack = main_lack(c);
	escaped(name, sizeof name, c->process.comm[0] ? c->process.comm : path_base(c->exe));
	if (rc == ERR_UNSUPPORTED)
		snprintf(message, size, "core %s (%s): CPython %s is not supported; 2.3 to 2.7 and 3.3 to 3.15 are",
		         path, name, t->interpreter.version);
	else if (lack) {
		binary_words(lack, words, sizeof words);
		snprintf(message, size,
		         "core %s (%s): no Python was found in it: the core has not all of its program, and %s; "
		         "--sysroot DIR: a folder with the binaries of that system, or the binary itself",
		         path, name, words);
	} else if (is_truncated(c) && rc != ERR_NO_MEMORY)
		snprintf(message, size,
		         "core %s (%s): it is truncated (%s of %s), and the interpreter is not in what there is of it; "
		         "is there a whole one (ulimit -c, room on the disk, ProcessSizeMax of coredump.conf)?",
		         path, name[0] ? name : "?", human_bytes(there, c->size), human_bytes(wanted, c->wanted));
	else if (rc == ERR_NOT_PYTHON)
		snprintf(message, size, "core %s (%s): it is not of a Python program; name the core of one", path,
		         name);
	else if (rc == ERR_AGAIN || rc == ERR_LAYOUT || rc == ERR_TORN || rc == ERR_MEMORY_READ)
		snprintf(message, size,
		         "core %s (%s): there is no interpreter in it that is up; it had just begun, was over, or is "
		         "damaged%s%s",
		         path, name, t->interpreter.version[0] ? ": CPython " : "", t->interpreter.version);
	else
		snprintf(message, size, "core %s (%s): %s", path, name, err_words(rc));
}

int core_open(struct target *t, struct corefile *core, const char *path, const char *const *places, size_t n_places,
              char *message, size_t size)
{
	char name[NAME_BYTES], why[NAME_BYTES];
	escaped(name, sizeof name, path);
	message[0] = 0;
	int rc = corefile_open(core, path, places, n_places, why, sizeof why);
	if (rc < 0) {
		snprintf(message, size, "core %s: %s", name, why);
		return rc;
	}
	rc = target_open_core(t, core);
	if (rc < 0)
		explain(rc, core, t, name, message, size);
	return rc;
}

void core_no_threads(const struct corefile *c, const char *path, int rc, char *message, size_t size)
{
	char name[NAME_BYTES];
	escaped(name, sizeof name, path);
	snprintf(message, size, "core %s: its threads could not be made out (%s); it is %s", name, err_words(rc),
	         is_truncated(c) ? "truncated: is there a whole one?"
	                         : "damaged, or of a process that had just begun or was over");
}

void core_tell(const struct corefile *c, const char *path)
{
	char name[NAME_BYTES], words[2 * NAME_BYTES], there[HUMAN_SIZE], wanted[HUMAN_SIZE];
	unsigned told = 0, left = 0;
	escaped(name, sizeof name, path);
	if (is_truncated(c))
		log_info("core %s is truncated: %s of %s are there; what is missing of stacks and values is marked",
		         name, human_bytes(there, c->size), human_bytes(wanted, c->wanted));
	if (c->is_damaged)
		log_info("core %s is damaged: its headers or notes contradict themselves", name);
	for (size_t i = 0; i < c->binaries.n; i++) {
		const struct corefile_binary *b = &c->binaries.v[i];
		if (b->state == BINARY_UNCHECKED) {
			escaped(words, sizeof words, b->path);
			log_info(
			    "core %s: nothing in it tells whether the %s that was named is the one it was made with",
			    name, words);
		}
		bool is_python = strcmp(b->path, c->exe) == 0 || strncmp(path_base(b->path), "libpython", 9) == 0;
		if (!is_lacking(b) || !(b->has_page || is_python))
			continue;
		if (told++ >= TOLD_MAX) {
			left++;
			continue;
		}
		binary_words(b, words, sizeof words);
		log_info("core %s: %s; what only it has is missing: --sysroot DIR names the folder of that system's "
		         "binaries",
		         name, words);
	}
	if (left)
		log_info("core %s: %u more binaries are not here", name, left);
}
