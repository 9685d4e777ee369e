/* SPDX-License-Identifier: Apache-2.0 */

/* settings_load: any bytes are settings or an error that names a line. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/settings.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FD int fd = memfd_create("settings", MFD_CLOEXEC);
	char path[64], start[80];
	struct settings settings;
	struct error problem = {0};
	MUST(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (settings_load(path, &settings, &problem) < 0) {
		(void)snprintf(start, sizeof(start), "%s:", path);
		MUST(problem.code == ERROR_INPUT && strncmp(problem.text, start, strlen(start)) == 0);
		return 0;
	}
	MUST(settings.port >= 1 && settings.port <= 65535);
	MUST(settings.ledger_path[0] == '/' && settings.runtime[0] == '/' && settings.user[0] != '\0');
	MUST(settings.policy_default == 0 || settings.policy != NULL);
	MUST(settings.on_dead == ON_DEAD_CLOSED && settings.ebpf_connections >= 64);
	const char *metrics = settings.metrics_listen;
	MUST(metrics[0] == '\0' || strncmp(metrics, "unix:/", 6) == 0 || strncmp(metrics, "127.", 4) == 0 ||
	     strncmp(metrics, "[::1]:", 6) == 0);
	settings_done(&settings);
	return 0;
}
