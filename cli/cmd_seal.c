/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail seal: empties the state folder before an image is baked. There is no way back, so it asks; and a running
 * daemon would only make the files anew. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/control.h"
#include "cli/only.h"
#include "cli/place.h"
#include "store/state.h"

/* Nobody who answers may be there; who may not ask cannot know. */
MUST_USE static int check_daemon(const struct place *place, struct error *err)
{
	CLEANUP_JSON json_t *answer = NULL;
	struct error problem = {0};
	enum control_answer daemon = control_ask(place->runtime, &answer, &problem);
	if (daemon == CONTROL_DOWN)
		return 0;
	if (daemon == CONTROL_ANSWERED)
		return error_set(err, ERROR_SYSTEM, "seal: keytraild is running: stop it first");
	return error_set(err, ERROR_SYSTEM, "seal: it is not clear whether keytraild is running: %s", problem.text);
}

MUST_USE static int ask(const struct place *place, bool *ret_agreed, struct error *err)
{
	char answer[8] = "";
	if (!isatty(STDIN_FILENO))
		return error_set(err, ERROR_USAGE, "seal: nobody to ask: expected --yes");
	(void)fprintf(stderr,
	              "Remove ledger, keys, findings and archives beside %s for good? Type yes: ", place->ledger);
	*ret_agreed = fgets(answer, sizeof(answer), stdin) != NULL && strcmp(answer, "yes\n") == 0;
	return 0;
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_JSON json_t *object = json_object();
	struct place place;
	bool agreed = arguments->yes;
	int removed, others;
	if (place_find(arguments, &place, err) < 0 || check_daemon(&place, err) < 0 ||
	    (!agreed && ask(&place, &agreed, err) < 0))
		return -1;
	if (!agreed)
		return error_set(err, ERROR_SYSTEM, "seal: nothing was removed");
	if (state_empty(place.ledger, &removed, &others, err) < 0)
		return error_prefix(err, "seal");
	json_put_text(object, "kind", "seal");
	json_put_text(object, "ledger", place.ledger);
	json_put_int(object, "removed", removed);
	json_put_int(object, "others", others);
	*ret = STATUS_FINE;
	return only_show(arguments->form, &columns_seal, object, err);
}

const struct command command_seal = {
	.name = "seal",
	.operands = "",
	.summary = "Empty the state before an image is baked",
	.details = "Removes ledger, journal, keys, findings and archives for good, so that no clone of the image has "
		   "the keys "
		   "or the history of the instance that it was made from. Files that are not keytrail's stay, and are "
		   "counted as `others`. Refuses while keytraild is running. Asks first, unless --yes is given.",
	.examples = "  sudo systemctl stop keytraild && sudo keytrail seal --yes\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_DAEMON | OPTIONS_SEAL,
	.run = run,
};
