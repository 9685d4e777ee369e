/* SPDX-License-Identifier: Apache-2.0 */

/* Looking, once at accept and once before the answer. The proxy is not trusted: a query of another size or kind ends
 * the line. Backends are asked in the order of their worth; an eBPF backend would stand before sock_diag and fill the
 * same sighting. */
#include "proxy/witness/looker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "proxy/witness/conntrack.h"
#include "proxy/witness/grade.h"
#include "proxy/witness/pass.h"
#include "proxy/witness/procfs.h"
#include "proxy/witness/sockdiag.h"
#include "proxy/witness/witness.h"

/* Whoever holds the socket at first is looked for only when a request takes this long. Most are over by then, and the
 * look before a credential leaves excludes everybody else anyway. */
#define FIRST_SCAN_AFTER_MS 10
#define FIRST_SCAN_MS 250  /* runs while the proxy reads and fetches */
#define SECOND_SCAN_MS 250 /* a client waits for this one: well below the 500 ms of the strictest */

struct looker {
	int fd;
	struct looker_options *options;
	struct conntrack *conntrack;
	struct sockdiag *sockdiag;

	/* The connection being looked at. */
	struct endpoint local;
	struct sighting sighting;
	bool has_looked;       /* sock_diag was asked and answered */
	bool is_first_due;     /* nobody has looked for a holder yet */
	struct holder first;   /* pid 0: none found at accept */
	json_t *first_process; /* as it was at accept; owned */
	json_t *evidence;      /* array of sentences; owned */
};

static atomic_uint lines_open;

static void say(struct looker *looker, const char *format, ...) PRINTF_LIKE(2, 3);

static void say(struct looker *looker, const char *format, ...)
{
	char sentence[256];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	(void)json_array_append_new(looker->evidence, json_string(sentence));
}

static void forget(struct looker *looker)
{
	looker->sighting = (struct sighting){0};
	looker->has_looked = looker->is_first_due = false;
	looker->first = (struct holder){0};
	json_decref(looker->first_process);
	json_decref(looker->evidence);
	looker->first_process = NULL;
	looker->evidence = json_array();
}

/* ---- at accept */

static void look_at_tuple(struct looker *looker, const struct query *query)
{
	struct sighting *sighting = &looker->sighting;
	struct error problem = {0};
	char client[ADDRESS_TEXT_BYTES], destination[ADDRESS_TEXT_BYTES];
	int found = looker->conntrack == NULL ? -1
	                                      : conntrack_original(looker->conntrack, &query->peer, &query->local,
	                                                           &sighting->client, &sighting->destination, &problem);
	if (found == 1) {
		sighting->has_tuple = true;
		say(looker, "conntrack: accepted port %u is the client's %s port %u to %s port %u", query->peer.port,
		    endpoint_text(&sighting->client, client), sighting->client.port,
		    endpoint_text(&sighting->destination, destination), sighting->destination.port);
		return;
	}
	sighting->client = query->peer;
	say(looker, "conntrack: %s", found == 0 ? "no entry for this connection" : problem.text);
}

static void look_at_socket(struct looker *looker)
{
	struct sighting *sighting = &looker->sighting;
	struct error problem = {0};
	if (!sighting->has_tuple)
		return;
	if (looker->sockdiag == NULL) {
		say(looker, "sock_diag: not available");
		return;
	}
	looker->has_looked =
		sockdiag_find(looker->sockdiag, !endpoint_is_loopback(&looker->local), sighting, &problem) == 0;
	if (!looker->has_looked)
		say(looker, "sock_diag: %s", problem.text);
	else if (sighting->is_ambiguous)
		say(looker, "sock_diag: sockets in two network namespaces have this tuple");
	else if (!sighting->is_found)
		say(looker, "sock_diag: no socket has this tuple");
	else if (sighting->inode == 0)
		say(looker, "sock_diag: the client had closed before it was looked for");
	else
		say(looker,
		    "sock_diag: inode %u, cookie %llx, made by uid %u, control group %llu, network namespace %llu",
		    sighting->inode, (unsigned long long)sighting->cookie, sighting->uid,
		    (unsigned long long)sighting->cgroup_id, (unsigned long long)sighting->netns);
}

