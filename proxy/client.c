/* SPDX-License-Identifier: Apache-2.0 */

/* The witness is asked once a client at most. */
#include "proxy/client.h"

void client_init(struct client *client)
{
	client->service = SERVICE_NONE;
	client->is_asked = client->is_met = client->is_lost = false;
	client->sighting = (struct sighting){.client = client->peer, .is_local = !client_is_bridged(client)};
	client->upstream = CONNECTION_NONE;
}

int client_ask(struct client *client, struct error *err)
{
	client->is_asked = true;
	return line_ask(client->line, &client->peer, &client->local, err);
}

int client_meet(struct client *client, struct error *err)
{
	if (client->is_met)
		return 0;
	if (client->is_lost)
		return error_set(err, ERROR_SYSTEM, "the witness did not say who this client is");
	client->is_met = (client->is_asked || client_ask(client, err) == 0) &&
	                 line_look(client->line, &client->sighting, err) == 0;
	client->is_lost = !client->is_met;
	return client->is_met ? 0 : -1;
}

int client_first(struct client *client, struct error *err)
{
	return client_meet(client, err) < 0 ? -1 : line_first(client->line, &client->sighting, err);
}

int client_who(struct client *client, struct attribution *ret, struct error *err)
{
	return client_meet(client, err) < 0 ? -1 : line_who(client->line, ret, err);
}
