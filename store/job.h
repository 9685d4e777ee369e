/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/sink.h"
#include "store/writer.h"

/* A row in the writer's queue. */
struct job {
	struct sink_row row;      /* first: the sink gets a list of these */
	struct writer_wait *wait; /* whose row it is; NULL: nobody waits */
	bool *ret_durable;        /* in that */
};

static inline struct job *job_of(struct sink_row *row)
{
	return (struct job *)row;
}

/* Packs rows, all or none, into a list that the caller owns. */
MUST_USE int jobs_make(const struct entry *entries, size_t count, struct writer_wait *wait, struct sink_row **ret,
                       struct error *err);
void job_free(struct job *job);
/* A whole list; NULL is fine. */
void jobs_free(struct sink_row *first);
