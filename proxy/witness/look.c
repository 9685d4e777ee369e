/* SPDX-License-Identifier: Apache-2.0 */

/* The backends in the order of their worth. At accept only facts are kept; sentences are made of them when a row is. */
#include "proxy/witness/look.h"

#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "proxy/witness/grade.h"
#include "proxy/witness/look_say.h"

#define FIRST_SCAN_MS 250  /* runs while the proxy reads and fetches */
#define SECOND_SCAN_MS 250 /* a client waits for this one: well below the 500 ms of the strictest */

struct look *look_new(void)
{
	struct look *look = calloc(1, sizeof(*look));
	struct error problem = {0};
	if (look == NULL)
		return NULL;
	if (conntrack_open(&look->conntrack, &problem) < 0 || sockdiag_open(&look->sockdiag, &problem) < 0)
		log_line(LOG_LEVEL_WARNING, "backend_failed", "reason=\"%s\"", problem.text);
	return look;
}

void look_free(struct look *look)
{
	if (look == NULL)
		return;
	conntrack_close(look->conntrack);
	sockdiag_close(look->sockdiag);
	json_decref(look->first_process);
	json_decref(look->evidence);
	free(look);
}

const struct sighting *look_sighting(const struct look *look)
{
	return &look->sighting;
}

/* ---- at accept */

static void forget(struct look *look)
{
	json_decref(look->first_process);
	json_decref(look->evidence);
	*look = (struct look){.conntrack = look->conntrack, .sockdiag = look->sockdiag};
}

static void find_tuple(struct look *look, const struct endpoint *peer, const struct endpoint *local)
{
	struct sighting *sighting = &look->sighting;
	int found = look->conntrack == NULL ? error_set(&look->conntrack_problem, ERROR_SYSTEM, "not available")
	                                    : conntrack_original(look->conntrack, peer, local, &sighting->client,
	                                                         &sighting->destination, &look->conntrack_problem);
	sighting->has_tuple = found == 1;
	if (found != 1)
		sighting->client = *peer;
}

/* The kernel has noted whose tuple this is in whatever namespace, and who connected: that process leads there. Not
 * while the connection may be older than the notes: then another socket with that tuple could be the one noted. */
static bool find_noted_elsewhere(struct look *look, const struct look_options *options)
{
	struct ebpf_socket socket;
	struct ebpf_note note;
	struct sighting found = look->sighting;
	if (!ebpf_is_trusted(options->ebpf) || clock_monotonic_ms() < options->backlog_until_ms ||
	    !ebpf_socket(options->ebpf, &found.client, &found.destination, &socket) ||
	    !ebpf_connect(options->ebpf, socket.cookie, &note) ||
	    sockdiag_find_beside(look->sockdiag, note.pid, socket.netns_cookie, &found) != 1 ||
	    found.cookie != socket.cookie)
		return false;
	look->sighting = found;
	return true;
}

/* Was this connection on its way to a metadata service, and brought to the proxy's port? Of others nothing is said,
 * whoever has taken the proxy over. */
static bool is_proxys(const struct look *look, const struct look_options *options, const struct endpoint *local)
{
	const struct sighting *sighting = &look->sighting;
	return sighting->has_tuple && local->port == options->port &&
	       endpoint_service(&sighting->destination) != SERVICE_NONE;
}

static void find_socket(struct look *look, const struct look_options *options, const struct endpoint *local)
{
	struct sighting *sighting = &look->sighting;
	if (!is_proxys(look, options, local)) {
		(void)error_set(&look->sockdiag_problem, ERROR_USAGE, "not asked: no connection of the proxy's");
		return;
	}
	if (look->sockdiag == NULL) {
		(void)error_set(&look->sockdiag_problem, ERROR_SYSTEM, "not available");
		return;
	}
	look->has_looked = (look->is_bridged && find_noted_elsewhere(look, options)) ||
	                   sockdiag_find(look->sockdiag, look->is_bridged, sighting, &look->sockdiag_problem) == 0;
}

