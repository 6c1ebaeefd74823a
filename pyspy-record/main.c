/* pyspy-record: records what Python programs do. The table of verbs is all there is here.
 *
 * The verb may be left out: `pyspy-record -p PID` is `pyspy-record record -p PID`. Any other first word is a program to
 * start; one that is named like a verb needs "--" in front.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/log.h"
#include "pyspy-record/cmd_doctor.h"
#include "pyspy-record/cmd_dump.h"
#include "pyspy-record/cmd_record.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv, char *const *words);
} verbs[] = {
    {"record", cmd_record},
    {"dump", cmd_dump},
    {"doctor", cmd_doctor},
    {"top", NULL}, /* not there yet: pyspy-report's */
};

/* A closed standard stream would let the recording take its place. A started program finds it closed, as it was. */
static void guard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
			/* the wrong way round: using it fails, as it should */
			int got = open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
			if (got >= 0 && got != fd)
				close(got);
		}
}

/* Help and version. */
static int check_stdout(int status)
{
	errno = 0;
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE && status == 0) {
		log_error("cannot write to standard output: %s; choose another place", strerror(errno ? errno : EIO));
		return 1;
	}
	return status;
}

int main(int argc, char **argv)
{
	guard_streams();
	log_init("pyspy-record", false);
	for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++) {
		if (strcmp(argv[1], verbs[i].name))
			continue;
		if (verbs[i].run)
			return check_stdout(verbs[i].run(argc - 1, argv + 1, argv));
		log_error("the verb %s is not there yet; to start a program of that name: pyspy-record -- %s", argv[1],
		          argv[1]);
		return 2;
	}
	return check_stdout(cmd_record(argc, argv, argv));
}
