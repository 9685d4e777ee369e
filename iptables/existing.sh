# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154 # what keytrail-redirect sets
#
# What is closed already: rules, programs and units that keep somebody from the metadata service and would not do so
# any more once NAT has given their packets another address. Sourced by keytrail-redirect, never run; it uses that
# program's settings, AWK_ADDRESS and lists of families and interfaces, and changes nothing.

# shellcheck disable=SC2016
readonly AWK_SAY='function say(what, whom) { gsub(/\t/, " ", what); gsub(/\t/, " ", whom); print what "\t" whom }'

# Walks iptables-save's rules from the hooks that run after NAT and prints each rule that drops or rejects
# what goes to the metadata service: such a rule would no longer match. A rule counts if it, or a rule that
# leads to it, names the address (alone, in a prefix, range, set or negation) or the process (owner, cgroup);
# what drops everything, or everything of an interface, is a policy and does not count.
# shellcheck disable=SC2016
readonly AWK_EXISTING_IPTABLES='
	function words(rule, word,   n, quoted) {
		n = 0
		while (match(rule, /^ *("([^"\\]|\\.)*"|[^ ]+)/)) {
			word[++n] = substr(rule, 1, RLENGTH); sub(/^ */, "", word[n])
			rule = substr(rule, RLENGTH + 1)
		}
		return n
	}
	function has_port(list,   n, item, i, ends) {
		n = split(list, item, ",")
		for (i = 1; i <= n; i++) {
			if (split(item[i], ends, ":") == 1) ends[2] = ends[1]
			if (ends[1] + 0 <= 80 && (ends[2] == "" || ends[2] + 0 >= 80)) return 1
		}
		return 0
	}
	function in_set(name) {
		if (name !~ /^[A-Za-z0-9_.:-]+$/) return 0
		return system("ipset -q test " name " " metadata " >/dev/null 2>&1") == 0 ||
			system("ipset -q test " name " " metadata ",tcp:80 >/dev/null 2>&1") == 0
	}
	function covers(interface, name) {
		return interface == name || interface ~ /\+$/ && index(name, substr(interface, 1, length(interface) - 1)) == 1
	}
	# Whether what comes in by an interface (or one of a pattern) is redirected.
	function is_container(interface,   n, item, i) {
		n = split(uplinks, item, " ")
		for (i = 1; i <= n; i++) if (interface == item[i]) return 0
		n = split(containers, item, " ")
		for (i = 1; i <= n; i++)
			if (item[i] == "any" || covers(item[i], interface) || covers(interface, item[i])) return 1
		return 0
	}
	# Returns 0 if the rule cannot match; sets rule_names (it names the address or process), rule_whole (no other
	# condition), rule_asks (those conditions, for the carry-over), rule_target.
	function judge(rule,   n, word, i, option, value, inverted, hit) {
		rule_names = 0; rule_whole = 1; rule_asks = rule_target = ""
		n = words(rule, word)
		for (i = 1; i <= n; i++) {
			option = word[i]; value = word[i + 1]
			if (option == "!") { inverted = 1; continue }
			hit = -1
			if (option == "-j" || option == "-g") { rule_target = value; return 1 }
			if (option == "-m" || option == "--comment") i++
			else if (option == "-p") { hit = value == "tcp" || value == "all" || value == "6"; i++ }
			else if (option == "--dport" || option == "--dports" || option == "--ports") { hit = has_port(value); i++ }
			else if (option == "-d") { hit = contains(value, metadata); rule_names += value !~ /\/0$/; i++ }
			else if (option == "--dst-range") { split(value, range, "-"); hit = between(range[1], range[2], metadata); rule_names++; i++ }
			else if (option == "--match-set") {
				rule_whole = 0
				if (word[i + 2] ~ /^dst/) { hit = in_set(value); rule_names++ }
				i += 2
			}
			else if (option == "--ctstate" || option == "--state") { rule_whole = 0; hit = value ~ /NEW/; i++ }
			else if (option == "--tcp-flags") { if (word[i + 2] !~ /SYN/) hit = 0; rule_whole = 0; i += 2 }
			else if (option == "-o" && out != "") { hit = covers(value, out); i++ }
			else if (option == "-i" && forward) {
				hit = inverted || is_container(value); inverted = 0
				rule_asks = rule_asks "in=" value ";"; rule_whole = 0; i++
			}
			else {
				rule_whole = 0
				if (option ~ /^--([ug]id-owner|socket-exists|cgroup|path)$/) rule_names++
				if (option ~ /^-/ && value !~ /^(-|!)/ && value != "") i++; else value = ""
				if (option ~ /^--[ug]id-owner$/) rule_asks = rule_asks (inverted ? "!" : "") substr(option, 3, 3) "=" value ";"
				else if (option == "--path" && gsub(/"/, "", value) >= 0) rule_asks = rule_asks (inverted ? "!" : "") "group=" value ";"
				else rule_asks = rule_asks "?" (inverted ? "! " : "") option (value == "" ? "" : " " value) ";"
			}
			if (hit >= 0 && hit == inverted) return 0
			inverted = 0
		}
		return 1
	}
	# Returns 1 when nothing that goes to the metadata service comes past this chain. `asked` are the conditions on the
	# way to it; `passed` those of rules that let some by for good, `returned` of those that did so for this chain.
	function walk(chain, named, asked, returned, depth,   i, target, whole, names, asks, ended) {
		if (depth > 16) return 0
		for (i = 1; i <= count[chain]; i++) {
			if (!judge(rule[chain, i])) continue
			target = rule_target; whole = rule_whole; names = named || rule_names; asks = asked rule_asks
			if (target == "DROP" || target == "REJECT") {
				split(chain, part, " ")
				if (names && !printed[chain, i]++)
					say(source ": table " part[1] ", chain " part[2] ": -A " part[2] " " rule[chain, i],
						(forward ? "forward;" : "") asks passed returned)
				ended = 1
			} else if (target == "ACCEPT" || target == "RETURN") {
				if (whole) return target == "ACCEPT"
				asks = "|" (asks == "" ? "?an earlier rule" : asks)
				if (target == "ACCEPT") passed = passed asks; else returned = returned asks
				continue
			} else {
				split(chain, part, " ")
				if (target ~ /^(KEYTRAIL-|DOCKER$|DOCKER-(ISOLATION|CT|BRIDGE|FORWARD|INTERNAL))/) continue
				ended = walk(part[1] " " target, names, asks, returned, depth + 1)
			}
			if (ended && whole) return 1
		}
		return 0
	}
	/^\*/ { table = substr($0, 2); next }
	/^-A / { chain = table " " $2; text = $0; sub(/^-A [^ ]+ /, "", text); rule[chain, ++count[chain]] = text }
	END {
		n = split("filter OUTPUT,filter FORWARD,mangle FORWARD,mangle POSTROUTING,security OUTPUT,security FORWARD", hook, ",")
		for (h = 1; h <= n; h++) {
			forward = hook[h] ~ /FORWARD/; passed = ""
			if (!forward || containers != "") walk(hook[h], 0, "", "", 0)
		}
	}'

# The same for tables that nft itself made, from the words of `nft -nn list ruleset`. Tables of iptables-nft
# are left to the function above.
# shellcheck disable=SC2016
readonly AWK_EXISTING_NFT='
	function braces(text,   opened, closed) { opened = gsub(/{/, "{", text); closed = gsub(/}/, "}", text); return opened - closed }
	function address_in(list,   n, item, i, ends, hit) {
		gsub(/[{},]/, " ", list)
		n = split(list, item, " ")
		for (i = 1; i <= n; i++) {
			if (item[i] ~ /^@/) hit = address_in(set[table_of, substr(item[i], 2)])
			else if (item[i] ~ /-/) { split(item[i], ends, "-"); hit = between(ends[1], ends[2], metadata) }
			else hit = contains(item[i], metadata)
			if (hit) return 1
		}
		return 0
	}
	function port_in(list,   n, item, i, ends) {
		gsub(/[{},]/, " ", list)
		n = split(list, item, " ")
		for (i = 1; i <= n; i++) {
			if (item[i] ~ /^@/) { if (port_in(set[table_of, substr(item[i], 2)])) return 1; continue }
			if (split(item[i], ends, "-") == 1) ends[2] = ends[1]
			if (ends[1] + 0 <= 80 && ends[2] + 0 >= 80) return 1
		}
		return 0
	}
	# Concatenations (address . port): whether any element has the address for one of its parts.
	function joined_in(list,   n, item, i, part, m, j) {
		if (list ~ /^@/) list = set[table_of, substr(list, 2)]
		gsub(/[{}]/, " ", list)
		n = split(list, item, ",")
		for (i = 1; i <= n; i++) {
			m = split(item[i], part, " [.] ")
			for (j = 1; j <= m; j++) if (address_in(part[j])) return 1
		}
		return 0
	}
	# The verdict of a verdict map: of the element that holds the address.
	function mapped(list,   n, item, i, side) {
		if (list ~ /^@/) list = set[table_of, substr(list, 2)]
		gsub(/[{}]/, " ", list)
		n = split(list, item, ",")
		for (i = 1; i <= n; i++) if (split(item[i], side, " : ") == 2 && address_in(side[1])) return side[2]
		return ""
	}
	function judge(text,   n, word, i, inverted, value, hit) {
		rule_names = 0; rule_whole = 1; rule_asks = rule_target = ""
		gsub(/"[^"]*"/, "quoted", text)
		n = split(text, word, " ")
		for (i = 1; i <= n; i++) {
			if (word[i] == "comment") return rule_target != ""
			if (word[i] == "counter") { if (word[i + 1] == "packets") i += 4; continue }
			if (word[i] ~ /^(accept|drop|reject|return)$/) { rule_target = word[i]; return 1 }
			if (word[i] ~ /^(jump|goto)$/) { rule_target = "to " word[i + 1]; return 1 }
			if (word[i] == "log") {
				while (i < n && (word[i + 1] ~ /^(prefix|quoted|group|snaplen|queue-threshold|[0-9]+)$/ ||
					word[i + 1] ~ /^(level|emerg|alert|crit|err|warn|notice|info|debug|audit)$/ ||
					word[i + 1] ~ /^(flags|all|tcp|sequence,?|options|ip|ether)$/ && word[i + 2] !~ /^[ds](addr|port)$/)) i++
				continue
			}
			if (word[i] == "limit") { rule_whole = 0; rule_asks = rule_asks "?limit;"; continue }
			if (word[i] ~ /^sk[ug]id$/) {
				rule_whole = 0; rule_names++; what = substr(word[i], 3, 3)
				inverted = word[i + 1] == "!="
				if (inverted || word[i + 1] == "==") i++
				value = word[++i]
				if (value == "{") { value = ""; while (i < n && word[++i] != "}") value = value word[i] }
				rule_asks = rule_asks (value ~ /^[0-9,-]+$/ ? (inverted ? "!" : "") what "=" value : "?sk" what " " value) ";"
				continue
			}
			hit = -1
			if (word[i] ~ /^ip6?$/ && word[i + 1] ~ /^(daddr|protocol|nexthdr)$/ ||
				word[i] == "meta" && word[i + 1] == "l4proto" ||
				word[i] ~ /^(tcp|udp|th)$/ && word[i + 1] == "dport") {
				protocol = word[i]; what = word[++i]; inverted = word[i + 1] == "!="
				if (inverted || word[i + 1] == "==") i++
				value = word[++i]
				if (value == "vmap") {
					value = word[++i]
					if (value == "{") while (i < n && word[i] != "}") value = value " " word[++i]
					if (what != "daddr") { rule_whole = 0; continue }
					rule_names++; rule_whole = 0; value = mapped(value); sub(/^ */, "", value); sub(/ *$/, "", value)
					sub(/^(jump|goto) /, "to ", value); rule_target = value
					return value != ""
				}
				if (value == ".") { while (i < n && word[i] !~ /^({|@)/) i++; value = word[i]; joined = 1 } else joined = 0
				if (value == "{") while (i < n && word[i] != "}") value = value " " word[++i]
				if (joined) {
					rule_whole = 0; rule_names++
					if (inverted || !joined_in(value)) return 0
					continue
				}
				if (what == "daddr") {
					if (protocol == "ip6" && metadata !~ /:/ || protocol == "ip" && metadata ~ /:/) return 0
					hit = address_in(value); rule_names++
				} else if (what == "dport") hit = protocol == "udp" ? 0 : port_in(value)
				else hit = value ~ /(^|[ ,])(6|tcp)([ ,]|$)/
				if (protocol == "udp") inverted = 0
				if (hit == inverted) return 0
				continue
			}
			rule_whole = 0
			if (word[i] ~ /^(udp|icmp|icmpv6|sctp|dccp)$/) return 0
			if (word[i] == "nfproto" && word[i + 1] ~ /^(ipv6|10)$/ && metadata !~ /:/) return 0
			if (word[i] == "nfproto" && word[i + 1] ~ /^(ipv4|2)$/ && metadata ~ /:/) return 0
			if (word[i] == "ct" && word[i + 1] == "state" && word[i + 2] !~ /new|0x8/ && word[i + 2] !~ /^({|!=)$/) return 0
			if (word[i] ~ /^(cgroup|cgroupv2)$/) rule_names++
			if (word[i] == "ct" && word[i + 1] == "state") { i += 2; if (word[i] == "!=") i++ }
			else if (word[i] != "meta") rule_asks = rule_asks "?" word[i] ";"
		}
		return 0
	}
	function walk(chain, named, asked, returned, depth,   i, target, whole, names, asks, ended, part) {
		if (depth > 16) return 0
		split(chain, part, " "); table_of = part[1] " " part[2]
		for (i = 1; i <= count[chain]; i++) {
			table_of = part[1] " " part[2]
			if (!judge(rule[chain, i])) continue
			target = rule_target; whole = rule_whole; names = named || rule_names; asks = asked rule_asks
			if (target == "drop" || target == "reject") {
				if (names && !printed[chain, i]++)
					say("nftables: table " table_of ", chain " part[3] ": " rule[chain, i], (forward ? "forward;" : "") asks passed returned)
				ended = 1
			} else if (target == "accept" || target == "return") {
				if (whole) return target == "accept"
				asks = "|" (asks == "" ? "?an earlier rule" : asks)
				if (target == "accept") passed = passed asks; else returned = returned asks
				continue
			} else ended = walk(table_of " " substr(target, 4), names, asks, returned, depth + 1)
			if (ended && whole) return 1
		}
		return 0
	}
	/^table / {
		here = $2 " " $3
		skip = $2 !~ /^(ip|ip6|inet)$/ || $2 == "ip" && metadata ~ /:/ || $2 == "ip6" && metadata !~ /:/ ||
			index(foreign, "|" here "|")
		next
	}
	skip || /^#/ { next }
	pending != "" { $0 = pending " " $0; pending = "" }
	/elements = {|[{,]$/ && !/^[ \t]*(chain|set|map|table) / && braces($0) > 0 { pending = $0; next }
	{ gsub(/[ \t]+/, " "); sub(/^ /, "") }
	/^(set|map) / { set_name = $2; chain_name = ""; next }
	/^elements = / { sub(/^elements = /, ""); set[here, set_name] = $0; next }
	/^chain / { chain_name = here " " $2; set_name = ""; next }
	/^type [a-z]+ hook / {
		priority = $0; sub(/^.* priority /, "", priority); sub(/;.*$/, "", priority)
		if ($4 ~ /^(output|forward|postrouting)$/ && ($4 != "output" || priority + 0 > -100) && ($4 != "forward" || containers != "")) {
			base[++base_count] = chain_name; is_forward[chain_name] = $4 == "forward"
		}
		next
	}
	/^(}|policy|flags|timeout|typeof|type|comment|size|gc-interval)/ || chain_name == "" { next }
	{ rule[chain_name, ++count[chain_name]] = $0 }
	END { for (b = 1; b <= base_count; b++) { forward = is_forward[base[b]]; passed = ""; walk(base[b], 0, "", "", 0) } }'

# Units for which reaching the metadata address and reaching the proxy (on loopback) differ: what they may
# not reach would open, or what alone they may reach would break. Input: "unit<TAB>Allow|Deny<TAB>list".
# shellcheck disable=SC2016
readonly AWK_EXISTING_UNITS='
	function covers(list, address,   n, item, i, p) {
		n = split(list, item, " ")
		for (i = 1; i <= n; i++) {
			p = item[i]
			if (p == "any") return 1
			if (p == "localhost" && (contains("127.0.0.0/8", address) || contains("::1/128", address))) return 1
			if (p == "link-local" && (contains("169.254.0.0/16", address) || contains("fe80::/64", address))) return 1
			if (contains(p, address)) return 1
		}
		return 0
	}
	function denied(unit, address) { return covers(deny[unit], address) && !covers(allow[unit], address) }
	function asks(unit) {
		if (!denied(unit, "169.254.169.254") && denied(unit, "127.0.0.1") || !denied(unit, "fd00:ec2::254") && denied(unit, "::1"))
			return "?it may reach the metadata service and not the machine itself: give it IPAddressAllow=localhost;"
		return (unit ~ /\.slice$/ ? "?a slice stands for all units below it: name those as unit=;" : "unit=" unit ";")
	}
	BEGIN { FS = "\t" }
	!seen[$1]++ { unit[++n] = $1 }
	{ if ($3 == "") { if ($2 == "Deny") deny[$1] = ""; else allow[$1] = "" } }
	$2 == "Deny" { deny[$1] = deny[$1] " " $3 }
	$2 == "Allow" { allow[$1] = allow[$1] " " $3 }
	END {
		for (i = 1; i <= n; i++) {
			u = unit[i]
			if (u !~ /^keytrail/ && (denied(u, "169.254.169.254") != denied(u, "127.0.0.1") || denied(u, "fd00:ec2::254") != denied(u, "::1")))
				say("systemd: unit " u ": IPAddressDeny=" substr(deny[u], 2) " IPAddressAllow=" substr(allow[u], 2), asks(u))
		}
	}'

unit_settings() {
	local folder file name
	if [[ -z ${SYSTEMD_UNIT_PATH-} && -d /run/systemd/system ]] && command -v systemctl >/dev/null; then
		systemctl show --property=Id,IPAddressAllow,IPAddressDeny '*' 2>/dev/null | awk -F= '
			function flush() {
				if (deny != "") printf "%s\tDeny\t%s\n%s\tAllow\t%s\n", id, deny, id, allow
				id = deny = allow = ""
			}
			{ value = substr($0, length($1) + 2) }
			$1 == "" { flush() }
			$1 == "Id" { id = value }
			$1 == "IPAddressAllow" { allow = value }
			$1 == "IPAddressDeny" { deny = value }
			END { flush() }' && return 0
	fi
	local -A taken=()
	local -a folders
	IFS=: read -ra folders <<<"${SYSTEMD_UNIT_PATH:-/etc/systemd/system:/run/systemd/system:/usr/local/lib/systemd/system:/usr/lib/systemd/system:/lib/systemd/system}"
	for folder in "${folders[@]}"; do
		for file in "$folder"/*.{service,slice,socket,scope,mount,swap}; do
			name=${file##*/}
			[[ -f $file && ! -v taken["$name"] ]] || continue
			taken["$name"]=1
			unit_file "$name" "$file"
		done
	done
	for folder in "${folders[@]}"; do
		for file in "$folder"/*.d/*.conf; do
			[[ -f $file ]] || continue
			name=${file%/*.conf}
			name=${name##*/}
			unit_file "${name%.d}" "$file"
		done
	done
}

unit_file() { # UNIT FILE
	awk -v unit="$1" '
		{ sub(/\r$/, ""); while (/\\$/ && (getline next_line) > 0) $0 = substr($0, 1, length($0) - 1) " " next_line }
		/^[ \t]*IPAddress(Allow|Deny)[ \t]*=/ {
			key = /^[ \t]*IPAddressAllow/ ? "Allow" : "Deny"
			sub(/^[^=]*=[ \t]*/, ""); print unit "\t" key "\t" $0
		}' "$2"
}

existing_in_iptables() { # FAMILY ADDRESS BACKEND-SAVE-PROGRAM
	command -v "$3" >/dev/null || return 0
	"$3" 2>/dev/null | awk -v metadata="$2" -v source="${3%-save}" -v uplinks="${uplink_list[*]}" \
		-v containers="${container_list[*]}" -v out="$(way_out "$1" "$2")" "$AWK_ADDRESS$AWK_SAY$AWK_EXISTING_IPTABLES"
}

# The interface that leads to a service without us.
way_out() { # FAMILY ADDRESS
	ip -"$1" route get "$2" 2>/dev/null | sed -n 's/.* dev \([^ ]*\).*/\1/p' || true
}

# The program that can ask for eBPF programs.
keytrail_program() {
	local program
	for program in "${KEYTRAIL_PROGRAM-}" "$templates/../build/release/bin/keytrail" /usr/bin/keytrail /usr/local/bin/keytrail; do
		[[ -n $program && -x $program ]] || continue
		echo "$program"
		return 0
	done
}

say_unseen() {
	[[ -n $(keytrail_program) ]] ||
		note "there is no program keytrail: programs on control groups (eBPF) are not looked at"
}

# Prints what `keytrail redirect programs` says of programs that are not the service manager's for units' address lists.
egress_programs() {
	local program
	program=$(keytrail_program)
	[[ -n $program ]] || return 0
	"$program" redirect programs | awk -F '\t' '$3 !~ /^sd_fw_/'
}

# shellcheck disable=SC2016
readonly AWK_EXISTING_PROGRAMS='
	BEGIN { FS = "\t" }
	$1 == "closes" || $1 == "untried" {
		say("control group " $2 ": egress program " $3 " (eBPF, tag " $4 ")" ($1 == "untried" ? ", which cannot be tried" : ""),
			$1 == "untried" ? "?what it does is not known;" : "group=" $2 ";")
	}'

existing_for() { # FAMILY ADDRESS
	local program foreign programs=(iptables-nft-save iptables-legacy-save)
	command -v "${programs[0]}" "${programs[1]}" >/dev/null || programs=(iptables-save)
	[[ $1 == 4 ]] || programs=("${programs[@]/#ip/ip6}")
	for program in "${programs[@]}"; do
		existing_in_iptables "$1" "$2" "$program"
	done
	command -v nft >/dev/null || return 0
	foreign=$({ iptables-nft-save || iptables-save; } 2>/dev/null | sed -n 's/^\*/ip /p' | tr '\n' '|')
	foreign+=$({ ip6tables-nft-save || ip6tables-save; } 2>/dev/null | sed -n 's/^\*/ip6 /p' | tr '\n' '|')
	nft -nn list ruleset 2>/dev/null | awk -v metadata="$2" -v foreign="|$foreign" -v containers="${container_list[*]}" \
		"$AWK_ADDRESS$AWK_SAY$AWK_EXISTING_NFT"
}

# Prints one line for each rule, program and unit that closes the metadata service to somebody: what it is, a tab, and
# to whom, for the carry-over.
existing_blocks() {
	local family
	for family in "${families[@]}"; do
		existing_for "$family" "${METADATA[$family]}"
	done
	# ECS's address is redirected by its agent already: what is in the way of that would have been so before.
	if [[ ${setting[endpoints.eks]} != off ]]; then
		for family in "${families[@]}"; do
			existing_for "$family" "${EKS_ADDRESS[$family]}" | sed 's/\t/&family=eks;/'
		done
	fi
	egress_programs | awk "$AWK_SAY$AWK_EXISTING_PROGRAMS"
	unit_settings | awk "$AWK_ADDRESS$AWK_SAY$AWK_EXISTING_UNITS"
}

existing_rules() { existing_blocks | cut -f 1; }

digest() { printf '%s' "$1" | sha256sum | cut -c1-16; }

# Those of existing_rules that nobody has accepted or carried over.
unaccepted_rules() {
	local line notes name
	notes=$(markers 4)
	existing_rules | sort -u | while read -r line; do
		name=$(digest "$line")
		grep -qx "accepted $name" <<<"$notes" || is_carried "$name" || echo "$line"
	done
}

# A section of the settings stands for it, and refuses.
is_carried() { # DIGEST
	[[ ${setting[policy.mode]} == enforce && -v carried[$1] ]]
}

# ---- Carrying over ------------------------------------------------------------------------------

# From lines "digest<TAB>what<TAB>to whom" to sections of keytrail.conf, in two rounds: first those that only deny, since
# an [allow] that one of the others needs would end the search for all that follows it. Prints what cannot be said as a
# remark; ends with 3 if there is any.
# shellcheck disable=SC2016
readonly AWK_CARRY='
	# "uid=5;gid=6;" to lines of a section; sets problem.
	function lines_of(asks,   n, item, i, key, value, text, given) {
		problem = ""; negated = ""
		n = split(asks, item, ";")
		for (i = 1; i < n; i++) {
			if (item[i] ~ /^\?/) { problem = "it asks for more than a policy can: " substr(item[i], 2); return "" }
			key = item[i]; sub(/=.*$/, "", key); value = item[i]; sub(/^[^=]*=/, "", value)
			if (key ~ /^!?group$/) {
				sub(/group/, "unit", key)
				if (value ~ /\/docker\/[0-9a-f]+$/ && key !~ /!/) key = "container"
				else if (value !~ /(^|\/)system\.slice\/[^\/]+\.(service|socket|mount|swap)$/) {
					problem = "a control group that is no unit and no container: " value; return ""
				}
				sub(/^.*\//, "", value)
			}
			if (key ~ /id$/ && (value = numbers(value)) == "") { problem = "too many numbers"; return "" }
			if (key ~ /^!/) {
				if (negated != "") { problem = "two negations"; return "" }
				negated = substr(key, 2) " = " value
				continue
			}
			if (given[key]++) { problem = "two conditions on " key; return "" }
			text = text key " = " value "\n"
		}
		return text
	}
	function numbers(list,   n, item, i, ends, number, text, count) {
		n = split(list, item, ",")
		for (i = 1; i <= n; i++) {
			if (split(item[i], ends, "-") == 1) ends[2] = ends[1]
			for (number = ends[1] + 0; number <= ends[2] + 0; number++) {
				if (++count > 64) return ""
				text = text " " number
			}
		}
		return substr(text, 2)
	}
	function remark(why) { print "# " what; print "#   cannot be carried over: " why; print ""; left = 3 }
	# Exceptions: what earlier rules let pass, and a negation.
	function section(digest, asks,   n, part, i, deny, allow, own) {
		family = match(asks, /^family=[a-z]+;/) ? substr(asks, RSTART + 7, RLENGTH - 8) : ""
		if (family != "") { sub(/^family=[a-z]+;/, "", asks); family = "family = " family "\n" }
		n = split(asks, part, "|")
		deny = lines_of(part[1]); own = negated
		if (problem != "") { remark(problem); return }
		if (own != "") allow = allow_section(digest, ++allows, own "\n")
		for (i = n; i > 1; i--) {
			own = lines_of(part[i])
			if (problem == "" && (negated != "" || own == "")) problem = "a negation"
			if (problem != "") { remark("an earlier rule lets some pass, and " problem); return }
			allow = allow_section(digest, ++allows, own) allow
		}
		if ((allow != "") != second) { later[++later_count] = $0; return }
		if (allow != "" && allowed++) { remark("another one that lets some pass has been, and the first that matches decides"); return }
		print "# " what
		printf "%s[deny \"existing %s\"]\n%s\n", allow, digest, family deny == "" ? "path = *\n" : family deny
	}
	function allow_section(digest, number, lines) { return sprintf("[allow \"existing %s, %d\"]\n%s\n", digest, number, family lines) }
	function forwarded(asks,   n, item, i, names) {
		n = split(asks, item, /[;|]/)
		for (i = 1; i <= n; i++) if (item[i] ~ /^in=/) names = names " " substr(item[i], 4)
		remark("no policy knows the way that a packet came. Set [listen] container_interfaces to " \
			(names == "" ? "none" : "a list without" names) ": what comes from there is then rejected as before")
	}
	function take() {
		what = $2; allows = 0
		if ($3 ~ /^(family=[a-z]+;)?forward;/) forwarded($3)
		else section($1, $3)
	}
	BEGIN { FS = "\t" }
	{ take() }
	END { second = 1; n = later_count; for (k = 1; k <= n; k++) { $0 = later[k]; take() } exit left }'

carry_over() {
	local what whom status=0
	# A rule that holds for several addresses is taken as what it is for the metadata service: that holds for all.
	existing_blocks | sort -s -u -t $'\t' -k 1,1 | while IFS=$'\t' read -r what whom; do
		printf '%s\t%s\t%s\n' "$(digest "$what")" "$what" "$whom"
	done | awk "$AWK_CARRY" || status=$?
	[[ ${setting[policy.mode]} == enforce ]] ||
		note "[policy] mode = ${setting[policy.mode]} refuses nobody: these sections hold, and up takes them for that, with mode = enforce"
	exit "$status"
}
