/* SPDX-License-Identifier: Apache-2.0 */

/* /proc/PID/cgroup as machines show it, and as somebody who wants to be taken for another would like it to be. */
#include "tests/common/unit.h"

#include "proxy/witness/container.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ID_2 "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define POD "12345678-9abc-def0-1234-56789abcdef0"
#define POD_UNDERSCORES "12345678_9abc_def0_1234_56789abcdef0"
#define POD_2 "87654321-9abc-def0-1234-56789abcdef0"

static const struct {
	const char *name, *text;
	const char *unit, *container, *pod;
} cases[] = {
	/* Nothing to be read off. */
	{"empty", "", "", "", ""},
	{"newline", "\n\n", "", "", ""},
	{"no colon", "nonsense\n", "", "", ""},
	{"one colon", "0:/system.slice/a.service\n", "", "", ""},
	{"root", "0::/\n", "", "", ""},
	{"slices only", "0::/user.slice/user-1000.slice\n", "", "", ""},
	{"no newline", "0::/system.slice/a.service", "a.service", "", ""},
	{"suffix alone", "0::/.service/.scope\n", "", "", ""},
	{"suffix inside", "0::/a.service.d/b.scopes\n", "", "", ""},
	{"63 digits", "0::/docker/123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", "", "", ""},
	{"65 digits", "0::/docker/0" ID "\n", "", "", ""},
	{"capital digits", "0::/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\n", "", "", ""},
	{"no hexadecimal digit", "0::/docker/g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", "",
         "", ""},
	{"word before the id", "0::/docker" ID "\n", "", "", ""},
	{"text behind the id", "0::/docker/" ID ".x\n", "", "", ""},
	{"pod of 35 characters", "0::/kubepods/pod2345678-9abc-def0-1234-56789abcdef0\n", "", "", ""},
	{"static pod of 31 digits", "0::/kubepods/pod123456789abcdef0123456789abcdef\n", "", "", ""},
	{"static pod of 33 digits", "0::/kubepods/pod0123456789abcdef0123456789abcdef0\n", "", "", ""},
	{"static pod in capitals", "0::/kubepods/pod0123456789ABCDEF0123456789abcdef\n", "", "", ""},
	{"pod with a letter too far", "0::/kubepods/podg2345678-9abc-def0-1234-56789abcdef0\n", "", "", ""},
	{"pod with dashes elsewhere", "0::/kubepods/pod123456789-abc-def0-1234-56789abcdef0\n", "", "", ""},
	{"uid without `pod`", "0::/kubepods/" POD "\n", "", "", ""},

	/* systemd. */
	{"service", "0::/system.slice/nginx.service\n", "nginx.service", "", ""},
	{"instance of a template", "0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service", "",
         ""},
	{"session", "0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope", "", ""},
	{"user's own service", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-foot.scope\n",
         "user@1000.service", "", ""},
	{"container that a user made up", "0::/user.slice/user-1000.slice/user@1000.service/docker-" ID ".scope\n",
         "user@1000.service", "", ""},
	{"service that a user made up", "0::/user.slice/user-1000.slice/user@1000.service/app.slice/sshd.service\n",
         "user@1000.service", "", ""},
	{"service that a container made up", "0::/docker/" ID "/system.slice/sshd.service\n", "", ID, ""},
	{"podman's monitor", "0::/machine.slice/libpod-conmon-" ID ".scope\n", "libpod-conmon-" ID ".scope", "", ""},
	{"group below a service", "0::/system.slice/nginx.service/workers\n", "nginx.service", "", ""},
	{"name with colons, as D-Bus starts them", "0::/system.slice/dbus-:1.3-org.freedesktop.problems@0.service\n",
         "dbus-:1.3-org.freedesktop.problems@0.service", "", ""},
	{"escaped name", "0::/system.slice/dev-disk-by\\x2duuid.service\n", "dev-disk-by\\x2duuid.service", "", ""},
	{"v1, by systemd's own hierarchy",
         "12:pids:/system.slice/cron.service\n4:memory:/\n1:name=systemd:/system.slice/cron.service\n0::/system.slice/"
         "cron.service\n",
         "cron.service", "", ""},
	{"v1, other hierarchies at their root", "4:memory:/\n1:name=systemd:/system.slice/cron.service\n0::/\n",
         "cron.service", "", ""},
	{"longest unit",
         "0::/"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaa.service\n",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaa.service",
         "", ""},
	{"unit one byte too long",
         "0::/"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaa.service\n",
         "", "", ""},

	/* Docker, containerd, CRI-O, Podman. */
	{"docker v2, systemd", "0::/system.slice/docker-" ID ".scope\n", "", ID, ""},
	{"docker v2, cgroupfs", "0::/docker/" ID "\n", "", ID, ""},
	{"docker v1",
         "11:memory:/docker/" ID "\n5:cpu,cpuacct:/docker/" ID "\n1:name=systemd:/docker/" ID
         "\n0::/system.slice/containerd.service\n",
         "containerd.service", ID, ""},
	{"docker, group below", "0::/docker/" ID "/init\n", "", ID, ""},
	{"docker in docker", "0::/docker/" ID "/docker/" ID_2 "\n", "", ID, ""},
	{"rootless docker", "0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope\n",
         "user@1000.service", "", ""},
	{"containerd", "0::/system.slice/cri-containerd-" ID ".scope\n", "", ID, ""},
	{"containerd, cgroupfs", "0::/default/" ID "\n", "", ID, ""},
	{"cri-o", "0::/machine.slice/crio-" ID ".scope\n", "", ID, ""},
	{"podman", "0::/machine.slice/libpod-" ID ".scope/container\n", "", ID, ""},
	{"rootless podman",
         "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container\n",
         "user@1000.service", "", ""},
	{"containerd v1", "11:memory:/default/" ID "\n1:name=systemd:/default/" ID "\n0::/\n", "", ID, ""},
	{"containerd, by nerdctl", "0::/system.slice/nerdctl-" ID ".scope\n", "", ID, ""},
	{"cri-o v1", "11:memory:/machine.slice/crio-" ID ".scope\n1:name=systemd:/machine.slice/crio-" ID ".scope\n",
         "", ID, ""},
	{"cri-o, its monitor", "0::/machine.slice/crio-conmon-" ID ".scope\n", "crio-conmon-" ID ".scope", "", ""},
	{"podman, cgroupfs", "0::/libpod_parent/libpod-" ID "\n", "", ID, ""},
	{"podman v1, cgroupfs",
         "11:memory:/libpod_parent/libpod-" ID "\n1:name=systemd:/libpod_parent/libpod-" ID "\n0::/\n", "", ID, ""},
	{"podman v1, systemd",
         "11:memory:/machine.slice/libpod-" ID ".scope\n1:name=systemd:/machine.slice/libpod-" ID ".scope\n", "", ID,
         ""},
	{"podman, as a unit", "0::/system.slice/web.service/libpod-payload-" ID "\n", "web.service", ID, ""},
	{"systemd inside docker", "0::/system.slice/docker-" ID ".scope/init.scope\n", "", ID, ""},

	/* Kubernetes, both drivers, both versions. */
	{"kubernetes v2, systemd, containerd",
         "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_UNDERSCORES
         ".slice/cri-containerd-" ID ".scope\n",
         "", ID, POD},
	{"kubernetes v2, systemd, guaranteed",
         "0::/kubepods.slice/kubepods-pod" POD_UNDERSCORES ".slice/cri-containerd-" ID ".scope\n", "", ID, POD},
	{"kubernetes v2, systemd, cri-o",
         "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_UNDERSCORES ".slice/crio-" ID
         ".scope\n",
         "", ID, POD},
	{"kubernetes v2, cgroupfs", "0::/kubepods/burstable/pod" POD "/" ID "\n", "", ID, POD},
	{"kubernetes v1, cgroupfs",
         "11:memory:/kubepods/besteffort/pod" POD "/" ID "\n1:name=systemd:/kubepods/besteffort/pod" POD "/" ID "\n",
         "", ID, POD},
	{"kubernetes v1, systemd, docker",
         "11:memory:/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_UNDERSCORES
         ".slice/docker-" ID
         ".scope\n1:name=systemd:/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" POD_UNDERSCORES
         ".slice/docker-" ID ".scope\n",
         "", ID, POD},
	{"kubernetes v2, cgroupfs, guaranteed", "0::/kubepods/pod" POD "/" ID "\n", "", ID, POD},
	{"kubernetes v2, cgroupfs, cri-o", "0::/kubepods/besteffort/pod" POD "/crio-" ID "\n", "", ID, POD},
	{"kubernetes v1, systemd, containerd",
         "11:memory:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" POD_UNDERSCORES
         ".slice/cri-containerd-" ID ".scope\n0::/\n",
         "", ID, POD},
	{"kubernetes v1, systemd, cri-o",
         "11:memory:/kubepods.slice/kubepods-pod" POD_UNDERSCORES ".slice/crio-" ID ".scope\n0::/\n", "", ID, POD},
	{"kubernetes v1, cgroupfs, cri-o", "4:cpu:/kubepods/burstable/pod" POD "/crio-" ID "\n", "", ID, POD},
	{"kubernetes, static pod, systemd",
         "0::/kubepods.slice/kubepods-burstable.slice/"
         "kubepods-burstable-pod0123456789abcdef0123456789abcdef.slice/cri-containerd-" ID ".scope\n",
         "", ID, "0123456789abcdef0123456789abcdef"},
	{"kubernetes, static pod, cgroupfs", "0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" ID "\n", "",
         ID, "0123456789abcdef0123456789abcdef"},
	{"kind: kubelet below a container",
         "0::/system.slice/docker-" ID_2
         ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" POD_UNDERSCORES ".slice/cri-containerd-" ID
         ".scope\n",
         "", ID_2, ""},
	{"pod's own group", "0::/kubepods/burstable/pod" POD "\n", "", "", POD},

	/* ECS on EC2: the task's 32 digits, then Docker's 64. */
	{"ecs", "0::/ecs/0123456789abcdef0123456789abcdef/" ID "\n", "", ID, ""},
	{"ecs, systemd", "0::/ecstasks.slice/ecstasks-0123456789abcdef0123456789abcdef.slice/docker-" ID ".scope\n", "",
         ID, ""},
	{"ecs v1", "9:perf_event:/ecs/0123456789abcdef0123456789abcdef/" ID "\n", "", ID, ""},

	/* Seen from a control group namespace of our own: what lies outside starts with dots. */
	{"outside our namespace", "0::/../web.service\n", "web.service", "", ""},
	{"far outside our namespace", "0::/../../docker-" ID ".scope\n", "", ID, ""},
	{"outside, in a user's own", "0::/../user@1000.service/docker-" ID ".scope\n", "user@1000.service", "", ""},

	/* Contradictions: then none is believed. */
	{"two ids", "2:cpu:/docker/" ID "\n1:memory:/docker/" ID_2 "\n", "", "", ""},
	{"two ids, then the first again", "3:cpu:/docker/" ID "\n2:memory:/docker/" ID_2 "\n1:pids:/docker/" ID "\n",
         "", "", ""},
	{"two ids and a pod", "2:cpu:/kubepods/pod" POD "/" ID "\n1:memory:/kubepods/pod" POD "/" ID_2 "\n", "", "",
         ""},
	{"two ids and a unit", "2:cpu:/docker/" ID "\n1:memory:/docker/" ID_2 "\n0::/system.slice/a.service\n",
         "a.service", "", ""},
};

