/* SPDX-License-Identifier: Apache-2.0 */

/* What scripts act upon. Input that could not be read, or not be understood, is never "nothing found". */
#include "cli/detect_verdict.h"

#include "store/findings.h"

enum status detect_verdict(const struct detect_summary *summary, int fail_on)
{
	for (int severity = fail_on; severity < SEVERITY_COUNT; severity++)
		if (summary->findings[severity] > 0)
			return STATUS_FOUND;
	if (summary->files == 0 && summary->files_unreadable > 0)
		return STATUS_ERROR;
	return summary->files_unreadable > 0 || summary->records_malformed > 0 ? STATUS_INCOMPLETE : STATUS_FINE;
}
