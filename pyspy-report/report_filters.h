/* report_filters: the values of the options that filter, name and measure -> struct report_options. */
#pragma once
#include "pyspy-report/report_options.h"

enum report_filter_option {
	REPORT_TIME = 100,
	REPORT_PID,
	REPORT_PROCESS,
	REPORT_THREAD,
	REPORT_STATE,
	REPORT_FOCUS,
	REPORT_IGNORE,
	REPORT_HIDE,
	REPORT_SHOW_FROM,
	REPORT_STRIP,
	REPORT_LEVEL,
	REPORT_MEASURE_BY,
};

/* 0; ERR_USAGE with `message`, which names the option, what is wrong and where; ERR_NO_MEMORY. */
int report_filters_take(struct report_options *o, int id, const char *value, char *message, size_t size);
