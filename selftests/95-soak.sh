#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Everything at once, for TEST_MINUTES: verified I/O and swap, recompression and writeback, devices and CPUs that come and
# go, memory that runs out, suspend. TEST_SEED= repeats a run. See soak/. Sets much memory
# aside; processes of others may be killed. It writes back to two DISKS, and suspends only a VM.
# only by name
# vm: cpus=4 mem=1G disk=16M disk=16M append="slab_debug=FZP,kmalloc-*"
# timeout: 900
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram debugfs cgroup2 cpu=1 fio python3

# Leave little memory, so that it runs out soon.
echo -1000 >/proc/self/oom_score_adj
leave_memory 350
load num_devices=3
relay soak python3 -m soak --minutes "${TEST_MINUTES:-5}" io swap data devices jobs hotplug starve suspend
finish
