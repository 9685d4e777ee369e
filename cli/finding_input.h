/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"

/* Findings of other tools as a place to start from. Takes one finding or many, of GuardDuty (as the AWS CLI prints
 * them, or as they are on the wire) or of Security Hub (ASFF), alone, in a list, under `Findings`, or in EventBridge's
 * envelope. Unknown fields are ignored: AWS adds some every few weeks.
 *
 * Gives a list with one object for each finding and access key in it: kind ("reported"), format (guardduty |
 * securityhub), access_key_id, id, type, severity (as it stands there, number or label), title, account_id,
 * instance_id, remote {account_id, address}, first_seen, last_seen, count. What is not there is null. The list is empty
 * when no finding names a usable key; *ret_findings says how many findings there were. ERROR_INPUT when the document
 * holds no finding at all. Pure. */
MUST_USE int finding_input_read(const json_t *document, json_t **ret, size_t *ret_findings, struct error *err);
