/* SPDX-License-Identifier: Apache-2.0 */

/* Sentences about findings. What a type of finding means, and what a rung of evidence proves, stands in two tables;
 * docs/findings.md says the same at length. */
#include "detector/verdict.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/text.h"
#include "detector/suspects.h"

const char *const certainty_names[CERTAINTY_COUNT] = {[CERTAINTY_NONE] = "unknown",
                                                      [CERTAINTY_WEAK] = "weak",
                                                      [CERTAINTY_STRONG] = "strong",
                                                      [CERTAINTY_SURE] = "certain"};

/* ---- one sentence on the finding */

enum place { PLACE_NONE, PLACE_ACCOUNT, PLACE_ADDRESS };
static const struct {
	const char *type, *used;
	enum place place; /* what of the other side is said behind it */
} types[] = {
	{"InstanceCredentialExfiltration.InsideAWS", "was used from another AWS account", PLACE_ACCOUNT},
	{"InstanceCredentialExfiltration.OutsideAWS", "was used from outside AWS", PLACE_ADDRESS},
	{"InstanceCredentialExfiltration.OtherInstance", "was used in its own account, but not where its instance is",
         PLACE_ADDRESS},
	{"InstanceCredentialUse.NeverRelayed", "was used although the proxy of its machine never handed it out",
         PLACE_NONE},
	{"InstanceCredentialUse.AfterExpiry", "was used after it had expired", PLACE_ADDRESS},
};

MUST_USE static int say_whose(const json_t *finding, struct buffer *to, struct error *err)
{
	const char *key = json_text_at(finding, "access_key_id"), *principal = json_text_at(finding, "principal_id");
	const char *role = json_text_at(finding, "owner.role"), *instance = json_text_at(finding, "owner.instance_id");
	const char *account = json_text_at(finding, "owner.account_id");
	if (buffer_printf(to, err, "%s %s", key != NULL ? "Key" : "A session of",
	                  key != NULL         ? key
	                  : principal != NULL ? principal
	                                      : "an instance") < 0)
		return -1;
	if ((role != NULL && buffer_printf(to, err, " of role %s", role) < 0) ||
	    (instance != NULL && buffer_printf(to, err, " on %s", instance) < 0))
		return -1;
	return account == NULL ? 0 : buffer_printf(to, err, " in account %s", account);
}

MUST_USE static int say_place(const json_t *finding, enum place place, struct buffer *to, struct error *err)
{
	const char *account = json_text_at(finding, "remote.account_id");
	const char *address = json_text_at(finding, "remote.address");
	const char *endpoint = json_text_at(finding, "remote.vpc_endpoint_id");
	const char *other = endpoint != NULL ? endpoint : address;
	if (place == PLACE_NONE)
		return 0;
	if (place == PLACE_ACCOUNT && account != NULL)
		return buffer_printf(to, err, " (%s)", account);
	if (other == NULL)
		return 0;
	return buffer_printf(to, err, place == PLACE_ACCOUNT ? " (not known which; %s)" : " (%s)", other);
}

int verdict_sentence(const json_t *finding, struct buffer *to, struct error *err)
{
	const char *type = json_text_at(finding, "type"), *summary = json_text_at(finding, "summary");
	const char *first = json_text_at(finding, "first_seen"), *last = json_text_at(finding, "last_seen");
	const char *used = summary != NULL ? summary : "was used where it should not have been";
	enum place place = PLACE_ACCOUNT;
	int64_t count = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(types); i++)
		if (type != NULL && strcmp(types[i].type, type) == 0) {
			used = types[i].used;
			place = types[i].place;
		}
	if (say_whose(finding, to, err) < 0 || buffer_printf(to, err, " %s", used) < 0 ||
	    say_place(finding, place, to, err) < 0)
		return -1;
	if (json_int_at(finding, "count", &count) &&
	    buffer_printf(to, err, count == 1 ? ", once" : ", %" PRId64 " times", count) < 0)
		return -1;
	if (first == NULL || last == NULL)
		return buffer_printf(to, err, ".");
	if (strcmp(first, last) == 0)
		return buffer_printf(to, err, ", at %s.", first);
	return buffer_printf(to, err, ", from %s to %s.", first, last);
}

/* ---- the likeliest receiver */

