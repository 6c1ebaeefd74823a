#include "pyspy-report/cmd.h"
static int cmd_sql(const struct report_verb *verb, int argc, char **argv) { return 2; }
const struct report_verb cmd_sql_verb = {.name = "sql", .summary = "SQL over an index.", .run = cmd_sql};
