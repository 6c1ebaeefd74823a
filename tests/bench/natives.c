/* A pool of threads that know nothing of Python and wait for work, as numerical libraries keep them: busy.py --native
 * loads this as a shared library. */
#include <pthread.h>

int natives_start(int count); /* -> threads started; they live as long as the process */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;

static void *wait_for_work(void *unused)
{
	pthread_mutex_lock(&lock);
	for (;;)
		pthread_cond_wait(&work, &lock);
	return unused;
}

int natives_start(int count)
{
	pthread_attr_t attr;
	pthread_t thread;
	int n = 0;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	while (n < count && !pthread_create(&thread, &attr, wait_for_work, NULL))
		n++;
	pthread_attr_destroy(&attr);
	return n;
}
