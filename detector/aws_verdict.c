/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of AWS's error codes that mean something to a client. Codes are looked at before the status, since services
 * do not agree on statuses. */
#include "detector/aws_verdict.h"

#include <string.h>

#define WAIT_FIRST_MS 200
#define WAIT_MAX_MS 20000

static const struct {
	const char *code;
	enum aws_verdict verdict;
} codes[] = {
	{"SlowDown", AWS_RETRY},
	{"Throttling", AWS_RETRY},
	{"ThrottlingException", AWS_RETRY},
	{"ThrottledException", AWS_RETRY},
	{"RequestThrottled", AWS_RETRY},
	{"RequestThrottledException", AWS_RETRY},
	{"TooManyRequestsException", AWS_RETRY},
	{"RequestLimitExceeded", AWS_RETRY},
	{"BandwidthLimitExceeded", AWS_RETRY},
	{"PriorRequestNotComplete", AWS_RETRY},
	{"RequestTimeout", AWS_RETRY},
	{"RequestTimeoutException", AWS_RETRY},
	{"InternalError", AWS_RETRY},
	{"InternalFailure", AWS_RETRY},
	{"ServiceUnavailable", AWS_RETRY},
	{"ServiceException", AWS_RETRY},
	{"PermanentRedirect", AWS_REGION},
	{"TemporaryRedirect", AWS_REGION},
	{"Redirect", AWS_REGION},
	{"AuthorizationHeaderMalformed", AWS_REGION},
	{"IllegalLocationConstraintException", AWS_REGION},
	{"ExpiredToken", AWS_EXPIRED},
	{"ExpiredTokenException", AWS_EXPIRED},
	{"TokenRefreshRequired", AWS_EXPIRED},
	{"RequestExpired", AWS_EXPIRED},
};

enum aws_verdict aws_verdict_of(long status, const struct aws_fault *fault)
{
	for (size_t i = 0; i < ARRAY_LENGTH(codes); i++)
		if (strcmp(codes[i].code, fault->code) == 0)
			return codes[i].verdict;
	if (status == 301 || status == 307)
		return AWS_REGION;
	return status == 429 || status == 500 || status == 502 || status == 503 || status == 504 ? AWS_RETRY : AWS_FAIL;
}

int64_t aws_verdict_wait_ms(unsigned attempt)
{
	int64_t wait_ms = attempt < 16 ? (int64_t)WAIT_FIRST_MS << (attempt - 1) : WAIT_MAX_MS;
	return wait_ms < WAIT_MAX_MS ? wait_ms : WAIT_MAX_MS;
}
