/* SPDX-License-Identifier: Apache-2.0 */

/* Names of hosts. A region comes from the user, from settings or from an answer, and becomes part of one: only what can
 * be a region may. */
#include "detector/aws_endpoint.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/text.h"

static const struct {
	const char *regions; /* what they begin with */
	const char *suffix;
	const char *organizations; /* the one region that answers for them */
} partitions[] = {
	{"cn-", "amazonaws.com.cn", "cn-northwest-1"},   {"us-gov-", "amazonaws.com", "us-gov-west-1"},
	{"us-isob-", "sc2s.sgov.gov", "us-isob-east-1"}, {"us-iso-", "c2s.ic.gov", "us-iso-east-1"},
	{"eusc-", "amazonaws.eu", "eusc-de-east-1"},     {"", "amazonaws.com", "us-east-1"},
};

static bool is_region(const char *region)
{
	size_t length = strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return length > 0 && region[length] == '\0' && length < sizeof(((struct aws_endpoint *)NULL)->region);
}

/* May the bucket's name be the first label of a host, under TLS's wildcard? */
static bool is_label(const char *bucket)
{
	return bucket[0] != '-' && strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(bucket);
}

static bool is_bucket(const char *bucket)
{
	size_t length = strlen(bucket);
	return length >= 3 && length < 64 && strcmp(bucket, "..") != 0 &&
	       strspn(bucket, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") == length;
}

MUST_USE static int take_given(const char *given, struct aws_endpoint *endpoint, struct error *err)
{
	const char *host = text_starts(given, "https://")  ? given + 8
	                   : text_starts(given, "http://") ? given + 7
	                                                   : NULL;
	size_t length = strlen(given);
	while (length > 0 && given[length - 1] == '/')
		length--;
	if (host == NULL || length >= sizeof(endpoint->base) || given + length <= host ||
	    memchr(host, '/', (size_t)(given + length - host)) != NULL || strpbrk(host, "@?# \r\n") != NULL)
		return error_set(err, ERROR_USAGE,
		                 "%.80s: expected a URL of a host alone, such as http://127.0.0.1:9000", given);
	(void)snprintf(endpoint->base, sizeof(endpoint->base), "%.*s", (int)length, given);
	(void)snprintf(endpoint->host, sizeof(endpoint->host), "%.*s", (int)(given + length - host), host);
	const char *port = host == given + 8 ? ":443" : ":80";
	size_t host_length = strlen(endpoint->host), port_length = strlen(port);
	if (host_length > port_length && strcmp(endpoint->host + host_length - port_length, port) == 0)
		endpoint->host[host_length - port_length] = '\0';
	return 0;
}

int aws_endpoint_of(const char *service, const char *region, const char *bucket, const char *given,
                    struct aws_endpoint *ret, struct error *err)
{
	struct aws_endpoint endpoint = {0};
	size_t i = 0;
	if (region == NULL || !is_region(region))
		return error_set(err, ERROR_USAGE, "%.60s: expected a region such as us-east-1",
		                 region != NULL ? region : "no region");
	if (bucket != NULL && !is_bucket(bucket))
		return error_set(err, ERROR_USAGE, "%.80s: expected the name of a bucket", bucket);
	while (!text_starts(region, partitions[i].regions))
		i++;
	(void)text_copy(endpoint.region, sizeof(endpoint.region),
	                strcmp(service, "organizations") == 0 ? partitions[i].organizations : region);
	bool is_host = bucket != NULL && given == NULL && is_label(bucket);
	if (bucket != NULL && !is_host)
		(void)snprintf(endpoint.folder, sizeof(endpoint.folder), "/%s", bucket);
	if (given != NULL) {
		if (take_given(given, &endpoint, err) < 0)
			return -1;
	} else {
		(void)snprintf(endpoint.host, sizeof(endpoint.host), "%s%s%s.%s.%s", is_host ? bucket : "",
		               is_host ? "." : "", service, endpoint.region, partitions[i].suffix);
		(void)snprintf(endpoint.base, sizeof(endpoint.base), "https://%s", endpoint.host);
	}
	*ret = endpoint;
	return 0;
}

const char *aws_endpoint_given(const char *service)
{
	char name[64] = "AWS_ENDPOINT_URL_";
	const char *ignored = getenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
	size_t used = strlen(name);
	if (ignored != NULL && strcmp(ignored, "true") == 0)
		return NULL;
	for (size_t i = 0; service[i] != '\0' && used + 1 < sizeof(name); i++)
		name[used++] = (char)toupper((unsigned char)service[i]);
	name[used] = '\0';
	const char *value = getenv(name);
	if (value == NULL || value[0] == '\0')
		value = getenv("AWS_ENDPOINT_URL");
	return value != NULL && value[0] != '\0' ? value : NULL;
}
