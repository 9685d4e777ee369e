/* SPDX-License-Identifier: Apache-2.0 */

/* What the records of a fleet look like: members in CloudTrail's own order, ids and times as random as in real logs,
 * lengths and compression as measured on real records (1.3 KB each, a tenth of that packed). */
#include "tests/bench/trail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/cleanup.h"

uint64_t trail_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void put_letters(char *to, size_t length, uint64_t *state)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	for (size_t i = 0; i < length; i++)
		to[i] = letters[trail_random(state) % 32];
	to[length] = '\0';
}

void trail_key(uint64_t number, struct trail_key *ret)
{
	static const char *const regions[TRAIL_REGIONS] = {"us-east-1", "eu-central-1", "ap-southeast-2", "us-west-2"};
	uint64_t state = number * 77 + 1;
	*ret = (struct trail_key){.account = (unsigned)(number % TRAIL_ACCOUNTS),
	                          .region = (unsigned)(number / TRAIL_ACCOUNTS % TRAIL_REGIONS)};
	unsigned account = ret->account, machine = (unsigned)(number / TRAIL_ACCOUNTS);
	(void)snprintf(ret->account_id, sizeof(ret->account_id), "1000%08u", account * 7919 + 12345);
	(void)snprintf(ret->region_name, sizeof(ret->region_name), "%s", regions[ret->region]);
	(void)snprintf(ret->instance_id, sizeof(ret->instance_id), "i-0%016llx",
	               (unsigned long long)trail_random(&state));
	(void)snprintf(ret->role, sizeof(ret->role), "service-%02u-node", (unsigned)(number / 7 % 40));
	(void)snprintf(ret->vpc_network, sizeof(ret->vpc_network), "10.%u.0.0/16", account);
	(void)snprintf(ret->private_address, sizeof(ret->private_address), "10.%u.%u.%u", account, machine / 200 % 256,
	               machine % 200 + 10);
	(void)snprintf(ret->egress_address, sizeof(ret->egress_address), "203.0.113.%u", account + 1);
	(void)snprintf(ret->endpoint_id, sizeof(ret->endpoint_id), "vpce-0%08x%08x",
	               account * 2654435761U + ret->region, account);
	memcpy(ret->id, "ASIA", 4);
	put_letters(ret->id + 4, 16, &state);
	memcpy(ret->role_id, "AROA", 4);
	state = number / 7 % 40 + 1000;
	put_letters(ret->role_id + 4, 17, &state);
}

/* ---- records */

struct text {
	char *bytes;
	size_t size, length;
};

static void put(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(text->bytes + text->length, text->size - text->length, format, arguments);
	va_end(arguments);
	if (length > 0 && text->length + (size_t)length < text->size)
		text->length += (size_t)length;
}

static void put_uuid(char to[static 40], uint64_t *state)
{
	uint64_t a = trail_random(state), b = trail_random(state);
	(void)snprintf(to, 40, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
	               (unsigned)(a & 0xfff), (unsigned)(b >> 52), (unsigned long long)(b & 0xffffffffffffULL));
}

/* What services write into a record; `@` and a word stand for what differs. */
struct call {
	const char *service, *name, *agent, *parameters, *response, *resources;
	bool is_data, is_read_only;
};

