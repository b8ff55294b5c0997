# SPDX-License-Identifier: GPL-2.0-only
# What one does with rust_zram. Kbuild has its own file; the work is done by the scripts in qemu/ and dkms/.

MAKEFLAGS += --no-print-directory --no-builtin-rules
# Not translated, as scripts read it, too.
export LC_ALL := C.UTF-8
# However make ends, what it has started ends, too.
SHELL := setpriv
.SHELLFLAGS := --pdeathsig TERM bash -c

# `make NAME=zram` builds, and `make NAME=zram install` installs, the same module as zram. The scripts know what else is named so.

all: ## build rust_zram.ko for the running kernel, or the one of KVER=: with this machine's packages, else in the workbench
	@dkms/make

workbench: ## build it in the workbench, where the commands below run
	@qemu/setup
	@qemu/build

kernels: ## which kernels the mirror has, and whether the module can be built for them: KVER=… makes any command use one
	@qemu/kernels

reach: ## build, boot and test for every kind of kernel that README names, cross-built where need be; K="…" only those
	@qemu/reach $(K)

run: workbench ## demonstrate: swap under memory pressure in a VM while CPUs come and go; ALGORITHM=lzmem, POLICY=1
	@qemu/run

test: workbench ## host tests, the selftests in VMs, and the packages on a machine; T="10 20" runs only those selftests
	@$(if $(T),qemu/test $(T),qemu/test-all)

test-debug: ## the selftests in debug kernels: all with KASAN and lockdep, the concurrent ones with KCSAN; KERNEL= or T= for less
	@qemu/test-debug $(T)

test-package: ## the packages on machines that boot Debian; PACKAGES=DIR, T="10 20" only those, SHORT=1 without the longest
	@qemu/test-package $(T)

bench: workbench ## measure against C zram; QUICK=1 in minutes, CELLS='lz4 (mixed|text) write' only those; profile: qemu/bench
	@qemu/bench

bench-tiers: workbench ## measure a working set larger than memory, over a slow disk, against C zram and zswap
	@qemu/bench-tiers

deb: ## Debian packages in dist/, with the module for the stock kernel
	@qemu/deb

release: ## Debian packages for all kernels that the mirror has, in dist/, as a repository for apt; K="…" only those, KEY= signs
	@KEY="$(KEY)" qemu/release $(K)

test-abuse: workbench ## hotplug abuse with 2,000 cycles, starvation with 20 rounds
	@TEST_CYCLES=2000 TEST_ROUNDS=20 TEST_LONGER=7200 V=1 qemu/test 92 93

soak: MINUTES ?= 60
soak: workbench ## all kinds of load at once for MINUTES= (60), with the rates of each minute
	@TEST_MINUTES=$(MINUTES) TEST_LONGER=$$(($(MINUTES) * 60)) V=1 qemu/test 95

shell: workbench ## a root shell in a VM with /dev/zram0 to play with
	@qemu/vm -i -- qemu/guest/shell

host-test: ## only the tests that need no kernel
	@qemu/setup
	@qemu/test host

fuzz: MINUTES ?= 60
fuzz: ## inputs for lzmem that reach new code, for MINUTES= (60) each for blocks and pages; T=lzmem_block only those
	@qemu/setup
	@MINUTES=$(MINUTES) qemu/fuzz $(T)

lint: ## rustfmt --check, clippy and shellcheck, each warning an error
	@qemu/setup
	@qemu/lint

fmt: ## format the Rust sources
	@qemu/setup
	@qemu/lint fmt

rust-analyzer: ## write rust-project.json for rust-analyzer
	@qemu/setup
	@qemu/rust-analyzer

install: ## install the module for the running kernel, or the one of KVER=; NAME=zram in place of C zram
	@dkms/install

uninstall: ## take it out again
	@dkms/install remove

clean: ## remove what was built from this tree
	@qemu/clean

distclean: ## and the workbench in the cache, which other trees may share
	@qemu/clean all

help: ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

.PHONY: all workbench kernels reach run test bench bench-tiers test-debug test-abuse test-package soak shell host-test deb release
.PHONY: fuzz lint fmt rust-analyzer install uninstall clean distclean help
