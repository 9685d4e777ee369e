/* SPDX-License-Identifier: Apache-2.0 */

/* The ladder of evidence, best rung first. Behind an endpoint the source address is chosen by whoever owns the VPC, so
 * an endpoint is judged by itself and the address is never looked at. recipientAccountId plays no part: another account
 * there means another account's resource, not another account's machine. What cannot be read is unknown. */
#include "detector/origin.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"

const char *const relation_names[RELATION_COUNT] = {
	[RELATION_UNKNOWN] = "unknown",
	[RELATION_AFFILIATED] = "affiliated",
	[RELATION_UNAFFILIATED] = "unaffiliated",
};

/* How sure a rung is by itself, of 100. */
enum {
	SURE_HOME = 95,
	SURE_ENDPOINT_OWNER = 95,
	SURE_INVENTORY = 90,
	SURE_LEARNED = 85, /* by records of the same logs */
	SURE_ENDPOINT_UNKNOWN = 60,
	SURE_OUTSIDE = 85,
	SURE_OUTSIDE_NO_PLACE = 70, /* the instance's own addresses are not known */
	SURE_RANGE = 40,
	SURE_PRIVATE = 30,
	SURE_NOTHING = 10,
};

struct call {
	const struct event *event;
	const struct origin_home *home;
	const struct origin_world *world;
	struct origin *origin;
};

/* Adds a line of evidence while there is room. */
static void say(struct origin *origin, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct origin *origin, const char *format, ...)
{
	if (origin->evidence_count == ORIGIN_EVIDENCE_MAX)
		return;
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(origin->evidence[origin->evidence_count++], ORIGIN_EVIDENCE_BYTES, format, arguments);
	va_end(arguments);
}

static bool decide(const struct call *c, enum verdict verdict, int rung, int confidence)
{
	c->origin->verdict = verdict;
	c->origin->rung = rung;
	c->origin->confidence = confidence;
	return true;
}

static bool decide_account(const struct call *c, const char *account_id, int rung, int confidence)
{
	bool is_ours = inventory_account(c->world->inventory, account_id) != NULL;
	(void)text_copy(c->origin->account_id, sizeof(c->origin->account_id), account_id);
	c->origin->relation = is_ours ? RELATION_AFFILIATED : RELATION_UNAFFILIATED;
	return decide(c, VERDICT_INSIDE, rung, confidence);
}

/* ---- AWS acting for us */

static bool judge_aws(const struct call *c)
{
	const struct event *event = c->event;
	if (event->is_infrastructure)
		say(c->origin, "the role aws:ec2-infrastructure is used by EC2 itself");
	else if (event->is_invoked_by_aws)
		say(c->origin, "an AWS service made the call (invokedBy)");
	else if (event->endpoint == EVENT_ENDPOINT_AWS)
		say(c->origin, "the call came through a network of AWS's own: %s", event->endpoint_id);
	else if (event->endpoint == EVENT_ENDPOINT_NONE && event->source == EVENT_SOURCE_AWS)
		say(c->origin, "the source is an AWS service: %s", event->source_text);
	else
		return false;
	return decide(c, VERDICT_AWS, -1, SURE_HOME);
}

/* ---- through an endpoint */

static bool owns_interface(const struct origin_home *home, const char *account_id)
{
	for (size_t i = 0; i < home->placement_count; i++)
		for (const char **owner = home->placements[i].owners; owner != NULL && *owner != NULL; owner++)
			if (strcmp(*owner, account_id) == 0)
				return true;
	return false;
}

static bool is_home(const struct call *c, const char *account_id)
{
	return strcmp(account_id, c->home->account_id) == 0 || owns_interface(c->home, account_id);
}

/* Is the account known that CloudTrail names as the owner? In a NetworkActivity record it is whose log it is in. */
static bool judge_endpoint_owner(const struct call *c)
{
	const struct event *event = c->event;
	const char *owner = event->endpoint_account, *home = c->home->account_id;
	int rung = 1;
	if (owner[0] == '\0' && event->is_network) {
		owner = event->recipient_account;
		rung = 3;
	}
	if (owner[0] == '\0' || home[0] == '\0')
		return false;
	if (is_home(c, owner)) {
		say(c->origin, "endpoint %s belongs to account %s, where the instance is", event->endpoint_id, owner);
		return decide(c, VERDICT_HOME, 0, SURE_HOME);
	}
	say(c->origin,
	    "the call came through VPC endpoint %s, which CloudTrail says belongs to account %s; the key "
	    "is at home in account %s",
	    event->endpoint_id, owner, home);
	return decide_account(c, owner, rung, SURE_ENDPOINT_OWNER);
}

