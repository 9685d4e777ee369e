/* SPDX-License-Identifier: Apache-2.0 */

/* Timesketch: JSON Lines, one object for each point in time that a finding knows, with the three fields that it asks
 * for (message, datetime, timestamp_desc), the microseconds beside them, and flat fields to search by. */
#include "detector/output_form.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "detector/verdict.h"
#include "store/model.h"

#define TEXT_BYTES 4096

/* What was handed out is the key that a derived one goes back to. */
static const char *delivered_key(const json_t *finding)
{
	const json_t *root = json_array_get(json_at(finding, "lineage"), 0);
	return json_text_at(root != NULL ? root : finding, "access_key_id");
}

/* One line, about a finding and, maybe, one receiver. */
MUST_USE static int add(const json_t *finding, const json_t *suspect, const char *at, const char *what, json_t *message,
                        json_t *to, struct error *err)
{
	static const struct {
		const char *to, *path;
	} of_finding[] = {{"finding_id", "id"},
	                  {"finding_type", "type"},
	                  {"severity", "severity"},
	                  {"access_key_id", "access_key_id"},
	                  {"principal_id", "principal_id"},
	                  {"account_id", "owner.account_id"},
	                  {"instance_id", "owner.instance_id"},
	                  {"role", "owner.role"},
	                  {"remote_account_id", "remote.account_id"},
	                  {"remote_relation", "remote.relation"},
	                  {"src_ip", "remote.address"},
	                  {"vpc_endpoint_id", "remote.vpc_endpoint_id"},
	                  {"network", "remote.network"},
	                  {"state", "state"}},
	  of_suspect[] = {{"process_path", "process.exe"},
	                  {"process_sha256", "process.exe_sha256"},
	                  {"username", "process.user"},
	                  {"unit", "process.unit"},
	                  {"container_id", "process.container_id"},
	                  {"user_agent", "user_agent"},
	                  {"grade", "attribution.grade"}};
	int64_t at_us, pid;
	CLEANUP_JSON json_t *owned = message;
	if (at == NULL || !clock_parse(at, &at_us))
		return 0;
	json_t *line = json_object();
	json_put(line, "message", json_incref(owned));
	json_put_text(line, "datetime", at);
	json_put_int(line, "timestamp", at_us);
	json_put_text(line, "timestamp_desc", what);
	json_put_text(line, "data_type", "keytrail:finding");
	for (size_t i = 0; i < ARRAY_LENGTH(of_finding); i++)
		output_put(line, of_finding[i].to, output_text(json_text_at(finding, of_finding[i].path), TEXT_BYTES));
	if (suspect != NULL)
		output_put(line, "access_key_id", output_text(delivered_key(finding), TEXT_BYTES));
	for (size_t i = 0; i < ARRAY_LENGTH(of_suspect); i++)
		output_put(line, of_suspect[i].to, output_text(json_text_at(suspect, of_suspect[i].path), TEXT_BYTES));
	if (json_int_at(suspect, "process.pid", &pid))
		json_put_int(line, "pid", pid);
	output_put(line, "command_line", output_command(json_at(suspect, "process"), TEXT_BYTES));
	return json_array_append_new(to, line) == 0 ? 0 : error_set(err, ERROR_MEMORY, "no memory for a finding");
}

static json_t *delivery_message(const json_t *finding, const json_t *suspect)
{
	const char *key = delivered_key(finding), *exe = json_text_at(suspect, "process.exe");
	const char *outcome = json_text_at(suspect, "outcome");
	size_t holders = json_array_size(json_at(suspect, "holders"));
	bool is_delivered = outcome == NULL || strcmp(outcome, outcome_names[OUTCOME_DELIVERED]) == 0;
	int64_t pid = 0;
	CLEANUP_BUFFER struct buffer text = {0};
	if (buffer_printf(&text, NULL, "Key %s was %s %s", key != NULL ? key : OUTPUT_UNKNOWN,
	                  is_delivered ? "handed to" : "asked for by",
	                  exe != NULL ? exe : "a process that is not known") < 0 ||
	    (json_int_at(suspect, "process.pid", &pid) && buffer_printf(&text, NULL, ", process %" PRId64, pid) < 0) ||
	    (holders > 1 && buffer_printf(&text, NULL, ", or another that held the same connection") < 0))
		return NULL;
	return output_text(text.bytes, TEXT_BYTES);
}

MUST_USE static int add_suspects(const json_t *finding, json_t *to, struct error *err)
{
	const json_t *suspects = json_at(finding, "suspects");
	for (size_t i = 0; i < json_array_size(suspects); i++) {
		const json_t *suspect = json_array_get(suspects, i);
		const char *first = json_text_at(suspect, "delivered_at"),
			   *last = json_text_at(suspect, "last_delivered_at");
		int64_t deliveries = 0;
		(void)json_int_at(suspect, "deliveries", &deliveries);
		if (add(finding, suspect, first, "Key Delivered", delivery_message(finding, suspect), to, err) < 0 ||
		    (deliveries > 1 && add(finding, suspect, last, "Key Last Delivered",
		                           delivery_message(finding, suspect), to, err) < 0))
			return -1;
	}
	return 0;
}

static int make(const json_t *finding, json_t *to, struct error *err)
{
	const char *first = json_text_at(finding, "first_seen"), *last = json_text_at(finding, "last_seen");
	int64_t count = 0;
	(void)json_int_at(finding, "count", &count);
	if (add_suspects(finding, to, err) < 0 ||
	    add(finding, NULL, first, "First Use Seen", output_title(finding, TEXT_BYTES), to, err) < 0)
		return -1;
	return count > 1 ? add(finding, NULL, last, "Last Use Seen", output_title(finding, TEXT_BYTES), to, err) : 0;
}

const struct output_form output_timesketch = {.name = "timesketch", .make = make};
