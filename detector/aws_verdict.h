/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "detector/aws_answer.h"

/* What to do about an answer that is not 2xx. Pure. */
enum aws_verdict {
	AWS_FAIL,    /* for good */
	AWS_RETRY,   /* throttled, or trouble on their side */
	AWS_REGION,  /* asked in the wrong region; fault->region, or the header x-amz-bucket-region, says which is right
	              */
	AWS_EXPIRED, /* the credentials are no longer good: find new ones */
};

enum aws_verdict aws_verdict_of(long status, const struct aws_fault *fault);

/* The longest wait before try number `attempt` (from 1), in milliseconds; the real one is a random part of it. */
int64_t aws_verdict_wait_ms(unsigned attempt);