/* An endpoint that nobody named the owner of, or none in this record: did its owner log the same call? */
static bool judge_activity(const struct call *c)
{
	const struct passage *passage = c->world->activity != NULL ? activity_of(c->world->activity, c->event) : NULL;
	if (passage == NULL || c->home->account_id[0] == '\0')
		return false;
	c->origin->is_of_call = true;
	(void)text_copy(c->origin->endpoint_id, sizeof(c->origin->endpoint_id), passage->endpoint_id);
	say(c->origin, "account %s logged the same call as network activity of its endpoint %s (event %s)",
	    passage->owner, passage->endpoint_id, passage->event_id);
	if (is_home(c, passage->owner) || inventory_is_trusted_endpoint(c->world->inventory, passage->endpoint_id))
		return decide(c, VERDICT_HOME, 0, SURE_HOME);
	return decide_account(c, passage->owner, 3, SURE_INVENTORY);
}

/* An endpoint whose making is in the logs. */
static bool judge_endpoint_made(const struct call *c)
{
	const char *event = NULL, *id = c->event->endpoint_id;
	const char *owner = c->world->owners != NULL ? owners_endpoint(c->world->owners, id, &event) : NULL;
	if (owner == NULL || c->home->account_id[0] == '\0')
		return false;
	say(c->origin, "endpoint %s was made in account %s (event %s)", id, owner, event);
	if (is_home(c, owner))
		return decide(c, VERDICT_HOME, 0, SURE_HOME);
	return decide_account(c, owner, 2, SURE_LEARNED);
}

/* AWS's own endpoints have the short ids of the first years, no owner, and pass on callers from anywhere. What comes
 * from a service through an endpoint that nobody is known to own came through one of the service's, whatever its id. */
static bool is_aws_endpoint(const struct event *event)
{
	bool is_short = strlen(event->endpoint_id) == strlen("vpce-12345678");
	bool is_open = is_short && event->source == EVENT_SOURCE_ADDRESS && address_is_public(&event->address);
	return (event->source == EVENT_SOURCE_AWS || is_open) && event->endpoint_account[0] == '\0';
}

static bool judge_endpoint(const struct call *c)
{
	const struct event *event = c->event;
	const struct inventory_account *account = inventory_endpoint(c->world->inventory, event->endpoint_id);
	if (event->endpoint == EVENT_ENDPOINT_NONE)
		return false;
	(void)text_copy(c->origin->endpoint_id, sizeof(c->origin->endpoint_id), event->endpoint_id);
	if (event->endpoint != EVENT_ENDPOINT_ID) {
		say(c->origin, "the endpoint is unreadable; behind an endpoint an address says nothing");
		return decide(c, VERDICT_UNKNOWN, 7, SURE_NOTHING);
	}
	if (inventory_is_trusted_endpoint(c->world->inventory, event->endpoint_id)) {
		say(c->origin, "endpoint %s is trusted egress in the inventory", event->endpoint_id);
		return decide(c, VERDICT_HOME, 0, SURE_HOME);
	}
	if (account != NULL && strcmp(account->id, c->home->account_id) == 0) {
		say(c->origin, "endpoint %s is the home account's in the inventory", event->endpoint_id);
		return decide(c, VERDICT_HOME, 0, SURE_HOME);
	}
	if (judge_endpoint_owner(c))
		return true;
	if (account != NULL) {
		say(c->origin, "endpoint %s is account %s's in the inventory", event->endpoint_id, account->id);
		return decide_account(c, account->id, 2, SURE_INVENTORY);
	}
	if (judge_endpoint_made(c) || judge_activity(c))
		return true;
	if (is_aws_endpoint(event)) {
		say(c->origin, "endpoint %s is one of AWS's own", event->endpoint_id);
		return decide(c, VERDICT_AWS, -1, SURE_HOME);
	}
	say(c->origin,
	    "the call came through VPC endpoint %s, which is in no inventory; the record (version %s) "
	    "does not say whose it is",
	    event->endpoint_id, event->version[0] != '\0' ? event->version : "unknown");
	return decide(c, VERDICT_INSIDE, 2, SURE_ENDPOINT_UNKNOWN);
}

