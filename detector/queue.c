/* SPDX-License-Identifier: Apache-2.0 */

/* SQS in its JSON protocol. Bodies are whatever may send to the queue: what is not understood is left there. */
#include "detector/queue.h"

#include <string.h>

#include "common/text.h"
#include "detector/aws_answer.h"

#define SCHEME "sqs://"
#define WRAPS_MAX 3
#define CONTENT_TYPE "application/x-amz-json-1.0"

bool queue_is_name(const char *name)
{
	return text_starts(name, SCHEME) || text_starts(name, "https://sqs.") ||
	       (text_starts(name, "http://") && strstr(name, "/queue/") != NULL);
}

/* ---- bodies */

struct found {
	int (*object)(void *context, const struct queue_object *object, struct error *err);
	void *context;
};

/* 0: no object that can be. */
MUST_USE static int take(const struct found *found, const char *bucket, const char *key, const char *tag,
                         bool is_encoded, struct error *err)
{
	CLEANUP_FREE char *copy = key != NULL ? strdup(key) : NULL;
	CLEANUP_FREE char *name = NULL;
	if (bucket == NULL || key == NULL || strchr(bucket, '/') != NULL)
		return 0;
	if (copy == NULL || (is_encoded && !text_decode_form(copy)))
		return copy == NULL ? error_set(err, ERROR_MEMORY, "no memory for a message") : 0;
	if (asprintf(&name, "s3://%s/%s", bucket, copy) < 0)
		return error_set(err, ERROR_MEMORY, "no memory for a message");
	const struct queue_object object = {name, tag != NULL ? tag : ""};
	return found->object(found->context, &object, err) < 0 ? -1 : 1;
}

/* {"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{...}}]} */
MUST_USE static int take_records(const struct found *found, const json_t *records, struct error *err)
{
	for (size_t i = 0; i < json_array_size(records); i++) {
		const json_t *record = json_array_get(records, i);
		const char *event = json_text_at(record, "eventName"), *source = json_text_at(record, "eventSource");
		if (source == NULL || strcmp(source, "aws:s3") != 0)
			return 0;
		if (event == NULL || !text_starts(event, "ObjectCreated:"))
			continue;
		int result = take(found, json_text_at(record, "s3.bucket.name"), json_text_at(record, "s3.object.key"),
		                  json_text_at(record, "s3.object.eTag"), true, err);
		if (result <= 0)
			return result;
	}
	return 1;
}

/* {"s3Bucket":"...","s3ObjectKey":["..."]}, as CloudTrail tells SNS. */
MUST_USE static int take_trail(const struct found *found, const json_t *body, struct error *err)
{
	const json_t *key;
	for (size_t i = 0; (key = aws_answer_list(body, "s3ObjectKey", i)) != NULL; i++) {
		int result = take(found, json_text_at(body, "s3Bucket"), json_string_value(key), NULL, false, err);
		if (result <= 0)
			return result;
	}
	return 1;
}

MUST_USE static int take_body(const struct found *found, const char *bytes, size_t length, unsigned depth,
                              struct error *err)
{
	CLEANUP_JSON json_t *body = NULL;
	if (depth > WRAPS_MAX || json_read(bytes, length, &body, NULL) < 0)
		return 0;
	const char *type = json_text_at(body, "Type"), *message = json_text_at(body, "Message");
	const char *event = json_text_at(body, "Event"), *detail_type = json_text_at(body, "detail-type");
	if (type != NULL && strcmp(type, "Notification") == 0 && message != NULL)
		return take_body(found, message, strlen(message), depth + 1, err);
	if (event != NULL && strcmp(event, "s3:TestEvent") == 0)
		return 1;
	if (json_is_array(json_at(body, "Records")))
		return take_records(found, json_at(body, "Records"), err);
	if (json_at(body, "s3ObjectKey") != NULL)
		return take_trail(found, body, err);
	if (detail_type != NULL && strcmp(detail_type, "Object Created") == 0)
		return take(found, json_text_at(body, "detail.bucket.name"), json_text_at(body, "detail.object.key"),
		            json_text_at(body, "detail.object.etag"), false, err);
	/* CloudTrail tells SNS this when a trail is made. */
	return message != NULL && text_starts(message, "CloudTrail validation message");
}

