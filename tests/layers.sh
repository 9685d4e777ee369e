#!/usr/bin/env bash
# Fails on an include that points upwards: dependencies go down only, and each foreign library is met in few files.
set -u
cd "${1:-.}" || exit 1
bad=0

# layer: what it may include
check_layer() {
	local layer=$1 allowed=$2 found
	found=$(grep -rnE '^#include "[a-z]+/' "$layer" --include='*.c' --include='*.h' |
		grep -vE "#include \"($allowed)/") || return 0
	printf '%s may include only %s:\n%s\n' "$layer" "$allowed" "$found"
	bad=1
}
check_layer common 'common'
check_layer store 'common|store'
check_layer proxy 'common|store|proxy'
check_layer detector 'common|store|detector'
check_layer cli 'common|store|detector|cli'

# header of a foreign library: files that may meet it
check_library() {
	local header=$1 files=$2 found
	found=$(grep -rlE "^#include <$header" common store proxy detector cli --include='*.c' --include='*.h' |
		grep -vE "^($files)") || return 0
	printf '<%s> may stand only in %s:\n%s\n' "$header" "$files" "$found"
	bad=1
}
check_library 'microhttpd\.h' '-'
check_library 'curl/' 'detector/aws_http\.c'
check_library 'expat\.h' 'detector/aws_answer\.c'
check_library 'openssl/' 'common/secret\.c|common/digest\.c'
check_library 'jansson\.h' 'common/json\.h'
check_library 'sqlite3\.h' 'store/'
check_library 'libdeflate\.h|zlib\.h' 'detector/inflate[a-z_]*\.c'
check_library 'libmnl|libnetfilter|bpf/' 'proxy/witness/'
check_library 'cap-ng\.h|seccomp\.h' 'proxy/'
check_library 'ini\.h' 'common/options\.c'
check_library 'libsmartcols' 'cli/table\.c'
exit "$bad"
