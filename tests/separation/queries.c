/* SPDX-License-Identifier: Apache-2.0 */

/* What the witness can be asked by somebody who does not keep to line.h. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/witness/line.h"
#include "proxy/witness/pass.h"
#include "store/settings.h"
#include "tests/separation/taken_over.h"

#define ANSWER_MS 3000
#define LINES_AT_ONCE 2000

static void say_error(const struct error *problem, char *answer, size_t size)
{
	(void)snprintf(answer, size, "error: %s", problem->text);
}

/* An end of a connection, "ADDRESS" "PORT". */
static struct endpoint endpoint_of(const char *address, const char *port)
{
	struct endpoint made = {.family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET,
	                        .port = (uint16_t)atoi(port)};
	(void)inet_pton(made.family, address, made.address);
	return made;
}

/* Whose socket is that? PEER PORT LOCAL PORT: what the witness says, as JSON. */
static void ask_who(char *const words[], char *answer, size_t size)
{
	struct line *line;
	struct sighting sighting;
	struct error problem = {0};
	CLEANUP_ATTRIBUTION struct attribution attribution = {0};
	const struct endpoint peer = endpoint_of(words[0], words[1]), local = endpoint_of(words[2], words[3]);
	if (line_open(witness_main_fd, &line, &problem) < 0 || line_ask(line, &peer, &local, &problem) < 0 ||
	    line_look(line, &sighting, &problem) < 0 || line_who(line, &attribution, &problem) < 0) {
		say_error(&problem, answer, size);
		return;
	}
	CLEANUP_JSON json_t *tree = NULL;
	(void)!attribution_tree(&attribution, &tree, &problem);
	json_put_bool(tree, "is_found", sighting.is_found);
	json_put_int(tree, "uid", sighting.inode != 0 ? (int64_t)sighting.uid : -1);
	CLEANUP_FREE char *text = json_line(tree);
	(void)snprintf(answer, size, "%s", text);
	line_close(line);
}

/* The same without having said which connection. */
static void ask_who_first(char *const words[], char *answer, size_t size)
{
	struct line *line;
	struct error problem = {0};
	CLEANUP_ATTRIBUTION struct attribution attribution = {0};
	(void)words;
	if (line_open(witness_main_fd, &line, &problem) < 0 || line_who(line, &attribution, &problem) < 0) {
		say_error(&problem, answer, size);
		return;
	}
	CLEANUP_JSON json_t *tree = NULL;
	(void)!attribution_tree(&attribution, &tree, &problem);
	CLEANUP_FREE char *text = json_line(tree);
	(void)snprintf(answer, size, "%s", text);
	line_close(line);
}