/* Who holds it while the request is under way, so that it can be told when another does in the end. */
static void look_at_process(struct looker *looker)
{
	struct holders holders;
	const struct sighting *sighting = &looker->sighting;
	if (!looker->is_first_due)
		return;
	looker->is_first_due = false;
	const struct holder_search search = {.inode = sighting->inode,
	                                     .uid = sighting->uid,
	                                     .stop_at_first = true,
	                                     .deadline_ms = clock_monotonic_ms() + FIRST_SCAN_MS};
	procfs_find(&search, &holders);
	if (holders.count == 0)
		return;
	looker->first = holders.items[0];
	/* Without ancestors: this runs for every connection, and most carry no credential. */
	looker->first_process =
		identity_read(looker->options->reader, looker->first.pid, looker->first.start_ticks, false);
	say(looker, "proc: pid %u held the socket as descriptor %d at first", looker->first.pid, looker->first.fd);
}

/* ---- before the answer */

static bool is_same(const struct holder *a, const struct holder *b)
{
	return a->pid == b->pid && a->start_ticks == b->start_ticks;
}

/* Reads every holder, keeps those that still hold the socket afterwards, and says so. */
static void look_at_holders(struct looker *looker, struct evidence *evidence, json_t *list, json_t **ret_process)
{
	struct holders holders;
	const struct sighting *sighting = &looker->sighting;
	const struct holder_search search = {
		.inode = sighting->inode, .uid = sighting->uid, .deadline_ms = clock_monotonic_ms() + SECOND_SCAN_MS};
	procfs_find(&search, &holders);
	bool first_is_there = false;
	for (size_t i = 0; i < holders.count && i < HOLDERS_MAX; i++) {
		const struct holder *holder = &holders.items[i];
		json_t *process = identity_read(looker->options->reader, holder->pid, holder->start_ticks, true);
		if (process == NULL || !procfs_still_holds(holder, sighting->inode)) {
			json_decref(process);
			continue;
		}
		if (is_same(holder, &looker->first) && looker->first_process != NULL)
			identity_keep_parent(process, looker->first_process);
		int64_t netns = 0;
		(void)json_int_at(process, "netns", &netns);
		evidence->holders++;
		evidence->is_relay |= holder->is_relay || identity_is_forwarder(process) ||
		                      (netns != 0 && (uint64_t)netns != sighting->netns);
		if (*ret_process == NULL || is_same(holder, &looker->first))
			*ret_process = process;
		first_is_there |= is_same(holder, &looker->first);
		(void)json_array_append_new(list, process);
		say(looker, "proc: pid %u holds the socket as descriptor %d before the answer", holder->pid,
		    holder->fd);
	}
	evidence->is_complete = holders.is_complete && holders.count <= HOLDERS_MAX;
	evidence->owner_differs = looker->first.pid != 0 && !first_is_there;
	if (evidence->owner_differs && looker->first_process != NULL)
		(void)json_array_append(list, looker->first_process);
	say(looker, "proc: looked at %u processes, %s", holders.looked_at,
	    evidence->is_complete ? "all there are" : "not all: others that hold it are not excluded");
}

static const char *method_of(const struct evidence *evidence)
{
	if (evidence->holders > 0)
		return "sock_diag+proc";
	if (evidence->is_found)
		return "sock_diag";
	return evidence->has_tuple ? "conntrack" : "none";
}

