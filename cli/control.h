/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "common/json.h"

/* What the daemon says of itself over `<runtime>/control.sock`. */
enum control_answer {
	CONTROL_ANSWERED,  /* *ret is its object */
	CONTROL_DOWN,      /* nobody listens there */
	CONTROL_FORBIDDEN, /* not for this user to ask */
	CONTROL_UNCLEAR,   /* something listens, but gave no answer that can be read */
};

/* Asks and waits for at most CONTROL_TIMEOUT_MS. *err says why, where the answer is another than CONTROL_ANSWERED. */
#define CONTROL_TIMEOUT_MS 3000
MUST_USE enum control_answer control_ask(const char *runtime, json_t **ret, struct error *err);
