#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Memory runs out, again and again, until the kernel kills the process that takes it; swap is on zram. Meanwhile CPUs go and
# come, zsmalloc is compacted, pages are recompressed and written back. See soak/. Sets much memory aside; processes of
# others may be killed.
# kernel: stock, or by name
# vm: cpus=4 mem=1G disk=16M disk=16M append="slab_debug=FZP,kmalloc-*"
# timeout: 400
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram debugfs cgroup2 cpu=1 python3

# Leave little memory, so that it runs out soon.
echo -1000 >/proc/self/oom_score_adj
leave_memory 250
load num_devices=3
relay starved python3 -m soak --until starve="${TEST_ROUNDS:-2}" starve swap data jobs hotplug
finish
