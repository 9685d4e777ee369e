/* SPDX-License-Identifier: Apache-2.0 */

/* Endpoints, and the proxy's end of a line in front of a witness that says what the case wants. */
#include "tests/common/unit.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "proxy/witness/line.h"

static struct endpoint endpoint_of(const char *address, uint16_t port)
{
	struct sockaddr_storage storage = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&storage;
	struct endpoint made;
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		storage.ss_family = AF_INET;
		v4->sin_port = htons(port);
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		storage.ss_family = AF_INET6;
		v6->sin6_port = htons(port);
	}
	endpoint_from_sockaddr(&storage, &made);
	return made;
}

static const struct {
	const char *address;
	uint16_t port;
	enum service service;
	const char *text;
} endpoints[] = {
	{"169.254.169.254", 81, SERVICE_NONE, "169.254.169.254"},
	{"169.254.169.254", 0, SERVICE_NONE, "169.254.169.254"},
	{"169.254.169.253", 80, SERVICE_NONE, "169.254.169.253"},
	{"169.254.170.2", 51679, SERVICE_NONE, "169.254.170.2"},
	{"169.254.170.3", 80, SERVICE_NONE, "169.254.170.3"},
	{"169.254.170.23", 2703, SERVICE_NONE, "169.254.170.23"},
	{"fd00:ec2::2", 80, SERVICE_NONE, "fd00:ec2::2"},
	{"::ffff:169.254.170.2", 80, SERVICE_NONE, "::ffff:169.254.170.2"},
	{"254.169.254.169", 80, SERVICE_NONE, "254.169.254.169"},
	{"::ffff:169.254.169.254", 80, SERVICE_NONE, "::ffff:169.254.169.254"},
	{"fd00:ec2::253", 80, SERVICE_NONE, "fd00:ec2::253"},
	{"fd00:ec2::254", 8080, SERVICE_NONE, "fd00:ec2::254"},
	{"fd00:ec2:1::254", 80, SERVICE_NONE, "fd00:ec2:1::254"},
	{"169.254.169.254", 80, SERVICE_IMDS, "169.254.169.254"},
	{"fd00:ec2::254", 80, SERVICE_IMDS, "fd00:ec2::254"},
	{"FD00:0EC2:0:0::254", 80, SERVICE_IMDS, "fd00:ec2::254"},
	{"no address", 80, SERVICE_NONE, "?"},
	{"169.254.170.2", 80, SERVICE_ECS, "169.254.170.2"},
	{"169.254.170.23", 80, SERVICE_EKS, "169.254.170.23"},
	{"fd00:ec2::23", 80, SERVICE_EKS, "fd00:ec2::23"},
};

static void knows_the_service_by_address_and_port(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(endpoints); i++) {
		struct endpoint endpoint = endpoint_of(endpoints[i].address, endpoints[i].port);
		char text[ADDRESS_TEXT_BYTES];
		CHECK_NUMBER(endpoints[i].address, endpoint_service(&endpoint), endpoints[i].service);
		CHECK_TEXT(endpoints[i].address, endpoint_text(&endpoint, text), endpoints[i].text);
	}
}

/* All of it, padding aside, of which there is none. */
static bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* ---- a witness of one answer */

struct witness {
	int main_fd;
	/* what it says */
	struct answer answer;
	const char *document;
	size_t texts;     /* bytes of the document, where there are NULs in it */
	size_t cut;       /* so many bytes fewer than it should be */
	bool give_socket; /* a descriptor comes along */
	bool hang_up;     /* no answer at all */
	/* what it saw */
	struct query query;
	ssize_t query_bytes;
};

