/* SPDX-License-Identifier: Apache-2.0 */

/* One canonical path. What could be read in two ways (encoded slashes, dot segments, bad escapes, control bytes) is
 * refused, so that no rule and no upstream can see another path than the one that was judged. */
#include "proxy/route.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "common/cidr.h"
#include "common/text.h"

/* The services that have an IPv6 address. */
static const struct {
	enum service service;
	const char *address;
} literals[] = {{SERVICE_IMDS, "fd00:ec2::254"}, {SERVICE_EKS, "fd00:ec2::23"}};

/* Behind the service's own "[fd00:ec2::254]", however that address is spelled; NULL: it is another. */
static const char *behind_literal(enum service service, const char *host)
{
	char text[ADDRESS_MAX_BYTES];
	struct address address, own;
	size_t length = strcspn(host, "]");
	if (host[0] != '[' || host[length] != ']' || length > sizeof(text))
		return NULL;
	memcpy(text, host + 1, length - 1);
	text[length - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LENGTH(literals); i++)
		if (literals[i].service == service && address_parse(literals[i].address, &own) &&
		    address_parse(text, &address) && address_equal(&address, &own))
			return host + length + 1;
	return NULL;
}

static bool is_end_or_port(const char *text)
{
	uint64_t port;
	return *text == '\0' || (*text == ':' && text_to_u64(text + 1, 65535, &port));
}

bool route_is_host(enum service service, const char *host)
{
	/* The EKS agent takes either of its addresses, whichever it was reached by. */
	static const struct {
		enum service service;
		const char *name;
	} names[] = {
		{SERVICE_IMDS, "169.254.169.254"}, {SERVICE_IMDS, "fd00:ec2::254"},
		{SERVICE_IMDS, "instance-data"},   {SERVICE_IMDS, "instance-data.ec2.internal"},
		{SERVICE_ECS, "169.254.170.2"},    {SERVICE_EKS, "169.254.170.23"},
		{SERVICE_EKS, "fd00:ec2::23"},
	};
	const char *rest = behind_literal(service, host);
	if (rest != NULL)
		return is_end_or_port(rest);
	for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
		size_t length = strlen(names[i].name);
		if (names[i].service == service && strncasecmp(host, names[i].name, length) == 0 &&
		    is_end_or_port(host + length))
			return true;
	}
	return false;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes percent escapes once. Returns NULL or why not. */
static const char *decode(const char *raw, size_t length, char *to)
{
	for (size_t i = 0; i < length; i++) {
		char c = raw[i];
		if (c == '%') {
			int high = i + 2 < length ? hex_value(raw[i + 1]) : -1;
			int low = i + 2 < length ? hex_value(raw[i + 2]) : -1;
			if (high < 0 || low < 0)
				return "bad-escape";
			c = (char)(high << 4 | low);
			i += 2;
			if (c == '/' || c == '\\')
				return "encoded-slash";
			if (c == '%' || c == '?' || c == '#')
				return "encoded-delimiter";
		}
		if (c == '\\')
			return "backslash";
		if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7f)
			return "control-byte";
		*to++ = c;
	}
	*to = '\0';
	return NULL;
}

/* Collapses runs of slashes in place; refuses `.` and `..` segments. */
static const char *normalise(char *path)
{
	char *to = path;
	for (const char *from = path; *from != '\0'; from++)
		if (*from != '/' || to == path || to[-1] != '/')
			*to++ = *from;
	*to = '\0';
	for (const char *segment = path; segment != NULL && *segment != '\0'; segment = strchr(segment + 1, '/')) {
		size_t length = strcspn(segment + 1, "/");
		if ((length == 1 && segment[1] == '.') || (length == 2 && segment[1] == '.' && segment[2] == '.'))
			return "dot-segment";
	}
	return NULL;
}

/* Writes the path as it goes upstream: everything but unreserved characters and a few harmless ones is escaped. */
static void encode(const char *path, const char *query, char *to)
{
	static const char digits[] = "0123456789ABCDEF";
	for (; *path != '\0'; path++) {
		if (isalnum((unsigned char)*path) || strchr("-._~/:@!$&'()*+,;=", *path) != NULL) {
			*to++ = *path;
			continue;
		}
		*to++ = '%';
		*to++ = digits[(unsigned char)*path >> 4];
		*to++ = digits[(unsigned char)*path & 15];
	}
	for (; *query != '\0'; query++)
		*to++ = *query;
	*to = '\0';
}

