/* SPDX-License-Identifier: Apache-2.0 */

/* The draft of a report to whoever can act on the other side: AWS's Trust & Safety team, as they ask for it: who is
 * suspected, when, in UTC, and the log as plain lines. What others chose is escaped: it is going to be pasted into a
 * form or a mail. */
#include "cli/containment.h"

#include <inttypes.h>
#include <string.h>

#include "cli/printable.h"

#define LINES_MAX 100 /* of the log */

/* Where such a report goes (AWS's abuse page: "Report abuse of AWS resources"). */
#define TRUST_AND_SAFETY "AWS Trust & Safety, trustandsafety@support.aws.com"

int containment_log_line(const json_t *use, const char *key, struct buffer *to, struct error *err)
{
	static const struct {
		const char *before, *path;
	} fields[] = {
		{"", "at"},
		{" ", "service"},
		{" ", "name"},
		{" error=", "error_code"},
		{" source=", "address"},
		{" region=", "region"},
		{" event_id=", "event_id"},
	};
	const char *agent = json_text_at(use, "user_agent");
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
		const char *text = json_text_at(use, fields[i].path);
		if (text != NULL && (buffer_append(to, fields[i].before, strlen(fields[i].before), err) < 0 ||
		                     printable_text(to, text, err) < 0))
			return -1;
	}
	if (key[0] != '\0' && buffer_printf(to, err, " key=%s", key) < 0)
		return -1;
	if (agent == NULL)
		return 0;
	if (buffer_printf(to, err, " user_agent=\"") < 0 || printable_text(to, agent, err) < 0)
		return -1;
	return buffer_printf(to, err, "\"");
}

/* A line "what: value", escaped; nothing for NULL. */
MUST_USE static int say(struct buffer *to, const char *what, const char *value)
{
	if (value == NULL)
		return 0;
	if (buffer_printf(to, NULL, "%s: ", what) < 0 || printable_text(to, value, NULL) < 0)
		return -1;
	return buffer_printf(to, NULL, "\n");
}

MUST_USE static int say_who(struct buffer *to, const json_t *finding, const json_t *other_side)
{
	const json_t *evidence = json_at(finding, "evidence");
	const char *account = json_text_at(other_side, "account_id");
	if (say(to, "Suspected AWS account", account != NULL ? account : "not known to us") < 0 ||
	    say(to, "How sure that is", json_text_at(other_side, "text")) < 0 ||
	    say(to, "VPC endpoint", json_text_at(other_side, "vpc_endpoint_id")) < 0 ||
	    say(to, "Source address", json_text_at(other_side, "address")) < 0 ||
	    say(to, "Network", json_text_at(other_side, "network")) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(evidence); i++)
		if (say(to, "Evidence", json_string_value(json_array_get(evidence, i))) < 0)
			return -1;
	return 0;
}

MUST_USE static int say_what(struct buffer *to, const json_t *finding)
{
	return say(to, "Our account", json_text_at(finding, "owner.account_id")) < 0 ||
	                       say(to, "Access key id", json_text_at(finding, "access_key_id")) < 0 ||
	                       say(to, "Principal", json_text_at(finding, "principal_id")) < 0 ||
	                       say(to, "Instance", json_text_at(finding, "owner.instance_id")) < 0 ||
	                       say(to, "First use (UTC)", json_text_at(finding, "first_seen")) < 0 ||
	                       say(to, "Last use (UTC)", json_text_at(finding, "last_seen")) < 0
	               ? -1
	               : 0;
}

/* The lines of this finding alone: others of the key may be another party's. */
MUST_USE static int say_log(struct buffer *to, const struct subject *subject, const json_t *finding)
{
	const char *id = json_text_at(finding, "id"), *key = json_text_at(finding, "access_key_id");
	int64_t count = 0;
	size_t shown = 0;
	(void)json_int_at(finding, "count", &count);
	for (size_t i = 0; i < json_array_size(subject->uses) && shown < LINES_MAX; i++) {
		const json_t *use = json_array_get(subject->uses, i);
		const char *of = json_text_at(use, "finding");
		if (id == NULL || of == NULL || strcmp(id, of) != 0)
			continue;
		if (containment_log_line(use, key != NULL ? key : "", to, NULL) < 0 ||
		    buffer_printf(to, NULL, "\n") < 0)
			return -1;
		shown++;
	}
	return count > (int64_t)shown ? buffer_printf(to, NULL, "... and %" PRId64 " more, which we can send.\n",
	                                              count - (int64_t)shown)
	                              : 0;
}

MUST_USE static int write_text(struct buffer *to, const struct subject *subject, const json_t *finding,
                               const json_t *other_side)
{
	if (buffer_printf(
		    to, NULL,
		    "To the AWS Trust & Safety team:\n\nTemporary credentials of one of our instances were used "
		    "without our "
		    "permission. We ask you to look into the account below, and to tell us whose it is as far as you "
		    "may.\n\n") < 0 ||
	    say_who(to, finding, other_side) < 0 || buffer_printf(to, NULL, "\n") < 0 || say_what(to, finding) < 0 ||
	    buffer_printf(to, NULL, "\nLog lines, from our CloudTrail; times are UTC:\n\n") < 0 ||
	    say_log(to, subject, finding) < 0)
		return -1;
	return buffer_printf(to, NULL,
	                     "\nWe have stopped the credentials / have not stopped them yet (delete one).\n"
	                     "Contact: NAME, PHONE, MAIL\n");
}

json_t *containment_draft(const struct subject *subject, const json_t *other_side)
{
	CLEANUP_BUFFER struct buffer text = {0};
	const json_t *finding = json_array_get(subject->findings, 0);
	const char *account = json_text_at(other_side, "account_id"), *key = json_text_at(finding, "access_key_id");
	const char *address = json_text_at(other_side, "address"),
		   *endpoint = json_text_at(other_side, "vpc_endpoint_id");
	const char *from = account != NULL    ? account
	                   : endpoint != NULL ? endpoint
	                   : address != NULL  ? address
	                                      : "an unknown place";
	if (write_text(&text, subject, finding, other_side) < 0)
		return NULL;
	return json_pack("{s:s, s:o, s:o}", "to", TRUST_AND_SAFETY, "subject",
	                 json_sprintf("Stolen credentials %s used from %s", key != NULL ? key : "of an instance", from),
	                 "text", json_string(text.bytes));
}
