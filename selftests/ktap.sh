# shellcheck shell=bash disable=SC2034,SC2154
# SPDX-License-Identifier: GPL-2.0-only
# ktap.sh - the cases of a test, in the format that the kernel's tests print. Who sources this sees to the plan at the end, and
# says by `is_c` whether what it tests is C zram.

count=0 failures=0 bug=''

exec </dev/null
printf 'KTAP version 1\n'

pass() {
	count=$((count + 1)) bug=''
	printf 'ok %d - %s\n' "$count" "$1"
}

# fail NAME DIAGNOSTICS...
fail() {
	local name=$1
	shift
	if is_c && [[ $bug ]]; then
		count=$((count + 1))
		printf 'ok %d - %s # XFAIL C zram: %s\n' "$count" "$name" "$bug"
		bug=''
	else
		count=$((count + 1)) failures=$((failures + 1)) bug=''
		printf 'not ok %d - %s\n' "$count" "$name"
	fi
	if (($#)); then printf '%s\n' "$@" | sed 's/^/# /'; fi
}

skip() {
	count=$((count + 1))
	printf 'ok %d - %s # SKIP %s\n' "$count" "$1" "$2"
}

# c_bug REASON: the next case is known to fail on C zram.
c_bug() { bug=$1; }

# is NAME GOT WANTED
is() {
	if [[ $2 == "$3" ]]; then pass "$1"; else fail "$1" "expected: ${3@Q}" "     got: ${2@Q}"; fi
}

# matches NAME GOT REGEX
matches() {
	if [[ $2 =~ $3 ]]; then pass "$1"; else fail "$1" "expected: $3" "     got: ${2@Q}"; fi
}

# holds NAME EXPRESSION [DIAGNOSTICS...]: the arithmetic expression is not zero.
holds() {
	local name=$1 expression=$2
	shift 2
	if ((expression)); then pass "$name"; else fail "$name" "expected: $expression" "$@"; fi
}

# works NAME COMMAND...: the command succeeds; its output is the diagnosis otherwise.
works() {
	local name=$1 status
	shift
	"$@" >"$work/out" 2>&1 </dev/null
	status=$?
	if ((status == 0)); then
		pass "$name"
	else
		fail "$name" "expected: success of $*" "     got: exit status $status" "$(tail -n 8 "$work/out" | cut -c -300)"
	fi
}

# refused NAME TEXT COMMAND...: the command fails and its output contains TEXT.
refused() {
	local name=$1 text=$2 status
	shift 2
	"$@" >"$work/out" 2>&1 </dev/null
	status=$?
	if ((status != 0)) && grep -q -- "$text" "$work/out"; then
		pass "$name"
	else
		fail "$name" "expected: failure with: $text" "     got: exit status $status" "$(tail -n 8 "$work/out" | cut -c -300)"
	fi
}

# relay NAME COMMAND...: the cases of a program that prints `ok CASE` or `not ok CASE`, comments below it, `# end` at last, and
# ends with success: what it found is in its cases.
relay() {
	local name=$1 line='' last='' status=0
	shift
	while IFS= read -r line; do
		last=$line
		case $line in
		'not ok '*) fail "$name: ${line#not ok }" ;;
		'ok '*) pass "$name: ${line#ok }" ;;
		*) printf '# %s\n' "${line#\# }" ;;
		esac
	done < <("$@" 2>&1)
	wait $! || status=$?
	if [[ $last != '# end' || $status != 0 ]]; then
		fail "$name: ran to its end" "     got: exit status $status after: $last"
	fi
}