/* The path behind its version: "/latest/meta-data/x" -> "meta-data/x"; "" when there is none. */
static const char *behind_version(const char *path)
{
	const char *slash = path[0] == '/' ? strchr(path + 1, '/') : NULL;
	return slash != NULL ? slash + 1 : "";
}

static enum route_kind kind_of(const char *path)
{
	if (strcmp(path, "/latest/api/token") == 0)
		return ROUTE_TOKEN;
	const char *rest = behind_version(path);
	return strcmp(rest, "api/token") == 0 || strcmp(rest, "api/token/") == 0 ? ROUTE_TOKEN_ASTRAY : ROUTE_OTHER;
}

/* Families of paths under which credential documents are known to stand. Documents found elsewhere count as IMDS's. */
static const struct family {
	const char *prefix; /* behind the version; `*` stands for the rest of one segment */
	enum source source;
	bool has_role; /* the next segment is the role's name */
} families[] = {
	{"meta-data/iam/security-credentials/", SOURCE_IMDS, true},
	{"meta-data/iam/security-credentials-extended/", SOURCE_IMDS, true},
	{"meta-data/identity-credentials/ec2/security-credentials/", SOURCE_IDENTITY, true},
	{"meta-data/iam-ecs-*/security-credentials/", SOURCE_ECS, false},
};

/* Where the text goes on behind the prefix; NULL: it does not start with it. */
static const char *behind_prefix(const char *text, const char *prefix)
{
	for (; *prefix != '\0'; prefix++) {
		if (*prefix == '*')
			text += strcspn(text, "/");
		else if (*text++ != *prefix)
			return NULL;
	}
	return text;
}

static void classify(struct route *route)
{
	const char *rest = behind_version(route->path);
	for (size_t i = 0; i < ARRAY_LENGTH(families); i++) {
		const char *name = behind_prefix(rest, families[i].prefix);
		if (name == NULL)
			continue;
		route->source = families[i].source;
		size_t length = strcspn(name, "/");
		if (families[i].has_role && length < sizeof(route->role)) {
			memcpy(route->role, name, length);
			route->role[length] = '\0';
		}
		return;
	}
}

/* The agent's own audit log leaves it out too. */
static void conceal_task(char *path)
{
	static const char folder[] = "/v2/credentials/";
	char *id = path + strlen(folder);
	if (strncasecmp(path, folder, strlen(folder)) == 0 && *id != '\0')
		(void)text_copy(id, (size_t)(ROUTE_PATH_BYTES - strlen(folder)), "[redacted]");
}

static bool is_safe_query(const char *query)
{
	for (; *query != '\0'; query++)
		if (!isalnum((unsigned char)*query) && strchr("-._~!$&'()*+,;=:@/?%", *query) == NULL)
			return false;
	return true;
}

/* Skips "http://authority" of an absolute form. NULL: the authority is somebody else. */
static const char *skip_authority(enum service service, const char *raw)
{
	char authority[64];
	const char *start = raw + strlen("http://");
	size_t length = strcspn(start, "/?");
	if (length >= sizeof(authority))
		return NULL;
	memcpy(authority, start, length);
	authority[length] = '\0';
	return route_is_host(service, authority) ? start + length : NULL;
}

/* What becomes of a path of the metadata service, and of an agent's. */
static void finish(enum service service, struct route *route)
{
	route->kind = ROUTE_OTHER;
	if (service == SERVICE_IMDS) {
		route->kind = kind_of(route->path);
		classify(route);
		return;
	}
	route->source = service == SERVICE_ECS ? SOURCE_ECS : SOURCE_EKS;
	if (service == SERVICE_ECS)
		conceal_task(route->path);
}

const char *route_parse(enum service service, const char *raw, struct route *ret)
{
	struct route route = {.source = SOURCE_IMDS};
	if (strncasecmp(raw, "http://", strlen("http://")) == 0) {
		raw = skip_authority(service, raw);
		if (raw == NULL)
			return "foreign-authority";
		if (*raw == '\0')
			raw = "/";
	}
	if (*raw != '/')
		return "not-a-path";
	size_t length = strcspn(raw, "?#");
	const char *query = raw + length;
	if (*query == '#' || !is_safe_query(query))
		return "bad-query";
	if (length + strlen(query) >= sizeof(route.path))
		return "too-long";

	const char *problem = decode(raw, length, route.path);
	if (problem == NULL)
		problem = normalise(route.path);
	if (problem != NULL)
		return problem;
	encode(route.path, query, route.target);
	finish(service, &route);
	*ret = route;
	return NULL;
}
