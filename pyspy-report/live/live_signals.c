#include "pyspy-report/live/live_signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pyspy-report/live/live_screen.h"

enum { PATIENCE_S = 2 };

static const struct live_child *told;
static volatile sig_atomic_t caught;
static int event = -1;

static void end_now(void)
{
	live_screen_rescue();
	if (told)
		live_child_signal(told, SIGTERM);
	_exit(128 + caught);
}

static void on_end(int signal)
{
	int error_number = errno;
	uint64_t one = 1;

	if (caught)
		end_now();
	caught = signal;
	alarm(PATIENCE_S);
	if (write(event, &one, sizeof one) < 0)
		end_now();
	errno = error_number;
}

static void on_alarm(int signal)
{
	(void)signal;
	end_now();
}

static void on_crash(int signal)
{
	live_screen_rescue();
	if (told)
		live_child_signal(told, SIGTERM);
	raise(signal); /* the handler is gone: SA_RESETHAND */
}

static void catch (int signal, void (*handler)(int), int flags)
{
	struct sigaction a = {.sa_handler = handler, .sa_flags = flags};

	sigemptyset(&a.sa_mask);
	sigaction(signal, &a, NULL);
}

void live_signals_catch(const struct live_child *child)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP}, crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	struct sigaction before;

	told = child;
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	catch (SIGALRM, on_alarm, 0);
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (ends[i] != SIGHUP || (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN))
			catch (ends[i], on_end, 0);
	for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
		catch (crashes[i], on_crash, SA_RESETHAND | SA_NODEFER);
}

int live_signals_caught(void)
{
	return caught;
}

int live_signals_fd(void)
{
	return event;
}

void live_signals_leave(void)
{
	alarm(0);
}
