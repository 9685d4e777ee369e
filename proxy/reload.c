/* SPDX-License-Identifier: Apache-2.0 */

/* A reload is refused whole: a file with one wrong line changes nothing, nor does one that changes what is fixed at
 * start. The order below is that of what may fail. */
#include "proxy/reload.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "proxy/config.h"
#include "proxy/notify.h"
#include "proxy/witness/witness.h"

MUST_USE static int replace(struct proxy *proxy, const char *path, int witness_fd, struct error *err)
{
	CLEANUP_SETTINGS struct settings next = {0};
	CLEANUP_TOKEN_KEYS struct token_keys keys = {0};
	CLEANUP_KEY struct secret_key host_key = {0};
	char folder[PATH_MAX];
	config_state_folder(&proxy->at_start, folder);
	if (settings_load(path, &next, err) < 0 || settings_check_change(&proxy->at_start, &next, err) < 0 ||
	    keyring_read(folder, proxy->boot_id, &keys, err) < 0 || instance_read_host_key(&next, &host_key, err) < 0)
		return -1;
	const struct upstream_options upstream = config_upstream(&next);
	if (witness_change(witness_fd, &next, err) < 0 || upstream_change(proxy->upstream, &upstream, err) < 0)
		return -1;
	const struct upkeep_limits limits = config_limits(&next);
	keyring_replace(proxy->keyring, &keys);
	instance_use_host_key(proxy->instance, &host_key);
	writer_limit(proxy->writer, &limits);
	return current_replace(proxy->current, &next, err);
}

void reload_settings(struct proxy *proxy, const char *path, int witness_fd)
{
	struct error problem = {0};
	struct reload_result result = {.at_us = clock_now_us()};
	notify_reloading();
	writer_reopen_lines(proxy->writer); /* logs are rotated whatever the settings say */
	result.refused = replace(proxy, path, witness_fd, &problem) < 0;
	if (result.refused) {
		(void)text_copy(result.reason, sizeof(result.reason), problem.text);
		log_line(LOG_LEVEL_ERROR, "reload_refused",
		         "reason=\"%s\" effect=\"the settings before stay in force\"", problem.text);
	} else {
		log_line(LOG_LEVEL_NOTICE, "reloaded", "settings=%s", path != NULL ? path : SETTINGS_DEFAULT_PATH);
	}
	current_note(proxy->current, &result);
	notify_send(result.refused ? "READY=1\nSTATUS=Settings refused, those before stay in force: see the log"
	                           : "READY=1\nSTATUS=");
}
