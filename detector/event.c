/* SPDX-License-Identifier: Apache-2.0 */

/* From a record's bytes to a struct event: a table says where each field stands (fields.h), the rest of this file what
 * the texts mean. */
#include "detector/event.h"

#include <string.h>

#include "common/clock.h"
#include "common/digest.h"
#include "common/text.h"
#include "detector/fields.h"
#include "detector/triage.h"

/* Texts as they stand in the record, before they are looked at. */
struct raw {
	struct event event;
	char event_time[40], timestamp[40], created[40], addendum_reason[40], category[40], type[40];
	char account[EVENT_TEXT_BYTES], recipient[EVENT_TEXT_BYTES], endpoint_account[EVENT_TEXT_BYTES];
	char invoked_by[EVENT_TEXT_BYTES], issuer_arn[EVENT_LONG_BYTES];
	char authentication[40];
	char scope_type[40], scope_arn[EVENT_LONG_BYTES], scope_account[EVENT_TEXT_BYTES];
};

#define TEXT(json, field) FIELD(json, FIELD_TEXT, struct raw, field)

static const struct field issuer[] = {
	TEXT("arn", issuer_arn),
	TEXT("userName", event.role),
};
static const struct field attributes[] = {
	TEXT("creationDate", created),
};
static const struct field session[] = {
	FIELDS("sessionIssuer", issuer),
	FIELDS("attributes", attributes),
	TEXT("ec2RoleDelivery", event.role_delivery),
};
static const struct field scope[] = {
	TEXT("issuerType", scope_type),
	TEXT("credentialsIssuedTo", scope_arn),
	TEXT("sourceAccount", scope_account),
};
static const struct field identity[] = {
	TEXT("type", event.identity_type), TEXT("principalId", event.principal_id),
	TEXT("accountId", account),        TEXT("accessKeyId", event.access_key_id),
	TEXT("userName", event.user_name), TEXT("invokedBy", invoked_by),
	FIELDS("sessionContext", session), FIELDS("inScopeOf", scope),
};
static const struct field addendum[] = {
	TEXT("reason", addendum_reason),
	TEXT("originalEventID", event.replaces),
};
static const struct field additional[] = {TEXT("AuthenticationMethod", authentication)};
static const struct field record_fields[] = {
	TEXT("eventTime", event_time),
	TEXT("@timestamp", timestamp),
	TEXT("eventID", event.id),
	TEXT("eventVersion", event.version),
	TEXT("eventSource", event.service),
	TEXT("eventName", event.name),
	TEXT("errorCode", event.error_code),
	TEXT("awsRegion", event.region),
	FIELD("userAgent", FIELD_CUT, struct raw, event.user_agent),
	TEXT("recipientAccountId", recipient),
	TEXT("sharedEventID", event.shared_id),
	TEXT("requestID", event.request_id),
	TEXT("eventCategory", category),
	TEXT("eventType", type),
	FIELD("sessionCredentialFromConsole", FIELD_FLAG, struct raw, event.is_console),
	TEXT("sourceIPAddress", event.source_text),
	TEXT("vpcEndpointId", event.endpoint_id),
	TEXT("vpcEndpointAccountId", endpoint_account),
	FIELDS("userIdentity", identity),
	FIELDS("addendum", addendum),
	FIELDS("additionalEventData", additional),
};

/* ---- understanding */

bool event_is_account(const char *text)
{
	return strlen(text) == ACCOUNT_BYTES - 1 && strspn(text, "0123456789") == ACCOUNT_BYTES - 1;
}

static void take_account(char to[static ACCOUNT_BYTES], const char *text)
{
	to[0] = '\0';
	if (event_is_account(text))
		(void)text_copy(to, ACCOUNT_BYTES, text);
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);
	return length > wanted && strcmp(text + length - wanted, end) == 0;
}

/* What names of services end in, in each partition of AWS's: everywhere, China, Europe's own, and the secret ones. */
static const char *const service_domains[] = {".amazonaws.com",  ".amazonaws.com.cn", ".amazonaws.eu",
                                              ".api.aws",        ".c2s.ic.gov",       ".sc2s.sgov.gov",
                                              ".csp.hci.ic.gov", ".cloud.adc-e.uk"};

