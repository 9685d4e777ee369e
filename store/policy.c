/* SPDX-License-Identifier: Apache-2.0 */

/* Policies. Believes of a process only what it cannot choose: not an executable's path in another mount namespace. (The
 * witness already leaves out units and containers that a user has named.) What is not known matches nothing. */
#include "store/policy.h"

#include <string.h>

#include "common/text.h"
#include "store/model.h"

#define PATH_BYTES 2100 /* a canonical path, with another version in front */
#define NUMBER_BYTES 24

/* Words of a list, one behind the other, each with its NUL, an empty one at the end. NULL: no such condition. */
struct section {
	bool denies;
	char name[POLICY_NAME_BYTES];
	char *words[POLICY_KEY_COUNT];
};

struct policy {
	bool denies_by_default;
	size_t count;
	struct section sections[POLICY_SECTIONS_MAX];
};

/* ---- what a section may say */

static bool is_path(const char *word)
{
	return word[0] == '/' || word[0] == '*';
}

static bool is_anything(const char *word)
{
	return word[0] != '\0';
}

/* As the kernel would print it: facts are compared as texts. */
static bool is_id(const char *word)
{
	uint64_t number;
	return text_to_u64(word, UINT32_MAX - 1, &number) && (word[0] != '0' || word[1] == '\0');
}

static bool is_family(const char *word)
{
	int source = name_index(source_names, SOURCE_COUNT, word);
	return strcmp(word, POLICY_NO_FAMILY) == 0 || (source >= 0 && source != SOURCE_SELF);
}

static const struct {
	const char *name;
	bool (*is_valid)(const char *word);
	const char *expected;
	bool is_of_process;
} keys[] = {
	[POLICY_PATH] = {"path", is_path, "paths, or patterns that start with / or *", false},
	[POLICY_FAMILY] = {"family", is_family, "imds, identity, ecs, eks or none", false},
	[POLICY_EXE] = {"exe", is_path, "absolute paths, or patterns that start with / or *", true},
	[POLICY_UNIT] = {"unit", is_anything, "names of units, or patterns", true},
	[POLICY_CONTAINER] = {"container", is_anything, "ids of containers, or patterns", true},
	[POLICY_UID] = {"uid", is_id, "numbers of users", true},
	[POLICY_GID] = {"gid", is_id, "numbers of groups", true},
};
_Static_assert(ARRAY_LENGTH(keys) == POLICY_KEY_COUNT, "one row a key");

static const char *kind_of(const struct section *section)
{
	return section->denies ? "deny" : "allow";
}

struct policy *policy_new(void)
{
	return calloc(1, sizeof(struct policy));
}

void policy_free(struct policy *policy)
{
	for (size_t i = 0; policy != NULL && i < policy->count; i++)
		for (size_t key = 0; key < POLICY_KEY_COUNT; key++)
			free(policy->sections[i].words[key]);
	free(policy);
}

void policy_set_default(struct policy *policy, bool denies)
{
	policy->denies_by_default = denies;
}

/* inih ends a heading at its first `]`; rows of the ledger and log lines show names as they are. */
static bool is_name(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (*c < ' ' || *c > '~' || *c == '"' || *c == ']')
			return false;
	return name[0] != '\0' && name[0] != ' ' && strlen(name) < POLICY_NAME_BYTES;
}

int policy_begin(struct policy *policy, bool denies, const char *name, struct error *err)
{
	struct section section = {.denies = denies};
	if (!is_name(name))
		return error_set(err, ERROR_INPUT,
		                 "[%s \"%.60s\"]: expected a name of 1 to %d printable ASCII characters, without \" "
		                 "and ]",
		                 kind_of(&section), name, POLICY_NAME_BYTES - 1);
	if (strcmp(name, POLICY_DEFAULT) == 0)
		return error_set(err, ERROR_INPUT, "[%s \"%s\"]: the name of what no section decides",
		                 kind_of(&section), name);
	for (size_t i = 0; i < policy->count; i++)
		if (strcmp(policy->sections[i].name, name) == 0)
			return error_set(err, ERROR_INPUT, "[%s \"%s\"]: the name is given twice", kind_of(&section),
			                 name);
	if (policy->count == POLICY_SECTIONS_MAX)
		return error_set(err, ERROR_INPUT, "[%s \"%s\"]: more than %d sections of a policy", kind_of(&section),
		                 name, POLICY_SECTIONS_MAX);
	(void)text_copy(section.name, sizeof(section.name), name);
	policy->sections[policy->count++] = section;
	return 0;
}

