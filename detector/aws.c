/* SPDX-License-Identifier: Apache-2.0 */

/* THE PIPELINE of one call: credentials -> endpoint -> signature -> request -> verdict, and again while that may help.
 * A redirect is never followed to where it points: the session token would go along. It only says which region to ask.
 */
#include "detector/aws.h"

#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/text.h"
#include "detector/aws_endpoint.h"
#include "detector/aws_profile.h"
#include "detector/aws_signed.h"
#include "detector/aws_verdict.h"

#define ATTEMPTS 5
#define ATTEMPTS_MAX 20
#define RENEW_US (INT64_C(300) * CLOCK_SECOND_US) /* new credentials are found this long before the old ones end */
#define BUCKETS_MAX 16
#define WAIT_SLICE_MS 50

struct aws {
	struct aws_options options;
	struct aws_http *http;
	struct aws_profile profile;
	pthread_mutex_t lock; /* of all below */
	struct aws_credentials credentials;
	bool has_credentials;
	char region[64];
	struct {
		char name[64], region[64];
	} buckets[BUCKETS_MAX]; /* where they were found to be */
	size_t next_bucket;
};

int aws_open(const struct aws_options *options, struct aws **ret, struct error *err)
{
	json_wipe_freed();
	struct aws *aws = calloc(1, sizeof(*aws));
	if (aws == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for AWS");
	aws->options = *options;
	(void)pthread_mutex_init(&aws->lock, NULL);
	if (aws_profile_read(options->profile, &aws->profile, err) < 0 ||
	    aws_http_new(options->stop, &aws->http, err) < 0) {
		aws_close(aws);
		return -1;
	}
	*ret = aws;
	return 0;
}

void aws_close(struct aws *aws)
{
	if (aws == NULL)
		return;
	aws_http_free(aws->http);
	aws_profile_done(&aws->profile);
	aws_credentials_done(&aws->credentials);
	(void)pthread_mutex_destroy(&aws->lock);
	free(aws);
}

/* ---- what a call needs to know */

static const char *variable(const char *name)
{
	const char *value = getenv(name);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

static const char *configured_region(const struct aws *aws)
{
	if (aws->options.region != NULL)
		return aws->options.region;
	if (aws->options.profile == NULL && variable("AWS_REGION") != NULL)
		return variable("AWS_REGION");
	if (aws->options.profile == NULL && variable("AWS_DEFAULT_REGION") != NULL)
		return variable("AWS_DEFAULT_REGION");
	return aws->profile.region[0] != '\0' ? aws->profile.region : NULL;
}

int aws_region(struct aws *aws, const char **ret, struct error *err)
{
	(void)pthread_mutex_lock(&aws->lock);
	if (aws->region[0] == '\0') {
		const char *region = configured_region(aws);
		if (region != NULL)
			(void)text_copy(aws->region, sizeof(aws->region), region);
		else if (!aws_credentials_region(aws->http, aws->region, sizeof(aws->region)))
			aws->region[0] = '\0';
	}
	(void)pthread_mutex_unlock(&aws->lock);
	if (aws->region[0] == '\0')
		return error_set(err, ERROR_USAGE, "no region: expected AWS_REGION, or a profile that has one");
	*ret = aws->region;
	return 0;
}

/* A copy, so that others may find new ones meanwhile. */
MUST_USE static int get_credentials(struct aws *aws, struct aws_credentials *ret, struct error *err)
{
	int result = 0;
	(void)pthread_mutex_lock(&aws->lock);
	bool is_ending = aws->has_credentials && aws->credentials.expires_us != 0 &&
	                 aws->credentials.expires_us - RENEW_US < clock_now_us();
	if (!aws->has_credentials || is_ending) {
		result = aws_credentials_find(aws->http, &aws->profile, aws->options.profile != NULL,
		                              configured_region(aws), &aws->credentials, err);
		aws->has_credentials = result == 0;
	}
	if (result == 0)
		*ret = aws->credentials;
	(void)pthread_mutex_unlock(&aws->lock);
	return result;
}

static void forget_credentials(struct aws *aws)
{
	(void)pthread_mutex_lock(&aws->lock);
	aws->has_credentials = false;
	(void)pthread_mutex_unlock(&aws->lock);
}

/* Where the bucket was found, if it was; else what the caller or the settings say. Most buckets are found by asking in
 * us-east-1: it knows them all. */
MUST_USE static int choose_region(struct aws *aws, const struct aws_call *call, char to[static 64], struct error *err)
{
	const char *region = call->region;
	to[0] = '\0';
	(void)pthread_mutex_lock(&aws->lock);
	for (size_t i = 0; call->bucket != NULL && i < BUCKETS_MAX; i++)
		if (strcmp(aws->buckets[i].name, call->bucket) == 0)
			(void)text_copy(to, 64, aws->buckets[i].region);
	(void)pthread_mutex_unlock(&aws->lock);
	if (to[0] != '\0')
		return 0;
	if (region == NULL && call->bucket != NULL)
		region = configured_region(aws) != NULL ? configured_region(aws) : "us-east-1";
	if (region == NULL && aws_region(aws, &region, err) < 0)
		return -1;
	(void)text_copy(to, 64, region);
	return 0;
}

static void remember_bucket(struct aws *aws, const char *bucket, const char *region)
{
	(void)pthread_mutex_lock(&aws->lock);
	size_t at = 0;
	while (at < BUCKETS_MAX && strcmp(aws->buckets[at].name, bucket) != 0)
		at++;
	if (at == BUCKETS_MAX)
		at = aws->next_bucket++ % BUCKETS_MAX;
	(void)text_copy(aws->buckets[at].name, sizeof(aws->buckets[at].name), bucket);
	(void)text_copy(aws->buckets[at].region, sizeof(aws->buckets[at].region), region);
	(void)pthread_mutex_unlock(&aws->lock);
}

/* ---- one try */

MUST_USE static int try_once(struct aws *aws, const struct aws_call *call, const char *region,
                             struct aws_http_answer *answer, struct error *err)
{
	CLEANUP_CREDENTIALS struct aws_credentials credentials = {0};
	const char *given = aws_endpoint_given(call->service);
	if (given == NULL && aws->profile.endpoint_url[0] != '\0')
		given = aws->profile.endpoint_url;
	if (given == NULL)
		given = call->url;
	if (get_credentials(aws, &credentials, err) < 0)
		return -1;
	return aws_signed_send(aws->http, call, region, given, &credentials, answer, err);
}

/* ---- and again */

struct attempt {
	unsigned number, maximum;
	char region[64];
	bool was_moved;   /* to another region */
	bool was_renewed; /* the credentials */
};

bool aws_wait(const struct aws *aws, int64_t milliseconds)
{
	int64_t until_ms = clock_monotonic_ms() + milliseconds;
	for (int64_t left; !aws_http_is_stopped(aws->http) && (left = until_ms - clock_monotonic_ms()) > 0;) {
		if (left > WAIT_SLICE_MS)
			left = WAIT_SLICE_MS;
		const struct timespec slice = {.tv_nsec = (long)left * 1000000};
		(void)nanosleep(&slice, NULL);
	}
	return !aws_http_is_stopped(aws->http);
}

static int64_t part_of(int64_t wait_ms)
{
	uint32_t random = 0;
	if (secret_random(&random, sizeof(random), NULL) < 0)
		return wait_ms;
	return (int64_t)(random % (uint64_t)(wait_ms + 1));
}

/* Is there another try? Waits for it. */
static bool goes_on(const struct aws *aws, struct attempt *attempt)
{
	if (attempt->number >= attempt->maximum)
		return false;
	return aws_wait(aws, part_of(aws_verdict_wait_ms(attempt->number++)));
}

static bool moves(const struct aws_call *call, const struct aws_http_answer *answer, const struct aws_fault *fault,
                  struct attempt *attempt)
{
	char region[64];
	if (aws_http_header(answer, "x-amz-bucket-region", region, sizeof(region))[0] == '\0')
		(void)text_copy(region, sizeof(region), fault->region);
	if (call->bucket == NULL || attempt->was_moved || region[0] == '\0' || strcmp(region, attempt->region) == 0)
		return false;
	attempt->was_moved = true;
	(void)text_copy(attempt->region, sizeof(attempt->region), region);
	return true;
}

/* Says what is wrong, and where there is something to do about it, what. */
static int describe(struct aws *aws, const struct aws_http_answer *answer, const struct aws_fault *fault,
                    struct error *err)
{
	const char *source = aws->credentials.source != NULL ? aws->credentials.source : "somewhere";
	char there[64];
	int64_t there_us;
	if (aws_verdict_of(answer->status, fault) == AWS_EXPIRED)
		return error_set(err, ERROR_SYSTEM,
		                 "the AWS credentials from %s have expired (%s): renew them and run this again", source,
		                 fault->code);
	if (strcmp(fault->code, "RequestTimeTooSkewed") == 0 &&
	    clock_parse_http(aws_http_header(answer, "Date", there, sizeof(there)), &there_us))
		return error_set(err, ERROR_SYSTEM,
		                 "this machine's clock is %lld seconds off: AWS refuses its signatures (%s)",
		                 (long long)((clock_now_us() - there_us) / CLOCK_SECOND_US), fault->code);
	if (aws_http_header(answer, "x-amz-bucket-region", there, sizeof(there))[0] == '\0')
		(void)text_copy(there, sizeof(there), fault->region);
	return error_set(err, answer->status == 404 ? ERROR_MISSING : ERROR_SYSTEM, "status %ld%s%s%s%s%s%s",
	                 answer->status, fault->code[0] != '\0' ? ", " : "", fault->code,
	                 fault->message[0] != '\0' ? ": " : "", fault->message,
	                 there[0] != '\0' ? "; its region: " : "", there);
}

/* An answer that is not 2xx: 1 to try again, -1 for good. */
static int refused(struct aws *aws, const struct aws_call *call, const struct aws_http_answer *answer,
                   struct attempt *attempt, struct error *err)
{
	struct aws_fault fault;
	aws_answer_fault(answer->body.bytes, answer->body.length, &fault);
	enum aws_verdict verdict = aws_verdict_of(answer->status, &fault);
	if (moves(call, answer, &fault, attempt))
		return 1;
	if (verdict == AWS_EXPIRED && !attempt->was_renewed) {
		attempt->was_renewed = true;
		forget_credentials(aws);
		return 1;
	}
	if (verdict == AWS_RETRY && goes_on(aws, attempt))
		return 1;
	(void)describe(aws, answer, &fault, err);
	return -1;
}

/* An object whose length nobody said may have been cut without anybody noticing. */
static bool is_whole(const struct aws_call *call, const struct aws_http_answer *answer)
{
	char text[32];
	uint64_t length;
	if (call->sink <= 0)
		return true;
	if (text_to_u64(aws_http_header(answer, "Content-Length", text, sizeof(text)), UINT64_MAX, &length))
		return length == answer->sunk;
	return aws_http_header(answer, "Transfer-Encoding", text, sizeof(text))[0] != '\0';
}

MUST_USE static int empty_sink(const struct aws_call *call, struct error *err)
{
	if (call->sink > 0 && (ftruncate(call->sink, 0) < 0 || lseek(call->sink, 0, SEEK_SET) < 0))
		return error_errno(err, "temporary file");
	return 0;
}

static unsigned attempts(void)
{
	uint64_t given;
	const char *text = variable("AWS_MAX_ATTEMPTS");
	return text != NULL && text_to_u64(text, ATTEMPTS_MAX, &given) && given > 0 ? (unsigned)given : ATTEMPTS;
}

int aws_send(struct aws *aws, const struct aws_call *call, struct aws_http_answer *ret, struct error *err)
{
	struct attempt attempt = {.number = 1, .maximum = attempts()};
	if (choose_region(aws, call, attempt.region, err) < 0)
		return -1;
	for (;;) {
		CLEANUP_ANSWER struct aws_http_answer answer = {0};
		struct error problem = {0};
		if (empty_sink(call, err) < 0)
			return -1;
		int result = try_once(aws, call, attempt.region, &answer, &problem);
		if (result == 0 && answer.status / 100 == 2 && !is_whole(call, &answer))
			result = error_set(&problem, ERROR_SYSTEM, "the answer was cut");
		if (result == 0 && answer.status / 100 == 2) {
			if (attempt.was_moved)
				remember_bucket(aws, call->bucket, attempt.region);
			*ret = answer;
			answer = (struct aws_http_answer){0};
			return 0;
		}
		bool is_passing = problem.code == ERROR_SYSTEM || problem.code == ERROR_TIMEOUT;
		if (result < 0 && (!is_passing || !goes_on(aws, &attempt)))
			return error_set(err, problem.code, "%s", problem.text);
		if (result == 0 && refused(aws, call, &answer, &attempt, err) < 0)
			return -1;
	}
}

int aws_ask(struct aws *aws, const struct aws_call *call, json_t **ret, struct error *err)
{
	CLEANUP_ANSWER struct aws_http_answer answer = {0};
	struct error problem = {0};
	if (aws_send(aws, call, &answer, err) < 0)
		return -1;
	if (aws_answer_read(answer.body.bytes, answer.body.length, ret, &problem) < 0)
		return error_set(err, problem.code, "%s answered what is neither XML nor JSON: %s", call->service,
		                 problem.text);
	return 0;
}
