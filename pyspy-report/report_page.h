/* report_page: `flamegraph` as a page: what is between report_job_begin and report_job_end. */
#pragma once
#include "pyspy-report/report_job.h"
#include "pyspy-report/view/page.h"

/* What a page holds at most: frames, and cells of (frame, thread, stretch of time). */
enum { REPORT_PAGE_FRAMES = 200000, REPORT_PAGE_CELLS = 500000 };

/* The input is read a second time, for the times of samples. The job's exit status; everything of it is freed. */
int report_page_write(struct report_job *j, uint64_t max_frames, struct page_options *o);
