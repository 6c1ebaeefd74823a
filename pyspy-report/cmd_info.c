#include "pyspy-report/cmd.h"
static int cmd_info(const struct report_verb *verb, int argc, char **argv)
{
	return 1;
}
const struct report_verb cmd_info_verb = {.name="info", .summary="An SVG", .examples="", .about="", .run=cmd_info};
