# SPDX-License-Identifier: GPL-2.0-only
"""What several of the Python programs of the selftests use. lib.sh has Python find it."""