static const struct call calls[] = {
	{"s3", "GetObject",
         "[aws-sdk-java/1.12.261 Linux/5.10.184-175.731.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/17.0.8 java/17.0.8]",
         "{\"bucketName\":\"data-@account\",\"Host\":\"data-@account.s3.@region.amazonaws.com\",\"key\":\"events/"
         "@name.parquet\"}",
         "null",
         "[{\"type\":\"AWS::S3::Object\",\"ARN\":\"arn:aws:s3:::data-@account/events/"
         "@name.parquet\"},{\"accountId\":\"@account\",\"type\":\"AWS::S3::Bucket\",\"ARN\":\"arn:aws:s3:::data-@"
         "account\"}]",
         true, true},
	{"s3", "PutObject",
         "[Boto3/1.28.62 md/Botocore#1.31.62 ua/2.0 os/linux#6.1.56-82.125.amzn2023.x86_64 md/arch#x86_64 "
         "lang/python#3.9.16]",
         "{\"bucketName\":\"out-@account\",\"Host\":\"out-@account.s3.@region.amazonaws.com\",\"key\":\"result/"
         "@name\",\"x-amz-acl\":\"bucket-owner-full-control\"}",
         "{\"x-amz-server-side-encryption\":\"AES256\"}",
         "[{\"type\":\"AWS::S3::Object\",\"ARN\":\"arn:aws:s3:::out-@account/result/"
         "@name\"},{\"accountId\":\"@account\",\"type\":\"AWS::S3::Bucket\",\"ARN\":\"arn:aws:s3:::out-@account\"}]",
         true, false},
	{"sts", "GetCallerIdentity",
         "aws-cli/2.13.9 Python/3.11.4 Linux/5.10.0-25-cloud-amd64 exe/x86_64.debian.11 prompt/off "
         "command/sts.get-caller-identity",
         "null", "null", NULL, false, true},
	{"ec2", "DescribeInstances", "aws-sdk-go/1.44.264 (go1.20.5; linux; amd64) karpenter.sh-v0.29.2",
         "{\"maxResults\":1000,\"instancesSet\":{},\"filterSet\":{\"items\":[{\"name\":\"tag:Name\",\"valueSet\":{"
         "\"items\":[{\"value\":\"@name\"}]}},{\"name\":\"instance-state-name\",\"valueSet\":{\"items\":[{\"value\":"
         "\"running\"}]}}]}}",
         "null", NULL, false, true},
	{"ssm", "UpdateInstanceInformation", "aws-sdk-go/1.44.260 (go1.20.4; linux; amd64) amazon-ssm-agent/3.2.1377.0",
         "{\"instanceId\":\"@instance\",\"agentVersion\":\"3.2.1377.0\",\"agentStatus\":\"Active\",\"platformType\":"
         "\"Linux\",\"platformName\":\"Amazon "
         "Linux\",\"platformVersion\":\"2023\",\"iPAddress\":\"10.1.2.3\",\"computerName\":\"@name.internal\","
         "\"agentName\":\"amazon-ssm-agent\"}",
         "null", NULL, false, false},
	{"dynamodb", "GetItem", "aws-sdk-nodejs/2.1413.0 linux/v18.16.1 exec-env/AWS_ECS_EC2 promise",
         "{\"tableName\":\"sessions\",\"key\":{\"id\":\"HIDDEN_DUE_TO_SECURITY_REASONS\"},\"consistentRead\":false}",
         "null",
         "[{\"accountId\":\"@account\",\"type\":\"AWS::DynamoDB::Table\",\"ARN\":\"arn:aws:dynamodb:@region:@account:"
         "table/"
         "sessions\"}]",
         true, true},
	{"secretsmanager", "GetSecretValue",
         "aws-sdk-go-v2/1.18.1 os/linux lang/go#1.20.5 md/GOOS#linux md/GOARCH#amd64 api/secretsmanager#1.19.10",
         "{\"secretId\":\"arn:aws:secretsmanager:@region:@account:secret:@name\"}", "null", NULL, false, true},
	{"sqs", "ReceiveMessage",
         "aws-sdk-java/2.20.68 Linux/5.10.179-168.710.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/17.0.7+7 Java/17.0.7 "
         "io/sync http/Apache",
         "{\"queueUrl\":\"https://sqs.@region.amazonaws.com/@account/"
         "jobs\",\"maxNumberOfMessages\":10,\"waitTimeSeconds\":20}",
         "null",
         "[{\"accountId\":\"@account\",\"type\":\"AWS::SQS::Queue\",\"ARN\":\"arn:aws:sqs:@region:@account:jobs\"}]",
         true, true},
	{"kms", "Decrypt", "aws-sdk-go/1.44.264 (go1.20.5; linux; amd64)",
         "{\"encryptionContext\":{\"SecretARN\":\"arn:aws:secretsmanager:@region:@account:secret:@name\"},"
         "\"encryptionAlgorithm\":\"SYMMETRIC_DEFAULT\"}",
         "null",
         "[{\"accountId\":\"@account\",\"type\":\"AWS::KMS::Key\",\"ARN\":\"arn:aws:kms:@region:@account:key/"
         "0b0c0d0e-1111-2222-3333-444455556666\"}]",
         false, true},
	{"autoscaling", "DescribeAutoScalingGroups",
         "aws-sdk-go/1.44.241 (go1.20.6; linux; amd64) cluster-autoscaler/1.27.3",
         "{\"autoScalingGroupNames\":[\"nodes-@name\"],\"maxRecords\":100}", "null", NULL, false, true},
};