static bool is_there(const struct sighting *sighting)
{
	return sighting->is_found && !sighting->is_ambiguous && sighting->inode != 0;
}

void look_at_accept(struct look *look, const struct look_options *options, const struct endpoint *peer,
                    const struct endpoint *local)
{
	forget(look);
	look->accepted_port = peer->port;
	look->is_bridged = !endpoint_is_loopback(local);
	find_tuple(look, peer, local);
	find_socket(look, options, local);
	look->has_note = ebpf_is_trusted(options->ebpf) && look->sighting.cookie != 0 &&
	                 ebpf_connect(options->ebpf, look->sighting.cookie, &look->note);
	look->is_first_due = is_there(&look->sighting);
}

/* ---- who holds it */

/* Whoever connected must have started before it did: later ones have only got its number. */
static bool has_connected(const struct look *look, const struct holder *holder)
{
	return look->has_note && holder->pid == look->note.pid &&
	       holder->start_ticks <= procfs_ticks(look->note.boot_ns);
}

/* Whoever connected, if that process is still there. */
static bool find_owner(struct look *look)
{
	struct holder owner = {.pid = look->note.pid, .fd = -1};
	if (!look->has_note || !procfs_start(owner.pid, &owner.start_ticks) || !has_connected(look, &owner))
		return false;
	look->first = owner;
	return true;
}

static bool is_same(const struct holder *a, const struct holder *b)
{
	return a->pid == b->pid && a->start_ticks == b->start_ticks;
}

/* The kernel's list was given up before it came to the one seen before: that one is asked for by itself. */
static void add_first(const struct look *look, const struct look_options *options, struct holders *holders)
{
	struct holders alone;
	bool ignored;
	const struct ebpf_search search = {.cookie = look->sighting.cookie,
	                                   .inode = look->sighting.inode,
	                                   .pid = look->first.pid,
	                                   .deadline_ms = clock_monotonic_ms() + SECOND_SCAN_MS};
	if (look->first.pid == 0 || holders->count >= HOLDERS_MAX)
		return;
	for (size_t i = 0; i < holders->count; i++)
		if (is_same(&holders->items[i], &look->first))
			return;
	if (ebpf_holders(options->ebpf, &search, &alone, &ignored, NULL) == 0 && alone.count == 1 &&
	    is_same(&alone.items[0], &look->first))
		holders->items[holders->count++] = alone.items[0];
}

/* By the kernel's list of descriptors, else by /proc. */
static bool find_holders(struct look *look, const struct look_options *options, bool first_only, struct holders *ret)
{
	const struct sighting *sighting = &look->sighting;
	const int64_t deadline_ms = clock_monotonic_ms() + (first_only ? FIRST_SCAN_MS : SECOND_SCAN_MS);
	const struct ebpf_search all = {
		.cookie = sighting->cookie, .inode = sighting->inode, .deadline_ms = deadline_ms};
	const struct holder_search search = {
		.inode = sighting->inode,
		.uid = sighting->uid,
		.cgroup_id = sighting->cgroup_id,
		.groups = options->groups,
		.stop_at_first = first_only,
		.deadline_ms = deadline_ms,
	};
	bool ignored;
	if (ebpf_is_trusted(options->ebpf) && ebpf_lists_holders(options->ebpf) &&
	    ebpf_holders(options->ebpf, &all, ret, &ignored, NULL) == 0) {
		if (!ret->is_complete)
			add_first(look, options, ret);
		return true;
	}
	if (!options->proc_scan)
		return false;
	look->by_proc = true;
	procfs_find(&search, ret);
	return true;
}

static void find_first(struct look *look, const struct look_options *options)
{
	struct holders holders;
	bool was_due = look->is_first_due;
	look->is_first_due = false;
	if (was_due && !find_owner(look) && find_holders(look, options, true, &holders) && holders.count > 0)
		look->first = holders.items[0];
}

