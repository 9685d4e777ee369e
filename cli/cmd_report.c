/* SPDX-License-Identifier: Apache-2.0 */

/* keytrail report: one page on one key. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/containment.h"
#include "cli/place.h"
#include "cli/report.h"
#include "cli/timeline.h"
#include "common/clock.h"

/* Whole or not at all: the page takes the place of what was there once it is on disk. Names of suspects are nobody
 * else's business: for the user and the group. */
MUST_USE static int write_file(const char *path, const struct html *page, struct error *err)
{
	char fresh[PATH_MAX];
	if (snprintf(fresh, sizeof(fresh), "%s.new-%ld", path, (long)getpid()) >= (int)sizeof(fresh))
		return error_set(err, ERROR_LIMIT, "%.80s: the path is too long", path);
	CLEANUP_FD int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return error_errno(err, "%s", fresh);
	const char *bytes = page->text.bytes;
	size_t left = page->text.length;
	while (left > 0) {
		ssize_t written = write(fd, bytes, left);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		bytes += written;
		left -= (size_t)written;
	}
	if (left == 0 && fsync(fd) == 0 && rename(fresh, path) == 0)
		return 0;
	int result = error_errno(err, "%s", path);
	(void)unlink(fresh);
	return result;
}

MUST_USE static int deliver(const struct arguments *arguments, const struct html *page, struct error *err)
{
	if (arguments->file != NULL && strcmp(arguments->file, "-") != 0)
		return write_file(arguments->file, page, err);
	if (arguments->file == NULL && isatty(STDOUT_FILENO))
		return error_set(err, ERROR_USAGE,
		                 "report: a page is nothing to read on a terminal, expected --file FILE, or `> FILE`");
	(void)fwrite(page->text.bytes, 1, page->text.length, stdout);
	return output_finish(stdout, err);
}

static int run(const struct arguments *arguments, enum status *ret, struct error *err)
{
	struct place place;
	CLEANUP_SUBJECT struct subject subject = {0};
	CLEANUP_HTML struct html page = {0};
	CLEANUP_JSON json_t *plan = NULL;
	int64_t now_us = clock_now_us();
	if (subject_find(arguments, arguments->operands[0], now_us, &subject, err) < 0 ||
	    containment_make(&subject, now_us, &plan, err) < 0 || place_find(arguments, &place, err) < 0)
		return -1;
	CLEANUP_JSON json_t *timeline = timeline_make(&subject);
	const struct report report = {.subject = &subject,
	                              .finding = json_array_get(subject.findings, 0),
	                              .plan = plan,
	                              .timeline = timeline,
	                              .ledger = place.ledger,
	                              .now_us = now_us};
	*ret = STATUS_FINE;
	return report_write(&report, &page, err) < 0 ? -1 : deliver(arguments, &page, err);
}

const struct command command_report = {
	.name = "report",
	.operands = "KEY|FINDING",
	.summary = "One HTML page on a key: verdict, time line, suspects, calls, what is not known, next steps",
	.details = "The page is whole in itself: it fetches nothing, runs nothing, prints well, and reads in light and "
		   "in dark. A "
		   "FINDING is an id that `keytrail findings` lists, or its first 8 digits.",
	.examples = "  keytrail report ASIAIOSFODNN7EXAMPLE --file report.html\n"
		    "  keytrail report 3f2a9b00 > report.html\n",
	.options = OPTIONS_SETTINGS | OPTIONS_LEDGER | OPTIONS_STORED | OPTIONS_REPORT,
	.minimum = 1,
	.maximum = 1,
	.run = run,
};
