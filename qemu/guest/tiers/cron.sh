#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What people have a timer do: writes back what has not been used for long, and what does not compress; recompresses what has
# not been used for less long.
#
#   cron.sh DISK SECONDS OLD YOUNG      the folder of a zram disk in sysfs, how often, and the two ages in seconds
cd "$1" || exit
while sleep "$2"; do
	echo "$3" >idle
	echo idle >writeback
	echo huge >writeback
	echo "$4" >idle
	echo 'type=idle algo=zstd' >recompress
done
