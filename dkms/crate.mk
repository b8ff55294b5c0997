# SPDX-License-Identifier: GPL-2.0-only
# What the kernel's own Makefile does to make the `kernel` crate, without all else that `make prepare` makes: that is in the
# headers. Run in a tree with the kernel's top Makefile.

include Makefile

crate:
	$(if $(CONFIG_X86_64),$(Q)$(MAKE) $(build)=scripts scripts/target.json)
	$(Q)$(MAKE) $(build)=rust rust/kernel.o

.PHONY: crate
