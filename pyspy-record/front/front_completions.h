/* front_completions: scripts that let shells complete `pyspy`. */
#pragma once
#include <stdio.h>

/* 0; ERR_USAGE: no such shell. Write errors stay in `out`. */
int front_completions_write(FILE *out, const char *shell);
