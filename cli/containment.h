/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/subject.h"
#include "common/buffer.h"

/* What stops a key, as one JSON object: for `contain`, and for the last part of `report`. Nothing is called. Pure.
 *
 * kind ("containment"), access_key_id, key_kind (session | user | identity | login | unknown), account_id, role,
 * instance_id, expires_at, expired (a sentence or null), verdict and suspect (sentences), other_side
 * (detector/verdict.h), findings[] {id, type, severity, state, verdict,
 * suppressed_because}, lineage[], timeline[] and calls[]
 * (cli/timeline.h, the brief one; cli/calls.h), collect[] {what, command}, steps[] {id, target, title, why, breaks,
 * undo, policy (object or null), commands[]}, report {to, subject, text} or null. Commands are lines for a shell: what
 * others chose is quoted in them. */
MUST_USE int containment_make(const struct subject *subject, int64_t now_us, json_t **ret, struct error *err);

/* The draft of a report on the other side: {to, subject, text}. New reference, NULL without memory. */
json_t *containment_draft(const struct subject *subject, const json_t *other_side);

/* One event as a plain line: time, service and call, error, source, key, event id, user agent. ASCII. */
MUST_USE int containment_log_line(const json_t *use, const char *key, struct buffer *to, struct error *err);
