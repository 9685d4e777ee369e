/* SPDX-License-Identifier: Apache-2.0 */

/* The set of keys that an instance can have got from its metadata service. */
#include "detector/issued.h"

#include <stdlib.h>
#include <string.h>

#include "common/array.h"

int issued_add(struct issued *issued, const char *key, const struct issue *issue, struct error *err)
{
	struct issue kept = *issue;
	struct map_entry entry;
	if (array_reserve(&issued->issues, sizeof(kept), issued->count, &issued->capacity, "issued keys", err) < 0 ||
	    map_keep(&issued->texts, &kept.instance, err) < 0 || map_keep(&issued->texts, &kept.event_id, err) < 0 ||
	    map_add(&issued->by_key, key, strlen(key), (uint32_t)issued->count, &entry, err) < 0)
		return -1;
	struct issue *known = &issued->issues[entry.value];
	if (entry.value == issued->count)
		issued->count++;
	else if (known->at_us < kept.at_us ||
	         (known->at_us == kept.at_us && strcmp(known->event_id, kept.event_id) <= 0))
		return 0;
	*known = kept;
	return 0;
}

const struct issue *issued_find(const struct issued *issued, const char *key)
{
	uint32_t found = *key != '\0' ? map_find(&issued->by_key, key, strlen(key)) : MAP_NONE;
	return found != MAP_NONE ? &issued->issues[found] : NULL;
}

void issued_done(struct issued *issued)
{
	map_done(&issued->texts);
	map_done(&issued->by_key);
	free(issued->issues);
	*issued = (struct issued){0};
}
