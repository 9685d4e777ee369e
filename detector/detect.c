/* SPDX-License-Identifier: Apache-2.0 */

/* THE PIPELINE of one run: source -> crew of readers (inflate -> records, triage -> event -> judge: origin, rules) ->
 * uses of earlier runs -> findings -> suspects. A second pass over the sources is made if the first one has learned
 * what may change a verdict; over those of earlier runs too, where that may have been used in them. Read detect_run
 * from below upwards. A file that cannot be read costs that file and a line; only what makes every answer worthless
 * ends the run. What readers found is taken back in the order of the files: how many there are does not show. */
#include "detector/detect.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "detector/measure.h"
#include "detector/remember.h"
#include "detector/run.h"
#include "detector/suspects.h"

#define BACK_US (15 * 60 * CLOCK_SECOND_US) /* two clocks, and records of one call */

/* ---- passes */

/* What a pass knows: which keys to look for is part of it. */
static void arm(struct run *run)
{
	run->setup.triage.lineage = &run->learned.lineage;
	triage_follow(&run->setup.triage);
	run->setup.triage.learns = run->pass.learns = !run->is_second;
	run->setup.triage.everything =
		run->options->is_thorough || run->setup.has_odd_key || run->learned.lineage.has_principals;
}

/* The same sources once more, by what they have taught. What has become unreadable since is told, and counts. */
MUST_USE static int read_again(struct run *run, struct error *err)
{
	struct detect_summary again = {0};
	run->is_second = true;
	run->input = &again;
	atomic_store(&run->pass.done_bytes, 0);
	pass_begin(&run->pass);
	for (size_t i = 0; i < run->reader_count; i++)
		reader_begin(run->readers[i]);
	arm(run);
	if (judge_restart(&run->judge, err) < 0 || run_read_sources(run, err) < 0 || run_read_earlier(run, err) < 0 ||
	    (run->replays && judge_replay(&run->judge, err) < 0))
		return -1;
	run->is_second = false;
	run->input = run->summary;
	if (again.files_unreadable > run->summary->files_unreadable) {
		run->summary->files_unreadable = again.files_unreadable;
		run_complain(run, "some files could be read only once: what was learned from them later is missing");
	}
	return 0;
}

/* Files of earlier runs that may tell of what this run was the first to learn of: first for what they teach in turn. */
MUST_USE static int learn_back(struct run *run, struct error *err)
{
	bool ignored[LEARNED_KINDS];
	int64_t since_us = learned_news_since(&run->learned);
	if (!run->options->reads_back || since_us == INT64_MAX)
		return 0;
	if (earlier_list(run->setup.findings, since_us - BACK_US, &run->earlier, err) < 0 ||
	    run_read_earlier(run, err) < 0)
		return -1;
	return run->earlier.count > 0 ? learned_close(&run->learned, ignored, err) : 0;
}

static void say_lost(struct run *run)
{
	struct error line;
	uint64_t lost = run->earlier_lost + run->earlier.lost;
	if (lost == 0)
		return;
	(void)error_set(
		&line, ERROR_INPUT,
		"%llu files that earlier runs have read cannot be read again (standard input never can): uses in "
		"them of keys whose making was read only now are missing",
		(unsigned long long)lost);
	run_complain(run, line.text);
}

MUST_USE static int read_all(struct run *run, struct error *err)
{
	bool news[LEARNED_KINDS];
	struct detect_summary *summary = run->summary;
	arm(run);
	if (run_read_sources(run, err) < 0 || learned_close(&run->learned, news, err) < 0)
		return -1;
	run->replays = judge_may_replay(&run->judge, news);
	if ((run->replays && judge_replay(&run->judge, err) < 0) || learn_back(run, err) < 0)
		return -1;
	if ((judge_is_touched(&run->judge, news) || run->earlier.count > 0) && read_again(run, err) < 0)
		return -1;
	say_lost(run);
	if (summary->notice[0] == '\0' && (run->learned.owners.is_full || run->learned.activity.is_full))
		(void)snprintf(summary->notice, sizeof(summary->notice),
		               "the logs say more of the owners of addresses and endpoints than is remembered");
	return judge_finish(&run->judge, err) < 0 ? -1 : tracked_check(&run->setup.tracked, err);
}

/* ---- findings */

static int complete(void *context, json_t *finding, struct error *err)
{
	const struct run *run = context;
	suppressions_put(inventory_suppressions(run->setup.inventory), finding, run->setup.now_us);
	return suspects_put(finding, run->setup.ledgers, run->setup.ledger_count, &run->setup.tracked, err);
}

static int print_finding(void *context, const json_t *finding, struct error *err)
{
	struct run *run = context;
	const char *severity = json_text_at(finding, "severity");
	int index = name_index(severity_names, SEVERITY_COUNT, severity != NULL ? severity : "");
	if (json_is_true(json_at(finding, "suppressed")))
		run->summary->findings_suppressed++;
	else if (index >= 0)
		run->summary->findings[index]++;
	return run->output->finding(run->output->context, finding, err);
}

MUST_USE static int finish(struct run *run, struct error *err)
{
	const struct findings_filter filter = {.of_this_run = true};
	if (remember_save(&run->learned, run->setup.findings, err) < 0 ||
	    findings_commit(run->setup.findings, complete, run, err) < 0)
		return -1;
	return findings_list(run->setup.findings, &filter, print_finding, run, err);
}

/* ---- the run */

static void run_close(struct run *run)
{
	run_close_readers(run);
	earlier_done(&run->earlier);
	judge_done(&run->judge);
	learned_done(&run->learned);
	covered_done(&run->covered);
	if (run->stdin_fd >= 0)
		(void)close(run->stdin_fd);
	setup_close(&run->setup);
}

int detect_run(const struct detect_options *options, const struct detect_output *output, struct detect_summary *ret,
               struct error *err)
{
	struct detect_summary summary = {0};
	CLEANUP(run_close) struct run run = {.options = options, .output = output, .stdin_fd = -1};
	run.summary = run.input = &summary;
	run.judge = (struct judge){
		.setup = &run.setup, .learned = &run.learned, .covered = &run.covered, .summary = &summary};
	judge_init(&run.judge);
	run.learned.lineage.tracked = &run.setup.tracked;
	run.learned.lineage.every_session = options->without_ledger;
	run.pass = (struct pass){.setup = &run.setup,
	                         .learned = &run.learned,
	                         .judge = &run.judge,
	                         .lock = PTHREAD_MUTEX_INITIALIZER,
	                         .familiar_lock = PTHREAD_MUTEX_INITIALIZER,
	                         .is_thorough = options->is_thorough};
	if (options->source_count == 0)
		return error_set(err, ERROR_USAGE, "no source to read");
	int opened = setup_open(options, &run.setup, &summary, err);
	covered_init(&run.covered, run.setup.ledgers, run.setup.ledger_count);
	if (opened < 0 || remember_load(&run.learned, run.setup.findings, err) < 0 || judge_open(&run.judge, err) < 0 ||
	    run_open_readers(&run, err) < 0)
		return -1;
	if (options->progress != NULL)
		run.total_bytes = measure_sources(options->sources, options->source_count, &options->from);
	if (read_all(&run, err) < 0 || finish(&run, err) < 0)
		return -1;
	*ret = summary;
	return 0;
}
