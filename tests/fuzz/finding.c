/* SPDX-License-Identifier: Apache-2.0 */

/* Other tools' findings: what is given names a usable key, and has every member, whatever the document leaves out. */
#include "cli/access_key.h"
#include "cli/finding_input.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const char *const members[] = {"format",    "id",         "type",        "severity",
	                                      "title",     "account_id", "instance_id", "first_seen",
	                                      "last_seen", "count",      "remote"};
	CLEANUP_FREE char *text = fuzz_text(bytes, length);
	CLEANUP_JSON json_t *document = NULL;
	CLEANUP_JSON json_t *reports = NULL;
	struct error problem = {0};
	size_t findings = 0;
	if (json_read(text, length, &document, NULL) < 0 ||
	    finding_input_read(document, &reports, &findings, &problem) < 0)
		return 0;
	MUST(findings > 0);
	for (size_t i = 0; i < json_array_size(reports); i++) {
		const json_t *report = json_array_get(reports, i);
		const char *key = json_text_at(report, "access_key_id");
		MUST(key != NULL && access_key_is_valid(key));
		for (size_t j = 0; j < ARRAY_LENGTH(members); j++)
			MUST(json_object_get(report, members[j]) != NULL);
	}
	return 0;
}
