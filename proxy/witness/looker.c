/* SPDX-License-Identifier: Apache-2.0 */

/* One line: queries in, answers out. The proxy is not trusted: a query of another size or kind, or one too many, ends
 * the line. */
#include "proxy/witness/looker.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "common/buffer.h"
#include "common/text.h"
#include "proxy/witness/look.h"
#include "proxy/witness/pass.h"
#include "proxy/witness/probe.h"
#include "proxy/witness/witness.h"

/* Whoever holds the socket at first is looked for only when a request takes this long. Most are over by then, and the
 * look before a credential leaves excludes everybody else anyway. */
#define FIRST_LOOK_AFTER_MS 10

struct looker {
	int fd;
	struct looker_options *options;
	struct look *look;
	int patience_ms; /* as SO_RCVTIMEO of the line; 0: none */
};

static atomic_uint lines_open;

static struct look_options look_options(const struct looker *looker)
{
	const struct looker_options *options = looker->options;
	return (struct look_options){
		.reader = options->reader,
		.ebpf = options->ebpf,
		.proc_scan = options->proc_scan,
		.port = options->port,
		.groups = options->groups,
		.backlog_until_ms = options->backlog_until_ms,
	};
}

/* Upstream sockets: the redirect lets them through for their mark, and for the file-system uid that this process makes
 * all files with, the proxy's. How many there are. */
static uint32_t make_sockets(const struct looker *looker, int family, int fds[static LINE_SOCKETS_MAX])
{
	const unsigned mark = WITNESS_MARK;
	uint32_t count = 0;
	while (count < LINE_SOCKETS_MAX) {
		int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
		if (fd < 0)
			break;
		fds[count++] = fd;
		if (looker->options->is_root && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0) {
			(void)close(fds[--count]);
			break;
		}
	}
	return count;
}

static bool send_answer(struct looker *looker, const struct answer *answer, const char *document)
{
	const struct iovec data[] = {{(void *)(uintptr_t)answer, sizeof(*answer)},
	                             {(void *)(uintptr_t)document, answer->document_bytes}};
	return pass_send(looker->fd, data, ARRAY_LENGTH(data), NULL, 0) >= 0;
}

static bool answer_look(struct looker *looker, const struct query *query)
{
	struct answer answer = {.magic = LINE_MAGIC};
	const struct look_options options = look_options(looker);
	look_at_accept(looker->look, &options, &query->peer, &query->local);
	answer.sighting = *look_sighting(looker->look);
	answer.sighting.is_probe = probe_recognise(looker->options->probe, &answer.sighting);
	return send_answer(looker, &answer, "");
}

static bool answer_first(struct looker *looker)
{
	struct answer answer = {.magic = LINE_MAGIC};
	const struct look_options options = look_options(looker);
	look_at_first(looker->look, &options, &answer.sighting);
	return send_answer(looker, &answer, "");
}

static bool answer_sockets(struct looker *looker, const struct query *query)
{
	int fds[LINE_SOCKETS_MAX];
	uint32_t count = make_sockets(looker, query->local.family == AF_INET6 ? AF_INET6 : AF_INET, fds);
	struct answer answer = {.magic = LINE_MAGIC, .sockets = count, .marks = ebpf_marks(looker->options->ebpf)};
	const struct iovec data = {&answer, sizeof(answer)};
	bool is_sent = pass_send(looker->fd, &data, 1, fds, count) >= 0;
	while (count > 0)
		(void)close(fds[--count]);
	return is_sent;
}

/* Adds one text, which may be NULL, and the NUL behind it. Frees it. */
MUST_USE static int add_text(struct buffer *texts, char *of)
{
	struct error ignored;
	CLEANUP_FREE char *text = of;
	return text == NULL ? -1 : buffer_append(texts, text, strlen(text) + 1, &ignored);
}

/* The process is nearly always one of the holders, and then the same tree. */
MUST_USE static int put_texts(const json_t *document, struct answer *answer, struct buffer *ret)
{
	const json_t *process = json_at(document, "process"), *holders = json_at(document, "holders");
	size_t count = json_array_size(holders);
	int result = add_text(ret, json_line(json_at(document, "attribution")));
	answer->holders = (uint32_t)count;
	answer->process = process != NULL ? (uint32_t)count : LINE_NOBODY;
	for (size_t i = 0; result == 0 && i < count; i++) {
		const json_t *holder = json_array_get(holders, i);
		result = add_text(ret, identity_line(holder));
		if (holder == process)
			answer->process = (uint32_t)i;
	}
	if (result == 0 && answer->process == count)
		result = add_text(ret, identity_line(process));
	answer->document_bytes = (uint32_t)ret->length;
	return result;
}

