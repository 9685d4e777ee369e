/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/command.h"
#include "cli/control.h"
#include "common/json.h"

/* What `status` has found out, and what follows from it. Pure: asks nobody. */

enum part_state {
	PART_READ,      /* the object beside it holds what was read */
	PART_MISSING,   /* there is none */
	PART_FORBIDDEN, /* this user may not look */
	PART_BROKEN,    /* it is there, and cannot be made sense of */
};

struct status_parts {
	enum control_answer daemon_state;
	const json_t *daemon; /* its answer, or NULL */
	const char *daemon_problem;
	enum part_state ledger_state;
	const json_t *ledger; /* ledger_summary's object, or NULL */
	const char *ledger_problem;
	enum part_state redirect_state;
	int redirect_status;          /* exit status of `check`, when read */
	const json_t *redirect_lines; /* what it printed, or NULL */
	const char *redirect_problem;
	const char *settings_problem; /* what is wrong with the settings file, or "" */
	const json_t *out_of_reach;   /* of namespaces.h; NULL: not looked for */
	const json_t *gap;            /* noted when the daemon was given up, or NULL */
};

/* The object of `status -o json`, documented in keytrail(1): kind ("status"), whole (true, false, or null when nothing
 * is known bad but not all could be looked at), daemon, ledger, redirect {checked, whole, faults[]}, faults[] and
 * bypasses[] of {id, known, text}. A bypass lets a process have a key unrecorded; a fault is any other thing that is
 * not as it should be; known is false for what could not be looked at. out_of_reach[] (null: not looked for) is listed
 * only: no redirect of this machine can change it. */
MUST_USE int status_report_make(const struct status_parts *parts, json_t **ret, struct error *err);

/* 0 whole, 3 not, 4 unknown. */
enum status status_report_verdict(const json_t *report);