/* Checks each word and copies it; a slash at a path's end means nothing. `to` has room for the value and two NULs. */
MUST_USE static int split_words(enum policy_key key, const char *value, char *to, const struct section *section,
                                struct error *err)
{
	char *start = to;
	for (;;) {
		value += strspn(value, " \t");
		size_t length = strcspn(value, " \t");
		if (length == 0)
			break;
		memcpy(to, value, length);
		to[length] = '\0';
		if (!keys[key].is_valid(to))
			return error_set(err, ERROR_INPUT, "[%s \"%s\"] %s = %.60s: expected %s", kind_of(section),
			                 section->name, keys[key].name, to, keys[key].expected);
		value += length;
		if (key == POLICY_PATH && length > 1 && to[length - 1] == '/')
			to[--length] = '\0';
		to += length + 1;
	}
	*to = '\0';
	if (to == start)
		return error_set(err, ERROR_INPUT, "[%s \"%s\"] %s = : expected %s", kind_of(section), section->name,
		                 keys[key].name, keys[key].expected);
	return 0;
}

int policy_add(struct policy *policy, const char *key_name, const char *value, struct error *err)
{
	struct section *section = &policy->sections[policy->count - 1];
	size_t key = 0;
	while (key < POLICY_KEY_COUNT && strcmp(keys[key].name, key_name) != 0)
		key++;
	if (key == POLICY_KEY_COUNT)
		return error_set(err, ERROR_INPUT, "[%s \"%s\"] %.60s: unknown setting", kind_of(section),
		                 section->name, key_name);
	if (section->words[key] != NULL)
		return error_set(err, ERROR_INPUT, "[%s \"%s\"] %s: given twice", kind_of(section), section->name,
		                 key_name);
	CLEANUP_FREE char *words = calloc(strlen(value) + 2, 1);
	if (words == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for a policy");
	if (split_words((enum policy_key)key, value, words, section, err) < 0)
		return -1;
	section->words[key] = steal_pointer(&words);
	return 0;
}

int policy_end(const struct policy *policy, struct error *err)
{
	const struct section *section = &policy->sections[policy->count - 1];
	for (size_t key = 0; key < POLICY_KEY_COUNT; key++)
		if (section->words[key] != NULL)
			return 0;
	return error_set(err, ERROR_INPUT,
	                 "[%s \"%s\"]: no condition, expected one of path, exe, unit, uid, gid, container, family",
	                 kind_of(section), section->name);
}

/* ---- judging */

static bool any_matches(const char *words, const char *text)
{
	for (; *words != '\0'; words += strlen(words) + 1)
		if (text_glob(words, text))
			return true;
	return false;
}

/* The same document stands under each version (/2021-03-23/user-data), with and without a slash at its end: a rule on
 * /latest/user-data is meant for all of these. */
static bool path_matches(const char *words, const char *path)
{
	char plain[PATH_BYTES], latest[PATH_BYTES];
	size_t length = strlen(path);
	const char *rest = path[0] == '/' ? strchr(path + 1, '/') : NULL;
	if (length > 1 && path[length - 1] == '/')
		length--;
	if (snprintf(plain, sizeof(plain), "%.*s", (int)length, path) >= (int)sizeof(plain))
		return false;
	if (any_matches(words, plain))
		return true;
	if (rest == NULL || rest >= path + length)
		return false;
	return snprintf(latest, sizeof(latest), "/latest%s", plain + (rest - path)) < (int)sizeof(latest) &&
	       any_matches(words, latest);
}

static bool condition_holds(const struct section *section, size_t key, const char *fact)
{
	const char *words = section->words[key];
	if (words == NULL)
		return true;
	if (fact == NULL)
		return false;
	return key == POLICY_PATH ? path_matches(words, fact) : any_matches(words, fact);
}

struct policy_verdict policy_judge(const struct policy *policy, const struct policy_facts *facts)
{
	for (size_t i = 0; policy != NULL && i < policy->count; i++) {
		const struct section *section = &policy->sections[i];
		size_t key = 0;
		while (key < POLICY_KEY_COUNT && condition_holds(section, key, facts->fact[key]))
			key++;
		if (key == POLICY_KEY_COUNT)
			return (struct policy_verdict){.denies = section->denies, .rule = section->name};
	}
	return (struct policy_verdict){.denies = policy != NULL && policy->denies_by_default,
	                               .rule = policy != NULL ? POLICY_DEFAULT : NULL};
}

bool policy_needs_process(const struct policy *policy, const char *path, const char *family)
{
	for (size_t i = 0; policy != NULL && i < policy->count; i++) {
		const struct section *section = &policy->sections[i];
		if (!condition_holds(section, POLICY_PATH, path) || !condition_holds(section, POLICY_FAMILY, family))
			continue;
		for (size_t key = 0; key < POLICY_KEY_COUNT; key++)
			if (keys[key].is_of_process && section->words[key] != NULL)
				return true;
		return false;
	}
	return false;
}

/* ---- facts of a process */

struct actor {
	struct policy_facts facts;
	char uid[NUMBER_BYTES], gid[NUMBER_BYTES];
};

static const char *number_of(const json_t *process, const char *name, char to[static NUMBER_BYTES])
{
	int64_t number;
	if (!json_int_at(process, name, &number) || number < 0)
		return NULL;
	(void)snprintf(to, NUMBER_BYTES, "%lld", (long long)number);
	return to;
}

/* An executable has its path as the machine sees it: not one of another mount namespace, where any user can show what
 * they like, nor that of a file that is no longer there. */
static void take_process(struct actor *actor, const json_t *process)
{
	bool is_foreign = true, is_deleted = true;
	if (json_bool_at(process, "exe_foreign_mount", &is_foreign) && !is_foreign &&
	    json_bool_at(process, "exe_deleted", &is_deleted) && !is_deleted)
		actor->facts.fact[POLICY_EXE] = json_text_at(process, "exe");
	actor->facts.fact[POLICY_UNIT] = json_text_at(process, "unit");
	actor->facts.fact[POLICY_CONTAINER] = json_text_at(process, "container_id");
	actor->facts.fact[POLICY_UID] = number_of(process, "uid", actor->uid);
	actor->facts.fact[POLICY_GID] = number_of(process, "gid", actor->gid);
}

static struct policy_verdict judge_one(const struct policy *policy, const struct policy_request *request,
                                       const json_t *process)
{
	struct actor actor = {.facts.fact = {[POLICY_PATH] = request->path, [POLICY_FAMILY] = request->family}};
	if (process != NULL) {
		take_process(&actor, process);
	} else if (request->socket_uid >= 0) {
		(void)snprintf(actor.uid, sizeof(actor.uid), "%lld", (long long)request->socket_uid);
		actor.facts.fact[POLICY_UID] = actor.uid;
	}
	return policy_judge(policy, &actor.facts);
}

/* Rows of before there was a `complete` say it by their grade. */
static bool is_complete(const json_t *seen)
{
	bool complete = false;
	const char *grade = json_text_at(seen, "attribution.grade");
	if (json_bool_at(seen, "attribution.complete", &complete))
		return complete;
	return grade != NULL && strcmp(grade, grade_names[GRADE_EXACT]) == 0;
}

struct policy_verdict policy_judge_request(const struct policy *policy, const struct policy_request *request,
                                           const json_t **ret_process)
{
	const json_t *process = json_at(request->seen, "process"), *holders = json_at(request->seen, "holders");
	size_t count = json_array_size(holders);
	struct policy_verdict first = judge_one(policy, request, process);
	*ret_process = process;
	if (first.denies)
		return first;
	for (size_t i = 0; i <= count; i++) {
		const json_t *holder = json_array_get(holders, i);
		if (holder == NULL && is_complete(request->seen))
			continue;
		struct policy_verdict verdict = judge_one(policy, request, holder);
		*ret_process = holder;
		if (verdict.denies)
			return verdict;
	}
	*ret_process = process;
	return first;
}