static int take_line(int main_fd)
{
	char byte;
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
	                         .msg_iovlen = 1,
	                         .msg_control = control.bytes,
	                         .msg_controllen = sizeof(control.bytes)};
	int fd = -1;
	if (recvmsg(main_fd, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message) != NULL)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void *witness_run(void *argument)
{
	struct witness *witness = argument;
	static char bytes[sizeof(struct answer) + 4096];
	CLEANUP_FD int line = take_line(witness->main_fd);
	CLEANUP_FD int given = witness->give_socket ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	witness->query_bytes = recv(line, &witness->query, sizeof(witness->query), 0);
	if (witness->hang_up)
		return NULL;
	size_t length = sizeof(witness->answer);
	memcpy(bytes, &witness->answer, length);
	if (witness->document != NULL) {
		size_t document = witness->texts > 0 ? witness->texts : strlen(witness->document);
		memcpy(bytes + length, witness->document, document);
		length += document;
	}
	length -= witness->cut;
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec data = {bytes, length};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	if (given >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &given, sizeof(int));
	}
	(void)sendmsg(line, &message, MSG_NOSIGNAL);
	return NULL;
}

struct stage {
	struct witness witness;
	struct line *line;
	pthread_t thread;
	int ours, theirs;
};

static void stage_open(struct stage *stage)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	stage->ours = pair[0];
	stage->theirs = stage->witness.main_fd = pair[1];
	assert_int_equal(line_open(stage->ours, &stage->line, NULL), 0);
	assert_int_equal(pthread_create(&stage->thread, NULL, witness_run, &stage->witness), 0);
}

static void stage_close(struct stage *stage)
{
	assert_int_equal(pthread_join(stage->thread, NULL), 0);
	line_close(stage->line);
	(void)close(stage->ours);
	(void)close(stage->theirs);
}

static int open_descriptors(void)
{
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

#define GOOD_ANSWER                                                                                                    \
	{                                                                                                              \
		.magic = LINE_MAGIC                                                                                    \
	}

/* Question and answer in one. */
static int look_at(struct line *line, const struct endpoint *peer, struct sighting *ret, struct error *err)
{
	return line_ask(line, peer, peer, err) < 0 ? -1 : line_look(line, ret, err);
}

static const struct {
	const char *name;
	struct witness witness;
} broken[] = {
	{"no answer", {.answer = GOOD_ANSWER, .hang_up = true}},
	{"cut", {.answer = GOOD_ANSWER, .cut = 1}},
	{"empty", {.answer = GOOD_ANSWER, .cut = sizeof(struct answer)}},
	{"another magic", {.answer = {.magic = LINE_MAGIC + 1}}},
	{"a document that is not announced", {.answer = GOOD_ANSWER, .document = "{}"}},
	{"an announced document that is not there", {.answer = {.magic = LINE_MAGIC, .document_bytes = 2}}},
	{"more announced than there is",
         {.answer = {.magic = LINE_MAGIC, .document_bytes = UINT32_MAX}, .document = "{}"}},
	{"another magic, with a socket", {.answer = {.magic = 0}, .give_socket = true}},
	{"cut, with a socket", {.answer = GOOD_ANSWER, .cut = 1, .give_socket = true}},
};

static void refuses_what_is_no_answer(void **state)
{
	(void)state;
	int before = open_descriptors();
	for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
		struct stage stage = {.witness = broken[i].witness};
		struct error problem = {0};
		struct endpoint none = {0};
		struct sighting sighting = {.uid = 77};
		stage_open(&stage);
		CHECK(broken[i].name, line_is_whole(stage.line));
		CHECK_NUMBER(broken[i].name, look_at(stage.line, &none, &sighting, &problem), -1);
		CHECK(broken[i].name, problem.code != ERROR_NONE && problem.text[0] != '\0');
		CHECK_NUMBER(broken[i].name, sighting.uid, 77);
		CHECK(broken[i].name, !line_is_whole(stage.line));
		stage_close(&stage);
		CHECK_NUMBER(broken[i].name, open_descriptors(), before);
	}
}

/* A descriptor that came with an answer that brings none is closed. */
static void leaves_no_descriptor_that_nobody_asked_for(void **state)
{
	struct stage stage = {.witness = {.answer = GOOD_ANSWER, .give_socket = true}};
	struct endpoint none = {0};
	struct sighting sighting;
	int before = open_descriptors();
	(void)state;
	stage_open(&stage);
	int result = look_at(stage.line, &none, &sighting, NULL);
	stage_close(&stage);
	assert_int_equal(result, 0);
	assert_int_equal(open_descriptors(), before);
}

/* ---- a witness that answers its first question too late */

struct late {
	int main_fd;
	int line;
};

