# SPDX-License-Identifier: GPL-2.0-only
"""What the benchmark's figures are made of."""
