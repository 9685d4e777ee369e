/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"

/* What AWS's services answer, as JSON trees: XML becomes objects, with the texts of elements as strings, and elements
 * of one name beside each other as an array. Whoever reads a list uses aws_answer_list, since a list of one has no
 * array. Pure. */

#define AWS_XML_DEPTH 32
#define AWS_XML_TEXT_BYTES ((size_t)64 << 10) /* of one element */

/* By the first byte, XML or JSON; an empty answer is an empty object. XML with a document type is refused: nothing of
 * AWS's has one. The root element's name is left out. */
MUST_USE int aws_answer_read(const char *bytes, size_t length, json_t **ret, struct error *err);

/* Entry `index` of what stands at a path, be it an array or a single value; NULL behind the last. Borrowed. */
const json_t *aws_answer_list(const json_t *answer, const char *path, size_t index);

/* What an error answer says. "" where it does not. */
struct aws_fault {
	char code[80];
	char message[300];
	char region[64]; /* where the resource is, if the service says so */
};
void aws_answer_fault(const char *bytes, size_t length, struct aws_fault *ret);