static void *late_run(void *argument)
{
	struct late *late = argument;
	struct query query;
	late->line = take_line(late->main_fd);
	for (uint32_t uid = 1; uid <= 2; uid++) {
		/* Both questions are read before the first is answered: the asker has given up on it. */
		if (recv(late->line, &query, sizeof(query), 0) != (ssize_t)sizeof(query))
			return NULL;
		if (uid == 1)
			continue;
		for (uint32_t each = 1; each <= 2; each++) {
			struct answer answer = {.magic = LINE_MAGIC, .sighting = {.has_tuple = true, .uid = each}};
			(void)send(late->line, &answer, sizeof(answer), MSG_NOSIGNAL);
		}
	}
	return NULL;
}

/* An answer that comes when nobody waits for it any more must never be taken for the next client's. */
static void takes_no_late_answer_for_another_client(void **state)
{
	struct late late = {.line = -1};
	struct endpoint first = endpoint_of("192.0.2.1", 1), second = endpoint_of("192.0.2.2", 2);
	struct sighting sighting = {0};
	struct line *line;
	pthread_t thread;
	int pair[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	late.main_fd = pair[1];
	assert_int_equal(line_open(pair[0], &line, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, late_run, &late), 0);
	assert_int_equal(look_at(line, &first, &sighting, NULL), -1); /* after its patience */
	int result = look_at(line, &second, &sighting, NULL);
	line_close(line);
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)close(late.line);
	(void)close(pair[0]);
	(void)close(pair[1]);
	if (result == 0 && sighting.uid == 1)
		fail_msg("the second client was taken for the first");
}

struct announcer {
	int main_fd, line;
	uint32_t kind;
	int extra; /* queries behind the first */
};

static void *announce_run(void *argument)
{
	struct announcer *announcer = argument;
	struct query query;
	announcer->line = take_line(announcer->main_fd);
	if (recv(announcer->line, &query, sizeof(query), 0) != (ssize_t)sizeof(query))
		return NULL;
	announcer->kind = query.kind;
	for (int i = 1; i <= 2; i++) {
		char bytes[sizeof(struct answer) + 16];
		struct answer answer = {.magic = LINE_MAGIC, .document_bytes = 7};
		memcpy(bytes, &answer, sizeof(answer));
		(void)snprintf(bytes + sizeof(answer), 16, "{\"n\":%d}", i);
		(void)send(announcer->line, bytes, sizeof(answer) + 7, MSG_NOSIGNAL);
	}
	/* Nothing more is asked; in the end the line is closed. */
	while (recv(announcer->line, &query, sizeof(query), 0) > 0)
		announcer->extra++;
	return NULL;
}

static void *interrupt_run(void *line)
{
	(void)usleep(100000);
	line_interrupt(line);
	return NULL;
}

