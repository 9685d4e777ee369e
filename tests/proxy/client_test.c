/* SPDX-License-Identifier: Apache-2.0 */

/* The witness is asked who a client is once, also when it does not say. */
#include "tests/common/unit.h"

#include <sys/socket.h>

#include "proxy/client.h"

static void waits_for_no_answer_twice(void **state)
{
	struct client client = {.fd = -1};
	struct attribution attribution = {0};
	struct error problem = {0};
	int pair[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(line_open(pair[0], &client.line, NULL), 0);
	(void)close(pair[1]); /* and with it the other end of the line */
	client_init(&client);
	assert_int_equal(client_meet(&client, &problem), -1);
	assert_true(problem.code != ERROR_NONE);
	assert_int_equal(client_meet(&client, &problem), -1);
	assert_string_equal(problem.text, "the witness did not say who this client is");
	assert_int_equal(client_who(&client, &attribution, &problem), -1);
	assert_string_equal(problem.text, "the witness did not say who this client is");
	assert_false(line_is_whole(client.line));
	line_close(client.line);
	(void)close(pair[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_no_answer_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
