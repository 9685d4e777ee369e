/* SPDX-License-Identifier: Apache-2.0 */

/* Made by whoever appends, so that the writer's thread only writes. */
#include "store/job.h"

void job_free(struct job *job)
{
	packed_done(&job->row.packed);
	free(job);
}

void jobs_free(struct sink_row *first)
{
	while (first != NULL) {
		struct job *job = job_of(first);
		first = first->next;
		job_free(job);
	}
}

int jobs_make(const struct entry *entries, size_t count, struct writer_wait *wait, struct sink_row **ret,
              struct error *err)
{
	struct sink_row *first = NULL, **last = &first;
	for (size_t i = 0; i < count; i++) {
		struct job *job = calloc(1, sizeof(*job));
		if (job == NULL || packed_make(&entries[i], &job->row.packed, err) < 0) {
			free(job);
			jobs_free(first);
			return job == NULL ? error_set(err, ERROR_MEMORY, "no memory for a row") : -1;
		}
		job->wait = wait;
		job->ret_durable = wait != NULL ? &wait->is_durable[i] : NULL;
		*last = &job->row;
		last = &job->row.next;
	}
	*ret = first;
	return 0;
}
