/* SPDX-License-Identifier: Apache-2.0 */

/* fleet_bench LEDGER MACHINES DELIVERIES DAYS: imports the exports of so many made-up machines, with so many deliveries
 * each over ten days (the key changes every six hours), through the importer that `keytrail ledger import` uses; then
 * asks for one key what a responder asks. Every row has its true link; each machine's days have a hole of an hour of
 * coverage. A ledger that is there already is only asked. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/secret.h"
#include "store/import.h"
#include "store/ledger_lookup.h"
#include "store/match.h"

static int days = 10;
#define KEY_US (6 * 3600 * CLOCK_SECOND_US)
#define BEAT_US (600 * CLOCK_SECOND_US)
#define START_US INT64_C(1764000000000000)
#define QUESTIONS 9 /* how often each is asked, of as many machines; the median and the worst count */

#define FAIL_IF(condition)                                                                                             \
	do {                                                                                                           \
		if (condition) {                                                                                       \
			(void)fprintf(stderr, "fleet_bench: line %d: %s\n", __LINE__, problem.text);                   \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

static struct error problem;

/* ---- a machine */

struct machine {
	unsigned number;
	char ledger_id[LINE_LEDGER_BYTES], instance[24];
	uint8_t link[DIGEST_BYTES];
	int64_t seq;
	struct buffer text;
};

static void key_of(unsigned machine, int64_t at_us, char to[static 24])
{
	(void)snprintf(to, 24, "ASIA%08XQ%07X", machine, (unsigned)((at_us - START_US) / KEY_US));
}

static void fingerprint_of(const char *key, const char *part, uint8_t to[static DIGEST_BYTES])
{
	char text[64];
	(void)snprintf(text, sizeof(text), "%s of %s", part, key);
	FAIL_IF(digest_of(text, strlen(text), to, &problem) < 0);
}

static void append(struct machine *machine, const char *kind, const char *subject, const char *key, int64_t at_us,
                   const char *body, const char *process)
{
	char id[ENTRY_ID_BYTES];
	uint8_t link[DIGEST_BYTES];
	(void)snprintf(id, sizeof(id), "%016" PRIx64,
	               (uint64_t)machine->seq * UINT64_C(0x9e3779b97f4a7c15) ^ machine->number);
	struct packed packed = {.at_us = at_us};
	packed.kind = (char *)(uintptr_t)kind;
	packed.id = id;
	packed.subject = (char *)(uintptr_t)subject;
	packed.access_key_id = (char *)(uintptr_t)key;
	packed.body = (char *)(uintptr_t)body;
	if (process != NULL) {
		packed.has_process = true;
		packed.actor_count = 1;
		packed.actors[0].body = (char *)(uintptr_t)process;
		FAIL_IF(digest_of(process, strlen(process), packed.actors[0].digest, &problem) < 0);
	}
	const struct chain_row row = {.seq = ++machine->seq,
	                              .at_us = at_us,
	                              .id = id,
	                              .kind = kind,
	                              .subject = subject,
	                              .access_key_id = key,
	                              .body = body};
	const struct line_place place = {.ledger_id = machine->ledger_id, .link = link};
	FAIL_IF(chain_next(machine->link, &row, link, &problem) < 0);
	FAIL_IF(line_of_packed(&packed, machine->seq, &place, &machine->text, &problem) < 0);
	memcpy(machine->link, link, sizeof(link));
}

static void append_coverage(struct machine *machine, int64_t at_us, const char *event, const char *run)
{
	char body[300], checked[CLOCK_TEXT_BYTES];
	(void)snprintf(body, sizeof(body),
	               "{\"event\":\"%s\",\"every_s\":600,\"lost\":0,\"redirect\":{\"checked_at\":\"%s\",\"whole\":"
	               "true},\"run\":\"%s\"}",
	               event, clock_format(at_us - CLOCK_SECOND_US, checked), run);
	append(machine, "coverage", NULL, NULL, at_us, body, NULL);
}

/* Of twenty programs, each started anew once an hour. */
static void append_delivery(struct machine *machine, int64_t at_us, unsigned program)
{
	char key[24], body[2048], process[1024], started[CLOCK_TEXT_BYTES], updated[CLOCK_TEXT_BYTES],
		expires[CLOCK_TEXT_BYTES];
	char secret[DIGEST_HEX_BYTES], token[DIGEST_HEX_BYTES], whole[DIGEST_HEX_BYTES], name[DIGEST_HEX_BYTES],
		subject[ENTRY_ID_BYTES];
	uint8_t digest[DIGEST_BYTES];
	int64_t hour_us = at_us - at_us % (3600 * CLOCK_SECOND_US),
		issued_us = START_US + (at_us - START_US) / KEY_US * KEY_US;
	key_of(machine->number, at_us, key);
	fingerprint_of(key, "secret", digest);
	(void)digest_hex(digest, DIGEST_BYTES, secret);
	fingerprint_of(key, "token", digest);
	(void)digest_hex(digest, DIGEST_BYTES, token);
	fingerprint_of(key, "whole", digest);
	(void)digest_hex(digest, DIGEST_BYTES, whole);
	(void)snprintf(process, sizeof(process),
	               "{\"ancestors\":[{\"cmdline\":[\"/sbin/init\"],\"exe\":\"/usr/lib/systemd/"
	               "systemd\",\"pid\":1,\"uid\":0}],\"cmdline\":[\"/usr/bin/app-%u\","
	               "\"--serve\"],\"comm\":\"app-%u\",\"container_id\":null,\"exe\":\"/usr/bin/"
	               "app-%u\",\"exe_deleted\":false,\"exe_file\":\"2049:%u:1:2:3\","
	               "\"exe_foreign_mount\":false,\"exe_sha256\":\"%064x\",\"login_uid\":null,\"pid\":%u,\"pod_uid\":"
	               "null,\"started_at\":\"%s\",\"uid\":33,"
	               "\"unit\":\"app-%u.service\",\"user\":\"www-data\"}",
	               program, program, program, program, program, 1000 + program, clock_format(hour_us, started),
	               program);
	FAIL_IF(digest_of(process, strlen(process), digest, &problem) < 0);
	(void)digest_hex(digest, DIGEST_BYTES, name);
	(void)snprintf(body, sizeof(body),
	               "{\"access_key_id\":\"%s\",\"account_id\":\"123456789012\",\"attribution\":{\"complete\":true,"
	               "\"evidence\":[\"the socket's cookie and namespace agree\"],"
	               "\"grade\":\"exact\",\"method\":\"ebpf+sock_diag\"},\"client\":{\"address\":\"127.0.0.1\","
	               "\"netns\":4026531840,\"port\":%u},\"delivery_version\":\"2.0\","
	               "\"expires_at\":\"%s\",\"fingerprint\":{\"secret\":\"%s\",\"token\":\"%s\",\"whole\":\"%s\"},"
	               "\"holders\":[\"%s\"],\"host\":{\"account_id\":\"123456789012\","
	               "\"instance_id\":\"%s\",\"region\":\"eu-west-1\"},\"method\":\"GET\",\"outcome\":\"recorded\","
	               "\"path\":\"/latest/meta-data/iam/security-credentials/web\","
	               "\"policy\":null,\"process\":\"%s\",\"reason\":null,\"role\":\"web\",\"source\":\"imds\","
	               "\"status\":200,\"updated_at\":\"%s\",\"user_agent\":\"Boto3/1.34\"}",
	               key, 40000 + program, clock_format(issued_us + KEY_US, expires), secret, token, whole, name,
	               machine->instance, name, clock_format(issued_us, updated));
	(void)snprintf(subject, sizeof(subject), "%016" PRIx64,
	               (uint64_t)machine->seq * UINT64_C(0x9e3779b97f4a7c15) ^ machine->number);
	append(machine, "delivery", NULL, key, at_us, body, process);
	append(machine, "outcome", subject, NULL, at_us, "{\"outcome\":\"delivered\",\"reason\":null}", NULL);
}

/* Its export. */
static void make_machine(struct machine *machine, unsigned number, unsigned deliveries)
{
	char genesis[DIGEST_HEX_BYTES], body[300], end[DIGEST_HEX_BYTES], at[CLOCK_TEXT_BYTES];
	const int64_t length_us = days * 24 * 3600 * CLOCK_SECOND_US, step_us = length_us / deliveries;
	*machine = (struct machine){.number = number, .text = machine->text};
	buffer_clear(&machine->text);
	(void)snprintf(machine->ledger_id, sizeof(machine->ledger_id), "%032x", number);
	(void)snprintf(machine->instance, sizeof(machine->instance), "i-0%016x", number);
	FAIL_IF(chain_genesis(machine->ledger_id, machine->link, &problem) < 0);
	(void)digest_hex(machine->link, DIGEST_BYTES, genesis);
	FAIL_IF(buffer_printf(&machine->text, &problem,
	                      "{\"before\":\"%s\",\"exported_at\":null,\"first_seq\":1,\"format\":1,\"genesis\":\"%s\","
	                      "\"instance_id\":\"%s\","
	                      "\"kind\":\"export\",\"ledger_id\":\"%s\",\"program\":\"bench\",\"schema_version\":3}\n",
	                      genesis, genesis, machine->instance, machine->ledger_id) < 0);
	(void)snprintf(body, sizeof(body), "{\"archive\":null,\"instance_id\":\"%s\",\"previous\":null}",
	               machine->instance);
	append(machine, "instance", NULL, NULL, START_US, body, NULL);
	(void)snprintf(body, sizeof(body),
	               "{\"account_id\":\"123456789012\",\"addresses\":[\"10.%u.%u.%u\"],\"clock_offset_ms\":0,"
	               "\"instance_id\":\"%s\",\"owner_ids\":"
	               "[\"123456789012\"],\"region\":\"eu-west-1\",\"vpc_ids\":[\"vpc-1\"]}",
	               number >> 16, number >> 8 & 255, number & 255, machine->instance);
	append(machine, "placement", NULL, NULL, START_US, body, NULL);
	append_coverage(machine, START_US, "start", "0123456789abcdef");
	const int64_t down_us = START_US + (1 + number % ((unsigned)days * 24 - 2)) * 3600 * CLOCK_SECOND_US;
	int64_t beat_us = START_US + BEAT_US, next_us = START_US + step_us / 2;
	for (unsigned i = 0; i < deliveries; i++, next_us += step_us) {
		for (; beat_us < next_us; beat_us += BEAT_US) {
			bool is_after = beat_us >= down_us + 3600 * CLOCK_SECOND_US;
			if (beat_us > down_us && !is_after)
				continue;
			bool is_first = is_after && beat_us - BEAT_US < down_us + 3600 * CLOCK_SECOND_US;
			append_coverage(machine, beat_us, is_first ? "start" : "beat",
			                is_after ? "fedcba9876543210" : "0123456789abcdef");
		}
		append_delivery(machine, next_us, i % 20);
	}
	FAIL_IF(buffer_printf(
			&machine->text, &problem,
			"{\"at\":\"%s\",\"chain\":\"%s\",\"kind\":\"export-end\",\"ledger_id\":\"%s\",\"rows\":%" PRId64
			",\"seq\":%" PRId64 "}\n",
			clock_format(next_us, at), digest_hex(machine->link, DIGEST_BYTES, end), machine->ledger_id,
			machine->seq, machine->seq) < 0);
}

/* ---- building */

static int64_t file_bytes(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 ? (int64_t)status.st_size : 0;
}

static void build(const char *path, unsigned machines, unsigned deliveries)
{
	struct importer *importer = NULL;
	struct machine machine = {0};
	int64_t import_us = 0, rows = 0, bytes = 0;
	int fd = memfd_create("export", MFD_CLOEXEC);
	FAIL_IF(importer_open(path, &importer, &problem) < 0);
	for (unsigned first = 0; first < machines;) {
		FAIL_IF(ftruncate(fd, 0) < 0);
		(void)lseek(fd, 0, SEEK_SET);
		for (int64_t held = 0; first < machines && held < (64 << 20);
		     held += (int64_t)machine.text.length, first++) {
			make_machine(&machine, first, deliveries);
			FAIL_IF(write(fd, machine.text.bytes, machine.text.length) != (ssize_t)machine.text.length);
		}
		bytes += lseek(fd, 0, SEEK_CUR);
		(void)lseek(fd, 0, SEEK_SET);
		struct import_result result;
		int64_t began_us = clock_monotonic_us();
		FAIL_IF(importer_take(importer, "bench", fd, &result, &problem) < 0);
		import_us += clock_monotonic_us() - began_us;
		if (result.fault != IMPORT_GOOD) {
			(void)fprintf(stderr, "fleet_bench: %s\n", result.detail);
			exit(1);
		}
		rows += result.rows;
	}
	importer_close(importer);
	buffer_done(&machine.text);
	(void)close(fd);
	(void)printf("| imported | %" PRId64
	             " rows of %u machines, %u deliveries each over %d days, %.1f GB of exports, in %.0f s: "
	             "%.0f rows a second, each link computed anew |\n",
	             rows, machines, deliveries, days, (double)bytes / 1e9, (double)import_us / 1e6,
	             (double)rows * 1e6 / (double)import_us);
	(void)printf("| the file | %.1f GB, %.0f bytes a delivery with its outcome, coverage and indices; its exports "
	             "%.0f |\n",
	             (double)file_bytes(path) / 1e9, (double)file_bytes(path) / ((double)machines * deliveries),
	             (double)bytes / ((double)machines * deliveries));
	(void)fflush(stdout);
}

/* ---- asking */

struct answers {
	int64_t count;
};

static int count_object(void *context, const json_t *object, struct error *err)
{
	(void)object;
	(void)err;
	((struct answers *)context)->count++;
	return 0;
}

static int count_match(void *context, const char *key, enum match_how how, struct error *err)
{
	(void)key;
	(void)err;
	((struct answers *)context)->count += how == MATCH_ALL;
	return 0;
}

enum question { WHO, SUSPECTS, BY_INSTANCE, BY_KEY_AND_EXE, VERIFY, COVERED, UNCOVERED, UNKNOWN_KEY, QUESTION_COUNT };
static const char *const names[QUESTION_COUNT] = {
	[WHO] = "`who KEY`: the key, its deliveries, its machine's coverage",
	[SUSPECTS] = "`detect`: the key's receivers",
	[BY_INSTANCE] = "`deliveries --instance ID --since --until` (a day)",
	[BY_KEY_AND_EXE] = "`deliveries --key KEY --exe PATH`",
	[VERIFY] = "`verify`: a secret and a token, by fingerprint",
	[COVERED] = "was an instance covered for six hours",
	[UNCOVERED] = "machines without coverage in an hour",
	[UNKNOWN_KEY] = "`who` of a key that nobody was handed",
};

static int64_t ask(struct ledger *ledger, enum question question, unsigned machine)
{
	char key[24], instance[24];
	struct answers answers = {0};
	int64_t machines;
	bool covered;
	const int64_t at_us = START_US + days * 12 * 3600 * CLOCK_SECOND_US;
	key_of(machine, at_us, key);
	(void)snprintf(instance, sizeof(instance), "i-0%016x", machine);
	const struct ledger_filter by_key = {.access_key_id = question == UNKNOWN_KEY ? "ASIAZZZZZZZZZZZZZZZZ" : key};
	const struct ledger_filter suspects = {.access_key_id = key, .credentials_only = true, .oldest_first = true};
	const struct ledger_filter by_instance = {
		.instance_id = instance, .since_us = at_us, .until_us = at_us + 24 * 3600 * CLOCK_SECOND_US};
	const struct ledger_filter by_exe = {.access_key_id = key, .exe = "/usr/bin/app-3"};
	struct fingerprint print = {0}; /* under a key without a name: compared with all */
	struct match_wanted wanted = {
		.fingerprints = &print, .count = 1, .access_key_id = "", .has_secret = true, .has_token = true};
	CLEANUP_JSON json_t *coverage = NULL;
	switch (question) {
	case WHO:
	case UNKNOWN_KEY:
		FAIL_IF(ledger_keys(ledger, &by_key, count_object, &answers, &problem) < 0);
		FAIL_IF(ledger_coverage_of(ledger, instance, at_us, at_us + KEY_US, &coverage, &problem) < 0);
		FAIL_IF(ledger_deliveries(ledger, &by_key, count_object, &answers, &problem) < 0);
		break;
	case SUSPECTS:
		FAIL_IF(ledger_deliveries(ledger, &suspects, count_object, &answers, &problem) < 0);
		break;
	case BY_INSTANCE:
		FAIL_IF(ledger_deliveries(ledger, &by_instance, count_object, &answers, &problem) < 0);
		break;
	case BY_KEY_AND_EXE:
		FAIL_IF(ledger_deliveries(ledger, &by_exe, count_object, &answers, &problem) < 0);
		break;
	case VERIFY:
		fingerprint_of(key, "secret", print.secret);
		fingerprint_of(key, "token", print.token);
		fingerprint_of(key, "whole", print.whole);
		FAIL_IF(ledger_match(ledger, &wanted, count_match, &answers, &machines, &problem) < 0);
		break;
	case COVERED:
		FAIL_IF(ledger_covered(ledger, instance, at_us, at_us + KEY_US, &covered, &problem) < 0);
		answers.count = covered;
		break;
	case UNCOVERED:
		FAIL_IF(ledger_uncovered(ledger, at_us, at_us + 3600 * CLOCK_SECOND_US, &machines, count_object,
		                         &answers, &problem) < 0);
		break;
	case QUESTION_COUNT:
		break;
	}
	return answers.count;
}

static int by_time(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

static void ask_all(const char *path, unsigned machines)
{
	for (int question = 0; question < QUESTION_COUNT; question++) {
		int64_t times[QUESTIONS], count = 0;
		for (unsigned i = 0; i < QUESTIONS; i++) {
			struct ledger *ledger = NULL;
			int64_t began_us = clock_monotonic_us(); /* opening it included: as a command does */
			FAIL_IF(ledger_open(path, &ledger, &problem) < 0);
			count = ask(ledger, (enum question)question, (unsigned)((uint64_t)i * machines / QUESTIONS));
			ledger_close(ledger);
			times[i] = clock_monotonic_us() - began_us;
		}
		qsort(times, QUESTIONS, sizeof(times[0]), by_time);
		(void)printf("| %s | %" PRId64 " | %.1f | %.1f |\n", names[question], count,
		             (double)times[QUESTIONS / 2] / 1e3, (double)times[QUESTIONS - 1] / 1e3);
	}
}

static int count_id(void *context, const char *id, struct error *err)
{
	(void)id;
	(void)err;
	((struct answers *)context)->count++;
	return 0;
}

static void ask_for_all_keys(const char *path)
{
	struct ledger *ledger = NULL;
	struct ledger_lookup *lookup = NULL;
	struct answers answers = {0};
	int64_t began_us = clock_monotonic_us();
	FAIL_IF(ledger_open(path, &ledger, &problem) < 0);
	FAIL_IF(ledger_lookup_open(ledger, &lookup, &problem) < 0);
	FAIL_IF(ledger_lookup_ids(lookup, count_id, &answers, &problem) < 0);
	ledger_lookup_close(lookup);
	ledger_close(ledger);
	(void)printf("| the ids of all keys, as `detect` reads them when it starts | %" PRId64 " | %.0f | |\n",
	             answers.count, (double)(clock_monotonic_us() - began_us) / 1e3);
}

int main(int argc, char **argv)
{
	unsigned machines = argc == 5 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	unsigned deliveries = argc == 5 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	days = argc == 5 ? (int)strtol(argv[4], NULL, 10) : 0;
	if (machines == 0 || deliveries == 0 || days < 1) {
		(void)fprintf(stderr, "usage: fleet_bench LEDGER MACHINES DELIVERIES DAYS\n");
		return 2;
	}
	(void)printf("| what | |\n|---|---|\n");
	if (access(argv[1], F_OK) < 0)
		build(argv[1], machines, deliveries);
	(void)printf("\n| question | answers | median ms | worst ms |\n|---|--:|--:|--:|\n");
	ask_all(argv[1], machines);
	ask_for_all_keys(argv[1]);
	return 0;
}