bool look_is_due(const struct look *look)
{
	return look->is_first_due;
}

void look_meanwhile(struct look *look, const struct look_options *options)
{
	struct error ignored;
	if (look->sighting.is_local && sockdiag_again(look->sockdiag, &look->sighting, 0, &ignored) != 1) {
		look->is_first_due = false; /* the request is over */
		return;
	}
	find_first(look, options);
	/* Without ancestors: most requests carry no credential. */
	if (look->first.pid != 0)
		look->first_process = identity_read(options->reader, look->first.pid, look->first.start_ticks, false);
}

void look_at_first(struct look *look, const struct look_options *options, struct sighting *ret)
{
	find_first(look, options);
	*ret = look->sighting;
	ret->pid = look->first.pid;
	ret->start_ticks = look->first.start_ticks;
}

/* ---- before the answer */

/* What is found about those that hold it. */
struct found {
	struct evidence *evidence;
	json_t *holders, *process; /* process: borrowed from holders, or from the look */
};

static void keep(struct look *look, struct found *found, const struct holder *holder, json_t *process)
{
	int64_t netns = 0;
	if (is_same(holder, &look->first) && look->first_process != NULL)
		identity_keep_parent(process, look->first_process);
	(void)json_int_at(process, "netns", &netns);
	found->evidence->holders++;
	found->evidence->is_relay |= holder->is_relay || identity_is_forwarder(process) ||
	                             (netns != 0 && (uint64_t)netns != look->sighting.netns);
	if (found->process == NULL || is_same(holder, &look->first))
		found->process = process;
	(void)json_array_append_new(found->holders, process);
	look_say(look, "%s: pid %u holds the socket as descriptor %d before the answer",
	         look->by_proc ? "proc" : "ebpf", holder->pid, holder->fd);
}

/* Whoever connected holds it, and nothing refers to it beyond what that process has: then there is nobody else to look
 * for, however many processes there are. Looked at last, after all has been read of the process. */
static bool look_at_owner(struct look *look, const struct look_options *options, struct found *found)
{
	struct holders holders;
	bool is_explained = false;
	const struct ebpf_search search = {.cookie = look->sighting.cookie,
	                                   .inode = look->sighting.inode,
	                                   .pid = look->first.pid,
	                                   .deadline_ms = clock_monotonic_ms() + SECOND_SCAN_MS};
	if (look->first.pid == 0 || (look->has_note && !has_connected(look, &look->first)) ||
	    !ebpf_is_trusted(options->ebpf) || !ebpf_lists_holders(options->ebpf))
		return false;
	json_t *process = identity_read(options->reader, look->first.pid, look->first.start_ticks, true);
	if (process == NULL || ebpf_holders(options->ebpf, &search, &holders, &is_explained, NULL) < 0 ||
	    !is_explained || holders.count != 1 || !is_same(&holders.items[0], &look->first)) {
		json_decref(process);
		return false;
	}
	look->by_proc = false;
	keep(look, found, &holders.items[0], process);
	found->evidence->is_complete = true;
	look_say(look, "ebpf: nothing else refers to the socket");
	return true;
}

/* The one seen before does not hold it any more. While it lives it can still be named. */
static void keep_first(struct look *look, const struct look_options *options, struct found *found)
{
	if (look->first_process == NULL && look->first.pid != 0)
		look->first_process = identity_read(options->reader, look->first.pid, look->first.start_ticks, true);
	if (look->first_process != NULL)
		(void)json_array_append(found->holders, look->first_process);
}

