#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# CPUs go and come, some are refused, at times all but CPU 0 are down, and the machine sleeps; meanwhile fio verifies, memory is
# swapped, pages are recompressed and written back, devices come and go. See soak/. It writes back to two DISKS, and
# suspends only a VM.
# kernel: stock, or by name
# vm: cpus=4 mem=1G disk=16M disk=16M append="slab_debug=FZP,kmalloc-*"
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"
needs root no-zram debugfs cgroup2 cpu=1 fio python3

load num_devices=3
relay abuse python3 -m soak --until hotplug="${TEST_CYCLES:-60}" io swap data devices jobs hotplug suspend
finish