static bool answer_who(struct looker *looker)
{
	CLEANUP_JSON json_t *document = json_object();
	CLEANUP_BUFFER struct buffer texts = {.limit = LINE_DOCUMENT_BYTES};
	struct answer answer = {.magic = LINE_MAGIC, .sighting = *look_sighting(looker->look)};
	const struct look_options options = look_options(looker);
	answer.grade = (uint32_t)look_again(looker->look, &options, document);
	(void)text_copy(answer.method, sizeof(answer.method), json_text_at(document, "attribution.method"));
	if (put_texts(document, &answer, &texts) < 0) {
		/* Many holders with long command lines: keep the process, name the others by number only. */
		json_put(document, "holders", json_array());
		json_put_bool(json_object_get(document, "attribution"), "complete", false);
		buffer_clear(&texts);
		if (put_texts(document, &answer, &texts) < 0)
			return false;
	}
	return send_answer(looker, &answer, texts.bytes);
}

static bool answer_status(struct looker *looker)
{
	CLEANUP_JSON json_t *document = json_object();
	struct answer answer = {.magic = LINE_MAGIC};
	ebpf_put_status(looker->options->ebpf, looker->options->ebpf_reason, document);
	refusals_put(&looker->options->refusals, document);
	CLEANUP_FREE char *text = json_line(document);
	if (text == NULL)
		return false;
	answer.document_bytes = (uint32_t)strlen(text);
	return send_answer(looker, &answer, text);
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
		is_sent = send_answer(looker, &answer, text);
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
	case QUERY_SOCKETS:
		return answer_sockets(looker, query);
	case QUERY_STATUS:
		return answer_status(looker);
	default:
		return false;
	}
}

static bool is_kind(uint32_t kind)
{
	return kind >= QUERY_LOOK && kind <= QUERY_STATUS;
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
	if (lines_open >= options->lines_max)
		refusals_add(&options->refusals, REFUSAL_TOO_MANY_LINES);
	struct looker *looker = lines_open < options->lines_max ? calloc(1, sizeof(*looker)) : NULL;
	if (looker == NULL)
		return NULL;
	looker->fd = fd;
	looker->options = options;
	looker->look = look_new();
	if (looker->look == NULL) {
		free(looker);
		return NULL;
	}
	lines_open++;
	return looker;
}

void looker_free(struct looker *looker)
{
	look_free(looker->look);
	(void)close(looker->fd);
	free(looker);
	lines_open--;
}

/* How long the next receive waits; 0: for ever. */
static void wait_for(struct looker *looker, int patience_ms)
{
	const struct timeval patience = {.tv_usec = patience_ms * 1000};
	if (looker->patience_ms != patience_ms)
		(void)setsockopt(looker->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	looker->patience_ms = patience_ms;
}

/* The line was quiet. A request that is over by now is not looked into. */
static void use_the_pause(struct looker *looker)
{
	wait_for(looker, 0);
	(void)pthread_rwlock_rdlock(&looker->options->lock);
	const struct look_options options = look_options(looker);
	if (look_is_due(looker->look))
		look_meanwhile(looker->look, &options);
	(void)pthread_rwlock_unlock(&looker->options->lock);
}

#define QUIET 2

/* One query, and none behind it: the proxy asks the next only when it has the answer. 1: it is there; 0: the line has
 * ended; QUIET: not in time; -1: *ret_refusal says what came instead. */
static int receive_query(int fd, struct query *ret, enum refusal *ret_refusal)
{
	struct query next;
	struct iovec data[] = {{ret, sizeof(*ret)}, {&next, sizeof(next)}};
	struct mmsghdr messages[] = {{.msg_hdr = {.msg_iov = &data[0], .msg_iovlen = 1}},
	                             {.msg_hdr = {.msg_iov = &data[1], .msg_iovlen = 1}}};
	int count;
	do
		count = recvmmsg(fd, messages, ARRAY_LENGTH(messages), MSG_WAITFORONE, NULL);
	while (count < 0 && errno == EINTR);
	if (count < 0 && errno == EAGAIN)
		return QUIET;
	if ((count > 0 && messages[0].msg_len == 0) || (count < 0 && errno == ECONNRESET))
		return 0;                 /* reset: with an answer unread that had come too late */
	*ret_refusal = REFUSAL_MALFORMED; /* also if this is no socket at all */
	if (count > 0 && (messages[0].msg_hdr.msg_flags & MSG_TRUNC) != 0)
		*ret_refusal = REFUSAL_OVERSIZED;
	else if (count > 1 && messages[1].msg_len > 0)
		*ret_refusal = REFUSAL_FLOODING;
	else if (count > 0 && messages[0].msg_len == sizeof(*ret) && ret->magic == LINE_MAGIC && is_kind(ret->kind))
		return 1;
	return -1;
}

void *looker_run(void *argument)
{
	struct looker *looker = argument;
	struct query query = {0};
	enum refusal refusal;
	int got;
	do {
		if (look_is_due(looker->look))
			wait_for(looker, FIRST_LOOK_AFTER_MS);
		got = receive_query(looker->fd, &query, &refusal);
		if (got == QUIET)
			use_the_pause(looker);
		else if (got < 0)
			refusals_add(&looker->options->refusals, refusal);
	} while (got == QUIET || (got == 1 && serve_one(looker, &query)));
	looker_free(looker);
	return NULL;
}
