# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# The machine that QEMU is for $arch and $accel: what all VMs have in common, whichever disk they boot from.

# machine: sets qemu, the command but for memory, disks and consoles, and kernel_arguments, which $append is the end of.
machine() {
	local serial=ttyS0 model tsc_khz
	# Under TCG four vCPUs share what the host can spare, and may wait for seconds: the lockup detectors get more patience.
	[[ $arch != arm64 ]] || serial=ttyAMA0
	kernel_arguments="console=$serial panic=-1 oops=panic log_buf_len=1M watchdog_thresh=30"
	kernel_arguments+=" rcupdate.rcu_cpu_stall_timeout=60 mitigations=off$append"
	# While a kernel identifies its first CPU it forgets for a moment that it uses five levels of page tables: should an
	# interrupt come just then, KASAN takes any address for a wild one. With four levels there is nothing to forget.
	[[ $kernel == stock ]] || kernel_arguments+=' no5lvl'

	case $arch in
	amd64)
		qemu=(qemu-system-x86_64 -machine q35)
		model='max,-erms,-fsrm,-fsrs'
		# The TSC, which QEMU derives from one host clock, is not checked against slower ones and given up. And on a busy
		# host the kernel may be too slow to see its timer tick.
		kernel_arguments+=' tsc=reliable no_timer_check'
		;;
	arm64)
		qemu=(qemu-system-aarch64 -machine 'virt,gic-version=3')
		# By default pointers are signed with a cipher that takes TCG long.
		model='max,pauth-impdef=on'
		;;
	esac
	qemu+=(-nodefaults -no-user-config -no-reboot -display none)
	case $accel in
	kvm) qemu+=(-accel kvm -cpu host) ;;
	# lpj: a vCPU that comes up would measure its delay loop against ticks that arrive at any time, at length and in vain.
	# cpu_init_udelay: one that is told to start before it was seen to reset may miss that.
	# tsc_early_khz: the guest has the host's counter; measured against an emulated timer its rate may be wrong by a factor
	# of five, and with it every time limit.
	# Without the features that say that string instructions are fast: a processor stores as many bytes in a cycle as it
	# can, TCG one after the other, and all that clears memory with them would look slow.
	tcg)
		qemu+=(-accel 'tcg,thread=multi' -cpu "$model")
		if [[ $arch == amd64 ]]; then
			tsc_khz=$own/host/tsc_khz
			mkdir -p "$own/host"
			# Two VMs may start at the same time.
			{
				flock 8
				[[ $tsc_khz -nt $top/qemu/root/tsc_khz.rs ]] || {
					in_root rustc --edition 2021 -O -o /own/host/tsc_khz.new /tree/qemu/root/tsc_khz.rs
					mv "$tsc_khz.new" "$tsc_khz"
				}
			} 8>"$own/host/tsc_khz.lock"
			kernel_arguments+=" lpj=10000000 cpu_init_udelay=10000 tsc_early_khz=$(in_root /own/host/tsc_khz)"
		fi
		;;
	# For figures: one vCPU, whose clock is the number of instructions that it has executed, and the same boot each time.
	icount)
		qemu+=(-accel tcg -icount 'shift=0,sleep=off' -seed 1 -rtc 'base=2026-01-01,clock=vm' -cpu "$model")
		kernel_arguments+=' nokaslr norandmaps random.trust_cpu=off'
		;;
	esac
}
