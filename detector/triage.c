/* SPDX-License-Identifier: Apache-2.0 */

/* The cheap question that is asked of every record before any parsing: is one of our keys or sessions, or a call
 * that teaches, named anywhere in its bytes? Where in the record does not matter here; that is for the parser. Pure. */
#include "detector/triage.h"

#include <ctype.h>
#include <string.h>

#include "detector/lesson.h"
#include "store/model.h"

#define INSTANCE_DIGITS_OLD 8
#define INSTANCE_DIGITS 17
#define INSTANCE_LENGTH (2 + INSTANCE_DIGITS)

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

size_t triage_instance_id(const char *at, const char *end)
{
	size_t digits = 0;
	if (end - at < 2 || at[0] != 'i' || at[1] != '-')
		return 0;
	for (const char *c = at + 2; c < end && ((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'f')); c++)
		digits++;
	if (digits != INSTANCE_DIGITS && digits != INSTANCE_DIGITS_OLD)
		return 0;
	const char *behind = at + 2 + digits;
	return behind < end && is_word(*behind) ? 0 : digits + 2;
}

static bool is_known_key(const struct triage *triage, const char *at, const char *end)
{
	size_t length = 0;
	while (length < KEY_ID_BYTES && at + length < end && is_word(at[length]))
		length++;
	return tracked_may_know(triage->tracked, at, length) ||
	       (triage->lineage != NULL && lineage_key(triage->lineage, at, length) != NULL);
}

/* Over `text` and white space; NULL if something else stands there. */
static const char *skip(const char *at, const char *end, const char *text)
{
	size_t length = strlen(text);
	if (at == NULL || (size_t)(end - at) < length || memcmp(at, text, length) != 0)
		return NULL;
	for (at += length; at < end && isspace((unsigned char)*at);)
		at++;
	return at;
}

/* The name of a call that teaches; also behind escaped quotes, where the record is a string in the record. */
static bool is_lesson(const struct triage *triage, const char *at, const char *end)
{
	const char *name = skip(at, end, "tName\"");
	const char *plain = skip(skip(name, end, ":"), end, "\"");
	if (name == NULL)
		plain = skip(skip(skip(at, end, "tName\\\""), end, ":"), end, "\\\"");
	size_t length = 0;
	while (plain != NULL && plain + length < end && is_word(plain[length]))
		length++;
	enum lesson lesson = plain != NULL ? lesson_of(plain, length) : LESSON_NONE;
	return lesson == LESSON_SIGN_IN || (lesson != LESSON_NONE && triage->learns);
}

static bool is_known_session(const struct triage *triage, const char *at, const char *end)
{
	/* Nearly always one of ours stands there, at its full length: then its form need not be looked at. */
	if (end - at > INSTANCE_LENGTH && !is_word(at[INSTANCE_LENGTH]) &&
	    tracked_instance(triage->tracked, at, INSTANCE_LENGTH) != NULL)
		return true;
	size_t length = triage_instance_id(at, end);
	if (length == 0)
		return false;
	return triage->every_session || tracked_instance(triage->tracked, at, length) != NULL;
}

int triage_open(struct triage *triage, struct error *err)
{
	const struct tracked *tracked = triage->tracked;
	if (triage->sieve.words == NULL && sieve_make(&triage->sieve, tracked->instance_count, err) < 0)
		return -1;
	triage->sieve.lets_all = triage->sieve.lets_all || triage->every_session;
	for (size_t i = 0; i < tracked->instance_count; i++)
		sieve_add_instance(&triage->sieve, tracked->instances[i].id);
	for (size_t i = 0; lesson_name(i) != NULL; i++)
		sieve_add_name(&triage->sieve, lesson_name(i));
	return 0;
}

void triage_close(struct triage *triage)
{
	sieve_done(&triage->sieve);
}

void triage_follow(struct triage *triage)
{
	for (size_t i = 0; i < triage->lineage->count; i++)
		if (triage->lineage->derived[i].kind == LINK_KEY)
			sieve_add_key(&triage->sieve, triage->lineage->derived[i].name);
}

bool triage_hint(const void *context, const char *at, const char *end)
{
	const struct triage *triage = context;
	switch (*at) {
	case 'A':
		return is_known_key(triage, at, end);
	case 't':
		return is_lesson(triage, at, end);
	case 'k':
		return skip(at, end, "kActivity") != NULL;
	case ':':
	case '/':
		return is_known_session(triage, at + 1, end);
	default:
		return false;
	}
}
