/* cmd_record: the verb `record`: options -> output -> program -> session -> summary -> exit status. */
#pragma once

/* argv[0] is skipped; `words` is the whole command line as it was typed, kept in the recording. Returns the exit
 * status, or leaves as the started program did. */
int cmd_record(int argc, char **argv, char *const *words);