static void reads_each_layout(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct container container;
		memset(&container, 'x', sizeof(container));
		container_parse(cases[i].text, &container);
		CHECK_TEXT(cases[i].name, container.unit, cases[i].unit);
		CHECK_TEXT(cases[i].name, container.container_id, cases[i].container);
		CHECK_TEXT(cases[i].name, container.pod_uid, cases[i].pod);
	}
}

static void believes_no_pod_that_contradicts_another(void **state)
{
	struct container container;
	(void)state;
	container_parse("2:cpu:/kubepods/pod" POD "/" ID "\n1:memory:/kubepods/pod" POD_2 "/" ID "\n", &container);
	assert_string_equal(container.pod_uid, "");
	container_parse("2:cpu:/kubepods/pod" POD "\n1:memory:/kubepods/pod" POD_2 "\n", &container);
	assert_string_equal(container.pod_uid, "");
}

static void knows_ids_of_fargate(void **state)
{
	struct container container;
	(void)state;
	container_parse("0::/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef0123456789abcdef-1234567890\n",
	                &container);
	assert_string_equal(container.container_id, "0123456789abcdef0123456789abcdef-1234567890");
}

/* Kubelet with the systemd driver, containerd without: the runtime takes the driver's form for a path. */
static void knows_segments_with_colons(void **state)
{
	static const char *const texts[] = {
		"0::/system.slice/containerd.service/kubepods-burstable-pod" POD_UNDERSCORES ".slice:cri-containerd:" ID
		"\n",
		"11:memory:/system.slice/containerd.service/kubepods-burstable-pod" POD_UNDERSCORES
		".slice:cri-containerd:" ID "\n",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
		struct container container;
		container_parse(texts[i], &container);
		CHECK_TEXT("id", container.container_id, ID);
		CHECK_TEXT("pod", container.pod_uid, POD);
	}
}

static void survives_every_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
		for (size_t length = 0; length <= strlen(cases[i].text); length++) {
			char *cut = strndup(cases[i].text, length); /* on the heap, where reading too far is seen */
			struct container container;
			assert_non_null(cut);
			container_parse(cut, &container);
			free(cut);
			CHECK(cases[i].name,
			      strlen(container.container_id) == 0 || strlen(container.container_id) == 64);
			CHECK(cases[i].name, strlen(container.pod_uid) == 0 || strlen(container.pod_uid) == 32 ||
			                             strlen(container.pod_uid) == 36);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_each_layout),    cmocka_unit_test(believes_no_pod_that_contradicts_another),
		cmocka_unit_test(knows_ids_of_fargate), cmocka_unit_test(knows_segments_with_colons),
		cmocka_unit_test(survives_every_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
