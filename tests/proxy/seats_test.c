/* SPDX-License-Identifier: Apache-2.0 */

/* Who gets a seat, and who has to give one. Sixteen seats: a quarter is four, half is eight. */
#include "tests/common/unit.h"

#include <sys/socket.h>

#include "proxy/seats.h"

#define LIMIT 16
#define EXTRA 4

/* `what`: "a1" is a newcomer of group a, user 1; "a1*9" nine of them; "a1!" one that is refused; "_?" one of whom is
 * not known who it is; "a1-" the oldest of them leaves; "=4" there are so many seats from now on; "a1:w" all of them
 * are being worked on from now on; "~" time passes, enough to lose patience. `ended`: who had to give a seat, in order.
 */
static const struct {
	const char *name, *what, *ended;
} cases[] = {
	{"room for one", "a1*16", ""},
	{"the quarter, before patience is lost", "a1*16 a1!", ""},
	{"the quarter, after", "a1*4 ~ a1", "a1 "},
	{"a quarter less one", "a1*3 ~ a1", ""},
	{"each in exchange for one", "a1*4 ~ a1*4", "a1 a1 a1 a1 "},
	{"those being served are not ended", "a1*4 a1:w ~ a1*12 a1!", ""},
	{"nor are those that wait for the disk", "a1*4 a1:p ~ a1*12 a1!", ""},
	{"another user, full", "a1*16 ~ a2", "a1 "},
	{"another group, full", "a1*16 ~ b1", "a1 "},
	{"another user, full of served ones", "a1*16 a1:w ~ a2", ""},
	{"another group, full of served ones", "a1*16 a1:w ~ b1", ""},
	{"above the limit as long as it is smaller", "a1*8 a1:w b1*8 b1:w c1*3 c1!", ""},
	{"half a group: its largest gives", "a1*6 a2*2 ~ a2 a2", "a1 a1 "},
	{"half a group, many users", "a1 a2 a3 a4 a5 a6 a7 a8 ~ a9", "a1 "},
	{"full of users with one each", "a1 a2 a3 a4 a5 a6 a7 a8 b1 b2 b3 b4 b5 b6 b7 b8 ~ a9 b9 c1 c1",
         "a1 b1 a2 b2 "},
	{"full of users with one each, too soon", "a1 a2 a3 a4 a5 a6 a7 a8 b1 b2 b3 b4 b5 b6 b7 b8 a9 b9 c1 c1",
         "a1 a2 b1 b2 "},
	{"group before user", "a1*2 a2*2 a3*2 a4*2 b1*5 b2*3 ~ c1", "b1 "},
	{"unknown user", "a?*4 ~ a?", "a? "},
	{"not known who: an eighth of the seats", "_?*2 _?!", ""},
	{"not known who: half of the seats are free", "a1*4 b1*3 _? _?!", ""},
	{"not known who: one leaves", "_?*2 _?- _? _?!", ""},
	{"not known who: gives like others", "_?*2 a1*4 a2*4 b1*4 b2*2 ~ c1*2 c2", "a1 a2 b1 "},
	{"who left has nothing", "a1*4 a1- ~ a1 a1", "a1 "},
	{"fewer seats", "a1*6 b1*2 =4", "a1 a1 a1 a1 "},
	{"fewer seats: those being served keep theirs", "a1*6 a1:w b1*2 =4 b1", ""},
	{"fewer seats: who has less is looked at", "a1*6 =4 b1", "a1 a1 a1 "},
	{"fewer seats, and all again", "a1*4 =4 =16 b1*4 c1*4", ""},
	{"all leave", "a1*2 a1- a1- b1*16 ~ b1", "b1 "},
};

struct place {
	struct seats *seats;
	struct seat *taken[64];
	char owners[64][3];
	int pairs[64][2];
	int count;
	int64_t now_ms;
	char ended[256];
};

static struct seat_holder holder_of(const char *who)
{
	struct seat_holder holder = {.uid = who[1] == '?' ? -1 : who[1] - '0'};
	holder.group[0] = (uint8_t)who[0];
	return holder;
}

/* Has the other end of our pair been shut down? */
static void note_ended(struct place *place)
{
	char byte;
	for (int i = 0; i < place->count; i++) {
		if (place->taken[i] == NULL || recv(place->pairs[i][1], &byte, 1, MSG_DONTWAIT) != 0)
			continue;
		(void)strcat(strcat(place->ended, place->owners[i]), " ");
		if (!seats_leave(place->seats, place->taken[i]))
			fail_msg("ended, and does not know it");
		place->taken[i] = NULL;
	}
}

static void come(struct place *place, const char *name, const char *who, bool is_refused)
{
	int i = place->count++;
	const struct seat_holder holder = holder_of(who);
	(void)snprintf(place->owners[i], sizeof(place->owners[i]), "%.2s", who);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, place->pairs[i]), 0);
	place->taken[i] = seats_take(place->seats, place->pairs[i][0], ++place->now_ms);
	CHECK(name, place->taken[i] != NULL);
	bool is_admitted = who[0] == '_' ? seats_admit_unknown(place->seats, place->taken[i])
	                                 : seats_admit(place->seats, place->taken[i], &holder, place->now_ms);
	if (is_admitted == is_refused)
		fail_msg("%s: %s was %s", name, who, is_refused ? "admitted" : "refused");
	if (is_refused) {
		CHECK(name, !seats_leave(place->seats, place->taken[i]));
		place->taken[i] = NULL;
	}
	note_ended(place);
}