/* Asked for once, digests come whenever there is one; the wait for the next has no end but an interruption. */
static void waits_for_digests(void **state)
{
	struct announcer announcer = {.line = -1};
	struct error problem = {0};
	struct line *line;
	pthread_t witness, other;
	json_t *digest = NULL;
	int64_t number = 0;
	int pair[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	announcer.main_fd = pair[1];
	assert_int_equal(line_open(pair[0], &line, NULL), 0);
	assert_int_equal(pthread_create(&witness, NULL, announce_run, &announcer), 0);
	for (int i = 1; i <= 2; i++) {
		assert_int_equal(line_digest(line, &digest, NULL), 0);
		assert_true(json_int_at(digest, "n", &number) && number == i);
		json_decref(digest);
	}
	assert_int_equal(pthread_create(&other, NULL, interrupt_run, line), 0);
	assert_int_equal(line_digest(line, &digest, &problem), -1);
	assert_int_equal(pthread_join(other, NULL), 0);
	assert_int_equal(pthread_join(witness, NULL), 0);
	line_close(line);
	(void)close(announcer.line);
	(void)close(pair[0]);
	(void)close(pair[1]);
	assert_int_equal(announcer.kind, QUERY_DIGESTS);
	assert_int_equal(announcer.extra, 0);
}

#define TEXTS(t) .document = (t), .texts = sizeof(t), .bytes = sizeof(t) /* a NUL behind the last one too */

static const struct {
	const char *name, *document;
	size_t texts;
	uint32_t bytes, holders, process;
} broken_texts[] = {
	{"no JSON", TEXTS("{x}"), .process = LINE_NOBODY},
	{"not canonical", TEXTS("{\"b\":1,\"a\":2}"), .process = LINE_NOBODY},
	{"holder that is not canonical", TEXTS("{}\0{\"pid\": 1}"), 1, 0},
	{"fewer holders than said", TEXTS("{}\0{\"pid\":1}"), 2, 0},
	{"more holders than said", TEXTS("{}\0{\"pid\":1}\0{\"pid\":2}"), 1, 0},
	{"more than can be", TEXTS("{}"), UINT32_MAX, LINE_NOBODY},
	{"process that is not there", TEXTS("{}\0{\"pid\":1}"), 1, 1},
	{"process far beyond", TEXTS("{}\0{\"pid\":1}"), 0, 7},
	{"process that nobody announced", TEXTS("{}\0{\"pid\":1}"), 0, LINE_NOBODY},
	{"an empty text", TEXTS("{}\0"), 0, 0},
	{"no text at all", .document = "", .process = LINE_NOBODY},
};

static void refuses_texts_that_are_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(broken_texts); i++) {
		struct stage stage = {.witness = {.answer = {.magic = LINE_MAGIC,
		                                             .document_bytes = broken_texts[i].bytes,
		                                             .holders = broken_texts[i].holders,
		                                             .process = broken_texts[i].process},
		                                  .document = broken_texts[i].document,
		                                  .texts = broken_texts[i].texts}};
		struct attribution attribution = {.grade = GRADE_UID};
		struct error problem = {0};
		stage_open(&stage);
		int result = line_who(stage.line, &attribution, &problem);
		stage_close(&stage);
		CHECK_NUMBER(broken_texts[i].name, result, -1);
		CHECK_NUMBER(broken_texts[i].name, problem.code, ERROR_INPUT);
		CHECK_NUMBER(broken_texts[i].name, attribution.grade, GRADE_UID);
		CHECK(broken_texts[i].name, attribution.bytes == NULL);
	}
}

/* One more than a row can have, and the most. */
static void bounds_the_holders(void **state)
{
	(void)state;
	for (uint32_t holders = ENTRY_ACTORS_MAX; holders <= ENTRY_ACTORS_MAX + 1; holders++) {
		char document[3 * (ENTRY_ACTORS_MAX + 2)];
		for (size_t i = 0; i <= holders; i++)
			memcpy(&document[3 * i], "{}", 3);
		struct stage stage = {.witness = {.answer = {.magic = LINE_MAGIC,
		                                             .document_bytes = 3 * (holders + 1),
		                                             .holders = holders,
		                                             .process = LINE_NOBODY},
		                                  .document = document,
		                                  .texts = 3 * ((size_t)holders + 1)}};
		CLEANUP_ATTRIBUTION struct attribution attribution = {0};
		stage_open(&stage);
		int result = line_who(stage.line, &attribution, NULL);
		stage_close(&stage);
		assert_int_equal(result, holders == ENTRY_ACTORS_MAX ? 0 : -1);
		assert_int_equal(attribution.actors.holders, result == 0 ? holders : 0);
	}
}

static const struct {
	const char *name, *document;
	size_t texts;
	uint32_t bytes, holders, process;
	const char *tree;
} whole_texts[] = {
	{"nobody", TEXTS("{\"a\":1}"), 0, LINE_NOBODY, "{\"attribution\":{\"a\":1},\"holders\":[],\"process\":null}"},
	{"one holder", TEXTS("{}\0{\"pid\":1}"), 1, 0,
         "{\"attribution\":{},\"holders\":[{\"pid\":1}],\"process\":{\"pid\":1}}"},
	{"the second of two", TEXTS("{}\0{\"pid\":1}\0{\"pid\":2}"), 2, 1,
         "{\"attribution\":{},\"holders\":[{\"pid\":1},{\"pid\":2}],\"process\":{\"pid\":2}}"},
	{"a process that holds nothing", TEXTS("{}\0{\"pid\":1}"), 0, 0,
         "{\"attribution\":{},\"holders\":[],\"process\":{\"pid\":1}}"},
	{"holders, and none is known to ask", TEXTS("{}\0{\"pid\":1}"), 1, LINE_NOBODY,
         "{\"attribution\":{},\"holders\":[{\"pid\":1}],\"process\":null}"},
};

