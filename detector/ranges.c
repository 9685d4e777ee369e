/* SPDX-License-Identifier: Apache-2.0 */

/* The ranges lie in the program as the text of data/ip-ranges.txt, because the machine that reads logs often has no
 * network. A file of the user's is checked strictly: a prefix that cannot be read is an error, since leaving it out
 * would turn "inside AWS" into "outside". */
#include "detector/ranges.h"

#include <string.h>

#include "common/array.h"
#include "common/buffer.h"
#include "common/json.h"
#include "common/text.h"

__asm__(".pushsection .rodata\n"
        ".global ranges_built_in\n"
        "ranges_built_in:\n"
        ".incbin \"" RANGES_FILE "\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char ranges_built_in[];

#define LABELS_MAX 65536

struct label {
	char region[40], service[40];
};

struct ranges {
	char date[32];
	struct label *labels;
	size_t label_count, label_capacity;
	struct cidr_set set; /* value: index of a label */
};

MUST_USE static int add_label(struct ranges *ranges, const char *region, const char *service, struct error *err)
{
	if (ranges->label_count >= LABELS_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d regions and services", LABELS_MAX);
	if (array_reserve(&ranges->labels, sizeof(*ranges->labels), ranges->label_count, &ranges->label_capacity,
	                  "address ranges", err) < 0)
		return -1;
	struct label *label = &ranges->labels[ranges->label_count++];
	if (!text_copy(label->region, sizeof(label->region), region) ||
	    !text_copy(label->service, sizeof(label->service), service))
		return error_set(err, ERROR_INPUT, "region or service too long: %s %s", region, service);
	return 0;
}

MUST_USE static int add_prefix(struct ranges *ranges, const char *text, uint32_t label, struct error *err)
{
	struct cidr cidr;
	if (!cidr_parse(text, &cidr))
		return error_set(err, ERROR_INPUT, "\"%.60s\": expected an address prefix", text);
	return cidr_set_add(&ranges->set, &cidr, label, err);
}

/* ---- the copy that is built in */

MUST_USE static int read_line(struct ranges *ranges, char *line, struct error *err)
{
	char region[40], service[40];
	if (line[0] == '#' || line[0] == '\0')
		return 0;
	if (text_starts(line, "date ")) {
		(void)text_copy(ranges->date, sizeof(ranges->date), line + strlen("date "));
		return 0;
	}
	if (sscanf(line, "@ %39s %39s", region, service) == 2)
		return add_label(ranges, region, service, err);
	return add_prefix(ranges, line, (uint32_t)ranges->label_count - 1, err);
}

MUST_USE static int read_built_in(struct ranges *ranges, struct error *err)
{
	char line[128];
	for (const char *at = ranges_built_in; *at != '\0';) {
		size_t length = strcspn(at, "\n");
		if (length >= sizeof(line))
			return error_set(err, ERROR_INPUT, "address ranges: a line is too long");
		memcpy(line, at, length);
		line[length] = '\0';
		if (read_line(ranges, line, err) < 0)
			return -1;
		at += length + (at[length] == '\n');
	}
	return 0;
}

/* ---- the user's copy */

/* Files list one service after the other, so that the last label is nearly always the right one. */
MUST_USE static int label_of(struct ranges *ranges, const char *region, const char *service, uint32_t *ret,
                             struct error *err)
{
	for (size_t i = ranges->label_count; i-- > 0;)
		if (strcmp(ranges->labels[i].region, region) == 0 && strcmp(ranges->labels[i].service, service) == 0) {
			*ret = (uint32_t)i;
			return 0;
		}
	*ret = (uint32_t)ranges->label_count;
	return add_label(ranges, region, service, err);
}

MUST_USE static int read_list(struct ranges *ranges, const json_t *list, const char *name, struct error *err)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		const char *prefix = json_text_at(entry, name), *region = json_text_at(entry, "region");
		const char *service = json_text_at(entry, "service");
		uint32_t label;
		if (prefix == NULL || region == NULL || service == NULL)
			return error_set(err, ERROR_INPUT, "entry %zu: expected %s, region and service", i + 1, name);
		if (label_of(ranges, region, service, &label, err) < 0 || add_prefix(ranges, prefix, label, err) < 0)
			return -1;
	}
	return 0;
}

MUST_USE static int read_file(struct ranges *ranges, const char *path, struct error *err)
{
	CLEANUP_JSON json_t *file = NULL;
	if (json_read_file(path, &file, err) < 0)
		return -1;
	const char *date = json_text_at(file, "createDate");
	if (date == NULL || !json_is_array(json_at(file, "prefixes")) || !json_is_array(json_at(file, "ipv6_prefixes")))
		return error_set(err, ERROR_INPUT,
		                 "%s: expected AWS's ip-ranges.json: createDate, prefixes, ipv6_prefixes", path);
	(void)text_copy(ranges->date, sizeof(ranges->date), date);
	if (read_list(ranges, json_at(file, "prefixes"), "ip_prefix", err) < 0 ||
	    read_list(ranges, json_at(file, "ipv6_prefixes"), "ipv6_prefix", err) < 0)
		return error_prefix(err, "%s", path);
	return 0;
}

int ranges_open(const char *path, struct ranges **ret, struct error *err)
{
	struct ranges *ranges = calloc(1, sizeof(*ranges));
	if (ranges == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for address ranges");
	if ((path != NULL ? read_file(ranges, path, err) : read_built_in(ranges, err)) < 0) {
		ranges_free(ranges);
		return -1;
	}
	cidr_set_seal(&ranges->set);
	*ret = ranges;
	return 0;
}

void ranges_free(struct ranges *ranges)
{
	if (ranges == NULL)
		return;
	cidr_set_done(&ranges->set);
	free(ranges->labels);
	free(ranges);
}

const char *ranges_date(const struct ranges *ranges)
{
	return ranges->date;
}

/* Where customers' own code calls from, and what people call that. */
static const char *runner(const char *service)
{
	static const struct {
		const char *service, *name;
	} runners[] = {{"EC2", "EC2"}, {"CODEBUILD", "CodeBuild"}};
	for (size_t i = 0; i < ARRAY_LENGTH(runners); i++)
		if (strcmp(service, runners[i].service) == 0)
			return runners[i].name;
	return NULL;
}

bool ranges_find(const struct ranges *ranges, const struct address *address, struct range *ret)
{
	const struct cidr_entry *entry = cidr_set_find(&ranges->set, address);
	if (entry == NULL)
		return false;
	/* One prefix is often several services'. EC2 before any other, any other before AMAZON, which is all of AWS. */
	uint8_t bits = entry->cidr.bits;
	const struct label *best = NULL;
	for (; entry != NULL && entry->cidr.bits == bits; entry = cidr_set_parent(&ranges->set, entry)) {
		const struct label *label = &ranges->labels[entry->value];
		if (best == NULL || strcmp(label->service, "EC2") == 0 || strcmp(best->service, "AMAZON") == 0)
			best = label;
	}
	if (best == NULL)
		return false;
	*ret = (struct range){best->region, best->service, runner(best->service)};
	return true;
}
