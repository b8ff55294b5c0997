#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Writeback of compressed pages, which share blocks of the backing device; see writeback/packing.py.
# vm: cpus=4 mem=1G
# timeout: 500
# shellcheck source-path=SCRIPTDIR source=85-writeback.sh
SUBJECTS=packing
source "$(dirname "$0")/85-writeback.sh"
