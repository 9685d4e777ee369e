/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/table.h"

/* Sentences for people. Each prints "WHAT          text", escaped (cli/printable.h), folded at spaces where the
 * terminal is narrow; nothing where the value is absent or empty. -1 with *err when there is no memory. */
MUST_USE int prose_text(const struct table_look *look, const char *what, const char *text, struct error *err);
MUST_USE int prose_at(const struct table_look *look, const char *what, const json_t *object, const char *path,
                      struct error *err);

/* The same for a text that is printable already. */
void prose_printable(const struct table_look *look, const char *what, const char *text);

/* The same as a line of a tree of which each node has one child: below `depth` others, 0 being the eldest. */
void prose_branch(const struct table_look *look, size_t depth, const char *text);

/* A line of its own, in bold where colours are welcome, with an empty line before it. */
void prose_heading(const struct table_look *look, const char *text);
