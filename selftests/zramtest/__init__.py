# SPDX-License-Identifier: GPL-2.0-only
"""Modules that several Python programs of the selftests use. lib.sh sets PYTHONPATH, so that they are found."""
