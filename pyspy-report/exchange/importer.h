/* importer: the formats of others -> foreign. One import_<format>.c each; import_formats is the list that counts.
 *
 * Trust: none. Counts and lengths are compared with what is there; depth is no recursion; what is damaged is said with
 * its line or byte (foreign_problem), and what can be read is read.
 */
#pragma once
#include "pyspy-report/exchange/foreign.h"
#include "pyspy-report/exchange/intake.h"

struct import_options {
	uint64_t gap_ns; /* --rate; 0: as the source says, or assumed */
};

struct import_format {
	const char *name, *what;
	/* Is it this? Of the first n bytes, unpacked. */
	bool (*looks)(const char *p, size_t n);
	/* All of it. 0; ERR_FORMAT: it is not this at all (said by foreign_problem); and the errors of source and
	 * foreign. */
	int (*read)(struct foreign *f, struct intake *s, const struct import_options *o);
};

extern const struct import_format import_mojo, import_tachyon, import_speedscope, import_perf, import_austin,
    import_folded;
/* In the order that they are asked in; NULL at the end. */
extern const struct import_format *const import_formats[];

/* A frame as texts write it: "name (file:line)", "file:name:line", "py::name:file", or only a name. */
int import_frame_text(struct foreign *f, const char *p, size_t n, location_id *location);
/* An outermost frame that names who it is: `process 12:"python app.py"`, `thread (12): name`, `tid:12`. *taken: it
 * does, and *process (0: not known yet) or *thread is who. */
int import_process_label(struct foreign *f, const char *p, size_t n, uint32_t *process, bool *taken);
int import_thread_label(struct foreign *f, uint32_t process, const char *p, size_t n, uint32_t *thread, bool *taken);
/* n digits: true, unless it is none or does not fit. */
bool import_number(const char *p, size_t n, uint64_t *value);
