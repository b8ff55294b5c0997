// SPDX-License-Identifier: GPL-2.0-only

//! CPU hotplug: a state for many instances, each of which is told of CPUs that come and go.
//!
//! C header: [`include/linux/cpuhotplug.h`](srctree/include/linux/cpuhotplug.h)
//!
//! Upstream this would be `rust/kernel/cpuhp.rs`.

use super::ffi;
use core::marker::PhantomData;
use kernel::{
    container_of,
    cpu::CpuId,
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// An object that is told of CPUs that come and go.
///
/// The calls never overlap.
///
/// Context: Process context. May sleep; the CPU hotplug lock is held.
pub(crate) trait Hotplug: Send + Sync + 'static {
    /// Gets ready for `cpu`, which is about to come up.
    ///
    /// # Errors
    ///
    /// Any error keeps the CPU down.
    fn prepare(&self, cpu: CpuId) -> Result;

    /// Cleans up after `cpu`, which is down, or did not come up after [`Hotplug::prepare`].
    fn dead(&self, cpu: CpuId);
}

/// One of the kernel's hotplug states.
pub(crate) enum StateId {
    /// The state that the kernel keeps for zram, and that can have one user.
    ZcompPrepare,
    /// Any free one of the states that are given out dynamically; like zram's, they precede the
    /// start of a CPU.
    PrepareDyn,
}

/// A hotplug state for instances of `T`; removed when dropped.
///
/// # Invariants
///
/// `id` is a state that was set up with the callbacks for `T`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::cpuhp::{Hotplug, Instance, HotplugState, StateId};
/// # use kernel::cpu::CpuId;
/// struct Buffers;
///
/// impl Hotplug for Buffers {
///     fn prepare(&self, cpu: CpuId) -> Result {
///         pr_info!("CPU {} comes\n", cpu.as_u32());
///         Ok(())
///     }
///
///     fn dead(&self, _cpu: CpuId) {}
/// }
///
/// let state = HotplugState::new(c"block/ramdisk:prepare", StateId::PrepareDyn)?;
/// let _buffers = Instance::new(&Arc::new(state, GFP_KERNEL)?, Buffers)?;
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct HotplugState<T: Hotplug> {
    id: ffi::cpuhp_state,
    _instances: PhantomData<T>,
}

impl<T: Hotplug> HotplugState<T> {
    /// Sets up the state `state` under `name`, without instances.
    ///
    /// Context: Process context. May sleep; takes the CPU hotplug lock.
    ///
    /// # Errors
    ///
    /// `EBUSY` if [`StateId::ZcompPrepare`] has a user; `ENOSPC` if no state is free for
    /// [`StateId::PrepareDyn`].
    pub fn new(name: &'static CStr, state: StateId) -> Result<Self> {
        let (prepare, dead): (Callback, Callback) = (Self::prepare, Self::dead);
        let fixed = ffi::cpuhp_state_CPUHP_ZCOMP_PREPARE;
        let id = match state {
            StateId::ZcompPrepare => fixed,
            StateId::PrepareDyn => ffi::cpuhp_state_CPUHP_BP_PREPARE_DYN,
        };
        // SAFETY: `name` is static. The core has callbacks with one argument and with two in a
        // union, and for a state that is set up for many instances it calls the latter, with an
        // instance as second argument. So these functions, which have two arguments, are never
        // called as what `transmute` says they are.
        let ret = unsafe {
            ffi::__cpuhp_setup_state(
                id,
                name.as_char_ptr(),
                false,
                Some(core::mem::transmute::<Callback, SingleCallback>(prepare)),
                Some(core::mem::transmute::<Callback, SingleCallback>(dead)),
                true,
            )
        };
        to_result(ret)?;
        // INVARIANT: The state was set up above with the callbacks for `T`. For `PrepareDyn` the
        // call has returned the number of the state that it found.
        Ok(Self {
            id: match state {
                StateId::ZcompPrepare => fixed,
                StateId::PrepareDyn => ret as ffi::cpuhp_state,
            },
            _instances: PhantomData,
        })
    }

    /// Calls [`Hotplug::prepare`] of an instance.
    ///
    /// # Safety
    ///
    /// `node` is the first field of a live `Node<T>`, and `cpu` is the number of a CPU.
    unsafe extern "C" fn prepare(cpu: c_uint, node: *mut ffi::hlist_node) -> c_int {
        // SAFETY: `node` is the field of a live `Node<T>`, and `cpu` is the number of a CPU, by the
        // safety requirement of `prepare`.
        let (node, cpu) = unsafe { (Node::<T>::from_raw(node), CpuId::from_u32_unchecked(cpu)) };
        from_result(|| node.data.prepare(cpu).map(|()| 0))
    }

