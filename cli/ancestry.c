/* SPDX-License-Identifier: Apache-2.0 */

/* A forest out of lines of ancestors. A process is the same if its machine, number, start and executable are. */
#include "cli/ancestry.h"

#include <string.h>

static bool is_same(const json_t *one, const json_t *other, const char *path)
{
	const json_t *first = json_at(one, path), *second = json_at(other, path);
	return first == second || (first != NULL && second != NULL && json_equal(first, second));
}

static bool is_same_process(const json_t *node, const json_t *host, const json_t *process)
{
	const json_t *there = json_at(node, "process"), *of = json_at(node, "host");
	return is_same(there, process, "pid") && is_same(there, process, "started_at") &&
	       is_same(there, process, "exe") && is_same(of, host, "instance_id");
}

/* The node of that process among `nodes`, made if it is not there. Borrowed. */
static json_t *node_of(json_t *nodes, const json_t *host, const json_t *process)
{
	for (size_t i = 0; i < json_array_size(nodes); i++)
		if (is_same_process(json_array_get(nodes, i), host, process))
			return json_array_get(nodes, i);
	json_t *node = json_object();
	json_put(node, "process", json_deep_copy(process));
	json_put(node, "host", host != NULL ? json_deep_copy(host) : NULL);
	json_put(node, "suspects", json_array());
	json_put(node, "children", json_array());
	json_put(node, "is_certain", json_false());
	(void)json_array_append_new(nodes, node);
	return node;
}

/* A process that held the connection of a delivery, below its ancestors. */
static void add_holder(json_t *forest, const json_t *suspect, const json_t *process, size_t number)
{
	const json_t *host = json_at(suspect, "host"), *ancestors = json_at(process, "ancestors");
	const char *grade = json_text_at(suspect, "attribution.grade");
	json_t *nodes = forest;
	if (!json_is_object(process))
		return;
	for (size_t j = json_array_size(ancestors); j-- > 0;)
		nodes = json_object_get(node_of(nodes, host, json_array_get(ancestors, j)), "children");
	json_t *node = node_of(nodes, host, process);
	(void)json_array_append_new(json_object_get(node, "suspects"), json_integer((json_int_t)number));
	if (grade == NULL || strcmp(grade, "exact") == 0)
		json_put(node, "is_certain", json_true());
}

json_t *ancestry_make(const json_t *suspects)
{
	json_t *forest = json_array();
	for (size_t i = 0; i < json_array_size(suspects); i++) {
		const json_t *suspect = json_array_get(suspects, i), *process = json_at(suspect, "process");
		const json_t *holders = json_at(suspect, "holders");
		add_holder(forest, suspect, process, i + 1);
		for (size_t j = 0; j < json_array_size(holders); j++)
			if (!json_equal(json_array_get(holders, j), process))
				add_holder(forest, suspect, json_array_get(holders, j), i + 1);
	}
	return forest;
}
