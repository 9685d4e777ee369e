/* SPDX-License-Identifier: Apache-2.0 */

/* route_parse: one path, that cannot be read in a second way, and whose target leads to itself. */
#include <strings.h>

#include "proxy/route.h"
#include "tests/fuzz/fuzz.h"

static void check_path(const char *path)
{
	MUST(path[0] == '/' && strlen(path) < ROUTE_PATH_BYTES);
	MUST(strstr(path, "//") == NULL && strstr(path, "/./") == NULL && strstr(path, "/../") == NULL);
	size_t length = strlen(path);
	MUST(length < 2 || strcmp(path + length - 2, "/.") != 0);
	MUST(length < 3 || strcmp(path + length - 3, "/..") != 0);
	for (; *path != '\0'; path++)
		MUST(*path >= 0x20 && *path < 0x7f && *path != '?' && *path != '#' && *path != '%');
}

static void check(enum service service, const char *raw)
{
	struct route route, again;
	if (route_parse(service, raw, &route) != NULL)
		return;
	check_path(route.path);
	for (const char *c = route.target; *c != '\0'; c++)
		MUST(*c > 0x20 && *c < 0x7f && *c != '#');
	if (strlen(route.target) >= ROUTE_PATH_BYTES) /* what was escaped has grown */
		return;
	MUST(route_parse(service, route.target, &again) == NULL);
	MUST(strcmp(route.path, again.path) == 0 && strcmp(route.target, again.target) == 0);
	MUST(route.kind == again.kind && route.source == again.source && strcmp(route.role, again.role) == 0);
	MUST((route.kind == ROUTE_TOKEN) == (service == SERVICE_IMDS && strcmp(route.path, "/latest/api/token") == 0));
	MUST(strchr(route.role, '/') == NULL);
	if (service == SERVICE_ECS && strncasecmp(route.path, "/v2/credentials/", 16) == 0)
		MUST(route.path[16] == '\0' || strcmp(route.path + 16, "[redacted]") == 0);
	(void)route_is_host(service, raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	CLEANUP_FREE char *raw = fuzz_text(bytes, length);
	for (int service = SERVICE_IMDS; service <= SERVICE_EKS; service++)
		check((enum service)service, raw);
	return 0;
}