MUST_USE static int say_process(const json_t *suspect, struct buffer *to, struct error *err)
{
	const char *exe = json_text_at(suspect, "process.exe"), *unit = json_text_at(suspect, "process.unit");
	const char *container = json_text_at(suspect, "process.container_id"),
		   *user = json_text_at(suspect, "process.user"), *grade = json_text_at(suspect, "attribution.grade");
	int64_t pid = 0;
	if (buffer_printf(to, err, "%s", exe != NULL ? exe : "a process that is not known") < 0 ||
	    (json_int_at(suspect, "process.pid", &pid) && buffer_printf(to, err, ", process %" PRId64, pid) < 0) ||
	    (user != NULL && buffer_printf(to, err, ", user %s", user) < 0) ||
	    (unit != NULL && buffer_printf(to, err, ", unit %s", unit) < 0) ||
	    (container != NULL && buffer_printf(to, err, ", container %.12s", container) < 0))
		return -1;
	/* That it may have been somebody else. */
	if (json_array_size(json_at(suspect, "holders")) > 1)
		return buffer_printf(to, err, ", or another process that held the same connection.");
	if (grade != NULL && strcmp(grade, grade_names[GRADE_RELAY]) == 0)
		return buffer_printf(to, err, ", or somebody whose connections it passes on.");
	return buffer_printf(to, err, ".");
}

static bool time_at(const json_t *object, const char *name, int64_t *ret_us)
{
	const char *text = json_text_at(object, name);
	return text != NULL && clock_parse(text, ret_us);
}

/* When a suspect received the key by AWS's clock. False: it received it more than once, of which a finding tells only
 * the first time, or its machine's clock was wrong. */
static bool received_at(const json_t *suspect, int64_t *ret_us)
{
	const json_t *reasons = json_at(suspect, "reasons");
	int64_t deliveries = 1;
	(void)json_int_at(suspect, "deliveries", &deliveries);
	for (size_t i = 0; i < json_array_size(reasons); i++)
		if (suspects_tells_of_clock(json_string_value(json_array_get(reasons, i))))
			return false;
	return deliveries == 1 && time_at(suspect, "delivered_at", ret_us);
}

/* The one that received the key last, but before its first use: the use of a key that was made with it counts from when
 * it was made. NULL: nobody did, or what is known is too close to say so. */
static const json_t *last_before(const json_t *finding)
{
	const json_t *suspects = json_at(finding, "suspects"), *last = NULL;
	const json_t *made = json_array_get(json_at(finding, "lineage"), 1);
	int64_t first_use_us, last_us = 0, other_us = 0, at_us;
	if (!time_at(made != NULL ? made : finding, made != NULL ? "at" : "first_seen", &first_use_us))
		return NULL;
	for (size_t i = 0; i < json_array_size(suspects); i++) {
		const json_t *suspect = json_array_get(suspects, i);
		if (!received_at(suspect, &at_us))
			return NULL;
		if (at_us > first_use_us && at_us - first_use_us <= SUSPECTS_SLACK_US)
			return NULL;
		if (at_us > first_use_us || at_us <= other_us)
			continue;
		other_us = at_us > last_us ? last_us : at_us;
		last = at_us > last_us ? suspect : last;
		last_us = at_us > last_us ? at_us : last_us;
	}
	return last_us - other_us > SUSPECTS_SLACK_US ? last : NULL;
}

/* Nobody is to be accused by his place in a list. */
MUST_USE static int say_nobody(const json_t *finding, int64_t count, struct buffer *to, struct error *err)
{
	const json_t *last = last_before(finding);
	if (suspects_note_of(finding) == SUSPECTS_NOBODY)
		return buffer_printf(to, err,
		                     "Nobody is on record as having received it before its first use; %" PRId64
		                     " received it later.",
		                     count);
	if (buffer_printf(to, err, "Nothing sets one of its %" PRId64 " receivers apart.", count) < 0)
		return -1;
	if (last == NULL)
		return 0;
	return buffer_printf(to, err, " The last before its first use was ") < 0 ? -1 : say_process(last, to, err);
}

int verdict_suspect(const json_t *finding, struct buffer *to, struct error *err)
{
	enum suspects_note note = suspects_note_of(finding);
	const json_t *suspects = json_at(finding, "suspects"), *first = json_array_get(suspects, 0);
	int64_t more = 0;
	if (first == NULL)
		return buffer_printf(to, err, "No ledger that was read says who had received it.");
	(void)json_int_at(finding, "suspects_omitted", &more);
	int64_t count = (int64_t)json_array_size(suspects) + more;
	if (note == SUSPECTS_NOBODY || note == SUSPECTS_ALIKE || note == SUSPECTS_SOME_ALIKE)
		return say_nobody(finding, count, to, err);
	bool is_only = note == SUSPECTS_ONLY || note == SUSPECTS_ONLY_UNSURE;
	int result = count == 1 ? buffer_printf(to, err, "Its only known receiver is ")
	             : is_only  ? buffer_printf(to, err, "Its only known receiver before its first use is ")
	                        : buffer_printf(to, err, "The likeliest of %" PRId64 " receivers is ", count);
	return result < 0 ? -1 : say_process(first, to, err);
}

