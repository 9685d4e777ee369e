/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail verify: does this leaked credential come from here, and who had it. What leaked is read, compared by its
 * keyed digests and wiped: it is never printed, stored or put into a message. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/complain.h"
#include "cli/leaked.h"
#include "cli/place.h"
#include "common/buffer.h"
#include "store/fingerprint.h"
#include "store/match.h"

#define INPUT_BYTES (1 << 20)

struct verify {
	struct ledger *ledger;
	struct output *output;
	enum match_how how; /* of the key whose deliveries are being listed */
	int64_t keys, deliveries;
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

/* host.key lies beside the ledger, for root and the daemon's user only. Without it key ids can still be compared. */
MUST_USE static int read_host_key(const struct arguments *arguments, const struct place *place, struct secret_key *ret,
                                  bool *ret_has, struct error *err)
{
	char beside[PATH_MAX];
	const char *path = arguments->host_key != NULL ? arguments->host_key : beside;
	if (place_beside(place->ledger, "host.key", beside, err) < 0)
		return -1;
	*ret_has = access(path, R_OK) == 0;
	if (*ret_has)
		return secret_key_read(path, ret, err);
	if (arguments->host_key != NULL)
		return error_errno(err, "%s", path);
	complain(
		"%s: %s; secrets and tokens cannot be compared, only key ids (run as root, or name it with --host-key)",
		path, strerror(errno));
	return 0;
}

MUST_USE static int compare(struct verify *verify, const struct leaked *leaked, const struct secret_key *host_key,
                            bool has_host_key, struct error *err)
{
	struct match_wanted wanted = {
		.access_key_id = leaked->access_key_id,
		.has_secret = has_host_key && leaked->secret.length > 0,
		.has_token = has_host_key && leaked->token.length > 0,
	};
	if (has_host_key && fingerprint_make(host_key, leaked->access_key_id, &leaked->secret, &leaked->token,
	                                     &wanted.fingerprint, err) < 0)
		return -1;
	return ledger_match(verify->ledger, &wanted, show_key, verify, err);
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
	CLEANUP_KEY struct secret_key host_key = {0};
	const struct output_options options = {.form = arguments->form, .columns = &columns_matches, .stream = stdout};
	CLEANUP_LEDGER struct ledger *ledger = NULL;
	CLEANUP_OUTPUT struct output *output = NULL;
	struct place place;
	bool has_host_key = false;
	if (place_find(arguments, &place, err) < 0 || place_open_ledger(&place, &ledger, err) < 0 ||
	    read_host_key(arguments, &place, &host_key, &has_host_key, err) < 0 ||
	    output_open(&options, &output, err) < 0)
		return -1;
	verify->ledger = ledger;
	verify->output = output;
	for (size_t i = 0; i < count; i++)
		if (compare(verify, &leaked[i], &host_key, has_host_key, err) < 0)
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
	*ret = verify.keys > 0 ? STATUS_FOUND : STATUS_FINE;
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
		"secret, token, or key-id. What is read is never printed or stored. Comparing secrets needs host.key, "
		"so run it as root on the machine, or bring the key with --host-key. Ends with 3 when something "
		"matches.",
	.examples = "  sudo keytrail verify < leaked.json\n"
		    "  sudo keytrail verify ~/.aws/credentials -o json\n"
		    "  keytrail verify --ledger copy.db --host-key host.key leaked.env\n",
	.options = OPTIONS_OUTPUT | OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_VERIFY,
	.minimum = 0,
	.maximum = 1,
	.run = run,
};
