/* SPDX-License-Identifier: Apache-2.0 */

/* The proxy's end of a line. What the witness sends is trusted, but its sizes are checked all the same. */
#include "proxy/witness/line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/canonical.h"
#include "common/text.h"
#include "proxy/witness/pass.h"

#define ANSWER_TIMEOUT_S 3 /* the witness bounds its own work well below this */

struct line {
	int main_fd; /* borrowed: new lines are made over it */
	int fd;
	bool is_broken; /* an answer is still due, or was none: nothing that comes can be believed any more */
	bool has_asked; /* for digests: they come without being asked for again */
};

void endpoint_from_sockaddr(const struct sockaddr_storage *from, struct endpoint *ret)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)from;
	*ret = (struct endpoint){.family = from->ss_family};
	if (from->ss_family == AF_INET) {
		ret->port = ntohs(v4->sin_port);
		memcpy(ret->address, &v4->sin_addr, 4);
	} else if (from->ss_family == AF_INET6) {
		ret->port = ntohs(v6->sin6_port);
		memcpy(ret->address, &v6->sin6_addr, 16);
	}
}

char *endpoint_text(const struct endpoint *endpoint, char to[static ADDRESS_TEXT_BYTES])
{
	if (inet_ntop(endpoint->family, endpoint->address, to, ADDRESS_TEXT_BYTES) == NULL)
		(void)text_copy(to, ADDRESS_TEXT_BYTES, "?");
	return to;
}

bool endpoint_is_loopback(const struct endpoint *endpoint)
{
	static const uint8_t ipv6[16] = {[15] = 1};
	return endpoint->family == AF_INET ? endpoint->address[0] == 127
	                                   : memcmp(endpoint->address, ipv6, sizeof(ipv6)) == 0;
}

/* THE TABLE of services' addresses, all at port 80. */
static const struct {
	enum service service;
	uint16_t family;
	uint8_t address[16];
} services[] = {
	{SERVICE_IMDS, AF_INET, {169, 254, 169, 254}},
	{SERVICE_IMDS, AF_INET6, {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54}},
	{SERVICE_ECS, AF_INET, {169, 254, 170, 2}},
	{SERVICE_EKS, AF_INET, {169, 254, 170, 23}},
	{SERVICE_EKS, AF_INET6, {0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23}},
};

enum service endpoint_service(const struct endpoint *endpoint)
{
	size_t bytes = endpoint->family == AF_INET ? 4 : 16;
	for (size_t i = 0; i < ARRAY_LENGTH(services) && endpoint->port == 80; i++)
		if (services[i].family == endpoint->family &&
		    memcmp(services[i].address, endpoint->address, bytes) == 0)
			return services[i].service;
	return SERVICE_NONE;
}

void attribution_done(struct attribution *attribution)
{
	free(attribution->bytes);
	*attribution = (struct attribution){0};
}

bool attribution_is_named(const struct attribution *attribution)
{
	return attribution->actors.attribution != NULL && attribution->actors.process >= 0;
}

static json_t *tree_of(const char *text)
{
	json_t *tree = NULL;
	struct error ignored;
	return text != NULL && json_read(text, strlen(text), &tree, &ignored) == 0 ? tree : NULL;
}

int attribution_tree(const struct attribution *attribution, json_t **ret, struct error *err)
{
	const struct entry_actors *actors = &attribution->actors;
	CLEANUP_JSON json_t *tree = json_object();
	json_t *holders = json_array();
	json_put(tree, "holders", holders);
	if (actors->attribution == NULL || holders == NULL)
		return error_set(err, ERROR_MISSING, "the witness has said nothing");
	json_put(tree, "attribution", tree_of(actors->attribution));
	json_put(tree, "process", actors->process >= 0 ? tree_of(actors->processes[actors->process]) : NULL);
	for (size_t i = 0; i < actors->holders; i++)
		(void)json_array_append_new(holders, tree_of(actors->processes[i]));
	if (json_at(tree, "attribution") == NULL || json_array_size(holders) != actors->holders ||
	    (actors->process >= 0 && json_at(tree, "process") == NULL))
		return error_set(err, ERROR_INPUT, "what the witness has said cannot be read");
	*ret = steal_pointer(&tree);
	return 0;
}

/* A fresh pair of ends, one of them given to the witness. */
MUST_USE static int connect_line(int main_fd, int *ret_fd, struct error *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "cannot open a line to the witness");
	CLEANUP_FD int ours = pair[0];
	CLEANUP_FD int theirs = pair[1];
	const struct iovec byte = {(char[]){'L'}, 1};
	const struct timeval patience = {.tv_sec = ANSWER_TIMEOUT_S};
	if (setsockopt(ours, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
	    pass_send(main_fd, &byte, 1, &theirs, 1) != 1)
		return error_errno(err, "cannot open a line to the witness");
	*ret_fd = steal_fd(&ours);
	return 0;
}

