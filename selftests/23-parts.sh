#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# I/O for parts of pages, where pages are larger than blocks: in each state of the page, beside jobs, and by many at once,
# who lose nothing.
# vm: cpus=4 mem=1G blocks=small
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram module=loop python3

load
block=$(<"/sys/block/${PREFIX}0/queue/logical_block_size")
if ((block == PAGE)); then
	skip 'parts of pages' "a page has one block, of $block bytes"
else
	seed=${TEST_SEED:-$RANDOM$RANDOM}
	printf '# TEST_SEED=%s\n' "$seed"
	loop_device 64M
	# shellcheck disable=SC2086 # a list
	relay parts python3 "$here/parts.py" "$MODULE" "$loop_device" "$seed" ${CASES:-}
fi
finish
