/* SPDX-License-Identifier: Apache-2.0 */

/* EC2 writes its requests and responses in two styles: the older calls plainly, the younger ones wrapped in
 * NameRequest and NameResponse with other capitals. Both are looked for everywhere. Lists hold `items` or `item`, which
 * is an object when there is but one. These records are rare: a tree is cheap enough. */
#include "detector/claims.h"

#include <stdio.h>
#include <string.h>

#include "common/cidr.h"

const char *const claim_kind_names[CLAIM_KIND_COUNT] = {
	[CLAIM_OWN] = "own",     [CLAIM_HOLD] = "hold",       [CLAIM_LET_GO] = "let-go", [CLAIM_FREE] = "free",
	[CLAIM_ENDED] = "ended", [CLAIM_STOPPED] = "stopped", [CLAIM_ATTACH] = "attach", [CLAIM_ENDPOINT] = "endpoint",
};

struct reading {
	const json_t *record;
	struct claim claim; /* what is the same in all claims of the record */
	claim_take *take;
	void *context;
};

/* ---- finding one's way */

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* The first of several paths where a text stands; NULL ends the list. */
static const char *text_of(const json_t *object, const char *const paths[])
{
	const char *text = NULL;
	for (size_t i = 0; text == NULL && paths[i] != NULL; i++)
		text = json_text_at(object, paths[i]);
	return or_empty(text);
}

#define TEXT_OF(object, ...) text_of(object, (const char *const[]){__VA_ARGS__, NULL})

/* What stands in a list of EC2's: under `items` or `item`, one object or several. */
static const json_t *list_of(const json_t *holder)
{
	const json_t *items = json_at(holder, "items");
	return items != NULL ? items : json_at(holder, "item");
}

static size_t list_size(const json_t *list)
{
	return json_is_array(list) ? json_array_size(list) : list != NULL;
}

static const json_t *list_get(const json_t *list, size_t i)
{
	return json_is_array(list) ? json_array_get(list, i) : list;
}

/* ---- handing over */

MUST_USE static int give(const struct reading *reading, struct claim claim, struct error *err)
{
	claim.at_us = reading->claim.at_us;
	claim.account = reading->claim.account;
	claim.event_id = reading->claim.event_id;
	const char **const texts[] = {&claim.address, &claim.allocation, &claim.association, &claim.holder,
	                              &claim.name};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		*texts[i] = or_empty(*texts[i]);
	return reading->take(reading->context, &claim, err);
}

/* Private addresses are everybody's. */
MUST_USE static int give_address(const struct reading *reading, const char *text, const char *holder, struct error *err)
{
	struct address address;
	char canonical[ADDRESS_MAX_BYTES];
	if (!address_parse(text, &address) || !address_is_public(&address))
		return 0;
	const struct claim claim = {
		.kind = CLAIM_HOLD, .address = address_format(&address, canonical), .holder = holder};
	return give(reading, claim, err);
}

