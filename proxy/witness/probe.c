/* SPDX-License-Identifier: Apache-2.0 */

/* Nothing is assumed of redirect, control groups and pid namespaces: the whole way is tried. */
#include "proxy/witness/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"

#define CONNECT_TIMEOUT_MS 300
#define VERDICT_TIMEOUT_MS 2000 /* the proxy may be busy, or not yet there */
#define FIRST_PAUSE_MS 50
#define PAUSE_MS_MAX 5000
#define SEARCH_MS 2000 /* for its own descriptors */

struct probe {
	struct ebpf *ebpf;
	atomic_uint inode;  /* of the socket that is out; 0: none */
	atomic_bool passed; /* the query for it has come, and all was right */
	atomic_bool seen;   /* the query has come */
};

/* Bound to the loopback interface and address: the redirect takes it to the proxy all the same, and where there is none
 * the kernel drops what comes back in from there. */
static int open_socket(void)
{
	static const char loopback[] = "lo";
	const struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	CLEANUP_FD int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, loopback, sizeof(loopback)) < 0 ||
	    bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0)
		return -1;
	return steal_fd(&fd);
}

static bool connects(int fd)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	int problem = 0;
	socklen_t size = sizeof(problem);
	(void)inet_pton(AF_INET, "169.254.169.254", &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
		return false;
	return poll(&ready, 1, CONNECT_TIMEOUT_MS) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) == 0 &&
	       problem == 0;
}

/* Tries once. False: ebpf_distrust() says why. */
static bool try_once(struct probe *probe)
{
	struct stat status;
	struct pollfd closed = {.events = POLLIN | POLLRDHUP};
	CLEANUP_FD int fd = open_socket();
	if (fd < 0 || fstat(fd, &status) < 0) {
		ebpf_distrust(probe->ebpf, "no socket to test it with");
		return false;
	}
	atomic_store(&probe->seen, false);
	atomic_store(&probe->inode, (unsigned)status.st_ino);
	closed.fd = fd;
	bool is_connected = connects(fd);
	if (is_connected) /* until the proxy has hung up */
		(void)poll(&closed, 1, VERDICT_TIMEOUT_MS);
	atomic_store(&probe->inode, 0);
	if (!is_connected)
		ebpf_distrust(probe->ebpf, "waiting for the redirect: the test's connection finds no way to the proxy");
	else if (!atomic_load(&probe->seen))
		ebpf_distrust(probe->ebpf, "the test's connection was not recognised");
	return atomic_load(&probe->passed);
}

static void *run(void *argument)
{
	struct probe *probe = argument;
	(void)setfsuid(0); /* not as the user whom the redirect lets through */
	for (int pause_ms = FIRST_PAUSE_MS; !try_once(probe);
	     pause_ms = pause_ms * 2 < PAUSE_MS_MAX ? pause_ms * 2 : PAUSE_MS_MAX)
		(void)poll(NULL, 0, pause_ms);
	log_line(LOG_LEVEL_NOTICE, "ebpf_on", "holders=%s", ebpf_lists_holders(probe->ebpf) ? "kernel" : "proc");
	return NULL;
}

int probe_start(struct ebpf *ebpf, struct probe **ret, struct error *err)
{
	pthread_t thread;
	struct probe *probe = calloc(1, sizeof(*probe));
	if (probe == NULL)
		return error_set(err, ERROR_MEMORY, "no memory for the self-test");
	probe->ebpf = ebpf;
	if (pthread_create(&thread, NULL, run, probe) != 0) {
		free(probe);
		return error_set(err, ERROR_SYSTEM, "cannot start the self-test");
	}
	(void)pthread_detach(thread);
	*ret = probe;
	return 0;
}

/* Why what the kernel noted of our own connection is not what it was; NULL: all is right. */
static const char *judge(const struct probe *probe, const struct sighting *sighting)
{
	struct ebpf_note note;
	struct holders holders;
	bool is_explained;
	const struct ebpf_search search = {.cookie = sighting->cookie,
	                                   .inode = sighting->inode,
	                                   .pid = (uint32_t)getpid(),
	                                   .deadline_ms = clock_monotonic_ms() + SEARCH_MS};
	uint64_t start;
	if (!ebpf_connect(probe->ebpf, sighting->cookie, &note))
		return "the test's connection was not noted: is this the whole hierarchy of control groups?";
	if (note.pid != (uint32_t)getpid())
		return "the test's connection was noted with another pid: is this the first pid namespace?";
	if (!procfs_start(note.pid, &start) || start > procfs_ticks(note.boot_ns))
		return "the test's connection was noted with a time before this process";
	if (!ebpf_lists_holders(probe->ebpf))
		return NULL;
	if (ebpf_holders(probe->ebpf, &search, &holders, &is_explained, NULL) < 0 || holders.count != 1 ||
	    holders.items[0].pid != note.pid || holders.items[0].start_ticks != start)
		return "the kernel does not list the descriptor of the test's connection";
	return NULL;
}

bool probe_recognise(struct probe *probe, const struct sighting *sighting)
{
	if (probe == NULL || !sighting->is_local || sighting->inode == 0 ||
	    sighting->inode != atomic_load(&probe->inode))
		return false;
	const char *problem = judge(probe, sighting);
	if (problem != NULL)
		ebpf_distrust(probe->ebpf, problem);
	else
		ebpf_trust(probe->ebpf);
	atomic_store(&probe->passed, problem == NULL);
	atomic_store(&probe->seen, true);
	return true;
}