int line_open(int main_fd, struct line **ret, struct error *err)
{
	struct line *line = calloc(1, sizeof(*line));
	if (line == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a line to the witness");
	line->main_fd = main_fd;
	if (connect_line(main_fd, &line->fd, err) < 0) {
		free(line);
		return -1;
	}
	*ret = line;
	return 0;
}

/* A line that an answer was missed on is given up: what comes late must not be taken for the next client's. */
MUST_USE static int mend(struct line *line, struct error *err)
{
	int fd;
	if (!line->is_broken)
		return 0;
	if (connect_line(line->main_fd, &fd, err) < 0)
		return -1;
	(void)close(line->fd);
	line->fd = fd;
	line->is_broken = false;
	return 0;
}

void line_close(struct line *line)
{
	if (line == NULL)
		return;
	(void)close(line->fd);
	free(line);
}

bool line_is_whole(const struct line *line)
{
	return !line->is_broken;
}

/* Why nothing came. */
static int missed(ssize_t got, struct error *err)
{
	return got < 0 && errno == EAGAIN ? error_set(err, ERROR_TIMEOUT, "the witness does not answer")
	                                  : error_set(err, ERROR_SYSTEM, "the witness is gone");
}

MUST_USE static int check_answer(struct line *line, const struct answer *answer, size_t length, struct error *err)
{
	if (length < sizeof(*answer) || answer->magic != LINE_MAGIC ||
	    length != sizeof(*answer) + answer->document_bytes)
		return error_set(err, ERROR_INPUT, "the witness sent %zu bytes that are no answer", length);
	line->is_broken = false;
	return 0;
}

/* Takes an answer without a document, and the descriptors that come along. */
MUST_USE static int take_sockets(struct line *line, struct answer *ret, int fds[static PASS_MAX], size_t *ret_count,
                                 struct error *err)
{
	union {
		struct answer answer;
		char bytes[sizeof(struct answer) + 1]; /* so that a longer one is not taken for one */
	} message;
	ssize_t got;
	do
		got = pass_receive(line->fd, &message, sizeof(message.bytes), fds, ret_count);
	while (got < 0 && errno == EINTR);
	int result = got <= 0 ? missed(got, err) : check_answer(line, &message.answer, (size_t)got, err);
	if (result == 0 && message.answer.document_bytes > 0)
		result = error_set(err, ERROR_INPUT, "the witness sent a document that nobody asked for");
	if (result == 0)
		*ret = message.answer;
	if (result < 0)
		while (*ret_count > 0)
			(void)close(fds[--*ret_count]);
	return result;
}

MUST_USE static int take_answer(struct line *line, struct answer *ret, struct error *err)
{
	int fds[PASS_MAX];
	size_t count;
	if (take_sockets(line, ret, fds, &count, err) < 0)
		return -1;
	while (count > 0)
		(void)close(fds[--count]);
	return 0;
}

/* Waits for an answer, and says how long it is. */
static ssize_t length_of_next(struct line *line, bool for_ever)
{
	ssize_t length;
	char first;
	do
		length = recv(line->fd, &first, sizeof(first), MSG_PEEK | MSG_TRUNC);
	while (length < 0 && (errno == EINTR || (for_ever && errno == EAGAIN)));
	return length;
}

/* Takes an answer with the text behind it, which the caller frees. */
MUST_USE static int take_document(struct line *line, bool for_ever, struct answer *ret, char **ret_text,
                                  struct error *err)
{
	ssize_t length = length_of_next(line, for_ever);
	if (length <= 0)
		return missed(length, err);
	if (length > (ssize_t)(sizeof(*ret) + LINE_DOCUMENT_BYTES))
		return error_set(err, ERROR_LIMIT, "the witness sent %zd bytes", length);
	CLEANUP_FREE char *bytes = malloc((size_t)length + 1); /* more than a NUL behind the text */
	if (bytes == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for an answer");
	struct iovec data[] = {{ret, sizeof(*ret)}, {bytes, (size_t)length}};
	struct msghdr message = {.msg_iov = data, .msg_iovlen = ARRAY_LENGTH(data)};
	if (recvmsg(line->fd, &message, 0) != length) /* descriptors, if any, go with it */
		return missed(-1, err);
	if (check_answer(line, ret, (size_t)length, err) < 0)
		return -1;
	bytes[ret->document_bytes] = '\0';
	*ret_text = steal_pointer(&bytes);
	return 0;
}

MUST_USE static int send_query(struct line *line, const struct query *query, struct error *err)
{
	if (line->is_broken)
		return error_set(err, ERROR_SYSTEM, "the witness was lost over this client");
	line->is_broken = true; /* until a good answer is here */
	if (send(line->fd, query, sizeof(*query), MSG_NOSIGNAL) != (ssize_t)sizeof(*query))
		return error_errno(err, "cannot ask the witness");
	return 0;
}

int line_ask(struct line *line, const struct endpoint *peer, const struct endpoint *local, struct error *err)
{
	const struct query query = {.magic = LINE_MAGIC, .kind = QUERY_LOOK, .peer = *peer, .local = *local};
	/* A new client may have a new line; the other questions are about a client that only the old one knew. */
	return mend(line, err) < 0 ? -1 : send_query(line, &query, err);
}

int line_look(struct line *line, struct sighting *ret, struct error *err)
{
	struct answer answer;
	if (take_answer(line, &answer, err) < 0)
		return -1;
	*ret = answer.sighting;
	return 0;
}

int line_first(struct line *line, struct sighting *ret, struct error *err)
{
	const struct query query = {.magic = LINE_MAGIC, .kind = QUERY_FIRST};
	struct answer answer;
	if (send_query(line, &query, err) < 0 || take_answer(line, &answer, err) < 0)
		return -1;
	*ret = answer.sighting;
	return 0;
}

/* Texts with a NUL behind each. */
MUST_USE static int take_texts(const struct answer *answer, char *bytes, struct attribution *ret, struct error *err)
{
	const char *texts[ENTRY_ACTORS_MAX + 1], *at = bytes, *end = bytes + answer->document_bytes;
	size_t count = 0;
	for (; at < end && count < ARRAY_LENGTH(texts); at += strlen(at) + 1) { /* another NUL stands behind them all */
		if (!canonical_json(at, strlen(at)))
			return error_set(err, ERROR_INPUT, "the witness sent a text that is not canonical");
		texts[count++] = at;
	}
	bool is_apart = answer->process != LINE_NOBODY && answer->process >= answer->holders;
	if (at != end || count != 1 + (size_t)answer->holders + is_apart ||
	    (is_apart && answer->process != answer->holders))
		return error_set(err, ERROR_INPUT, "the witness sent %zu texts for %u holders", count, answer->holders);
	struct attribution taken = {
		.grade = answer->grade < GRADE_COUNT ? (enum grade)answer->grade : GRADE_NONE,
		.actors = {.attribution = texts[0],
	                   .holders = answer->holders,
	                   .process = answer->process != LINE_NOBODY ? (int)answer->process : -1},
		.bytes = bytes,
	};
	(void)snprintf(taken.method, sizeof(taken.method), "%.*s", (int)sizeof(answer->method), answer->method);
	memcpy(taken.actors.processes, &texts[1], (count - 1) * sizeof(texts[0]));
	*ret = taken;
	return 0;
}

int line_who(struct line *line, struct attribution *ret, struct error *err)
{
	const struct query query = {.magic = LINE_MAGIC, .kind = QUERY_WHO};
	struct answer answer;
	CLEANUP_FREE char *text = NULL;
	if (send_query(line, &query, err) < 0 || take_document(line, false, &answer, &text, err) < 0 ||
	    take_texts(&answer, text, ret, err) < 0)
		return -1;
	(void)steal_pointer(&text);
	return 0;
}

int line_digest(struct line *line, json_t **ret, struct error *err)
{
	const struct query query = {.magic = LINE_MAGIC, .kind = QUERY_DIGESTS};
	struct answer answer;
	CLEANUP_FREE char *text = NULL;
	if (!line->has_asked && send_query(line, &query, err) < 0)
		return -1;
	line->has_asked = true;
	if (take_document(line, true, &answer, &text, err) < 0)
		return -1;
	return json_read(text, answer.document_bytes, ret, err);
}

void line_interrupt(struct line *line)
{
	(void)shutdown(line->fd, SHUT_RDWR);
}

int line_status(struct line *line, json_t **ret, struct error *err)
{
	const struct query query = {.magic = LINE_MAGIC, .kind = QUERY_STATUS};
	struct answer answer;
	CLEANUP_FREE char *text = NULL;
	if (mend(line, err) < 0 || send_query(line, &query, err) < 0 ||
	    take_document(line, false, &answer, &text, err) < 0)
		return -1;
	return json_read(text, answer.document_bytes, ret, err);
}

int line_sockets(struct line *line, int family, int ret[static LINE_SOCKETS_MAX], int *ret_count, bool *ret_marks,
                 struct error *err)
{
	_Static_assert(LINE_SOCKETS_MAX <= PASS_MAX, "they come in one message");
	const struct query query = {.magic = LINE_MAGIC, .kind = QUERY_SOCKETS, .local = {.family = (uint16_t)family}};
	struct answer answer;
	int fds[PASS_MAX];
	size_t count;
	if (send_query(line, &query, err) < 0 || take_sockets(line, &answer, fds, &count, err) < 0)
		return -1;
	if (count == 0 || count != answer.sockets || count > LINE_SOCKETS_MAX) {
		while (count > 0)
			(void)close(fds[--count]);
		return error_set(err, ERROR_SYSTEM, "the witness has no upstream socket");
	}
	memcpy(ret, fds, count * sizeof(*ret));
	*ret_count = (int)count;
	*ret_marks = answer.marks == 1;
	return 0;
}
