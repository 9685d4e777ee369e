/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "common/buffer.h"
#include "detector/event.h"
#include "detector/fields.h"

/* What one record says of where a credential came from: who asked, and what was handed out. */

enum link_kind {
	LINK_KEY,     /* child: an access key id */
	LINK_USER,    /* child: the unique id of an IAM user; whatever that user does follows from this */
	LINK_LOGIN,   /* child: ACCOUNT/USER, who can sign in since */
	LINK_CONSOLE, /* child: the principal of a session that can sign in since */
	LINK_KIND_COUNT,
};
extern const char *const link_kind_names[LINK_KIND_COUNT];

/* Who made a call. Texts are never NULL, "" where unknown. */
struct caller {
	int64_t at_us;
	const char *key, *principal;
	const char *instance; /* of a session of an EC2 instance */
	const char *account;
	const char *user; /* ACCOUNT/NAME of an IAM user */
	bool is_console;
};

/* Texts are lent: by link_read's room, or by the row that was unpacked. */
struct link {
	enum link_kind kind;
	int64_t expires_us; /* 0 unknown */
	struct caller parent;
	const char *event_id, *shared_id;
	const char *action; /* sts:AssumeRole */
	const char *child;  /* "" where the record does not name it: then it may name the parent of one that does */
	const char *child_principal, *child_account;
};

/* Who made this call; `room` (USER_BYTES) takes the user's name. */
#define USER_BYTES (ACCOUNT_BYTES + ROLE_BYTES)
struct caller caller_of(const struct event *event, char room[static USER_BYTES]);

struct link_room {
	char key[KEY_ID_BYTES], principal[EVENT_LONG_BYTES], child[USER_BYTES], user[USER_BYTES], action[80];
	char session[EVENT_TEXT_BYTES];
};

/* False: nothing was handed out (an error, or a record that does not say). `event` is that record's, its name one of
 * LESSON_LINK. Pure. */
MUST_USE bool link_read(const struct record_text *text, const struct event *event, struct link_room *room,
                        struct link *ret);

/* A key that EC2 issued for an instance's role: its AssumeRole. Texts are lent by `room`. */
MUST_USE bool link_read_issue(const struct record_text *text, const struct event *event, struct link_room *room,
                              const char **ret_key, const char **ret_instance);

/* `Jul 10, 2023, 6:30:22 PM`, without the second comma, or RFC 3339. */
MUST_USE bool link_parse_time(const char *text, int64_t *ret_us);

/* As one row, and back. */
MUST_USE int link_pack(const struct link *link, struct buffer *to, struct error *err);
MUST_USE bool link_unpack(const char *row, size_t length, struct link *ret);