/* ---- by address */

static bool is_own_place(const struct origin_home *home, const struct address *address)
{
	for (size_t i = 0; i < home->placement_count; i++)
		if (cidr_set_find(&home->placements[i].addresses, address) != NULL)
			return true;
	return false;
}

/* What the logs say of the address at that time. An address that changed hands within the slack may have been either's:
 * the innocent reading counts. */
static bool judge_tenures(const struct call *c)
{
	const struct origin_home *home = c->home;
	const char *text = c->origin->address;
	size_t count = 0;
	const struct tenure *all = c->world->owners != NULL && home->account_id[0] != '\0'
	                                   ? owners_of(c->world->owners, text, c->event->at_us, &count)
	                                   : NULL;
	const struct tenure *elsewhere = NULL, *other = NULL;
	for (size_t i = 0; i < count; i++) {
		const struct tenure *tenure = &all[i];
		bool is_machine = text_starts(tenure->holder, "i-");
		bool is_own = strcmp(tenure->holder, home->instance_id) == 0 && is_machine;
		if (strcmp(tenure->account, home->account_id) != 0) {
			other = tenure;
		} else if (is_own || !is_machine) {
			say(c->origin, "by CloudTrail, %s was the home account's then, %s%s (event %s)", text,
			    is_own                      ? "of the instance itself"
			    : tenure->holder[0] != '\0' ? "of "
			                                : "of no one machine",
			    is_own ? "" : tenure->holder, tenure->event_id);
			return decide(c, VERDICT_HOME, is_own || tenure->holder[0] != '\0' ? 0 : 4, SURE_LEARNED);
		} else {
			elsewhere = tenure;
		}
	}
	if (elsewhere != NULL) {
		(void)text_copy(c->origin->account_id, sizeof(c->origin->account_id), home->account_id);
		c->origin->relation = RELATION_AFFILIATED;
		say(c->origin, "by CloudTrail, %s was then that of %s, another machine of the home account (event %s)",
		    text, elsewhere->holder, elsewhere->event_id);
		return decide(c, VERDICT_ELSEWHERE, 4, SURE_LEARNED);
	}
	if (other == NULL)
		return false;
	say(c->origin, "by CloudTrail, %s was account %s's then (event %s)", text, other->account, other->event_id);
	return decide_account(c, other->account, 4, SURE_LEARNED);
}

/* An address of another machine that a ledger knows. */
static bool judge_machine(const struct call *c)
{
	const struct tracked *tracked = c->world->tracked;
	const struct placement *other =
		tracked != NULL && c->home->account_id[0] != '\0'
			? tracked_machine(tracked, &c->event->address, c->event->at_us, c->home->instance_id)
			: NULL;
	if (other == NULL || other->account_id[0] == '\0')
		return false;
	say(c->origin, "%s was then that of %s in account %s, by the ledger", c->origin->address, other->instance_id,
	    other->account_id);
	if (strcmp(other->account_id, c->home->account_id) != 0)
		return decide_account(c, other->account_id, 4, SURE_INVENTORY);
	(void)text_copy(c->origin->account_id, sizeof(c->origin->account_id), other->account_id);
	c->origin->relation = RELATION_AFFILIATED;
	return decide(c, VERDICT_ELSEWHERE, 4, SURE_INVENTORY);
}