/* Reads every holder, keeps those that still hold the socket afterwards, and says so. */
static void look_at_all(struct look *look, const struct look_options *options, struct found *found)
{
	struct holders holders;
	bool first_is_there = false, owner_is_there = false;
	look->by_proc = false;
	if (!find_holders(look, options, false, &holders))
		return;
	for (size_t i = 0; i < holders.count && i < HOLDERS_MAX; i++) {
		const struct holder *holder = &holders.items[i];
		json_t *process = identity_read(options->reader, holder->pid, holder->start_ticks, true);
		if (process == NULL || !procfs_still_holds(holder, look->sighting.inode)) {
			json_decref(process);
			continue;
		}
		first_is_there |= is_same(holder, &look->first);
		owner_is_there |= look->has_note ? has_connected(look, holder) : is_same(holder, &look->first);
		keep(look, found, holder, process);
	}
	found->evidence->is_complete = holders.is_complete && holders.count <= HOLDERS_MAX;
	found->evidence->owner_differs = (look->has_note || look->first.pid != 0) && !owner_is_there;
	if (!first_is_there)
		keep_first(look, options, found);
	if (look->by_proc)
		look_say(look, "proc: looked at %u processes, %s", holders.looked_at,
		         found->evidence->is_complete ? "all there are"
		                                      : "not all: others that hold it are not excluded");
	else
		look_say(look, "ebpf: the descriptors of %s",
		         holders.is_complete
		                 ? "all processes were looked at"
		                 : "not all processes were looked at: others that hold it are not excluded");
}

static const char *method_of(const struct look *look, const struct evidence *evidence)
{
	bool by_ebpf = look->has_note || (evidence->holders > 0 && !look->by_proc);
	if (!evidence->is_found)
		return evidence->has_tuple ? "conntrack" : "none";
	if (evidence->holders > 0 && look->by_proc)
		return by_ebpf ? "ebpf+sock_diag+proc" : "sock_diag+proc";
	return by_ebpf ? "ebpf+sock_diag" : "sock_diag";
}

static bool is_still_there(struct look *look, struct evidence *evidence)
{
	struct error problem = {0};
	if (!is_there(&look->sighting))
		return false;
	int again = sockdiag_again(look->sockdiag, &look->sighting, look->note.pid, &problem);
	evidence->has_looked = again >= 0;
	look_say(look, "sock_diag: %s",
	         again < 0    ? problem.text
	         : again == 1 ? "the same socket is there before the answer"
	                      : "that socket is gone before the answer");
	return again == 1;
}

static void put(const struct look *look, enum grade grade, const struct found *found, json_t *document)
{
	json_t *attribution = json_object();
	json_put_text(attribution, "grade", grade_names[grade]);
	json_put_text(attribution, "method", method_of(look, found->evidence));
	json_put_bool(attribution, "complete", found->evidence->is_complete);
	json_put(attribution, "evidence", json_deep_copy(look->evidence));
	json_put(document, "attribution", attribution);
	json_put(document, "process", json_incref(found->process));
	json_put(document, "holders", found->holders);
}

enum grade look_again(struct look *look, const struct look_options *options, json_t *document)
{
	const struct sighting *sighting = &look->sighting;
	struct evidence evidence = {
		.has_tuple = sighting->has_tuple && endpoint_service(&sighting->destination) != SERVICE_NONE,
		.has_looked = look->has_looked,
		.is_output = !look->is_bridged,
		.is_found = sighting->is_found,
		.is_ambiguous = sighting->is_ambiguous,
		.has_cgroup = sighting->cgroup_id > 1,
	};
	struct found found = {.evidence = &evidence, .holders = json_array()};
	json_decref(look->evidence);
	look->evidence = json_array();
	if (look->is_first_due && look->has_note) {
		look->is_first_due = false;
		(void)find_owner(look);
	}
	look_say_accepted(look);
	evidence.is_alive = is_still_there(look, &evidence);
	if (evidence.is_alive && !look_at_owner(look, options, &found))
		look_at_all(look, options, &found);
	else if (!evidence.is_alive)
		found.process = look->first_process; /* it asked, and is not there to receive; NULL: not known */

	enum grade grade = grade_of(&evidence);
	put(look, grade, &found, document);
	return grade;
}