    /// Calls [`Hotplug::dead`] of an instance.
    ///
    /// # Safety
    ///
    /// `node` is the first field of a live `Node<T>`, and `cpu` is the number of a CPU.
    unsafe extern "C" fn dead(cpu: c_uint, node: *mut ffi::hlist_node) -> c_int {
        // SAFETY: `node` is the field of a live `Node<T>`, and `cpu` is the number of a CPU, by the
        // safety requirement of `dead`.
        let (node, cpu) = unsafe { (Node::<T>::from_raw(node), CpuId::from_u32_unchecked(cpu)) };
        node.data.dead(cpu);
        0
    }
}

/// A callback of a state for many instances.
type Callback = unsafe extern "C" fn(c_uint, *mut ffi::hlist_node) -> c_int;
/// A callback of any other state, which is how the core's functions declare all of them.
type SingleCallback = unsafe extern "C" fn(c_uint) -> c_int;

impl<T: Hotplug> Drop for HotplugState<T> {
    fn drop(&mut self) {
        // SAFETY: `self.id` is a state that was set up, by the type invariant. It has no instance
        // left, since each holds a reference to its state.
        unsafe { ffi::__cpuhp_remove_state(self.id, false) };
    }
}

/// An instance, in the form that the core wants.
#[repr(C)]
#[pin_data]
struct Node<T> {
    #[pin]
    raw: Opaque<ffi::hlist_node>,
    data: T,
}

impl<T> Node<T> {
    /// Returns the instance that `raw` is in.
    ///
    /// # Safety
    ///
    /// `raw` is the field of a `Self` that lives for `'a`.
    unsafe fn from_raw<'a>(raw: *mut ffi::hlist_node) -> &'a Self {
        // SAFETY: `raw` is the field of a `Self` that lives for `'a`, by the safety requirement of
        // `from_raw`.
        unsafe { &*container_of!(Opaque::cast_from(raw), Self, raw) }
    }
}

/// A `T` that is told of CPUs; when dropped, [`Hotplug::dead`] is called for each CPU that is up.
///
/// Dropping it takes the CPU hotplug lock, and may sleep.
///
/// # Invariants
///
/// `node` is an instance of `state`, which the core has in its list.
pub(crate) struct Instance<T: Hotplug> {
    node: Pin<KBox<Node<T>>>,
    state: Arc<HotplugState<T>>,
}

// SAFETY: The core takes its own lock around the list that `node` is in. `T` is `Send`.
unsafe impl<T: Hotplug> Send for Instance<T> {}
// SAFETY: A `&Instance<T>` gives out `&T` only, and `T` is `Sync`.
unsafe impl<T: Hotplug> Sync for Instance<T> {}

impl<T: Hotplug> Instance<T> {
    /// Adds `data` as an instance of `state`: calls [`Hotplug::prepare`] for each CPU that is up,
    /// and later for each that comes up.
    ///
    /// Context: Process context. May sleep; takes the CPU hotplug lock.
    ///
    /// # Errors
    ///
    /// That of the first `prepare` that fails, after a call of `dead` for each CPU that was
    /// prepared; `ENOMEM`.
    pub fn new(state: &Arc<HotplugState<T>>, data: T) -> Result<Self> {
        let init = pin_init!(Node {
            raw <- Opaque::ffi_init(|_| ()),
            data,
        });
        let node = KBox::pin_init(init, GFP_KERNEL)?;
        // SAFETY: `node` is pinned, and is not freed before it is removed. The callbacks of `state`
        // are for `T` by its type invariant.
        to_result(unsafe { ffi::__cpuhp_state_add_instance(state.id, node.raw.get(), true) })?;
        // INVARIANT: `node` was added to `state` above.
        Ok(Self {
            node,
            state: state.clone(),
        })
    }
}

impl<T: Hotplug> core::ops::Deref for Instance<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.node.data
    }
}

impl<T: Hotplug> Drop for Instance<T> {
    fn drop(&mut self) {
        // SAFETY: `self.node` is an instance of `self.state` by the type invariant. The call can't
        // fail, since `HotplugState::dead` returns zero.
        unsafe { ffi::__cpuhp_state_remove_instance(self.state.id, self.node.raw.get(), true) };
    }
}
