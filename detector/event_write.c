/* SPDX-License-Identifier: Apache-2.0 */

/* A record again, out of what was understood of one: of what follows from several fields, one that says it. */
#include "detector/event.h"

#include <stdio.h>

struct member {
	const char *name, *text;
};

static void put_members(json_t *to, const struct member *members, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (members[i].text[0] != '\0')
			json_put_text(to, members[i].name, members[i].text);
}

static void put_object(json_t *to, const char *name, json_t *object)
{
	if (json_object_size(object) > 0)
		json_put(to, name, object);
	else
		json_decref(object);
}

static json_t *write_session(const struct event *event)
{
	json_t *session = json_object(), *issuer = json_object(), *attributes = json_object();
	const struct member members[] = {
		{"userName", event->role},
		{"arn", event->is_infrastructure ? "arn:aws:iam::0:role/aws:ec2-infrastructure" : ""},
	};
	put_members(issuer, members, ARRAY_LENGTH(members));
	if (event->issued_us != 0)
		json_put_time(attributes, "creationDate", event->issued_us);
	put_object(session, "sessionIssuer", issuer);
	put_object(session, "attributes", attributes);
	if (event->role_delivery[0] != '\0')
		json_put_text(session, "ec2RoleDelivery", event->role_delivery);
	return session;
}

static json_t *write_scope(const struct event *event)
{
	json_t *scope = json_object();
	char arn[INSTANCE_BYTES + sizeof(":instance/")];
	if (event->session_instance[0] == '\0' && event->scope_account[0] == '\0')
		return scope;
	(void)snprintf(arn, sizeof(arn), ":instance/%s", event->session_instance);
	const struct member members[] = {{"issuerType", "AWS::EC2::Instance"},
	                                 {"credentialsIssuedTo", arn},
	                                 {"sourceAccount", event->scope_account}};
	put_members(scope, members, ARRAY_LENGTH(members));
	return scope;
}

static json_t *write_identity(const struct event *event)
{
	json_t *identity = json_object();
	const struct member members[] = {
		{"type", event->identity_type},   {"principalId", event->principal_id},
		{"accountId", event->account_id}, {"accessKeyId", event->access_key_id},
		{"userName", event->user_name},   {"invokedBy", event->is_invoked_by_aws ? "AWS Internal" : ""},
	};
	put_members(identity, members, ARRAY_LENGTH(members));
	put_object(identity, "sessionContext", write_session(event));
	put_object(identity, "inScopeOf", write_scope(event));
	return identity;
}

json_t *event_write(const struct event *event)
{
	json_t *record = json_object(), *addendum = json_object(), *additional = json_object();
	bool is_aws_endpoint = event->endpoint == EVENT_ENDPOINT_AWS && event->endpoint_account[0] == '\0';
	const struct member members[] = {
		{"eventID", event->id},
		{"eventVersion", event->version},
		{"eventSource", event->service},
		{"eventName", event->name},
		{"errorCode", event->error_code},
		{"awsRegion", event->region},
		{"userAgent", event->user_agent},
		{"recipientAccountId", event->recipient_account},
		{"sharedEventID", event->shared_id},
		{"requestID", event->request_id},
		{"eventCategory", event->is_network ? "NetworkActivity" : ""},
		{"sessionCredentialFromConsole", event->is_console ? "true" : ""},
		{"sourceIPAddress", event->source_text},
		{"vpcEndpointId", event->endpoint_id},
		{"vpcEndpointAccountId", is_aws_endpoint ? "AWS Internal" : event->endpoint_account},
	};
	const struct member added[] = {{"reason", event->is_addendum ? "UPDATED_DATA" : ""},
	                               {"originalEventID", event->replaces}};
	if (event->at_us != 0)
		json_put_time(record, "eventTime", event->at_us);
	put_members(record, members, ARRAY_LENGTH(members));
	put_members(addendum, added, ARRAY_LENGTH(added));
	if (event->is_presigned)
		json_put_text(additional, "AuthenticationMethod", "QueryString");
	put_object(record, "addendum", addendum);
	put_object(record, "additionalEventData", additional);
	put_object(record, "userIdentity", write_identity(event));
	return record;
}
