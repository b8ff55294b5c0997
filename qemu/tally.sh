# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# How the drivers of tests read KTAP, show what did not pass, and count. V=1 shows all.

passed=0 failed=0 skips=()

# A line of output, in place of the live counter that may be there.
say() {
	[[ ! -t 1 ]] || printf '\r\e[K'
	printf '%s\n' "$1"
}

fail() {
	failed=$((failed + 1))
	say "    not ok - $1"
}

# tally FILE…: reads what these tests print, each between `# begin NAME` and `# end NAME STATUS SECONDS`; counts cases, and
# shows what did not pass. Those that did not end are in `unended` then, and none of their cases is counted.
tally() {
	local -A waiting=()
	local file line name='' plan='' cases=0 good=0 bad=0 shown='' status seconds
	for file; do waiting[$file]=1; done
	while IFS= read -r line; do
		case $line in
		'vm verdict: '*) continue ;;
		'# begin '*) name=${line#\# begin } plan='' cases=0 good=$passed bad=$failed shown=${V:-} ;;
		'# end '*)
			read -r _ _ _ status seconds <<<"$line"
			[[ $plan == "$cases" ]] || fail "$name: $cases cases, planned ${plan:-none}"
			((status == (failed > bad))) || fail "$name: exit status $status"
			say "$(printf '  %-24s %5d passed %5d failed %5d s' "$name" $((passed - good)) $((failed - bad)) "$seconds")"
			unset "waiting[$name]" name
			continue
			;;
		'# skip '*) skips+=("$name: ${line#\# skip }") ;;
		1..*'# SKIP'*) plan=0 skips+=("$name: ${line#*# SKIP }") ;;
		1..*) plan=${line#1..} ;;
		'ok '*'# SKIP'*) cases=$((cases + 1)) skips+=("$name: ${line#*- }") ;;
		'ok '*) cases=$((cases + 1)) passed=$((passed + 1)) ;;
		'not ok - '*) failed=$((failed + 1)) ;;
		'Bail out!'*) plan=$cases failed=$((failed + 1)) ;;
		'not ok '*) cases=$((cases + 1)) failed=$((failed + 1)) ;;
		esac
		# Below a case that failed come its diagnostics.
		case $line in
		'not ok '* | 'Bail out!'*) shown=1 ;;
		'ok '* | '1..'*) shown=${V:-} ;;
		esac
		if [[ $shown || -z ${name:-} ]]; then
			say "    $line"
		elif [[ -t 1 ]]; then
			printf '\r\e[K  %-24s %5d' "$name" "$cases"
		fi
	done
	[[ ! ${name:-} ]] || passed=$good failed=$bad
	unended=()
	for file; do [[ ! ${waiting[$file]-} ]] || unended+=("$file"); done
}

# The last line counts the cases; success if there were any, and all passed.
verdict() {
	local summary="$passed passed, $failed failed"
	((${#skips[@]} == 0)) || printf 'skipped: %s\n' "${skips[@]}"
	((${#skips[@]} == 0)) || summary+=", ${#skips[@]} skipped"
	echo "$summary"
	((failed == 0 && passed > 0))
}
