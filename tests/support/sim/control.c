/* SPDX-License-Identifier: Apache-2.0 */
/* The tests' remote control. Served by the main thread, one connection at a time, so that commands never race
 * each other. */
#include "sim/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { COMMAND_BYTES = 1024, CLIENT_SECONDS = 2 };

int control_listen(const char *path, int *ret_fd, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, "%s: too long for a socket", path);
	(void)strcpy(address.sun_path, path);

	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 16) != 0)
		return error_set(err, "%s: %s", path, strerror(errno));

	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int do_rotate(struct sim *sim, char *arguments, FILE *out, struct error *err)
{
	(void)arguments;
	(void)out;
	return sim_rotate(sim, err);
}

static int do_set(struct sim *sim, char *arguments, FILE *out, struct error *err)
{
	const char *key = strsep(&arguments, " ");

	(void)out;
	return sim_set(sim, key, arguments != NULL ? arguments : "", err);
}

static void write_key(FILE *out, const char *family, const struct sim *sim, const char *path, const char *separator)
{
	const struct node *node = tree_find(&sim->tree, path);

	(void)fprintf(out, "%s\"%s\":", separator, family);
	if (node == NULL || node->access_key_id[DELIVERY_V1][0] == '\0')
		(void)fputs("null", out);
	else
		(void)fprintf(out, "{\"v1\":\"%s\",\"v2\":\"%s\"}", node->access_key_id[DELIVERY_V1],
		              node->access_key_id[DELIVERY_V2]);
}

/* Read from the tree, not from the drawn sets: only what is served counts. */
static int do_keys(struct sim *sim, char *arguments, FILE *out, struct error *err)
{
	char path[256];

	(void)arguments;
	(void)err;
	(void)snprintf(path, sizeof(path), "meta-data/iam/security-credentials/%s", sim->settings.role);
	write_key(out, "role", sim, path, "{");
	(void)snprintf(path, sizeof(path), "meta-data/iam/security-credentials-extended/%s", sim->settings.role);
	write_key(out, "extended", sim, path, ",");
	write_key(out, "identity", sim, "meta-data/identity-credentials/ec2/security-credentials/ec2-instance", ",");
	write_key(out, "task_application", sim, TASK_PATH "-TaskApplication", ",");
	write_key(out, "task_execution", sim, TASK_PATH "-TaskExecution", ",");
	(void)fputc('}', out);
	return 0;
}

static int do_counters(struct sim *sim, char *arguments, FILE *out, struct error *err)
{
	(void)arguments;
	(void)err;
	record_write_counters(&sim->record, out);
	return 0;
}

static int do_log(struct sim *sim, char *arguments, FILE *out, struct error *err)
{
	(void)arguments;
	(void)err;
	record_write_lines(&sim->record, out);
	return 0;
}

static int do_reset(struct sim *sim, char *arguments, FILE *out, struct error *err)
{
	(void)arguments;
	(void)out;
	(void)err;
	record_reset(&sim->record);
	return 0;
}

static int do_expire_tokens(struct sim *sim, char *arguments, FILE *out, struct error *err)
{
	(void)arguments;
	(void)out;
	(void)err;
	sim_expire_tokens(sim);
	return 0;
}

static int do_settings(struct sim *sim, char *arguments, FILE *out, struct error *err)
{
	(void)arguments;
	(void)err;
	for (size_t i = 0; i < settings_count; i++) {
		(void)fprintf(out, "%s\"%s\":", i > 0 ? "," : "{", settings_table[i].key);
		settings_write(out, &sim->settings, &settings_table[i]);
	}
	(void)fputc('}', out);
	return 0;
}

static const struct command {
	const char *name;
	const char *help;
	int (*run)(struct sim *sim, char *arguments, FILE *out, struct error *err);
} commands[] = {
	{"rotate", "new credentials", do_rotate},
	{"set", "KEY VALUE", do_set},
	{"settings", "all settings", do_settings},
	{"keys", "current AccessKeyIds", do_keys},
	{"counters", "connections and requests", do_counters},
	{"log", "the last requests", do_log},
	{"reset", "counters and last requests", do_reset},
	{"expire-tokens", "make every token issued so far worthless", do_expire_tokens},
};

static void write_help(FILE *out, const char *name)
{
	(void)fprintf(out, "error: no command '%s'; there are:", name);
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		(void)fprintf(out, " %s (%s)", commands[i].name, commands[i].help);
}

/* Commands that have nothing to show answer "ok". */
static void run_command(struct sim *sim, char *line, FILE *out)
{
	const char *name = strsep(&line, " ");
	char none[] = "";
	char *arguments = line != NULL ? line : none;

	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		struct error err = {.text = ""};

		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (commands[i].run(sim, arguments, out, &err) != 0)
			(void)fprintf(out, "error: %s", err.text);
		else if (ftell(out) == 0)
			(void)fputs("ok", out);
		return;
	}
	write_help(out, name);
}

static bool read_line(int client, char ret_line[static COMMAND_BYTES])
{
	size_t length = 0;

	while (length + 1 < COMMAND_BYTES) {
		ssize_t got = recv(client, ret_line + length, COMMAND_BYTES - 1 - length, 0);
		if (got < 0)
			return false;
		length += (size_t)got;
		ret_line[length] = '\0';
		if (got == 0 || strchr(ret_line, '\n') != NULL)
			break;
	}
	ret_line[strcspn(ret_line, "\r\n")] = '\0';
	return true;
}

void control_serve(struct sim *sim, int fd)
{
	const struct timeval timeout = {.tv_sec = CLIENT_SECONDS};
	char line[COMMAND_BYTES];
	CLEANUP_BLOB struct blob reply = {0};
	CLEANUP_FD int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

	if (client < 0)
		return;
	(void)setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (!read_line(client, line))
		return;

	FILE *out = open_memstream(&reply.data, &reply.bytes);
	if (out == NULL)
		return;
	run_command(sim, line, out);
	(void)fputc('\n', out);
	(void)fclose(out);
	for (size_t at = 0; at < reply.bytes;) {
		ssize_t sent = send(client, reply.data + at, reply.bytes - at, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		at += (size_t)sent;
	}
}
