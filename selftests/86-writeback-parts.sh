#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Writeback of pages of which parts are read and written.
# vm: cpus=4 mem=1G blocks=small
# timeout: 300
# shellcheck source-path=SCRIPTDIR source=85-writeback.sh
SUBJECTS=parts
source "$(dirname "$0")/85-writeback.sh"
