/* SPDX-License-Identifier: Apache-2.0 */

/* A clock on the wall that a test can set, for one program and its children: preloaded, it adds the number of seconds
 * that stands in the file of KEYTRAIL_TEST_CLOCK (eight bytes, as the machine writes them), which may change at any
 * time. Clocks that count from boot stay as they are. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define A_DATE 1000000000 /* seconds: no machine has been up for so long */

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static const volatile int64_t *offset_s;

__attribute__((constructor)) static void start(void)
{
	static const int64_t none;
	const char *path = getenv("KEYTRAIL_TEST_CLOCK");
	real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	real_timedwait = (int (*)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *))dlsym(
		RTLD_NEXT, "pthread_cond_timedwait");
	offset_s = &none;
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *shared = fd >= 0 ? mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (shared != MAP_FAILED)
		offset_s = shared;
	if (fd >= 0)
		(void)close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (real_gettime == NULL)
		start();
	int result = real_gettime(clock, now);
	if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += *offset_s;
	return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec precise;
	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &precise);
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret != NULL)
		*ret = now.tv_sec;
	return now.tv_sec;
}

/* The kernel waits by its own clock. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
	struct timespec theirs = *until;
	if (theirs.tv_sec > A_DATE)
		theirs.tv_sec -= *offset_s;
	return real_timedwait(condition, mutex, &theirs);
}
