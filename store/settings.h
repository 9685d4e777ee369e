/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "common/options.h"
#include "store/policy.h"

/* keytrail.conf as a struct: what the daemon, the command line and keytrail.conf(5) share. Read-only after loading,
 * so safe from any thread. */

#define SETTINGS_DEFAULT_PATH "/etc/keytrail/keytrail.conf"
#define SETTINGS_TEXT_BYTES 200

enum on_dead { ON_DEAD_CLOSED, ON_DEAD_OPEN };
enum imdsv2_mode { IMDSV2_REQUIRED, IMDSV2_AUDIT };
enum token_scope { TOKEN_SCOPE_INSTANCE, TOKEN_SCOPE_NETNS, TOKEN_SCOPE_CGROUP, TOKEN_SCOPE_PROCESS };
enum tristate { TRISTATE_AUTO, TRISTATE_ON, TRISTATE_OFF };
enum on_unattributed { ON_UNATTRIBUTED_DELIVER, ON_UNATTRIBUTED_REFUSE };
enum on_failure { ON_FAILURE_JOURNAL, ON_FAILURE_REFUSE };
enum policy_mode { POLICY_AUDIT, POLICY_ENFORCE };
enum record { RECORD_CREDENTIALS, RECORD_TOKENS, RECORD_ALL };

struct settings {
	char user[SETTINGS_TEXT_BYTES];
	char runtime[SETTINGS_TEXT_BYTES];
	int on_dead; /* enum on_dead */
	int64_t port;
	char container_interfaces[SETTINGS_TEXT_BYTES]; /* auto, none, or names and globs */
	int64_t max_connections;
	int ecs, eks;                            /* 0 off, 1 on */
	char upstream_ipv4[SETTINGS_TEXT_BYTES]; /* A.B.C.D:PORT */
	char upstream_ipv6[SETTINGS_TEXT_BYTES]; /* [A::B]:PORT */
	char upstream_ecs[SETTINGS_TEXT_BYTES];
	char upstream_eks_ipv4[SETTINGS_TEXT_BYTES];
	char upstream_eks_ipv6[SETTINGS_TEXT_BYTES];
	int64_t upstream_timeout_ms;
	int64_t upstream_cache_ms; /* 0: off */
	int imdsv2_mode;           /* enum imdsv2_mode */
	int token_scope;           /* enum token_scope */
	int64_t put_response_hop_limit;
	int ebpf;                         /* enum tristate */
	int64_t ebpf_connections;         /* noted at once */
	int proc_scan;                    /* 0 off, 1 on */
	int on_unattributed;              /* enum on_unattributed */
	char redact[SETTINGS_TEXT_BYTES]; /* further glob patterns, space-separated */
	char ledger_path[SETTINGS_TEXT_BYTES];
	int on_failure; /* enum on_failure */
	char jsonl[SETTINGS_TEXT_BYTES];
	int journald;                        /* off or on */
	char fleet_key[SETTINGS_TEXT_BYTES]; /* "": fingerprints are made with host.key */
	int64_t retain_days;
	int64_t retain_mb;                        /* 0: whatever its size */
	int record;                               /* enum record */
	int policy_mode;                          /* enum policy_mode */
	int policy_default;                       /* 0 allow, 1 deny */
	struct policy *policy;                    /* owned; NULL: nobody is ever refused */
	char metrics_listen[SETTINGS_TEXT_BYTES]; /* "", unix:/PATH, 127.A.B.C:PORT or [::1]:PORT */
};

/* Loads `path`; NULL: the default path, which need not exist. */
MUST_USE int settings_load(const char *path, struct settings *ret, struct error *err);

/* May a running daemon go from one to the other? Else ERROR_USAGE names the setting that only a restart changes. */
MUST_USE int settings_check_change(const struct settings *now, const struct settings *next, struct error *err);

/* For what must go on with a file that has mistakes: the default stands for each setting that cannot be read, and the
 * policy is left out. *ret_problem says what is wrong first, or its text is "". */
void settings_load_forgiving(const char *path, struct settings *ret, struct error *ret_problem);

void settings_done(struct settings *settings);
#define CLEANUP_SETTINGS CLEANUP(settings_done)
