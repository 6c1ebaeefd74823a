/* cmd: the verbs, one in each cmd_<verb>.c. main.c's table is the list that counts. */
#pragma once
#include "pyspy-report/report_options.h"

extern const struct report_verb cmd_info_verb, cmd_top_verb, cmd_flamegraph_verb, cmd_raw_verb, cmd_script_verb;
extern const struct report_verb cmd_tree_verb, cmd_lines_verb, cmd_stacks_verb;
extern const struct report_verb cmd_speedscope_verb, cmd_chrometrace_verb, cmd_firefox_verb;
extern const struct report_verb cmd_pprof_verb;
extern const struct report_verb cmd_merge_verb, cmd_import_verb, cmd_anonymize_verb;
extern const struct report_verb cmd_index_verb, cmd_sql_verb;
