/* SPDX-License-Identifier: Apache-2.0 */

/* Reading answers. They come over TLS from AWS, or from whatever --endpoint-url names: bounded in depth and size, and
 * nothing that expat would fetch or expand. */
#include "detector/aws_answer.h"

#include <expat.h>
#include <string.h>

#include "common/buffer.h"
#include "common/text.h"

struct reading {
	XML_Parser parser;
	json_t *stack[AWS_XML_DEPTH]; /* [0]: what holds the root */
	char *names[AWS_XML_DEPTH];
	size_t depth;
	struct buffer text;
	struct error problem;
};

static void stop(struct reading *reading, enum error_code code, const char *what)
{
	if (reading->problem.code == ERROR_NONE)
		(void)error_set(&reading->problem, code, "XML: %s", what);
	(void)XML_StopParser(reading->parser, XML_FALSE);
}

static void on_doctype(void *context, const XML_Char *name, const XML_Char *system, const XML_Char *public,
                       int internal)
{
	(void)name;
	(void)system;
	(void)public;
	(void)internal;
	stop(context, ERROR_INPUT, "a document type");
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
	struct reading *reading = context;
	(void)attributes;
	if (reading->depth + 1 >= AWS_XML_DEPTH) {
		stop(reading, ERROR_LIMIT, "elements nested too deep");
		return;
	}
	reading->depth++;
	reading->stack[reading->depth] = json_object();
	reading->names[reading->depth] = strdup(name);
	buffer_clear(&reading->text);
	if (reading->stack[reading->depth] == NULL || reading->names[reading->depth] == NULL)
		stop(reading, ERROR_MEMORY, "no memory");
}

static void on_text(void *context, const XML_Char *text, int length)
{
	struct reading *reading = context;
	if (buffer_append(&reading->text, text, (size_t)length, NULL) < 0)
		stop(reading, ERROR_LIMIT, "an element with too much text");
}

/* The second of a name makes an array of both. Takes `value`. */
static int put(json_t *object, const char *name, json_t *value)
{
	json_t *before = json_object_get(object, name);
	if (before == NULL)
		return json_object_set_new(object, name, value);
	if (json_is_array(before))
		return json_array_append_new(before, value);
	json_t *array = json_array();
	if (array == NULL || json_array_append(array, before) < 0 || json_array_append_new(array, value) < 0) {
		json_decref(array);
		return -1;
	}
	return json_object_set_new(object, name, array);
}

static void on_end(void *context, const XML_Char *name)
{
	struct reading *reading = context;
	(void)name;
	CLEANUP_FREE char *own_name = steal_pointer(&reading->names[reading->depth]);
	json_t *value = steal_pointer(&reading->stack[reading->depth]);
	reading->depth--;
	if (json_object_size(value) == 0) {
		json_decref(value);
		value = json_from_bytes(reading->text.bytes != NULL ? reading->text.bytes : "", reading->text.length);
	}
	buffer_clear(&reading->text);
	if (value == NULL || own_name == NULL || put(reading->stack[reading->depth], own_name, value) < 0)
		stop(reading, ERROR_MEMORY, "no memory");
}

static void reading_done(struct reading *reading)
{
	for (size_t i = 0; i < AWS_XML_DEPTH; i++) {
		json_decref(reading->stack[i]);
		free(reading->names[i]);
	}
	buffer_done(&reading->text);
	if (reading->parser != NULL)
		XML_ParserFree(reading->parser);
}

MUST_USE static int read_xml(const char *bytes, size_t length, json_t **ret, struct error *err)
{
	CLEANUP(reading_done) struct reading reading = {.text.limit = AWS_XML_TEXT_BYTES};
	json_t *root;
	reading.stack[0] = json_object();
	reading.parser = XML_ParserCreate("UTF-8");
	if (reading.stack[0] == NULL || reading.parser == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for XML");
	if (length > INT32_MAX)
		return error_set(err, ERROR_LIMIT, "XML: too long");
	XML_SetUserData(reading.parser, &reading);
	XML_SetElementHandler(reading.parser, on_start, on_end);
	XML_SetCharacterDataHandler(reading.parser, on_text);
	XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
	if (XML_Parse(reading.parser, bytes, (int)length, 1) != XML_STATUS_OK) {
		if (reading.problem.code != ERROR_NONE)
			return error_set(err, reading.problem.code, "%s", reading.problem.text);
		return error_set(err, ERROR_INPUT, "XML: line %lu: %s", XML_GetCurrentLineNumber(reading.parser),
		                 XML_ErrorString(XML_GetErrorCode(reading.parser)));
	}
	root = json_object_iter_value(json_object_iter(reading.stack[0]));
	if (!json_is_object(root)) { /* an empty element */
		*ret = json_object();
		return *ret != NULL ? 0 : error_set(err, ERROR_MEMORY, "no memory for XML");
	}
	*ret = json_incref(root);
	return 0;
}

int aws_answer_read(const char *bytes, size_t length, json_t **ret, struct error *err)
{
	while (length > 0 && strchr(" \t\r\n", *bytes) != NULL && *bytes != '\0') {
		bytes++;
		length--;
	}
	if (length == 0) {
		*ret = json_object();
		return *ret != NULL ? 0 : error_set(err, ERROR_MEMORY, "no memory for an answer");
	}
	return *bytes == '<' ? read_xml(bytes, length, ret, err) : json_read(bytes, length, ret, err);
}

const json_t *aws_answer_list(const json_t *answer, const char *path, size_t index)
{
	const json_t *value = json_at(answer, path);
	if (json_is_array(value))
		return json_array_get(value, index);
	return index == 0 && !json_is_string(value)                           ? value
	       : index == 0 && value != NULL && json_string_length(value) > 0 ? value
	                                                                      : NULL;
}

static void take(const json_t *answer, const char *const *paths, size_t count, char *to, size_t size)
{
	for (size_t i = 0; i < count && to[0] == '\0'; i++) {
		const char *text = json_text_at(answer, paths[i]);
		if (text != NULL)
			(void)text_escape(to, size, text, strlen(text));
	}
}

void aws_answer_fault(const char *bytes, size_t length, struct aws_fault *ret)
{
	static const char *const codes[] = {"Code", "Error.Code", "Errors.Error.Code", "__type", "code"};
	static const char *const messages[] = {"Message", "Error.Message", "Errors.Error.Message", "message"};
	static const char *const regions[] = {"Region", "Error.Region"};
	CLEANUP_JSON json_t *answer = NULL;
	*ret = (struct aws_fault){0};
	if (aws_answer_read(bytes, length, &answer, NULL) < 0)
		return;
	take(answer, codes, ARRAY_LENGTH(codes), ret->code, sizeof(ret->code));
	take(answer, messages, ARRAY_LENGTH(messages), ret->message, sizeof(ret->message));
	take(answer, regions, ARRAY_LENGTH(regions), ret->region, sizeof(ret->region));
	/* "com.amazonaws.sqs#QueueDoesNotExist" */
	const char *hash = strrchr(ret->code, '#');
	if (hash != NULL)
		memmove(ret->code, hash + 1, strlen(hash + 1) + 1);
}
