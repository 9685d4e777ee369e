/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/aws.h"

/* Notifications of new objects by an SQS queue. */

/* sqs://REGION/ACCOUNT/NAME, or a queue's URL as SQS has it. */
bool queue_is_name(const char *name);

/* One message: an object that was made. */
struct queue_object {
	const char *name;    /* s3://BUCKET/KEY */
	const char *version; /* ETag, "" where not said */
};

/* Finds the objects in a message's body: S3's event notifications, CloudTrail's own by SNS, EventBridge's; as they are
 * or wrapped by SNS. 1: understood, also if it names none (a test message); 0: not understood. Pure. */
MUST_USE int queue_parse(const char *body, size_t length,
                         int (*object)(void *context, const struct queue_object *object, struct error *err),
                         void *context, struct error *err);

struct queue_reader {
	/* A message is about to be read; then its objects; then is it understood? */
	int (*object)(void *context, const struct queue_object *object, struct error *err);
	/* `receipt` takes it out of the queue, later. */
	int (*message)(void *context, const char *id, const char *receipt, bool is_understood, struct error *err);
	void *context;
};

/* Waits up to `wait_seconds` (20 at most) for messages, ten at most. */
MUST_USE int queue_receive(struct aws *aws, const char *name, int wait_seconds, const struct queue_reader *reader,
                           struct error *err);
MUST_USE int queue_delete(struct aws *aws, const char *name, const char *receipt, struct error *err);
