#include "pyspy-report/cmd.h"
static int cmd_flamegraph(const struct report_verb *verb, int argc, char **argv)
{
	return 1;
}
const struct report_verb cmd_flamegraph_verb = {.name="flamegraph", .summary="An SVG", .examples="", .about="", .run=cmd_flamegraph};
