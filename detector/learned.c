/* SPDX-License-Identifier: Apache-2.0 */

/* Records that teach, to whoever remembers that kind of thing. */
#include "detector/learned.h"

#include <string.h>

#include "detector/lesson.h"

MUST_USE static int take_link(struct learned *learned, const struct record_text *text, const struct event *event,
                              struct error *err)
{
	struct link_room room;
	struct link link;
	return link_read(text, event, &room, &link) ? lineage_add(&learned->lineage, &link, err) : 0;
}

int learned_take(struct learned *learned, const char *bytes, size_t length, const struct event *event,
                 struct error *err)
{
	CLEANUP(record_text_done) struct record_text text = {0};
	enum lesson lesson = lesson_of(event->name, strlen(event->name));
	if (lesson == LESSON_NONE || event->at_us == 0 || !record_text_find(bytes, length, &text))
		return 0;
	return lesson == LESSON_LINK ? take_link(learned, &text, event, err) : 0;
}

int learned_close(struct learned *learned, bool *ret_news, struct error *err)
{
	if (lineage_close(&learned->lineage, err) < 0)
		return -1;
	uint64_t digest = lineage_digest(&learned->lineage);
	*ret_news = digest != learned->digest;
	learned->digest = digest;
	return 0;
}

void learned_done(struct learned *learned)
{
	lineage_done(&learned->lineage);
}
