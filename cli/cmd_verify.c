/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail verify: does this leaked credential come from here, and who had it. What leaked is read, compared by its
 * keyed digests and wiped: it is never printed, stored or put into a message. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/leaked.h"
#include "cli/place.h"
#include "common/buffer.h"
#include "store/fingerprint.h"
#include "store/host_keys.h"
#include "store/match.h"

#define INPUT_BYTES (1 << 20)

struct verify {
	struct ledger *ledger;
	struct output *output;
	enum match_how how; /* of the key whose deliveries are being listed */
	int64_t keys, deliveries;
	int64_t unknown; /* keys whose fingerprints could not be compared */
};

static int show_delivery(void *context, const json_t *delivery, struct error *err)
{
	struct verify *verify = context;
	CLEANUP_JSON json_t *object = json_copy((json_t *)(uintptr_t)delivery);
	json_put_text(object, "match", match_names[verify->how]);
	verify->deliveries++;
	return output_row(verify->output, object, err);
}

static int show_key(void *context, const char *access_key_id, enum match_how how, struct error *err)
{
	struct verify *verify = context;
	const struct ledger_filter filter = {.access_key_id = access_key_id};
	verify->how = how;
	verify->keys++;
	return ledger_deliveries(verify->ledger, &filter, show_delivery, verify, err);
}

/* They lie beside the ledger, for root and the daemon's user only, and a fleet's where the settings say. Without them
 * key ids can still be compared. */
MUST_USE static int read_host_keys(const struct arguments *arguments, const struct place *place, struct host_keys *keys,
                                   struct error *err)
{
	char folder[PATH_MAX];
	if (arguments->host_key != NULL)
		return host_keys_add(keys, arguments->host_key, err);
	if (place_beside(place->ledger, ".", folder, err) < 0 || host_keys_add_state(keys, folder, err) < 0)
		return -1;
	if (place->fleet_key[0] != '\0' && access(place->fleet_key, R_OK) == 0 &&
	    host_keys_add(keys, place->fleet_key, err) < 0)
		return -1;
	if (keys->count == 0)
		complain("no host.key can be read beside %s; secrets and tokens cannot be compared, only key ids "
		         "(run as root, or name the key with --host-key)",
		         place->ledger);
	return 0;
}

/* The fingerprints of what leaked, under each key; wiped they need not be. */
MUST_USE static int fingerprints_of(const struct leaked *leaked, const struct host_keys *keys, struct fingerprint **ret,
                                    struct error *err)
{
	struct fingerprint *made = calloc(keys->count + 1, sizeof(*made));
	if (made == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for fingerprints");
	for (size_t i = 0; i < keys->count; i++)
		if (fingerprint_make(&keys->keys[i], leaked->access_key_id, &leaked->secret, &leaked->token, &made[i],
		                     err) < 0) {
			free(made);
			return -1;
		}
	qsort(made, keys->count, sizeof(*made), match_order);
	*ret = made;
	return 0;
}

MUST_USE static int compare(struct verify *verify, const struct leaked *leaked, const struct host_keys *keys,
                            struct error *err)
{
	struct fingerprint *fingerprints = NULL;
	int64_t unknown = 0;
	if (fingerprints_of(leaked, keys, &fingerprints, err) < 0)
		return -1;
	const struct match_wanted wanted = {
		.access_key_id = leaked->access_key_id,
		.has_secret = leaked->secret.length > 0,
		.has_token = leaked->token.length > 0,
		.fingerprints = fingerprints,
		.count = keys->count,
	};
	int result = ledger_match(verify->ledger, &wanted, show_key, verify, &unknown, err);
	verify->unknown = unknown > verify->unknown ? unknown : verify->unknown;
	free(fingerprints);
	return result;
}

MUST_USE static int read_input(const struct arguments *arguments, struct buffer *to, struct error *err)
{
	bool is_file = arguments->operand_count > 0 && strcmp(arguments->operands[0], "-") != 0;
	if (!is_file && isatty(STDIN_FILENO))
		complain("reading standard input: paste the credential, then Ctrl-D");
	return is_file ? buffer_read_file(to, arguments->operands[0], err) : buffer_read_fd(to, STDIN_FILENO, err);
}

MUST_USE static int verify_all(const struct arguments *arguments, struct verify *verify, const struct leaked *leaked,
                               size_t count, struct error *err)
{
	CLEANUP_HOST_KEYS struct host_keys host_keys = {0};
	const struct output_options options = {.form = arguments->form, .columns = &columns_matches, .stream = stdout};
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	CLEANUP_OUTPUT struct output *output = NULL;
	struct place place;
	if (place_find(arguments, &place, err) < 0 || place_open_ledger(&place, &ledger, err) < 0 ||
	    read_host_keys(arguments, &place, &host_keys, err) < 0 || output_open(&options, &output, err) < 0)
		return -1;
	verify->ledger = ledger;
	verify->output = output;
	for (size_t i = 0; i < count; i++)
		if (compare(verify, &leaked[i], &host_keys, err) < 0)
			return -1;
	return output_close(steal_pointer(&output), err);
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	CLEANUP_SECRET_BUFFER struct buffer text = {.limit = INPUT_BYTES};
	struct leaked *leaked = calloc(LEAKED_MAX, sizeof(*leaked));
	struct verify verify = {0};
	size_t count = 0;
	if (leaked == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a credential");
	json_wipe_freed();
	int result = read_input(arguments, &text, err);
	if (result == 0)
		result = leaked_read(text.length > 0 ? text.bytes : "", text.length, leaked, &count, err);
	if (result == 0)
		result = verify_all(arguments, &verify, leaked, count, err);
	leaked_done(leaked, count);
	free(leaked);
	if (result < 0)
		return -1;
	complain("%zu credential(s) read: %lld key(s) of this ledger match, %lld deliveries", count,
	         (long long)verify.keys, (long long)verify.deliveries);
	if (verify.unknown > 0)
		complain("%lld key(s) of this ledger have fingerprints under a key that is not here, and were compared "
		         "by key "
		         "id only",
		         (long long)verify.unknown);
	*ret = verify.keys > 0 ? STATUS_FOUND : verify.unknown > 0 ? STATUS_INCOMPLETE : STATUS_FINE;
	return 0;
}

const struct command command_verify = {
	.name = "verify",
	.operands = "[FILE|-]",
	.summary = "Does this leaked credential come from here, and who had it",
	.details =
		"Reads a credential from FILE or standard input: JSON of the metadata service or the AWS CLI, a "
		"credentials file, exports of a shell, or a lone secret, token or key id. Lists the deliveries of "
		"each key that it belongs to, with how it matches: all (key id, secret and token), secret+token, "
		"secret, token, or key-id. What is read is never printed or stored. Comparing secrets needs the keys "
		"of "
		"the fingerprints (host.key and those kept beside it, or the fleet's), so run it as root on the "
		"machine, "
		"or bring them with --host-key: a file, or a folder of such files. Ends with 3 when something matches, "
		"with 4 when nothing does but not all could be compared.",
	.examples = "  sudo keytrail verify < leaked.json\n"
		    "  sudo keytrail verify ~/.aws/credentials -o json\n"
		    "  keytrail verify --ledger fleet.db --host-key fleet.key leaked.env\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_VERIFY,
	.minimum = 0,
	.maximum = 1,
	.run = run,
};