/* A service's DNS name, `AWS Internal`, or `AWS Internal/` and a number. */
static bool is_aws_name(const char *text)
{
	for (size_t i = 0; i < ARRAY_LENGTH(service_domains); i++)
		if (ends_with(text, service_domains[i]))
			return true;
	return strcmp(text, "AWS Internal") == 0 || text_starts(text, "AWS Internal/");
}

static void take_source(struct event *event)
{
	if (event->source_text[0] == '\0')
		event->source = EVENT_SOURCE_ABSENT;
	else if (address_parse(event->source_text, &event->address))
		event->source = EVENT_SOURCE_ADDRESS;
	else
		event->source = is_aws_name(event->source_text) ? EVENT_SOURCE_AWS : EVENT_SOURCE_ODD;
}

/* What AWS names as the owner of an endpoint of its own is no account. */
static void take_endpoint(struct event *event, const char *owner)
{
	const char *digits = event->endpoint_id + strlen("vpce-");
	if (event->endpoint_id[0] == '\0')
		event->endpoint = EVENT_ENDPOINT_NONE;
	else if (is_aws_name(event->endpoint_id))
		event->endpoint = EVENT_ENDPOINT_AWS;
	else if (text_starts(event->endpoint_id, "vpce-") && strspn(digits, "0123456789abcdef") == strlen(digits) &&
	         (strlen(digits) == 8 || strlen(digits) == 17))
		event->endpoint = is_aws_name(owner) ? EVENT_ENDPOINT_AWS : EVENT_ENDPOINT_ID;
	else
		event->endpoint = EVENT_ENDPOINT_ODD;
}

static void take_instance(struct event *event, const char *id)
{
	const char *end = id + strlen(id);
	if (triage_instance_id(id, end) == strlen(id))
		(void)text_copy(event->session_instance, sizeof(event->session_instance), id);
}

static void take_session(struct raw *raw)
{
	struct event *event = &raw->event;
	const char *session_name = strrchr(event->principal_id, ':');
	event->session_instance[0] = '\0';
	if (session_name != NULL)
		take_instance(event, session_name + 1);
	if (strcmp(raw->scope_type, "AWS::EC2::Instance") == 0) {
		const char *instance = strstr(raw->scope_arn, ":instance/");
		take_account(event->scope_account, raw->scope_account);
		if (event->session_instance[0] == '\0' && instance != NULL)
			take_instance(event, instance + strlen(":instance/"));
	}
	event->is_infrastructure = ends_with(raw->issuer_arn, ":role/aws:ec2-infrastructure");
	event->is_invoked_by_aws = is_aws_name(raw->invoked_by);
}

static void understand(struct raw *raw)
{
	struct event *event = &raw->event;
	if (!clock_parse(raw->event_time, &event->at_us) && !clock_parse(raw->timestamp, &event->at_us))
		event->at_us = 0;
	if (!clock_parse(raw->created, &event->issued_us))
		event->issued_us = 0;
	take_account(event->account_id, raw->account);
	take_account(event->recipient_account, raw->recipient);
	take_account(event->endpoint_account, raw->endpoint_account);
	take_source(event);
	take_endpoint(event, raw->endpoint_account);
	take_session(raw);
	event->is_network = strcmp(raw->category, "NetworkActivity") == 0 || text_starts(raw->type, "AwsVpceEvent");
	event->is_console = event->is_console || strcmp(raw->type, "AwsConsoleSignIn") == 0;
	event->is_presigned = strcmp(raw->authentication, "QueryString") == 0;
	event->is_addendum = raw->addendum_reason[0] != '\0' || event->replaces[0] != '\0';
}

/* A record without an id is known by its bytes. */
static void take_digest(struct event *event, const char *bytes, size_t length)
{
	uint8_t digest[DIGEST_BYTES];
	char hex[DIGEST_HEX_BYTES];
	if (digest_of(bytes, length, digest, NULL) == 0)
		(void)snprintf(event->id, sizeof(event->id), "sha256:%s", digest_hex(digest, sizeof(digest), hex));
}

bool event_read(const char *bytes, size_t length, struct event *ret)
{
	struct raw raw = {0};
	CLEANUP(record_text_done) struct record_text text = {0};
	if (!record_text_find(bytes, length, &text) ||
	    !fields_read(&text, record_fields, ARRAY_LENGTH(record_fields), &raw))
		return false;
	understand(&raw);
	if (raw.event.id[0] == '\0')
		take_digest(&raw.event, text.bytes, text.length);
	*ret = raw.event;
	return true;
}
