# SPDX-License-Identifier: GPL-2.0-only
"""The guest's part of the benchmark of tiers."""
