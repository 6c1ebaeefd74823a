/* cmd_doctor: the verb `doctor`: can it be done here, and what stands in the way. */
#pragma once

/* argv[0] is skipped. Returns the exit status: 0 it can, 1 it cannot, 2 usage. */
int cmd_doctor(int argc, char **argv, char *const *words);
