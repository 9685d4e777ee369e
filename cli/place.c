/* SPDX-License-Identifier: Apache-2.0 */

/* Finds the ledger and what lies beside it. Reading never makes a file. */
#include "cli/place.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"

#define FINDINGS_NAME "findings.db"

int place_beside(const char *path, const char *name, char to[static PATH_MAX], struct error *err)
{
	const char *slash = strrchr(path, '/');
	int folder = slash != NULL ? (int)(slash - path + 1) : 0;
	if (snprintf(to, PATH_MAX, "%.*s%s", folder, path, name) >= PATH_MAX)
		return error_set(err, ERROR_LIMIT, "%.80s: the path is too long", path);
	return 0;
}

int place_find(const struct arguments *arguments, struct place *ret, struct error *err)
{
	CLEANUP_SETTINGS struct settings settings = {0};
	struct place place = {0};
	const char *ledger = arguments->ledger_count > 0 ? arguments->ledgers[0] : NULL;
	bool asks_daemon = (arguments->command->options & OPTIONS_DAEMON) != 0;
	bool may_do_without = ledger != NULL && arguments->settings == NULL && !asks_daemon;
	struct error problem = {0};

	settings_load_forgiving(arguments->settings, &settings, &problem);
	bool is_forgiven = may_do_without || (asks_daemon && problem.code == ERROR_INPUT);
	if (problem.text[0] != '\0' && !is_forgiven)
		return error_set(err, problem.code, "settings: %s", problem.text);
	(void)text_copy(place.settings_problem, sizeof(place.settings_problem), problem.text);
	(void)text_copy(place.runtime, sizeof(place.runtime), settings.runtime);
	(void)text_copy(place.fleet_key, sizeof(place.fleet_key), settings.fleet_key);
	if (!text_copy(place.ledger, sizeof(place.ledger), ledger != NULL ? ledger : settings.ledger_path))
		return error_set(err, ERROR_LIMIT, "%.80s: the path is too long", ledger);
	if (arguments->findings != NULL) {
		if (!text_copy(place.findings, sizeof(place.findings), arguments->findings))
			return error_set(err, ERROR_LIMIT, "%.80s: the path is too long", arguments->findings);
	} else if (place_beside(place.ledger, FINDINGS_NAME, place.findings, err) < 0) {
		return -1;
	}
	*ret = place;
	return 0;
}

int place_open_ledger(const struct place *place, struct ledger **ret, struct error *err)
{
	if (access(place->ledger, R_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
		return error_set(err, ERROR_MISSING,
		                 "ledger %.200s: there is none, expected one that keytraild keeps; name another with "
		                 "--ledger FILE",
		                 place->ledger);
	if (access(place->ledger, R_OK) < 0 && errno == EACCES)
		return error_set(
			err, ERROR_SYSTEM,
			"ledger %.200s: not for this user to read, expected a member of group keytrail, or root",
			place->ledger);
	if (ledger_open(place->ledger, ret, err) < 0)
		return error_prefix(err, "ledger");
	return 0;
}

int place_open_findings(const struct arguments *arguments, const struct place *place, struct findings **ret,
                        struct error *err)
{
	if (arguments->findings == NULL && access(place->findings, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		*ret = NULL;
		return 0;
	}
	if (findings_open(place->findings, true, ret, err) < 0)
		return error_prefix(err, "findings");
	return 0;
}
