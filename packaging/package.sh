#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What deb and rpm both do when they are installed, upgraded and removed. Nothing is started or switched on: that is for
# the administrator, or whoever bakes the image.
set -e
readonly UNITS="keytrail-export.timer keytrail-check.timer keytrail-redirect.service keytraild.service keytrail.socket"

has_systemd() { [ -d /run/systemd/system ]; }

# In somebody's chroot, the rules are those of the machine around it.
in_chroot() {
	[ "$(stat -Lc %d:%i / 2>/dev/null)" != "$(stat -Lc %d:%i /proc/1/root/. 2>/dev/null)" ] || [ ! -e /proc/1/root/. ]
}

# What runs goes on as the new version: requests wait in the sockets of keytrail.socket meanwhile.
restart_what_runs() {
	systemctl try-restart keytraild.service || true
	! systemctl -q is-active keytrail-redirect.service || systemctl reload keytrail-redirect.service || true
}

installed() { # [upgrade]
	systemd-sysusers keytrail.conf
	# It wants /proc, which is not there in every place where images are put together.
	systemd-tmpfiles --create keytrail.conf 2>/dev/null ||
		install -d -o keytrail -g keytrail -m 0750 /var/lib/keytrail /var/spool/keytrail
	has_systemd || return 0
	systemctl daemon-reload || true
	[ "$1" != upgrade ] || restart_what_runs
}

# The redirect first, and completely: without the daemon, it would cut every program off its credentials.
removing() {
	if has_systemd; then
		# shellcheck disable=SC2086 # words
		systemctl --no-reload disable $UNITS 2>/dev/null || true
		# shellcheck disable=SC2086
		for unit in $UNITS; do systemctl stop "$unit" || true; done
		systemctl reset-failed 'keytrail*' 2>/dev/null || true
	fi
	in_chroot || /usr/sbin/keytrail-redirect down || {
		echo "keytrail: the redirect could not be taken away; see keytrail-redirect check" >&2
		return 1
	}
}

case $1 in
installed) installed "$2" ;;
removing) removing ;;
*)
	echo "usage: $0 installed [upgrade], or removing" >&2
	exit 2
	;;
esac
