/* SPDX-License-Identifier: Apache-2.0 */

/* Which objects a message names, and which messages are none of ours. */
#include "tests/detector/support.h"

#include "detector/queue.h"

#define S3(event, key)                                                                                                 \
	"{\"eventSource\":\"aws:s3\",\"eventName\":\"" event                                                           \
	"\",\"s3\":{\"bucket\":{\"name\":\"b\"},\"object\":{\"key\":\"" key "\",\"eTag\":\"t\"}}}"
#define SNS(message) "{\"Type\":\"Notification\",\"Message\":\"" message "\"}"

static const struct {
	const char *body;
	int understood;
	const char *objects;
} bodies[] = {
	{"", 0, ""},
	{"hello", 0, ""},
	{"{}", 0, ""},
	{"[]", 0, ""},
	{"{\"Records\":[{\"eventSource\":\"aws:ses\"}]}", 0, ""},
	{"{\"Records\":[{\"eventSource\":\"aws:s3\",\"eventName\":\"ObjectCreated:Put\"}]}", 0, ""},
	{"{\"Records\":[" S3("ObjectCreated:Put", "a%2") "]}", 0, ""},
	{"{\"Records\":[" S3("ObjectCreated:Put", "a%00b") "]}", 0, ""},
	{"{\"Records\":[" S3("ObjectRemoved:Delete", "a") "]}", 1, ""},
	{"{\"Records\":[]}", 1, ""},
	{"{\"Service\":\"Amazon S3\",\"Event\":\"s3:TestEvent\"}", 1, ""},
	{"{\"Records\":[" S3("ObjectCreated:Put", "a+b%2Bc/%C3%BC.json") "," S3("ObjectCreated:Copy", "d") "]}", 1,
         "s3://b/a b+c/ü.json@t s3://b/d@t "},
	{SNS("{\\\"s3Bucket\\\":\\\"b\\\",\\\"s3ObjectKey\\\":[\\\"x+y\\\",\\\"z\\\"]}"), 1, "s3://b/x+y@ s3://b/z@ "},
	{SNS("CloudTrail validation message."), 0, ""},
	{"{\"Type\":\"Notification\",\"Message\":\"no JSON\"}", 0, ""},
	{"{\"Message\":\"CloudTrail validation message.\"}", 1, ""},
	{"{\"detail-type\":\"Object "
         "Created\",\"detail\":{\"bucket\":{\"name\":\"b\"},\"object\":{\"key\":\"x%2B\",\"etag\":\"e\"}}}",
         1, "s3://b/x%2B@e "},
	{"{\"detail-type\":\"Object Created\",\"detail\":{\"bucket\":{\"name\":\"b/c\"},\"object\":{\"key\":\"x\"}}}",
         0, ""},
	{"{\"detail-type\":\"Object Deleted\",\"detail\":{}}", 0, ""},
};

static char objects[1000];

static int on_object(void *context, const struct queue_object *object, struct error *err)
{
	size_t used = strlen(objects);
	(void)context;
	(void)err;
	(void)snprintf(objects + used, sizeof(objects) - used, "%s@%s ", object->name, object->version);
	return 0;
}

static void test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
		struct error err = {0};
		objects[0] = '\0';
		int understood = queue_parse(bodies[i].body, strlen(bodies[i].body), on_object, NULL, &err);
		if (understood != bodies[i].understood || strcmp(objects, bodies[i].objects) != 0)
			fail_msg("%s: %d, %s", bodies[i].body, understood, objects);
	}
}

/* SNS in SNS in SNS ... */
static void test_wraps(void **state)
{
	CLEANUP_FREE char *body = strdup("{\"Records\":[]}");
	(void)state;
	for (int wraps = 0; wraps < 6; wraps++) {
		assert_int_equal(queue_parse(body, strlen(body), on_object, NULL, NULL), wraps <= 3);
		CLEANUP_JSON json_t *wrap = json_object();
		json_put_text(wrap, "Type", "Notification");
		json_put_text(wrap, "Message", body);
		free(body);
		body = json_line(wrap);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_true(queue_is_name("sqs://eu-west-1/123456789012/q"));
	assert_true(queue_is_name("https://sqs.eu-west-1.amazonaws.com/123456789012/q"));
	assert_true(queue_is_name("http://127.0.0.1:4100/queue/q"));
	assert_false(queue_is_name("s3://b/sqs://"));
	assert_false(queue_is_name("/var/log/queue/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
