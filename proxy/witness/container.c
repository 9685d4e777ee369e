/* SPDX-License-Identifier: Apache-2.0 */

/* Control group paths as systemd, Docker, containerd, CRI-O, Podman, Kubernetes and ECS lay them out (v1 and v2,
 * cgroupfs and systemd drivers). */
#include "proxy/witness/container.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

#define ID_DIGITS 64

static bool is_hex(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!isxdigit((unsigned char)text[i]) || isupper((unsigned char)text[i]))
			return false;
	return true;
}

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t wanted = strlen(end);
	return length > wanted && strncmp(text + length - wanted, end, wanted) == 0;
}

/* On Fargate: the task's 32 digits, a dash, and a number. */
static bool is_fargate_id(const char *segment, size_t length)
{
	if (length < 34 || length > ID_DIGITS || segment[32] != '-' || !is_hex(segment, 32))
		return false;
	for (size_t i = 33; i < length; i++)
		if (!isdigit((unsigned char)segment[i]))
			return false;
	return true;
}

/* `docker-<id>.scope`, `cri-containerd-<id>.scope`, `crio-<id>`, `<id>`. */
static bool container_id_of(const char *segment, size_t length, char ret[static ID_DIGITS + 1])
{
	if (ends_with(segment, length, ".scope"))
		length -= strlen(".scope");
	if (is_fargate_id(segment, length)) {
		memcpy(ret, segment, length);
		ret[length] = '\0';
		return true;
	}
	if (length < ID_DIGITS)
		return false;
	const char *id = segment + length - ID_DIGITS;
	if (id != segment && id[-1] != '-')
		return false;
	if (!is_hex(id, ID_DIGITS))
		return false;
	memcpy(ret, id, ID_DIGITS);
	ret[ID_DIGITS] = '\0';
	return true;
}

#define POD_UID_CHARACTERS 36    /* of an object of the API: a UUID */
#define STATIC_POD_CHARACTERS 32 /* of a pod that kubelet reads off a file: a digest */

static bool is_uuid(const char *text, char ret[static POD_UID_CHARACTERS + 1])
{
	for (size_t i = 0; i < POD_UID_CHARACTERS; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		char c = dash && text[i] == '_' ? '-' : text[i];
		if (dash ? c != '-' : !isxdigit((unsigned char)c))
			return false;
		ret[i] = c;
	}
	ret[POD_UID_CHARACTERS] = '\0';
	return true;
}

/* What stands behind the last `characters` + 3: NULL if that is not `pod`. */
static const char *behind_pod(const char *segment, size_t length, size_t characters)
{
	if (length < characters + strlen("pod"))
		return NULL;
	const char *uid = segment + length - characters;
	return strncmp(uid - strlen("pod"), "pod", strlen("pod")) == 0 ? uid : NULL;
}

/* `pod1234-…` or `kubepods-burstable-pod1234_….slice`: with the systemd driver `_` stands for `-`. */
static bool pod_uid_of(const char *segment, size_t length, char ret[static POD_UID_CHARACTERS + 1])
{
	if (ends_with(segment, length, ".slice"))
		length -= strlen(".slice");
	const char *uid = behind_pod(segment, length, POD_UID_CHARACTERS);
	if (uid != NULL && is_uuid(uid, ret))
		return true;
	uid = behind_pod(segment, length, STATIC_POD_CHARACTERS);
	if (uid == NULL || !is_hex(uid, STATIC_POD_CHARACTERS))
		return false;
	memcpy(ret, uid, STATIC_POD_CHARACTERS);
	ret[STATIC_POD_CHARACTERS] = '\0';
	return true;
}

/* `user@1000.service`: what lies below it is laid out by that user, under whatever names it likes. */
static bool is_users_own(const char *segment, size_t length)
{
	return length > strlen("user@.service") && strncmp(segment, "user@", strlen("user@")) == 0 &&
	       ends_with(segment, length, ".service");
}

/* The monitors of Podman and CRI-O stand beside their containers, not in them. */
static bool is_monitor(const char *segment)
{
	return text_starts(segment, "libpod-conmon-") || text_starts(segment, "crio-conmon-");
}

static void take_unit(const char *segment, size_t length, struct container *found)
{
	bool is_unit = ends_with(segment, length, ".service") || ends_with(segment, length, ".scope");
	if (!is_unit || found->unit[0] != '\0' || length >= sizeof(found->unit))
		return;
	memcpy(found->unit, segment, length);
	found->unit[length] = '\0';
}

/* False: what follows says nothing that can be believed. */
static bool take_segment(const char *segment, size_t length, struct container *found)
{
	char id[ID_DIGITS + 1], uid[POD_UID_CHARACTERS + 1];
	/* containerd takes the systemd driver's `kubepods-podUID.slice:cri-containerd:ID` for one name. */
	const char *last = memrchr(segment, ':', length), *first = memchr(segment, ':', length);
	bool has_id = last != NULL && container_id_of(last + 1, length - (size_t)(last + 1 - segment), id);
	if (has_id)
		length = (size_t)(first - segment);
	if (found->pod_uid[0] == '\0' && pod_uid_of(segment, length, uid))
		(void)text_copy(found->pod_uid, sizeof(found->pod_uid), uid);
	if (!has_id && !is_monitor(segment))
		has_id = container_id_of(segment, length, id);
	if (has_id) {
		(void)text_copy(found->container_id, sizeof(found->container_id), id);
		return false; /* groups below are the container's own */
	}
	take_unit(segment, length, found);
	return !is_users_own(segment, length);
}

/* `0::/system.slice/nginx.service` or `4:memory:/docker/<id>`: the path starts behind the second colon. The outermost
 * unit and container win: the outer a group, the less the process could have made it. */
static void take_line(const char *line, size_t length, struct container *found)
{
	const char *end = line + length;
	const char *colon = memchr(line, ':', length);
	colon = colon != NULL ? memchr(colon + 1, ':', (size_t)(end - colon - 1)) : NULL;
	if (colon == NULL)
		return;
	for (const char *at = colon + 1; at < end;) {
		const char *slash = memchr(at, '/', (size_t)(end - at));
		size_t segment = (size_t)((slash != NULL ? slash : end) - at);
		if (segment > 0 && !take_segment(at, segment, found))
			return;
		at += segment + 1;
	}
}

void container_parse(const char *text, struct container *ret)
{
	struct container merged = {0};
	bool contradiction = false;
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");
		struct container line = {0};
		take_line(text, length, &line);
		if (line.container_id[0] != '\0' && merged.container_id[0] != '\0' &&
		    strcmp(line.container_id, merged.container_id) != 0)
			contradiction = true;
		if (line.container_id[0] != '\0')
			(void)text_copy(merged.container_id, sizeof(merged.container_id), line.container_id);
		if (line.pod_uid[0] != '\0' && merged.pod_uid[0] != '\0' && strcmp(line.pod_uid, merged.pod_uid) != 0)
			contradiction = true;
		if (line.pod_uid[0] != '\0')
			(void)text_copy(merged.pod_uid, sizeof(merged.pod_uid), line.pod_uid);
		if (line.unit[0] != '\0')
			(void)text_copy(merged.unit, sizeof(merged.unit), line.unit);
		text += length;
		text += *text == '\n';
	}
	if (contradiction) {
		merged.container_id[0] = '\0';
		merged.pod_uid[0] = '\0';
	}
	*ret = merged;
}