/* A line of our own, by which anything can be sent. */
static int open_raw(void)
{
	int pair[2];
	const struct iovec byte = {(char[]){'L'}, 1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	CLEANUP_FD int theirs = pair[1];
	if (pass_send(witness_main_fd, &byte, 1, &theirs, 1) != 1) {
		(void)close(pair[0]);
		return -1;
	}
	return pair[0];
}

/* How many answers come until the witness hangs up ("N, closed") or says no more ("N, open"). */
static void count_answers(int fd, char *answer, size_t size)
{
	static char bytes[sizeof(struct answer) + LINE_DOCUMENT_BYTES];
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	int count = 0;
	ssize_t got = 1;
	while (got > 0 && poll(&ready, 1, count == 0 ? ANSWER_MS : ANSWER_MS / 10) == 1) {
		got = recv(fd, bytes, sizeof(bytes), 0);
		count += got > 0;
	}
	(void)snprintf(answer, size, "%d, %s", count, got > 0 ? "open" : "closed");
}

/* MAGIC KIND BYTES COUNT: so many queries at once, of so many bytes. */
static void send_raw(char *const words[], char *answer, size_t size)
{
	static char bytes[200000];
	const struct query query = {.magic = strcmp(words[0], "right") == 0 ? LINE_MAGIC : ~LINE_MAGIC,
	                            .kind = (uint32_t)atoi(words[1]),
	                            .local = {.family = AF_INET}};
	size_t length = (size_t)atoi(words[2]);
	CLEANUP_FD int fd = open_raw();
	memcpy(bytes, &query, sizeof(query));
	if (fd < 0 || length > sizeof(bytes)) {
		say_result(-1, answer, size);
		return;
	}
	for (int i = 0; i < atoi(words[3]); i++)
		if (send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	count_answers(fd, answer, size);
}

/* A line that is given up with an answer in it, as by a proxy that the answer came too late for. */
static void give_up(char *const words[], char *answer, size_t size)
{
	const struct query query = {.magic = LINE_MAGIC, .kind = QUERY_FIRST};
	CLEANUP_FD int fd = open_raw();
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	(void)words;
	say_result(send(fd, &query, sizeof(query), MSG_NOSIGNAL) > 0 && poll(&ready, 1, ANSWER_MS) == 1 ? 0 : -1,
	           answer, size);
}

/* BYTES: a message on the main socket that is neither a line nor settings. */
static void send_to_main(char *const words[], char *answer, size_t size)
{
	static char bytes[200000];
	say_result(send(witness_main_fd, bytes, (size_t)atoi(words[0]), MSG_NOSIGNAL), answer, size);
}

/* Settings of the right size that were made up (their magic is 0): what the witness says of them. */
static void send_change(char *const words[], char *answer, size_t size)
{
	static char bytes[2 * sizeof(uint32_t) + SETTINGS_TEXT_BYTES];
	struct pollfd ready = {.fd = witness_main_fd, .events = POLLIN};
	char said = '-';
	(void)words;
	if (send(witness_main_fd, bytes, sizeof(bytes), MSG_NOSIGNAL) > 0 && poll(&ready, 1, ANSWER_MS) == 1)
		(void)recv(witness_main_fd, &said, 1, MSG_DONTWAIT);
	(void)snprintf(answer, size, "%c", said);
}

/* PATH: a file where a socket is expected. */
static void send_file(char *const words[], char *answer, size_t size)
{
	const struct iovec byte = {(char[]){'L'}, 1};
	CLEANUP_FD int fd = open(words[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	say_result(fd < 0 ? -1 : pass_send(witness_main_fd, &byte, 1, &fd, 1), answer, size);
}

/* As many lines as it takes: how many are served. */
static void open_many(char *const words[], char *answer, size_t size)
{
	static int lines[LINES_AT_ONCE];
	int served = 0;
	const struct query query = {.magic = LINE_MAGIC, .kind = QUERY_FIRST};
	(void)words;
	for (int i = 0; i < LINES_AT_ONCE; i++) {
		lines[i] = open_raw();
		(void)send(lines[i], &query, sizeof(query), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	for (int i = 0; i < LINES_AT_ONCE; i++) {
		struct pollfd ready = {.fd = lines[i], .events = POLLIN};
		struct answer got;
		served += poll(&ready, 1, ANSWER_MS) == 1 && recv(lines[i], &got, sizeof(got), 0) > 0;
	}
	for (int i = 0; i < LINES_AT_ONCE; i++)
		(void)close(lines[i]);
	(void)snprintf(answer, size, "%d", served);
}

/* A row of numbers that tests need: the size of a query. */
static void say_size(char *const words[], char *answer, size_t size)
{
	(void)words;
	(void)snprintf(answer, size, "%zu", sizeof(struct query));
}

const struct attempt attempts_queries[] = {
	{"who", 4, ask_who},          {"who-first", 0, ask_who_first},
	{"query", 4, send_raw},       {"main", 1, send_to_main},
	{"change", 0, send_change},   {"line-of-a-file", 1, send_file},
	{"many-lines", 0, open_many}, {"size", 0, say_size},
	{"give-up", 0, give_up},      {NULL, 0, NULL},
};
