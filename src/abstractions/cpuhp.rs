// SPDX-License-Identifier: GPL-2.0-only

//! CPU hotplug: a multi-instance state, and its instances.
//!
//! C header: [`include/linux/cpuhotplug.h`](srctree/include/linux/cpuhotplug.h)

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

/// What wants to know of CPUs that come and go.
///
/// Both calls come in process context, may sleep, and are serialised against each other.
pub(crate) trait Hotplug: Send + Sync + 'static {
    /// Gets ready for `cpu`, which is about to come up. An error keeps that CPU down.
    fn prepare(&self, cpu: CpuId) -> Result;

    /// Cleans up after `cpu`, which is down, or did not come up after a [`Hotplug::prepare`].
    fn dead(&self, cpu: CpuId);
}

/// Which of the kernel's hotplug states to use.
pub(crate) enum StateId {
    /// The one that the kernel keeps for zram: there can be one user in all.
    ZcompPrepare,
    /// Any free one.
    PrepareDyn,
}

/// A hotplug state for instances of `T`; removed when dropped.
///
/// # Invariants
///
/// `id` is a state set up with the trampolines for `T`.
pub(crate) struct State<T: Hotplug> {
    id: ffi::cpuhp_state,
    _instances: PhantomData<T>,
}

impl<T: Hotplug> State<T> {
    /// Sets up the state `name`, without instances. Takes the CPU hotplug lock; may sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` when [`StateId::ZcompPrepare`] has a user; `ENOSPC` when no dynamic state is left.
    pub(crate) fn new(name: &'static CStr, slot: StateId) -> Result<Self> {
        let (prepare, dead): (Callback, Callback) = (Self::prepare, Self::dead);
        let fixed = ffi::cpuhp_state_CPUHP_ZCOMP_PREPARE;
        let id = match slot {
            StateId::ZcompPrepare => fixed,
            StateId::PrepareDyn => ffi::cpuhp_state_CPUHP_BP_PREPARE_DYN,
        };
        // SAFETY: `name` is static; for a multi-instance state the core calls both callbacks with
        // an instance as second argument.
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
        // INVARIANT: Set up above; a dynamic state's number is the result.
        Ok(Self {
            id: match slot {
                StateId::ZcompPrepare => fixed,
                StateId::PrepareDyn => ret as ffi::cpuhp_state,
            },
            _instances: PhantomData,
        })
    }

    /// # Safety
    ///
    /// `node` is the first field of a live `Node<T>`.
    unsafe extern "C" fn prepare(cpu: c_uint, node: *mut ffi::hlist_node) -> c_int {
        // SAFETY: By the safety requirement; the core passes valid CPU numbers.
        let (node, cpu) = unsafe { (Node::<T>::from_raw(node), CpuId::from_u32_unchecked(cpu)) };
        from_result(|| node.data.prepare(cpu).map(|()| 0))
    }

    /// # Safety
    ///
    /// As for `prepare`.
    unsafe extern "C" fn dead(cpu: c_uint, node: *mut ffi::hlist_node) -> c_int {
        // SAFETY: As above.
        let (node, cpu) = unsafe { (Node::<T>::from_raw(node), CpuId::from_u32_unchecked(cpu)) };
        node.data.dead(cpu);
        0
    }
}

type Callback = unsafe extern "C" fn(c_uint, *mut ffi::hlist_node) -> c_int;
type SingleCallback = unsafe extern "C" fn(c_uint) -> c_int;

impl<T: Hotplug> Drop for State<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; every instance holds a reference to its state.
        unsafe { ffi::__cpuhp_remove_state(self.id, false) };
    }
}

#[repr(C)]
#[pin_data]
struct Node<T> {
    #[pin]
    raw: Opaque<ffi::hlist_node>,
    data: T,
}

impl<T> Node<T> {
    /// # Safety
    ///
    /// `raw` is the field of a `Self` that lives for `'a`.
    unsafe fn from_raw<'a>(raw: *mut ffi::hlist_node) -> &'a Self {
        // SAFETY: By the safety requirement.
        unsafe { &*container_of!(Opaque::cast_from(raw), Self, raw) }
    }
}

/// A `T` that is told of CPUs; when dropped, [`Hotplug::dead`] is called for each CPU that is up.
///
/// # Invariants
///
/// `node` is an instance of `state`.
pub(crate) struct Instance<T: Hotplug> {
    node: Pin<KBox<Node<T>>>,
    state: Arc<State<T>>,
}

// SAFETY: The core takes its own lock around the list that `node` is in.
unsafe impl<T: Hotplug> Send for Instance<T> {}
// SAFETY: Gives out `&T` only.
unsafe impl<T: Hotplug> Sync for Instance<T> {}

impl<T: Hotplug> Instance<T> {
    /// Calls [`Hotplug::prepare`] for each CPU that is up, and then for each that comes up.
    ///
    /// Takes the CPU hotplug lock; may sleep.
    ///
    /// # Errors
    ///
    /// That of the first failed `prepare`, after a `dead` for each CPU that was prepared.
    pub(crate) fn new(state: &Arc<State<T>>, data: T) -> Result<Self> {
        let init = pin_init!(Node {
            raw <- Opaque::ffi_init(|_| ()),
            data,
        });
        let node = KBox::pin_init(init, GFP_KERNEL)?;
        // SAFETY: `node` is pinned, and by the type invariant of `State` its callbacks are for `T`.
        to_result(unsafe { ffi::__cpuhp_state_add_instance(state.id, node.raw.get(), true) })?;
        // INVARIANT: Added above.
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
        // SAFETY: By the type invariant. It can't fail: the teardown callback returns zero.
        unsafe { ffi::__cpuhp_state_remove_instance(self.state.id, self.node.raw.get(), true) };
    }
}
