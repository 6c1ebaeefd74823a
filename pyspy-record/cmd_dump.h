/* cmd_dump: `pyspy-record dump`: all threads of a process, once. */
#pragma once
/* As cmd_record. */
int cmd_dump(int argc, char **argv, char *const *words);
