/* SPDX-License-Identifier: Apache-2.0 */
/* imds-sim: start the listeners, then wait for commands, rotations and the end. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include "sim/control.h"
#include "sim/http.h"
#include "sim/options.h"
#include "sim/sim.h"

struct program {
	struct options options;
	struct sim sim;
	struct http_service services[OPTIONS_LISTENERS];
	struct MHD_Daemon *daemons[OPTIONS_LISTENERS];
	int signal_fd;
	int control_fd;
};

/* Blocked before any thread starts, so that only the main thread's descriptor sees them. */
static int open_signals(struct program *program, struct error *err)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0 ||
	    (program->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC)) < 0)
		return error_set(err, "signalfd: %s", strerror(errno));
	return 0;
}

static int open_listeners(struct program *program, struct error *err)
{
	const struct options *options = &program->options;
	char line[OPTIONS_LISTENERS * 65 + 16] = "ready";
	size_t length = strlen(line);

	for (size_t i = 0; i < options->listen_count; i++) {
		char address[64];
		int fd;

		program->services[i] = (struct http_service){&program->sim, options->service[i]};
		if (http_listen(options->listen[i], &fd, address, err) != 0 ||
		    http_start(&program->services[i], fd, HTTP_CONNECTIONS / (unsigned int)options->listen_count,
		               &program->daemons[i], err) != 0)
			return -1;
		length += (size_t)snprintf(line + length, sizeof(line) - length, " %s", address);
	}
	line[length++] = '\n';
	if (write(options->ready_fd, line, length) != (ssize_t)length)
		return error_set(err, "cannot say that it is ready: %s", strerror(errno));
	return 0;
}

static int start(struct program *program, struct error *err)
{
	const struct options *options = &program->options;

	if (open_signals(program, err) != 0 || sim_init(&program->sim, &options->settings, err) != 0)
		return -1;
	if (options->log != NULL && record_open_log(&program->sim.record, options->log, err) != 0)
		return -1;
	if (options->control != NULL) {
		if (control_listen(options->control, &program->control_fd, err) != 0)
			return -1;
		program->sim.record.wants_lines = true;
	}
	return open_listeners(program, err);
}

static void run(struct program *program)
{
	for (;;) {
		struct error err;
		struct pollfd polled[] = {
			{.fd = program->signal_fd, .events = POLLIN},
			{.fd = program->control_fd, .events = POLLIN},
		};

		int ready = poll(polled, COUNT_OF(polled), sim_rotation_due_ms(&program->sim));
		if (polled[0].revents != 0)
			return;
		if (polled[1].revents != 0)
			control_serve(&program->sim, program->control_fd);
		if (ready == 0 && sim_rotate(&program->sim, &err) != 0)
			(void)fprintf(stderr, "imds-sim: not rotated: %s\n", err.text);
	}
}

static void stop(struct program *program)
{
	/* Threads that wait on purpose must not hold up the end. */
	if (program->sim.stop_fd >= 0)
		(void)eventfd_write(program->sim.stop_fd, 1);
	for (size_t i = 0; i < OPTIONS_LISTENERS; i++)
		http_stop(program->daemons[i]);
	if (program->control_fd >= 0)
		(void)unlink(program->options.control);
	sim_done(&program->sim);
}

int main(int argc, char **argv)
{
	static struct program program = {.signal_fd = -1, .control_fd = -1, .sim = {.stop_fd = -1}};
	struct error err;

	options_parse(argc, argv, &program.options);
	int status = start(&program, &err);
	if (status == 0)
		run(&program);
	else
		(void)fprintf(stderr, "imds-sim: %s\n", err.text);
	stop(&program);
	return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