static void gives_a_tree_of_its_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(whole_texts); i++) {
		struct stage stage = {.witness = {.answer = {.magic = LINE_MAGIC,
		                                             .document_bytes = whole_texts[i].bytes,
		                                             .holders = whole_texts[i].holders,
		                                             .process = whole_texts[i].process,
		                                             .method = "sock_diag"},
		                                  .document = whole_texts[i].document,
		                                  .texts = whole_texts[i].texts}};
		CLEANUP_ATTRIBUTION struct attribution attribution = {0};
		CLEANUP_JSON json_t *tree = NULL;
		stage_open(&stage);
		int result = line_who(stage.line, &attribution, NULL);
		stage_close(&stage);
		CHECK_NUMBER(whole_texts[i].name, result, 0);
		CHECK_NUMBER(whole_texts[i].name, attribution_is_named(&attribution),
		             whole_texts[i].process != LINE_NOBODY);
		CHECK_TEXT(whole_texts[i].name, attribution.method, "sock_diag");
		CHECK_NUMBER(whole_texts[i].name, attribution_tree(&attribution, &tree, NULL), 0);
		CLEANUP_FREE char *line = json_line(tree);
		CHECK_TEXT(whole_texts[i].name, line, whole_texts[i].tree);
	}
}

static void has_no_tree_of_a_witness_that_was_silent(void **state)
{
	const struct attribution silent = {0};
	struct error problem = {0};
	json_t *tree = NULL;
	(void)state;
	assert_false(attribution_is_named(&silent));
	assert_int_equal(attribution_tree(&silent, &tree, &problem), -1);
	assert_int_equal(problem.code, ERROR_MISSING);
	assert_null(tree);
}

static const struct {
	const char *name;
	struct witness witness;
} socketless[] = {
	{"none", {.answer = GOOD_ANSWER}},
	{"none of one", {.answer = {.magic = LINE_MAGIC, .sockets = 1}}},
	{"one that is not announced", {.answer = GOOD_ANSWER, .give_socket = true}},
	{"one of two", {.answer = {.magic = LINE_MAGIC, .sockets = 2}, .give_socket = true}},
};

static void says_when_there_is_no_socket(void **state)
{
	(void)state;
	int before = open_descriptors();
	for (size_t i = 0; i < ARRAY_LENGTH(socketless); i++) {
		struct stage stage = {.witness = socketless[i].witness};
		struct error problem = {0};
		int fds[LINE_SOCKETS_MAX], count = -7;
		bool marks = true;
		stage_open(&stage);
		CHECK_NUMBER(socketless[i].name, line_sockets(stage.line, AF_INET, fds, &count, &marks, &problem), -1);
		stage_close(&stage);
		CHECK_NUMBER(socketless[i].name, problem.code, ERROR_SYSTEM);
		CHECK_NUMBER(socketless[i].name, count, -7);
		CHECK_NUMBER(socketless[i].name, marks, true);
		CHECK_NUMBER(socketless[i].name, open_descriptors(), before);
	}
}

static void says_when_the_witness_is_gone(void **state)
{
	int pair[2];
	struct line *line;
	struct sighting sighting;
	struct error problem = {0};
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(line_open(pair[0], &line, NULL), 0);
	(void)close(pair[1]); /* with the line's other end still in its queue */
	assert_int_equal(line_first(line, &sighting, &problem), -1);
	assert_true(problem.text[0] != '\0');
	line_close(line);
	assert_int_equal(line_open(pair[0], &line, &problem), -1);
	(void)close(pair[0]);
}

