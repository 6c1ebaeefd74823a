/* verdict: what the doctor says in the end, as text and as JSON. */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-record/doctor/machine.h"
#include "pyspy-record/doctor/python_findings.h"

struct verdict {
	pid_t pid; /* 0: no process was named */
	bool can;  /* what was asked for can be done */
	bool by_kernel;
	char text[1024]; /* one line, safe for a terminal */
	int64_t time_ns; /* CLOCK_REALTIME */
	const struct machine *machine;
	const struct findings *findings;
	const struct python_findings *python;
};

void verdict_text(const struct verdict *v, struct buf *out);
/* One JSON document; schema_version tells when members change their meaning or go away. New ones may come. */
void verdict_json(const struct verdict *v, struct buf *out);
