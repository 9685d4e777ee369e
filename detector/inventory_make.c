/* SPDX-License-Identifier: Apache-2.0 */

/* THE TABLE of what is asked, and what of the answers is of interest. Answers name resources of other accounts too,
 * such as VPCs that are shared with this one: those are left to their owners. */
#include "detector/inventory_make.h"

#include <string.h>

#include "common/cidr.h"
#include "common/text.h"
#include "detector/aws_answer.h"
#include "detector/event.h"
#include "detector/inventory.h"
#include "detector/spool.h"

#define FORM "application/x-www-form-urlencoded; charset=utf-8"
#define PAGES_MAX 10000
#define MEMBERS "members of the organisation" /* in the tree while it is being made */

static const char *const lists[] = {"egress", "networks", "addresses", "endpoints", "vpcs"};

/* ---- the tree */

int inventory_make_begin(const char *path, json_t **ret, struct error *err)
{
	if (path == NULL) {
		*ret = json_object();
		return *ret != NULL ? 0 : error_set(err, ERROR_MEMORY, "no memory for an inventory");
	}
	/* Whatever the detector would refuse is refused before anything is asked. */
	struct inventory *inventory;
	if (inventory_open(path, &inventory, err) < 0)
		return -1;
	inventory_free(inventory);
	return json_read_file(path, ret, err);
}

static json_t *member_list(json_t *object, const char *name)
{
	json_t *list = json_object_get(object, name);
	if (!json_is_array(list)) {
		list = json_array();
		json_put(object, name, list);
	}
	return list;
}

static void add_text(json_t *account, const char *list, const char *text)
{
	json_t *values = member_list(account, list);
	for (size_t i = 0; i < json_array_size(values); i++)
		if (strcmp(json_string_value(json_array_get(values, i)), text) == 0)
			return;
	(void)json_array_append_new(values, json_string(text));
}

static json_t *find_account(json_t *inventory, const char *id)
{
	static const char *const kinds[] = {"own", "affiliated"};
	for (size_t kind = 0; kind < ARRAY_LENGTH(kinds); kind++) {
		json_t *accounts = json_object_get(inventory, kinds[kind]);
		for (size_t i = 0; i < json_array_size(accounts); i++) {
			const char *known = json_text_at(json_array_get(accounts, i), "account_id");
			if (known != NULL && strcmp(known, id) == 0)
				return json_array_get(accounts, i);
		}
	}
	return NULL;
}

/* Where the hand-written part has the account it stays; else it joins `kind`. */
static json_t *get_account(json_t *inventory, const char *kind, const char *id)
{
	json_t *account = find_account(inventory, id);
	if (account != NULL)
		return account;
	account = json_object();
	json_put_text(account, "account_id", id);
	(void)json_array_append_new(member_list(inventory, kind), account);
	return account;
}

/* ---- what EC2 says */

static bool is_public(const char *text)
{
	struct address address;
	return text != NULL && address_parse(text, &address) && address_is_public(&address);
}

static bool is_others(const json_t *account, const json_t *resource)
{
	const char *owner = json_text_at(resource, "ownerId"), *id = json_text_at(account, "account_id");
	return owner != NULL && id != NULL && strcmp(owner, id) != 0;
}

static void take_gateway(json_t *account, const json_t *gateway)
{
	const char *state = json_text_at(gateway, "state");
	const json_t *address;
	if (state != NULL && (strcmp(state, "deleted") == 0 || strcmp(state, "failed") == 0))
		return;
	for (size_t i = 0; (address = aws_answer_list(gateway, "natGatewayAddressSet.item", i)) != NULL; i++)
		if (is_public(json_text_at(address, "publicIp")))
			add_text(account, "egress", json_text_at(address, "publicIp"));
}

static void take_address(json_t *account, const json_t *address)
{
	if (is_public(json_text_at(address, "publicIp")))
		add_text(account, "addresses", json_text_at(address, "publicIp"));
}

