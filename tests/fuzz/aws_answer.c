/* SPDX-License-Identifier: Apache-2.0 */

/* What AWS answers, or whatever answers in its place: a tree, or a reason; lists that end; faults that fit. */
#include "detector/aws_answer.h"
#include "detector/aws_verdict.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const char *const paths[] = {"Contents", "a.b", "reservationSet.item"};
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	CLEANUP_JSON json_t *answer = NULL;
	struct error problem = {0};
	struct aws_fault fault;

	aws_answer_fault(text, length, &fault);
	MUST(strnlen(fault.code, sizeof(fault.code)) < sizeof(fault.code));
	MUST(strnlen(fault.message, sizeof(fault.message)) < sizeof(fault.message));
	MUST(strnlen(fault.region, sizeof(fault.region)) < sizeof(fault.region));
	MUST(aws_verdict_of(503, &fault) <= AWS_EXPIRED);
	if (aws_answer_read(text, length, &answer, &problem) < 0) {
		MUST(problem.code != ERROR_NONE && problem.text[0] != '\0');
		return 0;
	}
	MUST(answer != NULL);
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		size_t count = 0;
		while (aws_answer_list(answer, paths[i], count) != NULL)
			count++;
		MUST(count <= length);
	}
	return 0;
}
