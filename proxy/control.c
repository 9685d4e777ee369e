/* SPDX-License-Identifier: Apache-2.0 */

/* Status on a socket that the group may open. */
#include "proxy/control.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "proxy/local.h"
#include "proxy/send.h"

struct control {
	struct proxy *proxy;
	pid_t witness_pid;
	struct line *line; /* of the thread */
	int fd;
	char path[LOCAL_PATH_BYTES];
	pthread_t thread;
};

static json_t *witness_status(const struct control *control, const struct settings *settings)
{
	json_t *witness = json_object();
	json_t *backends = json_array();
	if (control->proxy->may_look)
		(void)json_array_append_new(backends, json_string("conntrack"));
	if (control->proxy->may_look)
		(void)json_array_append_new(backends, json_string("sock_diag"));
	if (control->proxy->may_look && settings->proc_scan != 0)
		(void)json_array_append_new(backends, json_string("proc_scan"));
	json_put_int(witness, "pid", control->witness_pid);
	json_put(witness, "backends", backends);
	json_put_bool(witness, "ebpf_required", settings->ebpf == TRISTATE_ON);
	CLEANUP_JSON json_t *more = NULL;
	struct error problem = {0};
	if (line_status(control->line, &more, &problem) == 0)
		(void)json_object_update(witness, more);
	else
		json_put(witness, "ebpf", json_sprintf("not known: %s", problem.text));
	return witness;
}

static json_t *reload_status(struct current *current)
{
	const struct reload_result last = current_last(current);
	json_t *reload = json_object();
	json_put_time(reload, "in_force_since", current_since_us(current));
	json_put_time(reload, "last_at", last.at_us);
	json_put_bool(reload, "refused", last.refused);
	json_put_text(reload, "reason", last.refused ? last.reason : NULL);
	return reload;
}

static json_t *status_of(const struct control *control)
{
	static const char *const modes[] = {"required", "audit"};
	static const char *const scopes[] = {"instance", "netns", "cgroup", "process"};
	struct proxy *proxy = control->proxy;
	const struct settings *settings = current_take(proxy->current);
	char reason[160];
	json_t *status = json_object();
	json_put_text(status, "version", KEYTRAIL_VERSION);
	json_put_int(status, "pid", getpid());
	json_put_int(status, "witness_pid", control->witness_pid);
	json_put_time(status, "started_at", proxy->started_us);
	json_put_int(status, "port", settings->port);
	json_put_text(status, "user", proxy->user);
	json_put_text(status, "mode", modes[settings->imdsv2_mode]);
	json_put_text(status, "token_scope", scopes[settings->token_scope]);
	json_put_int(status, "hop_limit", settings->put_response_hop_limit);
	json_put(status, "witness", witness_status(control, settings));
	json_put(status, "ledger", writer_status(proxy->writer));
	json_put(status, "redirect", heartbeat_redirect(proxy->heartbeat));
	json_put(status, "instance", placement_known(proxy->placement));

	json_t *upstream = json_object();
	json_put_bool(upstream, "reachable", upstream_is_reachable(proxy->upstream, reason, sizeof(reason)));
	json_put_text(upstream, "last_error", reason[0] != '\0' ? reason : NULL);
	json_put(status, "upstream", upstream);

	json_t *counters = json_object();
	for (int i = 0; i < COUNTER_COUNT; i++)
		json_put_int(counters, counter_names[i], (int64_t)counts_total(&proxy->counts, (enum counter)i));
	json_put(status, "counters", counters);
	json_put(status, "reload", reload_status(proxy->current));
	current_give(proxy->current, settings);
	return status;
}

static void *run(void *argument)
{
	struct control *control = argument;
	for (;;) {
		struct error problem = {0};
		CLEANUP_BUFFER struct buffer bytes = {0};
		CLEANUP_FD int fd = accept4(control->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return NULL; /* shut down */
		CLEANUP_JSON json_t *status = status_of(control);
		CLEANUP_FREE char *line = json_line(status);
		if (line != NULL && buffer_printf(&bytes, &problem, "%s\n", line) == 0)
			(void)send_all(fd, &bytes);
	}
}

MUST_USE static int listen_on(struct control *control, const char *folder, struct error *err)
{
	if (snprintf(control->path, sizeof(control->path), "%s/control.sock", folder) >= (int)sizeof(control->path))
		return error_set(err, ERROR_LIMIT, "[daemon] runtime: longer than %zu bytes",
		                 sizeof(control->path) - sizeof("/control.sock"));
	return local_listen(control->path, &control->fd, err);
}

int control_start(struct proxy *proxy, int witness_fd, pid_t witness_pid, struct control **ret, struct error *err)
{
	struct control *control = calloc(1, sizeof(*control));
	if (control == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the control socket");
	control->proxy = proxy;
	control->witness_pid = witness_pid;
	control->fd = -1;
	int result = line_open(witness_fd, &control->line, err);
	if (result == 0)
		result = listen_on(control, proxy->at_start.runtime, err);
	if (result == 0 && pthread_create(&control->thread, NULL, run, control) != 0)
		result = error_set(err, ERROR_SYSTEM, "cannot start the control thread");
	if (result < 0) {
		cleanup_descriptor(&control->fd);
		line_close(control->line);
		free(control);
		return -1;
	}
	*ret = control;
	return 0;
}

void control_stop(struct control *control)
{
	if (control == NULL)
		return;
	(void)shutdown(control->fd, SHUT_RDWR);
	(void)pthread_join(control->thread, NULL);
	(void)close(control->fd);
	(void)unlink(control->path);
	line_close(control->line);
	free(control);
}