static void take_vpc(json_t *account, const json_t *vpc)
{
	static const char *const sets[][2] = {{"cidrBlockAssociationSet.item", "cidrBlock"},
	                                      {"ipv6CidrBlockAssociationSet.item", "ipv6CidrBlock"}};
	const char *id = json_text_at(vpc, "vpcId"), *block = json_text_at(vpc, "cidrBlock");
	const json_t *association;
	struct cidr cidr;
	if (is_others(account, vpc))
		return;
	if (id != NULL)
		add_text(account, "vpcs", id);
	if (block != NULL && cidr_parse(block, &cidr))
		add_text(account, "networks", block);
	for (size_t set = 0; set < ARRAY_LENGTH(sets); set++)
		for (size_t i = 0; (association = aws_answer_list(vpc, sets[set][0], i)) != NULL; i++)
			if ((block = json_text_at(association, sets[set][1])) != NULL && cidr_parse(block, &cidr))
				add_text(account, "networks", block);
}

static void take_endpoint(json_t *account, const json_t *endpoint)
{
	const char *id = json_text_at(endpoint, "vpcEndpointId");
	if (id != NULL && !is_others(account, endpoint))
		add_text(account, "endpoints", id);
}

/* Of gateways the addresses are egress, and known already. */
static void take_interface(json_t *account, const json_t *interface)
{
	const char *kind = json_text_at(interface, "interfaceType");
	const char *address = json_text_at(interface, "association.publicIp");
	const json_t *entry;
	if (is_others(account, interface) || (kind != NULL && strcmp(kind, "nat_gateway") == 0))
		return;
	if (is_public(address))
		add_text(account, "addresses", address);
	for (size_t i = 0; (entry = aws_answer_list(interface, "ipv6AddressesSet.item", i)) != NULL; i++)
		if (is_public(json_text_at(entry, "ipv6Address")))
			add_text(account, "addresses", json_text_at(entry, "ipv6Address"));
}

static const struct question {
	const char *action, *list;
	void (*take)(json_t *account, const json_t *resource);
	bool has_pages;
} questions[] = {
	{"DescribeNatGateways", "natGatewaySet.item", take_gateway, true},
	{"DescribeAddresses", "addressesSet.item", take_address, false},
	{"DescribeVpcs", "vpcSet.item", take_vpc, true},
	{"DescribeVpcEndpoints", "vpcEndpointSet.item", take_endpoint, true},
	{"DescribeNetworkInterfaces", "networkInterfaceSet.item", take_interface, true},
};

/* What one answer of EC2 says of an account: adds it to `account`. `action` is a name in the table. */
static void take_answer(json_t *account, const char *action, const json_t *answer)
{
	for (size_t i = 0; i < ARRAY_LENGTH(questions); i++) {
		const json_t *resource;
		if (strcmp(questions[i].action, action) != 0)
			continue;
		for (size_t at = 0; (resource = aws_answer_list(answer, questions[i].list, at)) != NULL; at++)
			questions[i].take(account, resource);
	}
}

/* ---- asking */

MUST_USE static int ask_form(const struct inventory_maker *maker, const char *service, const char *region,
                             const char *form, json_t **ret, struct error *err)
{
	const struct aws_call call = {
		.service = service, .region = region, .content_type = FORM, .body = form, .body_length = strlen(form)};
	return aws_ask(maker->aws, &call, ret, err);
}

MUST_USE static int ask_pages(json_t *account, const struct inventory_maker *maker, const char *region,
                              const struct question *question, struct error *err)
{
	CLEANUP_FREE char *token = strdup("");
	for (unsigned page = 0; token != NULL && page < PAGES_MAX; page++) {
		CLEANUP_JSON json_t *answer = NULL;
		CLEANUP_BUFFER struct buffer form = {0};
		if (buffer_printf(&form, err, "Action=%s&Version=2016-11-15%s%s", question->action,
		                  question->has_pages ? "&MaxResults=1000" : "",
		                  token[0] != '\0' ? "&NextToken=" : "") < 0 ||
		    sigv4_encode(&form, token, false, err) < 0 ||
		    ask_form(maker, "ec2", region, form.bytes, &answer, err) < 0)
			return -1;
		take_answer(account, question->action, answer);
		const char *next = json_text_at(answer, "nextToken");
		free(token);
		token = next != NULL && next[0] != '\0' ? strdup(next) : NULL;
		if (token == NULL)
			return 0;
	}
	return error_set(err, ERROR_LIMIT, "%s: no end of pages", question->action);
}

