/* SPDX-License-Identifier: Apache-2.0 */

/* The shared files. They are INI with values longer than the library that reads our own settings takes (a session token
 * has a kilobyte), and with settings that are indented below others: those are of no interest here. */
#include "detector/aws_profile.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/text.h"

#define FILE_BYTES ((size_t)1 << 20)

void aws_profile_done(struct aws_profile *profile)
{
	secret_done(&profile->secret_key);
	secret_done(&profile->session_token);
}

/* Ways to credentials that need a browser, or a token of somebody else's. */
static const char *const unserved[] = {"sso_session", "sso_start_url", "web_identity_token_file", "login_session"};

static bool names_profile(const char *section, bool is_config, const char *name)
{
	if (is_config && strcmp(name, "default") != 0) {
		if (!text_starts(section, "profile") || strspn(section + 7, " \t") == 0)
			return false;
		section += 7 + strspn(section + 7, " \t");
	}
	return strcmp(section, name) == 0;
}

MUST_USE static int take_secret(struct secret *to, const char *value, const char *key, struct error *err)
{
	struct error problem = {0};
	if (secret_set(to, value, strlen(value), &problem) < 0)
		return error_set(err, problem.code, "%s: %s", key, problem.text);
	return 0;
}

MUST_USE static int take_value(struct aws_profile *profile, const char *key, const char *value, struct error *err)
{
	const struct {
		const char *key;
		char *to;
		size_t size;
	} texts[] = {
		{"aws_access_key_id", profile->access_key_id, sizeof(profile->access_key_id)},
		{"region", profile->region, sizeof(profile->region)},
		{"endpoint_url", profile->endpoint_url, sizeof(profile->endpoint_url)},
		{"credential_process", profile->process, sizeof(profile->process)},
		{"role_arn", profile->role_arn, sizeof(profile->role_arn)},
		{"source_profile", profile->source_profile, sizeof(profile->source_profile)},
		{"credential_source", profile->credential_source, sizeof(profile->credential_source)},
		{"external_id", profile->external_id, sizeof(profile->external_id)},
		{"role_session_name", profile->role_session_name, sizeof(profile->role_session_name)},
		{"duration_seconds", profile->duration_seconds, sizeof(profile->duration_seconds)},
		{"mfa_serial", profile->mfa_serial, sizeof(profile->mfa_serial)},
	};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		if (strcasecmp(key, texts[i].key) == 0 && !text_copy(texts[i].to, texts[i].size, value))
			return error_set(err, ERROR_INPUT, "%s: expected at most %zu bytes", key, texts[i].size - 1);
	if (strcasecmp(key, "aws_secret_access_key") == 0)
		return take_secret(&profile->secret_key, value, key, err);
	if (strcasecmp(key, "aws_session_token") == 0)
		return take_secret(&profile->session_token, value, key, err);
	for (size_t i = 0; i < ARRAY_LENGTH(unserved); i++)
		if (strcasecmp(key, unserved[i]) == 0 && profile->unserved[0] == '\0')
			(void)text_copy(profile->unserved, sizeof(profile->unserved), unserved[i]);
	return 0;
}

/* "; ..." and "# ..." behind white space are comments. */
static void cut_comment(char *value)
{
	for (char *at = value; *at != '\0'; at++)
		if ((*at == '#' || *at == ';') && at > value && (at[-1] == ' ' || at[-1] == '\t'))
			*at = '\0';
}

int aws_profile_parse(char *text, bool is_config, struct aws_profile *profile, struct error *err)
{
	bool is_ours = false;
	for (char *line = text, *next; line != NULL; line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		char *end, *equals = strchr(line, '=');
		bool is_nested = line[0] == ' ' || line[0] == '\t';
		if (line[0] == '[' && (end = strchr(line, ']')) != NULL) {
			*end = '\0';
			is_ours = names_profile(text_trim(line + 1), is_config, profile->name);
			profile->exists = profile->exists || is_ours;
		} else if (is_ours && !is_nested && line[0] != '#' && line[0] != ';' && equals != NULL) {
			*equals = '\0';
			cut_comment(equals + 1);
			if (take_value(profile, text_trim(line), text_trim(equals + 1), err) < 0)
				return -1;
		}
	}
	return 0;
}

/* A command is run as whoever runs this program: only they, or root, may have written it. */
static bool is_foreign(const char *path)
{
	struct stat status;
	return stat(path, &status) < 0 || (status.st_uid != geteuid() && status.st_uid != 0) ||
	       (status.st_mode & S_IWOTH) != 0;
}

MUST_USE static int read_file(const char *variable, const char *name, bool is_config, struct aws_profile *profile,
                              struct error *err)
{
	CLEANUP_SECRET_BUFFER struct buffer text = {.limit = FILE_BYTES};
	CLEANUP_FREE char *path = NULL;
	const char *given = getenv(variable), *home = getenv("HOME");
	struct error problem = {0};
	bool has_path = given != NULL && given[0] != '\0';
	if (!has_path && home == NULL)
		return 0;
	if (asprintf(&path, "%s%s%s", has_path ? given : home, has_path ? "" : "/.aws/", has_path ? "" : name) < 0)
		return error_set(err, ERROR_MEMORY, "no memory for a path");
	if (buffer_read_file(&text, path, &problem) < 0)
		return problem.code == ERROR_MISSING ? 0 : error_set(err, problem.code, "%s", problem.text);
	/* Whoever wrote the file with the command that counts, which is the last one. */
	char before[sizeof(profile->process)];
	memcpy(before, profile->process, sizeof(before));
	profile->process[0] = '\0';
	if (text.bytes != NULL && aws_profile_parse(text.bytes, is_config, profile, err) < 0)
		return error_prefix(err, "%s", path);
	if (profile->process[0] != '\0')
		profile->is_process_foreign = is_foreign(path);
	else
		memcpy(profile->process, before, sizeof(before));
	return 0;
}

int aws_profile_read(const char *name, struct aws_profile *ret, struct error *err)
{
	const char *wanted = name != NULL ? name : getenv("AWS_PROFILE");
	CLEANUP_PROFILE struct aws_profile profile = {0};
	bool is_asked_for = wanted != NULL && wanted[0] != '\0';
	if (!text_copy(profile.name, sizeof(profile.name), is_asked_for ? wanted : "default"))
		return error_set(err, ERROR_USAGE, "profile %.40s...: a name of at most %zu bytes", wanted,
		                 sizeof(profile.name) - 1);
	if (read_file("AWS_CONFIG_FILE", "config", true, &profile, err) < 0 ||
	    read_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", false, &profile, err) < 0)
		return -1;
	if (!profile.exists && is_asked_for)
		return error_set(err, ERROR_MISSING, "profile %s: in neither of AWS's shared files", profile.name);
	*ret = profile;
	return 0;
}