static void change(struct place *place, const char *who)
{
	for (int i = 0; i < place->count; i++) {
		if (place->taken[i] == NULL || strncmp(place->owners[i], who, 2) != 0)
			continue;
		if (who[2] == ':') {
			(who[3] == 'p' ? seat_parks : seat_works)(place->taken[i]);
			continue;
		}
		assert_false(seats_leave(place->seats, place->taken[i]));
		place->taken[i] = NULL;
		return;
	}
}

static void step(struct place *place, const char *name, const char *word)
{
	if (word[0] == '~') {
		place->now_ms += SEAT_PATIENCE_MS;
		return;
	}
	if (word[0] == '=') {
		seats_limit(place->seats, atoi(word + 1), place->now_ms);
		note_ended(place);
		return;
	}
	if (word[2] == '-' || word[2] == ':') {
		change(place, word);
		return;
	}
	int times = word[2] == '*' ? atoi(word + 3) : 1;
	for (int i = 0; i < times; i++)
		come(place, name, word, word[2] == '!');
}

static void shares_seats(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct place place = {.now_ms = 1000};
		char what[256], *rest = NULL;
		assert_int_equal(seats_new(LIMIT, EXTRA, &place.seats, NULL), 0);
		(void)snprintf(what, sizeof(what), "%s", cases[i].what);
		for (char *word = strtok_r(what, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
			step(&place, cases[i].name, word);
		CHECK_TEXT(cases[i].name, place.ended, cases[i].ended);
		for (int j = 0; j < place.count; j++) {
			if (place.taken[j] != NULL)
				(void)seats_leave(place.seats, place.taken[j]);
			(void)close(place.pairs[j][0]);
			(void)close(place.pairs[j][1]);
		}
		/* Nobody is here any more, so all of it is to be had again. */
		struct seat *seat = seats_take(place.seats, -1, place.now_ms);
		const struct seat_holder holder = holder_of("z1");
		CHECK(cases[i].name, seat != NULL && seats_admit(place.seats, seat, &holder, place.now_ms));
		seats_free(place.seats);
	}
}

static void has_room_for_so_many(void **state)
{
	struct seats *seats;
	(void)state;
	assert_int_equal(seats_new(2, 1, &seats, NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_non_null(seats_take(seats, -1, 1));
	assert_null(seats_take(seats, -1, 1));
	seats_free(seats);
}

static void counts_who_is_stuck(void **state)
{
	struct seats *seats;
	(void)state;
	assert_int_equal(seats_new(4, 0, &seats, NULL), 0);
	struct seat *waits = seats_take(seats, -1, 100);
	struct seat *works = seats_take(seats, -1, 100);
	seat_works(works);
	assert_int_equal(seats_stuck(seats, 100 + SEAT_SLOW_MS - 1), 0);
	assert_int_equal(seats_stuck(seats, 100 + SEAT_SLOW_MS), 1);
	assert_int_equal(seats_stuck(seats, 100 + SEAT_LONG_MS - 1), 1);
	assert_int_equal(seats_stuck(seats, 100 + SEAT_LONG_MS), 2);
	(void)seats_leave(seats, waits);
	assert_int_equal(seats_stuck(seats, 100 + SEAT_LONG_MS), 1);
	seat_waits(works, 110);
	assert_int_equal(seats_stuck(seats, 110 + SEAT_SLOW_MS), 1);
	seat_parks(works);
	assert_int_equal(seats_stuck(seats, 100 + SEAT_LONG_MS), 0);
	(void)seats_leave(seats, works);
	assert_int_equal(seats_stuck(seats, 1000), 0);
	assert_true(seats_may_complain(seats, 2000));
	assert_false(seats_may_complain(seats, 2999));
	assert_true(seats_may_complain(seats, 3000));
	seats_free(seats);
}

#define ADDRESS                                                                                                        \
	{                                                                                                              \
		.family = 2, .address = { 10, 0, 0, 1 }                                                                \
	}

static void tells_holders_apart(void **state)
{
	static const struct {
		const char *name;
		struct sighting a, b;
		bool is_local, same_group;
		int64_t uid; /* of a */
	} pairs[] = {
		{"namespace known",
	         {.is_found = true, .inode = 5, .netns = 7, .uid = 3},
	         {.is_found = true, .inode = 6, .netns = 7, .uid = 4},
	         false,
	         true,
	         3},
		{"two namespaces",
	         {.is_found = true, .inode = 5, .netns = 7, .uid = 0},
	         {.is_found = true, .inode = 5, .netns = 8, .uid = 0},
	         false,
	         false,
	         0},
		{"gone: uid 0 is nobody's",
	         {.is_found = true, .netns = 7},
	         {.is_found = true, .netns = 7},
	         false,
	         true,
	         -1},
		{"address only", {.client = ADDRESS}, {.client = ADDRESS}, false, true, -1},
		{"two addresses",
	         {.client = ADDRESS},
	         {.client = {.family = 2, .address = {10, 0, 0, 2}}},
	         false,
	         false,
	         -1},
		{"of the host, whatever its address", {.client = ADDRESS}, {0}, true, true, -1},
		{"in two namespaces, so in none",
	         {.is_found = true, .is_ambiguous = true, .inode = 5, .netns = 7, .uid = 3, .client = ADDRESS},
	         {.client = ADDRESS},
	         false,
	         true,
	         -1},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
		struct seat_holder a = seat_holder_of(&pairs[i].a, pairs[i].is_local);
		struct seat_holder b = seat_holder_of(&pairs[i].b, pairs[i].is_local);
		CHECK(pairs[i].name, (memcmp(a.group, b.group, sizeof(a.group)) == 0) == pairs[i].same_group);
		CHECK_NUMBER(pairs[i].name, a.uid, pairs[i].uid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_seats),
		cmocka_unit_test(has_room_for_so_many),
		cmocka_unit_test(counts_who_is_stuck),
		cmocka_unit_test(tells_holders_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