/* ---- whose account the other side is */

#define AT_THAT_TIME "the address was that account's at that time"

/* What each rung proves, if the account is known, and if it is not. */
static const struct {
	enum certainty known;
	const char *known_by;
	enum certainty unknown;
	const char *unknown_text;
} rungs[] = {
	[0] = {CERTAINTY_STRONG, "the calls came from where the key belongs", CERTAINTY_NONE,
               "The calls came from where the key belongs: there may be no other side."},
	[1] = {CERTAINTY_SURE, "CloudTrail itself names the owner of the VPC endpoint", CERTAINTY_NONE,
               "Whose account it is, is not known: CloudTrail does not name the owner of the VPC endpoint."},
	[2] = {CERTAINTY_STRONG, "the inventory has the VPC endpoint in that account", CERTAINTY_NONE,
               "Whose account it is, is not known: no record and no inventory names the owner of the VPC endpoint. AWS "
               "can."},
	[3] = {CERTAINTY_SURE, "that account's own log has a record of the same call", CERTAINTY_NONE,
               "Whose account it is, is not known, though another account's log has the same call."},
	[4] = {CERTAINTY_STRONG, AT_THAT_TIME, CERTAINTY_NONE,
               "The address belongs to a machine of ours, but not to the one that the key is of."},
	[5] = {CERTAINTY_STRONG, AT_THAT_TIME, CERTAINTY_WEAK,
               "Some AWS account had the address, which is one of EC2's; only AWS can say which. It may also be a NAT "
               "gateway of ours that the inventory lacks."},
	[6] = {CERTAINTY_STRONG, AT_THAT_TIME, CERTAINTY_NONE,
               "There is no AWS account on the other side: the address is none of AWS's."},
	[7] = {CERTAINTY_STRONG, AT_THAT_TIME, CERTAINTY_NONE,
               "Whose account it is, is not known: a private address, or one that cannot be read, says nothing of it."},
};

static const char *advice_for(const char *relation, bool is_known, int64_t rung)
{
	if (is_known && strcmp(relation, "affiliated") == 0)
		return "It is an account of yours, or affiliated: ask its owner before anything else.";
	if (is_known)
		return "It is no account that you named as yours: stop the key first, then report it to AWS Trust & "
		       "Safety.";
	if (rung == 6)
		return "Stop the key first; then ask whoever runs the network that the address is in.";
	return "Stop the key first; AWS Support can say whose address or endpoint it was.";
}

json_t *verdict_other_side(const json_t *finding)
{
	static const char *const copied[] = {"account_id", "address", "vpc_endpoint_id", "network"};
	const char *account = json_text_at(finding, "remote.account_id"),
		   *relation = json_text_at(finding, "remote.relation");
	const char *owner = json_text_at(finding, "owner.account_id");
	int64_t rung = -1;
	bool has_rung = json_int_at(finding, "rung", &rung) && rung >= 0 && rung < (int64_t)ARRAY_LENGTH(rungs);
	bool is_own = account != NULL && owner != NULL && strcmp(account, owner) == 0;
	enum certainty certainty = CERTAINTY_NONE;
	const char *because = has_rung ? rungs[rung].known_by : "the finding does not say by what";
	char text[400];
	if (has_rung)
		certainty = account != NULL ? rungs[rung].known : rungs[rung].unknown;
	if (is_own)
		(void)snprintf(text, sizeof(text), "It is the key's own account, %s: %s.", account, because);
	else if (account != NULL)
		(void)snprintf(text, sizeof(text), "It is account %s; that is %s: %s.", account,
		               certainty_names[certainty], because);
	else
		(void)snprintf(text, sizeof(text), "%s",
		               has_rung ? rungs[rung].unknown_text
		                        : "Whose account it is, is not known: the source of the calls is not.");

	json_t *side = json_object();
	for (size_t i = 0; i < ARRAY_LENGTH(copied); i++) {
		const json_t *remote = json_at(finding, "remote");
		json_put(side, copied[i], json_incref(json_object_get(remote, copied[i])));
	}
	json_put_text(side, "relation", relation != NULL ? relation : "unknown");
	json_put_text(side, "certainty", certainty_names[certainty]);
	json_put_text(side, "text", text);
	json_put_text(side, "advice",
	              is_own ? "Find out which machine of yours it was, and what connects the two."
	                     : advice_for(relation != NULL ? relation : "unknown", account != NULL, rung));
	return side;
}