static enum grade look_again(struct looker *looker, json_t *document)
{
	const struct sighting *sighting = &looker->sighting;
	struct error problem = {0};
	struct evidence evidence = {
		.has_tuple = sighting->has_tuple && endpoint_service(&sighting->destination) != SERVICE_NONE,
		.has_looked = looker->has_looked,
		.is_output = endpoint_is_loopback(&looker->local),
		.is_found = sighting->is_found,
		.is_ambiguous = sighting->is_ambiguous,
		.has_cgroup = sighting->cgroup_id > 1,
	};
	json_t *holders = json_array(), *process = NULL;
	bool may_look = sighting->is_found && !sighting->is_ambiguous && sighting->inode != 0;
	if (may_look) {
		int again = sockdiag_again(looker->sockdiag, sighting, &problem);
		evidence.has_looked = again >= 0;
		evidence.is_alive = again == 1;
		say(looker, "sock_diag: %s",
		    again < 0    ? problem.text
		    : again == 1 ? "the same socket is there before the answer"
		                 : "that socket is gone before the answer");
	}
	if (evidence.is_alive && looker->options->proc_scan)
		look_at_holders(looker, &evidence, holders, &process);
	else if (!evidence.is_alive && looker->first_process != NULL)
		process = looker->first_process; /* it asked, and is not there to receive */

	enum grade grade = grade_of(&evidence);
	json_t *attribution = json_object();
	json_put_text(attribution, "grade", grade_names[grade]);
	json_put_text(attribution, "method", method_of(&evidence));
	json_put_bool(attribution, "complete", evidence.is_complete);
	json_put(attribution, "evidence", json_deep_copy(looker->evidence));
	json_put(document, "attribution", attribution);
	json_put(document, "process", json_incref(process));
	json_put(document, "holders", holders);
	return grade;
}

/* ---- the line */