MUST_USE static int give_ipv6(const struct reading *reading, const json_t *set, const char *holder, struct error *err)
{
	const json_t *list = list_of(set);
	for (size_t i = 0; i < list_size(list); i++) {
		const json_t *entry = list_get(list, i);
		const char *text = json_string_value(entry);
		if (give_address(reading, text != NULL ? text : TEXT_OF(entry, "ipv6Address"), holder, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- addresses */

/* In Wavelength zones the address is the carrier's, on Outposts the customer's own. */
static int allocate(const struct reading *reading, struct error *err)
{
	const struct claim claim = {.kind = CLAIM_OWN,
	                            .address =
	                                    TEXT_OF(reading->record, "responseElements.publicIp",
	                                            "responseElements.carrierIp", "responseElements.customerOwnedIp"),
	                            .allocation = TEXT_OF(reading->record, "responseElements.allocationId")};
	return give(reading, claim, err);
}

/* Into the account whose log this is in. */
static int accept_transfer(const struct reading *reading, struct error *err)
{
	const json_t *response = json_at(reading->record, "responseElements");
	const json_t *wrapped = json_at(response, "AcceptAddressTransferResponse");
	const json_t *transfer = json_at(wrapped != NULL ? wrapped : response, "addressTransfer");
	const char *address = TEXT_OF(transfer, "publicIp");
	if (*address == '\0')
		address = TEXT_OF(reading->record, "requestParameters.AcceptAddressTransferRequest.Address",
		                  "requestParameters.address");
	const struct claim claim = {
		.kind = CLAIM_OWN, .address = address, .allocation = TEXT_OF(transfer, "allocationId")};
	return give(reading, claim, err);
}

static int associate(const struct reading *reading, struct error *err)
{
	const struct claim claim = {
		.kind = CLAIM_HOLD,
		.address = TEXT_OF(reading->record, "requestParameters.publicIp"),
		.allocation = TEXT_OF(reading->record, "requestParameters.allocationId"),
		.association = TEXT_OF(reading->record, "responseElements.associationId"),
		.holder = TEXT_OF(reading->record, "requestParameters.instanceId",
	                          "requestParameters.networkInterfaceId"),
	};
	return give(reading, claim, err);
}

static int disassociate(const struct reading *reading, struct error *err)
{
	const struct claim claim = {.kind = CLAIM_LET_GO,
	                            .address = TEXT_OF(reading->record, "requestParameters.publicIp"),
	                            .association = TEXT_OF(reading->record, "requestParameters.associationId")};
	return give(reading, claim, err);
}

static int release(const struct reading *reading, struct error *err)
{
	const struct claim claim = {.kind = CLAIM_FREE,
	                            .address = TEXT_OF(reading->record, "requestParameters.publicIp"),
	                            .allocation = TEXT_OF(reading->record, "requestParameters.allocationId")};
	return give(reading, claim, err);
}

/* ---- machines, interfaces, gateways */

MUST_USE static int take_interface(const struct reading *reading, const json_t *interface, const char *instance,
                                   struct error *err)
{
	const char *id = TEXT_OF(interface, "networkInterfaceId");
	const struct claim attached = {.kind = CLAIM_ATTACH, .name = id, .holder = instance};
	const char *holder = *instance != '\0' ? instance : id;
	if ((*instance != '\0' && *id != '\0' && give(reading, attached, err) < 0) ||
	    give_address(reading, TEXT_OF(interface, "association.publicIp"), holder, err) < 0)
		return -1;
	return give_ipv6(reading, json_at(interface, "ipv6AddressesSet"), holder, err);
}

static int run_instances(const struct reading *reading, struct error *err)
{
	const json_t *instances = list_of(json_at(reading->record, "responseElements.instancesSet"));
	for (size_t i = 0; i < list_size(instances); i++) {
		const json_t *instance = list_get(instances, i);
		const json_t *interfaces = list_of(json_at(instance, "networkInterfaceSet"));
		const char *id = TEXT_OF(instance, "instanceId");
		if (*id == '\0')
			continue;
		if (give_address(reading, TEXT_OF(instance, "ipAddress", "publicIpAddress"), id, err) < 0 ||
		    give_address(reading, TEXT_OF(instance, "ipv6Address"), id, err) < 0)
			return -1;
		for (size_t j = 0; j < list_size(interfaces); j++)
			if (take_interface(reading, list_get(interfaces, j), id, err) < 0)
				return -1;
	}
	return 0;
}

MUST_USE static int each_instance(const struct reading *reading, enum claim_kind kind, struct error *err)
{
	const json_t *instances = list_of(json_at(reading->record, "requestParameters.instancesSet"));
	for (size_t i = 0; i < list_size(instances); i++) {
		const struct claim claim = {.kind = kind, .holder = TEXT_OF(list_get(instances, i), "instanceId")};
		if (give(reading, claim, err) < 0)
			return -1;
	}
	return 0;
}

static int end_instances(const struct reading *reading, struct error *err)
{
	return each_instance(reading, CLAIM_ENDED, err);
}

static int stop_instances(const struct reading *reading, struct error *err)
{
	return each_instance(reading, CLAIM_STOPPED, err);
}

/* Further addresses of a gateway that there is. */
static int associate_gateway(const struct reading *reading, struct error *err)
{
	const json_t *response = json_at(reading->record, "responseElements");
	const json_t *wrapped = json_at(response, "AssociateNatGatewayAddressResponse");
	const json_t *addresses = list_of(json_at(wrapped != NULL ? wrapped : response, "natGatewayAddressSet"));
	struct claim claim = {.kind = CLAIM_HOLD,
	                      .holder = TEXT_OF(wrapped != NULL ? wrapped : response, "natGatewayId")};
	for (size_t i = 0; i < list_size(addresses); i++) {
		claim.address = TEXT_OF(list_get(addresses, i), "publicIp");
		claim.allocation = TEXT_OF(list_get(addresses, i), "allocationId");
		if (give(reading, claim, err) < 0)
			return -1;
	}
	return 0;
}

static int create_gateway(const struct reading *reading, struct error *err)
{
	const json_t *response = json_at(reading->record, "responseElements");
	const json_t *wrapped = json_at(response, "CreateNatGatewayResponse");
	const json_t *gateway = json_at(wrapped != NULL ? wrapped : response, "natGateway");
	const json_t *addresses = list_of(json_at(gateway, "natGatewayAddressSet"));
	struct claim claim = {.kind = CLAIM_HOLD, .holder = TEXT_OF(gateway, "natGatewayId")};
	for (size_t i = 0; i < list_size(addresses); i++) {
		claim.address = TEXT_OF(list_get(addresses, i), "publicIp");
		claim.allocation = TEXT_OF(list_get(addresses, i), "allocationId");
		if (give(reading, claim, err) < 0)
			return -1;
	}
	if (list_size(addresses) > 0)
		return 0;
	claim.allocation = TEXT_OF(reading->record, "requestParameters.CreateNatGatewayRequest.AllocationId",
	                           "requestParameters.allocationId");
	return give(reading, claim, err);
}

static int end_holder(const struct reading *reading, struct error *err)
{
	const struct claim claim = {
		.kind = CLAIM_ENDED,
		.holder = TEXT_OF(reading->record, "requestParameters.DeleteNatGatewayRequest.NatGatewayId",
	                          "requestParameters.natGatewayId", "requestParameters.networkInterfaceId"),
	};
	return give(reading, claim, err);
}

static int create_interface(const struct reading *reading, struct error *err)
{
	return take_interface(reading, json_at(reading->record, "responseElements.networkInterface"), "", err);
}

static int attach_interface(const struct reading *reading, struct error *err)
{
	const struct claim claim = {.kind = CLAIM_ATTACH,
	                            .name = TEXT_OF(reading->record, "requestParameters.networkInterfaceId"),
	                            .holder = TEXT_OF(reading->record, "requestParameters.instanceId")};
	return give(reading, claim, err);
}

static int unassign_ipv6(const struct reading *reading, struct error *err)
{
	const json_t *request = json_at(reading->record, "requestParameters");
	const json_t *wrapped = json_at(request, "UnassignIpv6AddressesRequest");
	const json_t *list =
		json_at(wrapped != NULL ? wrapped : request, wrapped != NULL ? "Ipv6Addresses" : "ipv6Addresses");
	for (size_t i = 0; i < list_size(list); i++) {
		const json_t *entry = list_get(list, i);
		const char *text = json_string_value(entry);
		struct address address;
		char canonical[ADDRESS_MAX_BYTES];
		if (!address_parse(text != NULL ? text : TEXT_OF(entry, "content"), &address))
			continue;
		const struct claim claim = {.kind = CLAIM_FREE, .address = address_format(&address, canonical)};
		if (give(reading, claim, err) < 0)
			return -1;
	}
	return 0;
}

static int assign_ipv6(const struct reading *reading, struct error *err)
{
	const json_t *response = json_at(reading->record, "responseElements");
	const json_t *wrapped = json_at(response, "AssignIpv6AddressesResponse");
	const json_t *assigned = json_at(wrapped != NULL ? wrapped : response, "assignedIpv6Addresses");
	const char *interface =
		TEXT_OF(reading->record, "requestParameters.AssignIpv6AddressesRequest.NetworkInterfaceId",
	                "requestParameters.networkInterfaceId");
	return give_ipv6(reading, assigned, interface, err);
}

/* ---- endpoints */

static int create_endpoint(const struct reading *reading, struct error *err)
{
	const struct claim claim = {
		.kind = CLAIM_ENDPOINT,
		.name = TEXT_OF(reading->record, "responseElements.CreateVpcEndpointResponse.vpcEndpoint.vpcEndpointId",
	                        "responseElements.vpcEndpoint.vpcEndpointId"),
	};
	return give(reading, claim, err);
}

/* ---- which call is read how */

static const struct {
	const char *name;
	int (*read)(const struct reading *reading, struct error *err);
} readers[] = {
	{"AllocateAddress", allocate},
	{"AcceptAddressTransfer", accept_transfer},
	{"AssociateAddress", associate},
	{"DisassociateAddress", disassociate},
	{"ReleaseAddress", release},
	{"RunInstances", run_instances},
	{"StopInstances", stop_instances},
	{"TerminateInstances", end_instances},
	{"CreateNatGateway", create_gateway},
	{"AssociateNatGatewayAddress", associate_gateway},
	{"DeleteNatGateway", end_holder},
	{"CreateNetworkInterface", create_interface},
	{"AttachNetworkInterface", attach_interface},
	{"DeleteNetworkInterface", end_holder},
	{"AssignIpv6Addresses", assign_ipv6},
	{"UnassignIpv6Addresses", unassign_ipv6},
	{"CreateVpcEndpoint", create_endpoint},
};

int claims_read(const struct record_text *text, const struct event *event, claim_take *take, void *context,
                struct error *err)
{
	const char *account = event->recipient_account[0] != '\0' ? event->recipient_account : event->account_id;
	if (event->error_code[0] != '\0' || account[0] == '\0' || strcmp(event->service, "ec2.amazonaws.com") != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LENGTH(readers); i++) {
		if (strcmp(readers[i].name, event->name) != 0)
			continue;
		CLEANUP_JSON json_t *record = json_loadb(text->bytes, text->length, 0, NULL);
		if (record == NULL)
			return 0; /* the walk over it was content with less */
		const struct reading reading = {
			record, {.at_us = event->at_us, .account = account, .event_id = event->id}, take, context};
		return readers[i].read(&reading, err);
	}
	return 0;
}