int queue_parse(const char *body, size_t length,
                int (*object)(void *context, const struct queue_object *object, struct error *err), void *context,
                struct error *err)
{
	const struct found found = {object, context};
	return take_body(&found, body, length, 0, err);
}

/* ---- calls */

struct queue {
	char url[512], base[300], region[64];
};

MUST_USE static int read_name(const char *name, struct queue *ret, struct error *err)
{
	struct queue queue = {0};
	const char *host = strstr(name, "://") + 3;
	size_t length = strcspn(host, "/");
	if (text_starts(name, SCHEME)) {
		if (snprintf(queue.region, sizeof(queue.region), "%.*s", (int)length, host) >=
		            (int)sizeof(queue.region) ||
		    length == 0 || host[length] != '/' || strchr(host + length + 1, '/') == NULL ||
		    snprintf(queue.url, sizeof(queue.url), "https://sqs.%s.amazonaws.com%s%s", queue.region,
		             text_starts(queue.region, "cn-") ? ".cn" : "", host + length) >= (int)sizeof(queue.url))
			return error_set(err, ERROR_USAGE, "%.120s: expected sqs://REGION/ACCOUNT/NAME", name);
		*ret = queue;
		return 0;
	}
	if (!text_copy(queue.url, sizeof(queue.url), name) ||
	    snprintf(queue.base, sizeof(queue.base), "%.*s", (int)(host - name) + (int)length, name) >=
	            (int)sizeof(queue.base))
		return error_set(err, ERROR_USAGE, "%.120s: longer than a queue's URL can be", name);
	if (text_starts(host, "sqs."))
		(void)snprintf(queue.region, sizeof(queue.region), "%.*s", (int)strcspn(host + 4, "./"), host + 4);
	*ret = queue;
	return 0;
}

MUST_USE static int ask(struct aws *aws, const struct queue *queue, const char *target, json_t *body, json_t **ret,
                        struct error *err)
{
	CLEANUP_JSON json_t *owned = body;
	json_put_text(owned, "QueueUrl", queue->url);
	CLEANUP_FREE char *text = json_line(owned);
	if (text == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a request");
	const struct aws_call call = {.service = "sqs",
	                              .region = queue->region[0] != '\0' ? queue->region : NULL,
	                              .url = queue->base[0] != '\0' ? queue->base : NULL,
	                              .target = target,
	                              .content_type = CONTENT_TYPE,
	                              .body = text,
	                              .body_length = strlen(text)};
	return aws_ask(aws, &call, ret, err);
}

int queue_receive(struct aws *aws, const char *name, int wait_seconds, const struct queue_reader *reader,
                  struct error *err)
{
	CLEANUP_JSON json_t *answer = NULL;
	struct queue queue;
	json_t *body = json_object();
	json_put_int(body, "MaxNumberOfMessages", 10);
	json_put_int(body, "WaitTimeSeconds", wait_seconds);
	if (read_name(name, &queue, err) < 0) {
		json_decref(body);
		return -1;
	}
	if (ask(aws, &queue, "AmazonSQS.ReceiveMessage", body, &answer, err) < 0)
		return error_prefix(err, "%s", name);
	const json_t *message;
	for (size_t i = 0; (message = aws_answer_list(answer, "Messages", i)) != NULL; i++) {
		const char *text = json_text_at(message, "Body"), *receipt = json_text_at(message, "ReceiptHandle");
		const char *id = json_text_at(message, "MessageId");
		if (text == NULL || receipt == NULL)
			continue;
		int understood = queue_parse(text, strlen(text), reader->object, reader->context, err);
		if (understood < 0 ||
		    reader->message(reader->context, id != NULL ? id : "", receipt, understood > 0, err) < 0)
			return -1;
	}
	return 0;
}

int queue_delete(struct aws *aws, const char *name, const char *receipt, struct error *err)
{
	CLEANUP_JSON json_t *answer = NULL;
	struct queue queue;
	json_t *body = json_object();
	json_put_text(body, "ReceiptHandle", receipt);
	if (read_name(name, &queue, err) < 0) {
		json_decref(body);
		return -1;
	}
	if (ask(aws, &queue, "AmazonSQS.DeleteMessage", body, &answer, err) < 0)
		return error_prefix(err, "%s", name);
	return 0;
}