/* Rung 0, and the part of rung 4 that lies in the home account. */
static bool judge_home(const struct call *c)
{
	const struct address *address = &c->event->address;
	const char *text = c->origin->address, *home = c->home->account_id;
	enum inventory_use use;
	if (is_own_place(c->home, address)) {
		say(c->origin, "%s was the instance's own address or network at that time", text);
		return decide(c, VERDICT_HOME, 0, SURE_HOME);
	}
	if (inventory_is_trusted(c->world->inventory, address)) {
		say(c->origin, "%s is trusted egress in the inventory", text);
		return decide(c, VERDICT_HOME, 0, SURE_HOME);
	}
	if (!inventory_use(c->world->inventory, home, address, &use))
		return false;
	if (use != INVENTORY_ADDRESS || c->home->placement_count == 0) {
		say(c->origin, "%s is the home account's in the inventory", text);
		return decide(c, VERDICT_HOME, use == INVENTORY_ADDRESS ? 4 : 0, SURE_INVENTORY);
	}
	(void)text_copy(c->origin->account_id, sizeof(c->origin->account_id), home);
	c->origin->relation = RELATION_AFFILIATED;
	say(c->origin,
	    "%s belongs to another machine of the home account in the inventory, and was not the "
	    "instance's own at that time",
	    text);
	return decide(c, VERDICT_ELSEWHERE, 4, SURE_INVENTORY);
}

static bool judge_private(const struct call *c, const char *what)
{
	bool is_place_known = c->home->placement_count > 0;
	say(c->origin, "%s without an endpoint: %s", what, c->origin->address);
	if (is_place_known)
		say(c->origin, "it is not among the addresses and networks that the ledger knows of the instance");
	return decide(c, is_place_known ? VERDICT_ELSEWHERE : VERDICT_UNKNOWN, 7, SURE_PRIVATE);
}

static bool judge_public(const struct call *c)
{
	struct origin *origin = c->origin;
	const struct inventory_account *owner = inventory_owner(c->world->inventory, &c->event->address);
	struct range range = {.region = "", .service = ""};
	bool is_aws = ranges_find(c->world->ranges, &c->event->address, &range);
	if (is_aws)
		(void)snprintf(origin->network, sizeof(origin->network), "AWS %s %s", range.service, range.region);
	if (owner != NULL && strcmp(owner->id, c->home->account_id) != 0) {
		say(origin, "%s is account %s's in the inventory", origin->address, owner->id);
		return decide_account(c, owner->id, 4, SURE_INVENTORY);
	}
	if (judge_machine(c) || judge_tenures(c))
		return true;
	bool is_place_known = c->home->placement_count > 0;
	if (!is_place_known)
		say(origin, "where the instance was at that time is not known");
	if (range.runner != NULL) {
		say(origin, "%s is an address of %s in %s (ranges of %s) that belongs to nobody known", origin->address,
		    range.runner, range.region, ranges_date(c->world->ranges));
		say(origin, "unexplained egress: a NAT gateway missing from the inventory?");
		return decide(c, VERDICT_INSIDE, 5, SURE_RANGE);
	}
	if (is_aws)
		say(origin, "%s is one of AWS's addresses (%s), but not one that EC2 instances have", origin->address,
		    range.service);
	else
		say(origin, "%s is in none of AWS's address ranges of %s", origin->address,
		    ranges_date(c->world->ranges));
	return decide(c, VERDICT_OUTSIDE, 6, is_place_known ? SURE_OUTSIDE : SURE_OUTSIDE_NO_PLACE);
}

static bool judge_address(const struct call *c)
{
	const struct event *event = c->event;
	(void)text_copy(c->origin->address, sizeof(c->origin->address), event->source_text);
	if (event->source == EVENT_SOURCE_ABSENT) {
		say(c->origin, "the record names no source");
		return decide(c, VERDICT_UNKNOWN, 7, SURE_NOTHING);
	}
	if (event->source != EVENT_SOURCE_ADDRESS)
		return judge_private(c, "a source that is no address");
	(void)address_format(&event->address, c->origin->address);
	if (judge_home(c))
		return true;
	return address_is_public(&event->address) ? judge_public(c) : judge_private(c, "a private address");
}

bool origin_is_learned(const struct origin *origin)
{
	return origin->confidence == SURE_LEARNED;
}

void origin_judge(const struct event *event, const struct origin_home *home, const struct origin_world *world,
                  struct origin *ret)
{
	*ret = (struct origin){.verdict = VERDICT_UNKNOWN, .rung = 7};
	const struct call c = {event, home, world, ret};
	(void)(judge_aws(&c) || judge_endpoint(&c) || judge_activity(&c) || judge_address(&c));
}