static void carries_questions_and_answers(void **state)
{
	struct stage stage = {
		.witness = {.answer = {.magic = LINE_MAGIC,
	                               .sighting = {.has_tuple = true, .uid = 1000, .inode = 5, .netns = 7}}}};
	struct endpoint peer = endpoint_of("192.0.2.1", 1234), local = endpoint_of("169.254.169.254", 80);
	struct sighting sighting;
	(void)state;
	stage_open(&stage);
	int result = line_ask(stage.line, &peer, &local, NULL);
	/* Until that is answered, nothing else can be asked. */
	CHECK_NUMBER("asked twice", line_first(stage.line, &sighting, NULL), -1);
	if (result == 0)
		result = line_look(stage.line, &sighting, NULL);
	stage_close(&stage);
	assert_int_equal(result, 0);
	assert_int_equal(stage.witness.query_bytes, sizeof(struct query));
	assert_int_equal(stage.witness.query.magic, LINE_MAGIC);
	assert_int_equal(stage.witness.query.kind, QUERY_LOOK);
	assert_true(endpoint_equal(&stage.witness.query.peer, &peer));
	assert_true(endpoint_equal(&stage.witness.query.local, &local));
	assert_true(sighting.has_tuple);
	assert_int_equal(sighting.uid, 1000);
}

static void carries_sockets(void **state)
{
	(void)state;
	for (uint32_t said = 0; said < 3; said++) { /* 2 is nothing that we know */
		struct stage stage = {
			.witness = {.answer = {.magic = LINE_MAGIC, .sockets = 1, .marks = said}, .give_socket = true}};
		int fds[LINE_SOCKETS_MAX], count = 0;
		bool marks = said != 1;
		stage_open(&stage);
		int result = line_sockets(stage.line, AF_INET6, fds, &count, &marks, NULL);
		stage_close(&stage);
		assert_int_equal(result, 0);
		assert_int_equal(stage.witness.query.kind, QUERY_SOCKETS);
		assert_int_equal(stage.witness.query.local.family, AF_INET6);
		assert_int_equal(count, 1);
		assert_int_equal(marks, said == 1);
		assert_true((fcntl(fds[0], F_GETFD) & FD_CLOEXEC) != 0);
		assert_int_equal(close(fds[0]), 0);
	}
}

static const struct {
	const char *name;
	uint32_t grade;
	enum grade taken;
} grades[] = {
	{"exact", GRADE_EXACT, GRADE_EXACT},
	{"none", GRADE_NONE, GRADE_NONE},
	{"one beyond", GRADE_COUNT, GRADE_NONE},
	{"far beyond", UINT32_MAX, GRADE_NONE},
};

static void carries_an_attribution(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(grades); i++) {
		static const char document[] = "{}\0{\"pid\":1}";
		struct stage stage = {.witness = {.answer = {.magic = LINE_MAGIC,
		                                             .grade = grades[i].grade,
		                                             .document_bytes = sizeof(document),
		                                             .holders = 1},
		                                  .document = document,
		                                  .texts = sizeof(document)}};
		struct attribution attribution = {0};
		stage_open(&stage);
		int result = line_who(stage.line, &attribution, NULL);
		stage_close(&stage);
		CHECK_NUMBER(grades[i].name, result, 0);
		CHECK_NUMBER(grades[i].name, stage.witness.query.kind, QUERY_WHO);
		CHECK_NUMBER(grades[i].name, attribution.grade, grades[i].taken);
		CHECK_TEXT(grades[i].name, attribution.actors.processes[0], "{\"pid\":1}");
		attribution_done(&attribution);
		CHECK(grades[i].name, attribution.bytes == NULL);
		attribution_done(&attribution);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_is_no_answer),
		cmocka_unit_test(leaves_no_descriptor_that_nobody_asked_for),
		cmocka_unit_test(takes_no_late_answer_for_another_client),
		cmocka_unit_test(waits_for_digests),
		cmocka_unit_test(refuses_texts_that_are_none),
		cmocka_unit_test(bounds_the_holders),
		cmocka_unit_test(gives_a_tree_of_its_texts),
		cmocka_unit_test(has_no_tree_of_a_witness_that_was_silent),
		cmocka_unit_test(says_when_there_is_no_socket),
		cmocka_unit_test(says_when_the_witness_is_gone),
		cmocka_unit_test(knows_the_service_by_address_and_port),
		cmocka_unit_test(carries_questions_and_answers),
		cmocka_unit_test(carries_sockets),
		cmocka_unit_test(carries_an_attribution),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