MUST_USE static int ask_account(const struct inventory_maker *maker, const char *region, char to[static ACCOUNT_BYTES],
                                struct error *err)
{
	CLEANUP_JSON json_t *answer = NULL;
	if (ask_form(maker, "sts", region, "Action=GetCallerIdentity&Version=2011-06-15", &answer, err) < 0)
		return error_prefix(err, "GetCallerIdentity");
	const char *account = json_text_at(answer, "GetCallerIdentityResult.Account");
	if (account == NULL || !event_is_account(account))
		return error_set(err, ERROR_INPUT, "GetCallerIdentity: expected an account of 12 digits");
	(void)text_copy(to, ACCOUNT_BYTES, account);
	return 0;
}

/* Members wait until all accounts have been asked: who was asked is `own`. */
static void take_member(json_t *inventory, const json_t *member)
{
	const char *id = json_text_at(member, "Id"), *state = json_text_at(member, "Status");
	if (id == NULL || !event_is_account(id) || (state != NULL && strcmp(state, "SUSPENDED") == 0))
		return;
	(void)json_array_append(member_list(inventory, MEMBERS), (json_t *)(uintptr_t)member);
}

static void place_members(json_t *inventory)
{
	const json_t *members = json_object_get(inventory, MEMBERS);
	for (size_t i = 0; i < json_array_size(members); i++) {
		const json_t *member = json_array_get(members, i);
		const char *name = json_text_at(member, "Name");
		char shown[64];
		json_t *account = get_account(inventory, "affiliated", json_text_at(member, "Id"));
		if (name == NULL || json_text_at(account, "name") != NULL)
			continue;
		(void)text_copy(shown, sizeof(shown), name);
		json_put(account, "name", json_from_bytes(shown, strlen(shown)));
	}
	(void)json_object_del(inventory, MEMBERS);
}

MUST_USE static int ask_organisation(json_t *inventory, const struct inventory_maker *maker, const char *region,
                                     struct error *err)
{
	CLEANUP_FREE char *token = NULL;
	for (unsigned page = 0; page < PAGES_MAX; page++) {
		CLEANUP_JSON json_t *answer = NULL;
		CLEANUP_JSON json_t *body = json_object();
		const json_t *member;
		if (token != NULL)
			json_put_text(body, "NextToken", token);
		CLEANUP_FREE char *text = json_line(body);
		const struct aws_call call = {.service = "organizations",
		                              .region = region,
		                              .target = "AWSOrganizationsV20161128.ListAccounts",
		                              .content_type = "application/x-amz-json-1.1",
		                              .body = text,
		                              .body_length = text != NULL ? strlen(text) : 0};
		if (text == NULL)
			return error_set(err, ERROR_MEMORY, "no memory for a request");
		if (aws_ask(maker->aws, &call, &answer, err) < 0)
			return -1;
		for (size_t i = 0; (member = aws_answer_list(answer, "Accounts", i)) != NULL; i++)
			take_member(inventory, member);
		const char *next = json_text_at(answer, "NextToken");
		free(token);
		token = next != NULL && next[0] != '\0' ? strdup(next) : NULL;
		if (token == NULL)
			return 0;
	}
	return error_set(err, ERROR_LIMIT, "no end of pages");
}

static void tell(const struct inventory_maker *maker, const char *what, const char *where, const struct error *problem)
{
	struct error line;
	(void)error_set(&line, problem->code, "%s in %s: %s", what, where, problem->text);
	maker->complain(maker->context, line.text);
}