/* An upstream socket, made so that the redirect's owner match sees the proxy's user, and marked. */
static int make_socket(const struct looker *looker, int family)
{
	const unsigned mark = WITNESS_MARK;
	if (looker->options->is_root)
		(void)setfsuid(looker->options->proxy_uid);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
	if (looker->options->is_root)
		(void)setfsuid(0);
	if (fd >= 0 && looker->options->is_root && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static bool send_answer(struct looker *looker, const struct answer *answer, const char *document, int socket)
{
	const struct iovec data[] = {{(void *)(uintptr_t)answer, sizeof(*answer)},
	                             {(void *)(uintptr_t)document, answer->document_bytes}};
	return pass_send(looker->fd, data, ARRAY_LENGTH(data), socket) >= 0;
}

static bool answer_look(struct looker *looker, const struct query *query)
{
	struct answer answer = {.magic = LINE_MAGIC};
	forget(looker);
	looker->local = query->local;
	look_at_tuple(looker, query);
	look_at_socket(looker);
	CLEANUP_FD int socket = make_socket(looker, query->local.family);
	answer.has_socket = socket >= 0;
	answer.sighting = looker->sighting;
	looker->is_first_due = looker->options->proc_scan && looker->sighting.is_found &&
	                       !looker->sighting.is_ambiguous && looker->sighting.inode != 0;
	return send_answer(looker, &answer, "", socket);
}

static bool answer_first(struct looker *looker)
{
	look_at_process(looker);
	struct answer answer = {.magic = LINE_MAGIC, .sighting = looker->sighting};
	answer.sighting.pid = looker->first.pid;
	answer.sighting.start_ticks = looker->first.start_ticks;
	return send_answer(looker, &answer, "", -1);
}

static bool answer_socket(struct looker *looker, const struct query *query)
{
	CLEANUP_FD int socket = make_socket(looker, query->local.family == AF_INET6 ? AF_INET6 : AF_INET);
	struct answer answer = {.magic = LINE_MAGIC, .has_socket = socket >= 0};
	return send_answer(looker, &answer, "", socket);
}

static bool answer_who(struct looker *looker)
{
	CLEANUP_JSON json_t *document = json_object();
	struct answer answer = {.magic = LINE_MAGIC, .sighting = looker->sighting};
	answer.grade = (uint32_t)look_again(looker, document);
	CLEANUP_FREE char *text = json_line(document);
	if (text != NULL && strlen(text) > LINE_DOCUMENT_BYTES) {
		/* Many holders with long command lines: keep the process, name the others by number only. */
		json_put(document, "holders", json_array());
		json_put_bool(json_object_get(document, "attribution"), "complete", false);
		free(text);
		text = json_line(document);
	}
	if (text == NULL || strlen(text) > LINE_DOCUMENT_BYTES)
		return false;
	answer.document_bytes = (uint32_t)strlen(text);
	return send_answer(looker, &answer, text, -1);
}

/* The line's last query: from now on it speaks whenever there is something to say. */
static bool answer_digests(struct looker *looker)
{
	bool is_sent = looker->options->digests != NULL;
	while (is_sent) {
		CLEANUP_JSON json_t *news = digests_next(looker->options->digests);
		CLEANUP_FREE char *text = json_line(news);
		struct answer answer = {.magic = LINE_MAGIC};
		if (text == NULL || strlen(text) > LINE_DOCUMENT_BYTES)
			continue;
		answer.document_bytes = (uint32_t)strlen(text);
		is_sent = send_answer(looker, &answer, text, -1);
	}
	return false;
}

static bool serve_query(struct looker *looker, const struct query *query)
{
	switch (query->kind) {
	case QUERY_LOOK:
		return answer_look(looker, query);
	case QUERY_FIRST:
		return answer_first(looker);
	case QUERY_WHO:
		return answer_who(looker);
	case QUERY_SOCKET:
		return answer_socket(looker, query);
	default:
		return false;
	}
}

/* The settings that it goes by stay the same for the whole of a query. */
static bool serve_one(struct looker *looker, const struct query *query)
{
	if (query->kind == QUERY_DIGESTS)
		return answer_digests(looker); /* goes by none, and has no end */
	(void)pthread_rwlock_rdlock(&looker->options->lock);
	bool good = serve_query(looker, query);
	(void)pthread_rwlock_unlock(&looker->options->lock);
	return good;
}

struct looker *looker_new(int fd, struct looker_options *options)
{
	struct looker *looker = lines_open < options->lines_max ? calloc(1, sizeof(*looker)) : NULL;
	struct error problem = {0};
	if (looker == NULL)
		return NULL;
	looker->fd = fd;
	looker->options = options;
	looker->evidence = json_array();
	/* Without either the line works all the same, and its grades say what it could not see. */
	if (conntrack_open(&looker->conntrack, &problem) < 0 || sockdiag_open(&looker->sockdiag, &problem) < 0)
		log_line(LOG_LEVEL_WARNING, "backend_failed", "reason=\"%s\"", problem.text);
	lines_open++;
	return looker;
}

void looker_free(struct looker *looker)
{
	conntrack_close(looker->conntrack);
	sockdiag_close(looker->sockdiag);
	json_decref(looker->first_process);
	json_decref(looker->evidence);
	(void)close(looker->fd);
	free(looker);
	lines_open--;
}

/* While the line is quiet. A request that is over by then is not looked into. */
static void use_the_pause(struct looker *looker)
{
	struct pollfd ready = {.fd = looker->fd, .events = POLLIN};
	struct error ignored;
	if (!looker->is_first_due || poll(&ready, 1, FIRST_SCAN_AFTER_MS) != 0)
		return;
	(void)pthread_rwlock_rdlock(&looker->options->lock);
	if (looker->options->proc_scan &&
	    (!looker->sighting.is_local || sockdiag_again(looker->sockdiag, &looker->sighting, &ignored) == 1))
		look_at_process(looker);
	(void)pthread_rwlock_unlock(&looker->options->lock);
	looker->is_first_due = false;
}

void *looker_run(void *argument)
{
	struct looker *looker = argument;
	for (;;) {
		struct query query;
		use_the_pause(looker);
		ssize_t got = recv(looker->fd, &query, sizeof(query), MSG_TRUNC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			break;
		if (got != (ssize_t)sizeof(query) || query.magic != LINE_MAGIC || !serve_one(looker, &query)) {
			log_line(LOG_LEVEL_WARNING, "line_ended", "reason=\"bad query or broken line\"");
			break;
		}
	}
	looker_free(looker);
	return NULL;
}
