/* SPDX-License-Identifier: Apache-2.0 */

/* From the witness's late news to rows. Nobody waits for these: a row that is lost leaves a digest unknown, no more. */
#include "proxy/executables.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/clock.h"
#include "common/log.h"
#include "proxy/witness/line.h"

struct executables {
	struct writer *writer; /* borrowed */
	struct line *line;
	pthread_t thread;
	atomic_bool stop;
};

static void record(struct executables *executables, const json_t *body)
{
	struct error problem = {0};
	struct entry entry = {.kind = "executable", .at_us = clock_now_us(), .body = body};
	if (entry_id_make(entry.id, &problem) < 0)
		log_line(LOG_LEVEL_ERROR, "row_dropped", "reason=\"%s\"", problem.text);
	else
		writer_append_later(executables->writer, &entry);
}

static void *run(void *context)
{
	struct executables *executables = context;
	struct error problem = {0};
	for (;;) {
		CLEANUP_JSON json_t *body = NULL;
		if (line_digest(executables->line, &body, &problem) < 0)
			break;
		record(executables, body);
	}
	if (!atomic_load(&executables->stop))
		log_line(LOG_LEVEL_WARNING, "digests_ended", "reason=\"%s\"", problem.text);
	return NULL;
}

int executables_start(struct writer *writer, int witness_fd, struct executables **ret, struct error *err)
{
	struct executables *executables = calloc(1, sizeof(*executables));
	if (executables == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for digests of executables");
	executables->writer = writer;
	int result = line_open(witness_fd, &executables->line, err);
	if (result == 0 && pthread_create(&executables->thread, NULL, run, executables) != 0)
		result = error_set(err, ERROR_SYSTEM, "cannot start a thread for digests of executables");
	if (result < 0) {
		line_close(executables->line);
		free(executables);
		return -1;
	}
	*ret = executables;
	return 0;
}

void executables_stop(struct executables *executables)
{
	if (executables == NULL)
		return;
	atomic_store(&executables->stop, true);
	line_interrupt(executables->line);
	(void)pthread_join(executables->thread, NULL);
	line_close(executables->line);
	free(executables);
}