int inventory_make_add(json_t *inventory, const struct inventory_maker *maker, bool *ret_whole, struct error *err)
{
	char id[ACCOUNT_BYTES];
	const char *configured = NULL;
	const char *const *regions = maker->regions;
	size_t count = maker->region_count;
	struct error problem = {0};
	*ret_whole = true;
	if (count == 0 && aws_region(maker->aws, &configured, err) < 0)
		return -1;
	if (count == 0) {
		regions = &configured;
		count = 1;
	}
	if (ask_account(maker, regions[0], id, err) < 0)
		return -1;
	json_t *account = get_account(inventory, "own", id);
	for (size_t i = 0; i < count; i++)
		for (size_t at = 0; at < ARRAY_LENGTH(questions); at++) {
			problem = (struct error){0};
			if (ask_pages(account, maker, regions[i], &questions[at], &problem) == 0)
				continue;
			*ret_whole = false;
			tell(maker, questions[at].action, regions[i], &problem);
		}
	problem = (struct error){0};
	if (ask_organisation(inventory, maker, regions[0], &problem) < 0) {
		/* Most accounts may not ask, and some are in no organisation: others are then named by hand. */
		*ret_whole = *ret_whole && strstr(problem.text, "AWSOrganizationsNotInUse") != NULL;
		tell(maker, "Organizations ListAccounts", id, &problem);
	}
	return 0;
}

/* ---- the result */

static int compare_texts(const void *a, const void *b)
{
	return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

static int compare_accounts(const void *a, const void *b)
{
	return strcmp(json_text_at(*(json_t *const *)a, "account_id"), json_text_at(*(json_t *const *)b, "account_id"));
}

MUST_USE static int sort(json_t *array, int (*compare)(const void *a, const void *b), struct error *err)
{
	size_t count = json_array_size(array);
	CLEANUP_FREE json_t **values = calloc(count + 1, sizeof(json_t *));
	if (values == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for an inventory");
	for (size_t i = 0; i < count; i++)
		values[i] = json_incref(json_array_get(array, i));
	qsort(values, count, sizeof(json_t *), compare);
	(void)json_array_clear(array);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(array, values[i]);
	return 0;
}

/* An elastic address of a gateway is egress and nothing else. */
static void drop_egress(json_t *account)
{
	const json_t *egress = json_object_get(account, "egress");
	json_t *addresses = json_object_get(account, "addresses");
	for (size_t i = json_array_size(addresses); i-- > 0;)
		for (size_t at = 0; at < json_array_size(egress); at++)
			if (json_equal(json_array_get(addresses, i), json_array_get(egress, at))) {
				(void)json_array_remove(addresses, i);
				break;
			}
}

MUST_USE static int order_accounts(json_t *accounts, struct error *err)
{
	for (size_t i = 0; i < json_array_size(accounts); i++) {
		json_t *account = json_array_get(accounts, i);
		drop_egress(account);
		for (size_t at = 0; at < ARRAY_LENGTH(lists); at++)
			if (json_is_array(json_object_get(account, lists[at])) &&
			    sort(json_object_get(account, lists[at]), compare_texts, err) < 0)
				return -1;
	}
	return accounts != NULL ? sort(accounts, compare_accounts, err) : 0;
}

int inventory_make_end(json_t *inventory, struct error *err)
{
	CLEANUP_FD int fd = -1;
	CLEANUP_FREE char *path = NULL;
	struct inventory *read;
	place_members(inventory);
	if (order_accounts(json_object_get(inventory, "own"), err) < 0 ||
	    order_accounts(json_object_get(inventory, "affiliated"), err) < 0 || (fd = spool_file(err)) < 0)
		return -1;
	if (json_dumpfd(inventory, fd, 0) < 0 || asprintf(&path, "/proc/self/fd/%d", fd) < 0)
		return error_errno(err, "temporary file");
	struct error problem = {0};
	if (inventory_open(path, &read, &problem) < 0) {
		const char *text = text_starts(problem.text, path) ? problem.text + strlen(path) + 2 : problem.text;
		return error_set(err, problem.code, "what was found does not fit together: %s", text);
	}
	inventory_free(read);
	return 0;
}
