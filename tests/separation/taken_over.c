/* SPDX-License-Identifier: Apache-2.0 */

/* Stands between main.c and what it calls, by the linker's --wrap: so it learns which socket leads to the witness, and
 * when all is as it will be. */
#include "tests/separation/taken_over.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/notify.h"
#include "proxy/witness/line.h"
#include "proxy/workers.h"

int witness_main_fd = -1;

int __real_workers_start(struct proxy *proxy, int witness_fd, const int *sockets, int count, struct workers **ret,
                         struct error *err);
int __wrap_workers_start(struct proxy *proxy, int witness_fd, const int *sockets, int count, struct workers **ret,
                         struct error *err);
void __real_notify_send(const char *state);
void __wrap_notify_send(const char *state);

void say_result(long result, char *answer, size_t size)
{
	const char *name = result < 0 ? strerrorname_np(errno) : "ok";
	(void)snprintf(answer, size, "%s", name != NULL ? name : "an error without a name");
}

static const struct attempt *find(const char *name)
{
	for (const struct attempt *attempt = attempts_system; attempt->name != NULL; attempt++)
		if (strcmp(attempt->name, name) == 0)
			return attempt;
	for (const struct attempt *attempt = attempts_queries; attempt->name != NULL; attempt++)
		if (strcmp(attempt->name, name) == 0)
			return attempt;
	return NULL;
}

static void obey(char *line, char *answer, size_t size)
{
	char *words[WORDS_MAX] = {NULL}, *rest = NULL;
	int count = 0;
	for (char *word = strtok_r(line, " \n", &rest); word != NULL && count < WORDS_MAX;
	     word = strtok_r(NULL, " \n", &rest))
		words[count++] = word;
	const struct attempt *attempt = count > 0 ? find(words[0]) : NULL;
	if (attempt == NULL || attempt->words != count - 1)
		(void)snprintf(answer, size, "no such attempt");
	else
		attempt->make(&words[1], answer, size);
}

static void *run(void *ignored)
{
	static char line[4096], answer[LINE_DOCUMENT_BYTES + 2];
	while (fgets(line, sizeof(line), stdin) != NULL) {
		obey(line, answer, sizeof(answer) - 1);
		(void)strcat(answer, "\n");
		(void)!write(STDOUT_FILENO, answer, strlen(answer));
	}
	return ignored;
}

int __wrap_workers_start(struct proxy *proxy, int witness_fd, const int *sockets, int count, struct workers **ret,
                         struct error *err)
{
	witness_main_fd = witness_fd;
	return __real_workers_start(proxy, witness_fd, sockets, count, ret, err);
}

void __wrap_notify_send(const char *state)
{
	pthread_t thread;
	__real_notify_send(state);
	if (strcmp(state, "READY=1") == 0 && pthread_create(&thread, NULL, run, NULL) == 0)
		(void)pthread_detach(thread);
}
