# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What scripts/, .ci/run and tests/interop/run share: building, counting, and a whole instance (namespaces, metadata
# service, redirect, daemon) to try things on. Sourced, never run.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin # Debian's own tools, whoever calls
export PATH LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
readonly ROOT
readonly PYTHON=/usr/bin/python3

say() { printf '%s\n' "$*"; }
step() { printf '\n== %s\n' "$*"; }
die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

need_root() {
	[[ $(id -u) -eq 0 ]] || die "must run as root (sudo $0)"
}

# Configures and builds a preset of CMakePresets.json, or some of its targets; the programs are in build/PRESET/bin.
build() { # PRESET [TARGET...]
	local preset=$1
	shift
	mkdir -p "$ROOT/build"
	step "Building preset $preset"
	cmake -S "$ROOT" --preset "$preset" >"$ROOT/build/$preset.log" 2>&1 || {
		cat "$ROOT/build/$preset.log"
		return 1
	}
	(cd "$ROOT" && cmake --build --preset "$preset" -j "$(nproc)" ${1:+--target "$@"}) >"$ROOT/build/$preset.log" 2>&1 || {
		tail -n 60 "$ROOT/build/$preset.log"
		return 1
	}
	tail -n 1 "$ROOT/build/$preset.log"
}

# ---- an instance -------------------------------------------------------------------------------
#
# instance_up NAME [SETTING...] makes one: namespaces PREFIX-imds, -host, -ctr1 and -ctr2 of tests/world/world, imds-sim
# at the metadata addresses in the first, redirect and keytraild in the second. instance_down ends it all, and is
# for a trap. A SETTING is `section.key=value`. No namespace has a way to the machine or to any network. Where
# instance_installed is set, daemon, redirect and command line are those of the installed package.

instance_folder='' instance_prefix='' instance_pids=() instance_installed=''

inside() { # ROLE COMMAND...
	local role=$1
	shift
	nsenter --net="/run/netns/$instance_prefix-$role" -- "$@"
}

# As an unprivileged user, with nothing of our environment: a proxy or a profile of the caller must not matter.
inside_as() { # ROLE USER COMMAND...
	local role=$1 user=$2
	shift 2
	inside "$role" setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups -- \
		env -i -C / PATH=/usr/local/bin:/usr/bin:/bin HOME=/nonexistent LC_ALL=C.UTF-8 "$@"
}

wait_for() { # SECONDS COMMAND...
	local until=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < until)) || return 1
		sleep 0.05
	done
}

instance_settings() { # SETTING...
	local setting
	printf '[daemon]\nruntime = %s/run\n[ledger]\npath = %s/state/ledger.db\n' "$instance_folder" "$instance_folder"
	for setting in "$@"; do
		printf '[%s]\n%s = %s\n' "${setting%%.*}" "$(cut -d= -f1 <<<"${setting#*.}")" "${setting#*=}"
	done
}

sim_is_ready() { grep -q '^ready' "$instance_folder/imds-sim.out"; }
daemon_is_ready() { grep -q 'ready version=' "$instance_folder/keytraild.log"; }
daemon_knows_instance() {
	keytrail status -o json 2>/dev/null | jq -e '.daemon.instance.instance_id' >/dev/null
}

# The command line as the instance's root uses it.
keytrail() {
	local verb=$1
	shift
	inside host "$instance_keytrail" "$verb" -c "$instance_folder/keytrail.conf" "$@"
}

sim() { # COMMAND of imds-sim's control socket
	"$PYTHON" -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b"\n")
print(s.makefile().read().strip())' "$instance_folder/imds.control" "$1"
}

start_daemon() {
	inside host "$instance_keytraild" -c "$instance_folder/keytrail.conf" 2>"$instance_folder/keytraild.log" &
	instance_pids+=($!)
	wait_for 10 daemon_is_ready || {
		cat "$instance_folder/keytraild.log"
		die "keytraild does not become ready"
	}
}

instance_up() { # NAME [SETTING...]
	local name=$1
	shift
	instance_bin=${KEYTRAIL_BIN:-$ROOT/build/release/bin}
	instance_keytrail=$instance_bin/keytrail instance_keytraild=$instance_bin/keytraild
	instance_redirect=$ROOT/iptables/keytrail-redirect
	if [[ -n $instance_installed ]]; then
		instance_keytrail=/usr/bin/keytrail instance_keytraild=/usr/sbin/keytraild
		instance_redirect=/usr/sbin/keytrail-redirect
	fi
	instance_prefix=kt-$name-$$
	# Below /tmp: the user keytrail must be able to enter, and the checkout may be root's alone.
	instance_folder=$(mktemp -d "/tmp/keytrail-$name-XXXXXX")
	chmod 0711 "$instance_folder"
	"$ROOT/tests/world/world" up --prefix "$instance_prefix" >/dev/null

	inside imds "$instance_bin/imds-sim" --listen 169.254.169.254:80 --listen '[fd00:ec2::254]:80' \
		--control "$instance_folder/imds.control" \
		>"$instance_folder/imds-sim.out" 2>&1 &
	instance_pids+=($!)
	wait_for 10 sim_is_ready || {
		cat "$instance_folder/imds-sim.out"
		die "imds-sim does not become ready"
	}
	instance_settings "$@" >"$instance_folder/keytrail.conf"
	inside host "$instance_redirect" -c "$instance_folder/keytrail.conf" up
	start_daemon
	wait_for 10 daemon_knows_instance || die "keytraild has not read the identity document"
}

instance_down() {
	local pid
	for pid in "${instance_pids[@]}"; do
		kill -TERM "$pid" 2>/dev/null || true
	done
	for pid in "${instance_pids[@]}"; do
		wait "$pid" 2>/dev/null || true
	done
	instance_pids=()
	[[ -z $instance_prefix ]] || "$ROOT/tests/world/world" down --prefix "$instance_prefix" || true
	[[ -z $instance_folder ]] || rm -rf "$instance_folder"
	instance_prefix='' instance_folder=''
}

# Ends an instance however the script ends.
instance_guard() {
	trap instance_down EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# ---- counting ----------------------------------------------------------------------------------

passed=0 failed=0 skipped=0

count() { # PASSED FAILED SKIPPED
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

# Adds what the last line of a file says.
count_closing_line() { # FILE
	local words
	if [[ $(tail -n 1 "$1") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		words=("${BASH_REMATCH[@]}")
		count "${words[1]}" "${words[2]}" "${words[3]}"
	else
		return 1
	fi
}

# The last line of output, and the exit status: nothing may have failed, and something must have run.
finish() {
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	exit $((failed > 0 || passed == 0))
}

# The same where nothing could be tried, for a reason that stands above.
finish_untried() {
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	exit $((failed > 0))
}
