/* Threads made in C that are Python's for a while: `cc -shared -fPIC`, loaded by cthreads.py. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

int PyGILState_Ensure(void);
void PyGILState_Release(int);
void *PyEval_SaveThread(void);
void PyEval_RestoreThread(void *);

int cthreads_tids[3];

static void *bare(void *unused)
{
	cthreads_tids[0] = (int)syscall(SYS_gettid);
	PyGILState_Ensure();
	PyEval_SaveThread();
	for (;;)
		pause();
	return unused;
}

/* Without any frame it has the GIL for 10 of 30 ms. */
static void *holder(void *unused)
{
	cthreads_tids[1] = (int)syscall(SYS_gettid);
	PyGILState_Ensure();
	for (;;) {
		usleep(10000);
		void *state = PyEval_SaveThread();
		usleep(20000);
		PyEval_RestoreThread(state);
	}
	return unused;
}

/* Its thread state comes and goes. */
static void *guest(void *call)
{
	cthreads_tids[2] = (int)syscall(SYS_gettid);
	for (;;) {
		int state = PyGILState_Ensure();
		((void (*)(void))call)();
		PyGILState_Release(state);
		usleep(5000);
	}
	return call;
}

void begin(void *call)
{
	pthread_t t;
	pthread_create(&t, NULL, bare, NULL);
	pthread_create(&t, NULL, holder, NULL);
	pthread_create(&t, NULL, guest, call);
}
