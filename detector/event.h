/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cidr.h"
#include "common/json.h"
#include "store/model.h"

/* One CloudTrail record as far as judging it needs: plain values, "" where absent, null or not what the field should
 * hold. Nothing in here is guessed. */

#define EVENT_TEXT_BYTES 160
#define EVENT_LONG_BYTES 512

enum event_source {
	EVENT_SOURCE_ABSENT,
	EVENT_SOURCE_ADDRESS,
	EVENT_SOURCE_AWS, /* the DNS name of a service, AWS Internal */
	EVENT_SOURCE_ODD, /* anything else */
};

enum event_endpoint {
	EVENT_ENDPOINT_NONE,
	EVENT_ENDPOINT_ID,  /* vpce- and 8 or 17 hexadecimal digits */
	EVENT_ENDPOINT_AWS, /* AWS Internal or a service's name, as the endpoint or as its owner */
	EVENT_ENDPOINT_ODD,
};

struct event {
	int64_t at_us;             /* eventTime, or @timestamp; 0: none that can be read */
	char id[EVENT_TEXT_BYTES]; /* eventID; without one, sha256: and the digest of the record */
	char version[16];
	char service[EVENT_TEXT_BYTES], name[EVENT_TEXT_BYTES], error_code[EVENT_TEXT_BYTES];
	char region[REGION_BYTES];
	char user_agent[EVENT_LONG_BYTES];
	char recipient_account[ACCOUNT_BYTES];
	char shared_id[EVENT_TEXT_BYTES], request_id[EVENT_TEXT_BYTES];
	bool is_network;   /* a NetworkActivity record: an endpoint's owner's view of somebody's call */
	bool is_console;   /* a sign-in, or a call with a session that the console made */
	bool is_presigned; /* signed in its URL: whoever holds that can send it (S3 says so) */
	bool is_addendum;
	char replaces[EVENT_TEXT_BYTES]; /* addendum.originalEventID */

	char access_key_id[KEY_ID_BYTES];
	char principal_id[EVENT_LONG_BYTES];
	char identity_type[32];
	char account_id[ACCOUNT_BYTES];        /* userIdentity.accountId */
	char user_name[ROLE_BYTES];            /* of an IAM user */
	char role[ROLE_BYTES];                 /* of sessionIssuer */
	int64_t issued_us;                     /* creationDate of the session; 0 unknown */
	char role_delivery[8];                 /* ec2RoleDelivery, 1.0 or 2.0 */
	char session_instance[INSTANCE_BYTES]; /* of principalId, else of inScopeOf */
	char scope_account[ACCOUNT_BYTES];     /* inScopeOf, for EC2 instances */
	bool is_invoked_by_aws;
	bool is_infrastructure; /* the role aws:ec2-infrastructure */

	enum event_source source;
	char source_text[EVENT_TEXT_BYTES];
	struct address address; /* if source is EVENT_SOURCE_ADDRESS */
	enum event_endpoint endpoint;
	char endpoint_id[EVENT_TEXT_BYTES];
	char endpoint_account[ACCOUNT_BYTES];
};

/* Reads one record: an object as CloudTrail writes it, the form of LookupEvents (CloudTrailEvent holds the record as a
 * string), or an EventBridge event (under `detail`). False: not a JSON object as far as it was read. Pure. */
MUST_USE bool event_read(const char *bytes, size_t length, struct event *ret);

/* The least record that event_read reads the same from. New reference; NULL without memory. */
json_t *event_write(const struct event *event);

/* Twelve digits. */
bool event_is_account(const char *text);
