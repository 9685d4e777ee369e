/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "sim/credentials.h"
#include "sim/settings.h"
#include "sim/util.h"

/* The ECS family's names carry a cluster and a task: one of each is enough. */
#define TASK_FOLDER "meta-data/iam-ecs-0a1b2c3d4e5f60718/"
#define TASK_ID "9781c248-0edd-4cdb-9a93-f63cb662a5d3"
#define TASK_PATH TASK_FOLDER "security-credentials/" TASK_ID

/* Where the content of a path comes from. */
enum source {
	SOURCE_TEXT, /* the row's text, with <names> expanded */
	SOURCE_LIST, /* the same, but a directory whose list is not simply its children */
	SOURCE_ROLE,
	SOURCE_EXTENDED,
	SOURCE_IDENTITY,
	SOURCE_TASK_APPLICATION,
	SOURCE_TASK_EXECUTION,
	SOURCE_USER_DATA,
	SOURCE_SIGNATURE,
};

/* When a path is there at all. */
enum condition {
	WHEN_ALWAYS,
	WHEN_ROLE,
	WHEN_EXTENDED,
	WHEN_ECS,
	WHEN_TAGS,
	WHEN_NO_TAGS,
	WHEN_SPOT,
	WHEN_PUBLIC_IP,
	WHEN_IPV6,
};

struct path_row {
	const char *path; /* below the version, with <names> */
	const char *text;
	enum source source;
	enum condition when;
	bool hidden; /* answers to its name only: no list shows it, and it makes no parent */
};

extern const struct path_row paths[];
extern const size_t paths_count;

extern const char *const versions[];
extern const size_t versions_count;

struct node {
	char *path;
	bool directory;
	bool listed;                      /* a directory whose row brought its list */
	bool binary;                      /* application/octet-stream */
	bool rotates;                     /* Last-Modified is that of the credentials */
	struct blob body[DELIVERY_COUNT]; /* [DELIVERY_V1] serves both unless SPLIT */
	bool split;
	char access_key_id[DELIVERY_COUNT][129];
};

/* Every path below a version with its bytes, made anew when a setting or the credentials change. */
struct tree {
	struct node *nodes; /* sorted by path */
	size_t count;
};

#define CLEANUP_TREE __attribute__((cleanup(tree_done)))

/* Fails when a file named in the settings cannot be read. */
MUST_USE int tree_build(struct tree *ret_tree, const struct settings *settings, const struct credential_sets *sets,
                        time_t started, struct error *err);
void tree_done(struct tree *tree);

/* PATH is below the version, without a slash at either end: "" is the version itself. */
const struct node *tree_find(const struct tree *tree, const char *path);
