#!/bin/bash
# CPUs go and come, some of them refused, down to CPU 0 alone, and the machine sleeps at times; meanwhile fio verifies,
# memory is swapped, pages are recompressed and written back, devices come and go. See soak.py.
# Needs: root, python3, fio, cgroup2, CPUs that can be taken down, no zram device in use;
# two DISKS to write back to, and for suspend a VM.
# kernel: stock, or by name
# vm: cpus=4 mem=1G disk=16M disk=16M append="slab_debug=FZP,kmalloc-*"
# timeout: 600
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

load num_devices=3
relay abuse "$here/soak.py" --until hotplug="${TEST_CYCLES:-60}" io swap data devices jobs hotplug suspend
finish