static void put_time(char to[static 24], int64_t second)
{
	time_t at = (time_t)second;
	struct tm tm;
	(void)gmtime_r(&at, &tm);
	(void)strftime(to, 24, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void put_role_session(struct text *text, const struct trail_key *key)
{
	put(text,
	    "{\"type\":\"AssumedRole\",\"principalId\":\"%s:%s\",\"arn\":\"arn:aws:sts::%s:assumed-role/%s/%s\","
	    "\"accountId\":\"%s\",\"accessKeyId\":\"%s\",\"sessionContext\":{\"sessionIssuer\":{\"type\":\"Role\","
	    "\"principalId\":\"%s\",\"arn\":\"arn:aws:iam::%s:role/%s\",\"accountId\":\"%s\",\"userName\":\"%s\"},"
	    "\"attributes\":{\"creationDate\":\"2026-11-24T22:00:00Z\",\"mfaAuthenticated\":\"false\"},"
	    "\"ec2RoleDelivery\":\"2.0\"}}",
	    key->role_id, key->instance_id, key->account_id, key->role, key->instance_id, key->account_id, key->id,
	    key->role_id, key->account_id, key->role, key->account_id, key->role);
}

/* Where the call came from. */
struct way {
	const char *address, *endpoint_id, *endpoint_account;
};

static struct way way_of(const struct trail_key *key, bool is_stolen, uint64_t *state)
{
	unsigned kind = (unsigned)(trail_random(state) % 100);
	if (is_stolen && kind < 50)
		return (struct way){"10.0.0.66", TRAIL_THIEF_ENDPOINT, TRAIL_THIEF_ACCOUNT};
	if (is_stolen)
		return (struct way){.address = TRAIL_THIEF_ADDRESS};
	if (kind < 60)
		return (struct way){key->private_address, key->endpoint_id, key->account_id};
	return (struct way){.address = kind < 97 ? key->egress_address : "AWS Internal"};
}

static void put_service_record(struct text *text, const char *at, const char *id, uint64_t *state)
{
	char request[40];
	put_uuid(request, state);
	put(text,
	    "{\"eventVersion\":\"1.09\",\"userIdentity\":{\"type\":\"AWSService\",\"invokedBy\":\"ecs-tasks.amazonaws."
	    "com\"},"
	    "\"eventTime\":\"%s\",\"eventSource\":\"sts.amazonaws.com\",\"eventName\":\"DecodeAuthorizationMessage\","
	    "\"awsRegion\":\"us-east-1\",\"sourceIPAddress\":\"ecs-tasks.amazonaws.com\",\"userAgent\":"
	    "\"ecs-tasks.amazonaws.com\",\"requestParameters\":{\"encodedMessage\":\"HIDDEN\",\"taskArn\":"
	    "\"arn:aws:ecs:us-east-1:100000012345:task/main/%016llx%016llx\"},\"responseElements\":null,"
	    "\"requestID\":\"%s\",\"eventID\":\"%s\",\"readOnly\":true,\"eventType\":\"AwsApiCall\","
	    "\"managementEvent\":true,\"recipientAccountId\":\"100000012345\",\"eventCategory\":\"Management\"}",
	    at, (unsigned long long)trail_random(state), (unsigned long long)trail_random(state), request, id);
}

static void put_filled(struct text *text, const char *member, const char *form, const char *name,
                       const struct trail_key *key)
{
	const struct {
		const char *word, *value;
	} words[] = {{"@name", name},
	             {"@account", key->account_id},
	             {"@region", key->region_name},
	             {"@instance", key->instance_id}};
	if (form == NULL)
		return;
	put(text, "\"%s\":", member);
	while (*form != '\0') {
		size_t plain = strcspn(form, "@"), i = 0;
		put(text, "%.*s", (int)plain, form);
		form += plain;
		while (i < ARRAY_LENGTH(words) && strncmp(form, words[i].word, strlen(words[i].word)) != 0)
			i++;
		if (i < ARRAY_LENGTH(words)) {
			put(text, "%s", words[i].value);
			form += strlen(words[i].word);
		}
	}
	put(text, ",");
}

static void put_key_record(struct text *text, const struct trail_key *key, bool is_stolen, const char *at,
                           const char *id, uint64_t *state)
{
	const struct call *call = &calls[trail_random(state) % ARRAY_LENGTH(calls)];
	struct way way = way_of(key, is_stolen, state);
	char request[40], name[24];
	put_uuid(request, state);
	(void)snprintf(name, sizeof(name), "part-%016llx", (unsigned long long)trail_random(state));
	put(text, "{\"eventVersion\":\"1.09\",\"userIdentity\":");
	put_role_session(text, key);
	put(text,
	    ",\"eventTime\":\"%s\",\"eventSource\":\"%s.amazonaws.com\",\"eventName\":\"%s\",\"awsRegion\":\"%s\","
	    "\"sourceIPAddress\":\"%s\",\"userAgent\":\"%s\",",
	    at, call->service, call->name, key->region_name, way.address, call->agent);
	put_filled(text, "requestParameters", call->parameters, name, key);
	put_filled(text, "responseElements", call->response, name, key);
	if (call->is_data)
		put(text,
		    "\"additionalEventData\":{\"SignatureVersion\":\"SigV4\",\"CipherSuite\":"
		    "\"ECDHE-RSA-AES128-GCM-SHA256\",\"bytesTransferredIn\":0,\"AuthenticationMethod\":\"AuthHeader\","
		    "\"x-amz-id-2\":\"%016llx/%016llx=\",\"bytesTransferredOut\":%u},",
		    (unsigned long long)trail_random(state), (unsigned long long)trail_random(state),
		    (unsigned)(trail_random(state) % 100000));
	put(text, "\"requestID\":\"%s\",\"eventID\":\"%s\",\"readOnly\":%s,", request, id,
	    call->is_read_only ? "true" : "false");
	put_filled(text, "resources", call->resources, name, key);
	put(text, "\"eventType\":\"AwsApiCall\",\"managementEvent\":%s,\"recipientAccountId\":\"%s\",",
	    call->is_data ? "false" : "true", key->account_id);
	if (way.endpoint_id != NULL)
		put(text, "\"vpcEndpointId\":\"%s\",\"vpcEndpointAccountId\":\"%s\",", way.endpoint_id,
		    way.endpoint_account);
	put(text,
	    "\"eventCategory\":\"%s\",\"tlsDetails\":{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":"
	    "\"TLS_AES_128_GCM_SHA256\",\"clientProvidedHostHeader\":\"%s.%s.amazonaws.com\"}}",
	    call->is_data ? "Data" : "Management", call->service, key->region_name);
}

size_t trail_record(const struct trail_key *key, bool is_stolen, int64_t second, uint64_t *state, char *to, size_t size,
                    char ret_id[static 40])
{
	struct text text = {.bytes = to, .size = size};
	char at[24];
	put_time(at, second);
	put_uuid(ret_id, state);
	if (key == NULL)
		put_service_record(&text, at, ret_id, state);
	else
		put_key_record(&text, key, is_stolen, at, ret_id, state);
	return text.length;
}
