# SPDX-License-Identifier: GPL-2.0-only
"""Writeback, marks of idleness, recompression and the parameters of algorithms: what they do to which pages, under fire too.

python3 -m writeback MODULE NBD PARTIAL WHOLE BASE DM [CASE...]
                    the module; a network block device without a server; loop devices of 10½ and of 4096 blocks; one more,
                    and a device-mapper device on it

After each case all of the data is compared with what was stored, read in several ways, and the statistics with
block_state.
"""
