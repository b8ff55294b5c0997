// SPDX-License-Identifier: GPL-2.0-only

//! Classes of devices that have none, only files.
//!
//! C header: [`include/linux/device/class.h`](srctree/include/linux/device/class.h)
//!
//! Upstream this would be `rust/kernel/class.rs`.

use super::{
    ffi,
    sysfs::{
        show,
        store,
        AttributeGroups,
        Text, //
    }, //
};
use core::ops::Deref;
use kernel::{
    container_of,
    error::to_result,
    prelude::*, //
};

type ShowFn<T> = fn(&T, &mut Text<'_>) -> Result;
type StoreFn<T> = fn(&T, &[u8]) -> Result;

/// One file of a class, such as `/sys/class/zram-control/hot_add`.
#[repr(C)]
pub(crate) struct ClassAttribute<T> {
    raw: ffi::class_attribute,
    show: Option<ShowFn<T>>,
    store: Option<StoreFn<T>>,
}

// SAFETY: A `ClassAttribute` is never written to after its construction.
unsafe impl<T> Sync for ClassAttribute<T> {}

impl<T> ClassAttribute<T> {
    /// Makes a file that only root may read.
    pub const fn ro(name: &'static CStr, show: ShowFn<T>) -> Self {
        let mut raw = Self::raw(name, 0o400);
        raw.show = Some(Self::show_trampoline);
        let (show, store) = (Some(show), None);
        Self { raw, show, store }
    }

    /// Makes a file that only root may write.
    pub const fn wo(name: &'static CStr, store: StoreFn<T>) -> Self {
        let mut raw = Self::raw(name, 0o200);
        raw.store = Some(Self::store_trampoline);
        let (show, store) = (None, Some(store));
        Self { raw, show, store }
    }

    const fn raw(name: &'static CStr, mode: u16) -> ffi::class_attribute {
        let mut raw: ffi::class_attribute = pin_init::zeroed();
        raw.attr.name = kernel::str::as_char_ptr_in_const_context(name);
        raw.attr.mode = mode;
        raw
    }

    /// Calls the function that shows the file.
    ///
    /// # Safety
    ///
    /// `class` is the `raw` of a live `Registered<T>`, `attr` is the first field of a `Self`, and
    /// `buf` is a whole page that nobody else uses.
    unsafe extern "C" fn show_trampoline(
        class: *const ffi::class,
        attr: *const ffi::class_attribute,
        buf: *mut c_char,
    ) -> isize {
        // SAFETY: `attr` is the first field of a `Self`, which is `repr(C)` and static, and `class`
        // is the `raw` of a live `Registered<T>`.
        let (this, class) = unsafe { (&*attr.cast::<Self>(), Registered::<T>::from_raw(class)) };
        // SAFETY: `buf` is a whole page that nobody else uses.
        unsafe { show(buf, |out| this.show.ok_or(EIO)?(&class.data, out)) }
    }

    /// Calls the function that takes what was written.
    ///
    /// # Safety
    ///
    /// `class` is the `raw` of a live `Registered<T>`, `attr` is the first field of a `Self`, and
    /// `buf` is valid for reads of `len` bytes.
    unsafe extern "C" fn store_trampoline(
        class: *const ffi::class,
        attr: *const ffi::class_attribute,
        buf: *const c_char,
        len: usize,
    ) -> isize {
        // SAFETY: `attr` is the first field of a `Self`, which is `repr(C)` and static, and `class`
        // is the `raw` of a live `Registered<T>`.
        let (this, class) = unsafe { (&*attr.cast::<Self>(), Registered::<T>::from_raw(class)) };
        // SAFETY: `buf` is valid for reads of `len` bytes.
        unsafe { store(buf, len, |arg| this.store.ok_or(EIO)?(&class.data, arg)) }
    }
}

/// A class without devices, which has only files; unregistered when dropped.
///
/// # Invariants
///
/// `0.raw` is registered.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::class::{Class, ClassAttribute};
/// # use kernel::fmt::Write as _;
/// static FILES: [ClassAttribute<u32>; 1] =
///     [ClassAttribute::ro(c"answer", |answer, out| Ok(writeln!(out, "{answer}")?))];
///
/// let _class = Class::new(c"ramdisk-control", &FILES, Ok(42))?;
/// # Ok::<(), Error>(())
/// ```
pub(crate) struct Class<T>(Pin<KBox<Registered<T>>>);

#[pin_data]
struct Registered<T> {
    raw: ffi::class,
    files: AttributeGroups,
    #[pin]
    data: T,
}

impl<T> Registered<T> {
    /// Returns the class that the C class is in.
    ///
    /// # Safety
    ///
    /// `raw` is the field of a `Self` that lives for `'a`.
    unsafe fn from_raw<'a>(raw: *const ffi::class) -> &'a Self {
        // SAFETY: `raw` is the field of a `Self` that lives for `'a`, by the safety requirement of
        // `from_raw`.
        unsafe { &*container_of!(raw, Self, raw) }
    }
}

// SAFETY: The driver core takes its own locks, and a class is bound to no thread.
unsafe impl<T: Send> Send for Class<T> {}
// SAFETY: A `&Class<T>` gives out `&T` only.
unsafe impl<T: Sync> Sync for Class<T> {}

impl<T: Send + Sync> Class<T> {
    /// Registers a class with `files`, whose functions get a reference to `data`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// Those of `data`; those of `class_register()`, such as `EEXIST` if there is a class of that
    /// name; `ENOMEM`.
    pub fn new(
        name: &'static CStr,
        files: &'static [ClassAttribute<T>],
        data: impl PinInit<T, Error>,
    ) -> Result<Self> {
        let mut files =
            AttributeGroups::from_raw(files.iter().map(|file| &raw const file.raw.attr))?;
        let mut raw: ffi::class = pin_init::zeroed();
        raw.name = name.as_char_ptr();
        raw.class_groups = files.groups();
        let init = try_pin_init!(Registered {
            raw,
            files,
            data <- data,
        });
        let class = KBox::pin_init(init, GFP_KERNEL)?;
        // SAFETY: `class` is initialised and pinned, and is not freed before it is unregistered.
        to_result(unsafe { ffi::class_register(&class.raw) })?;
        // INVARIANT: `class.raw` was registered above.
        Ok(Self(class))
    }
}

impl<T> Deref for Class<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.data
    }
}

impl<T> Drop for Class<T> {
    fn drop(&mut self) {
        // SAFETY: `self.0.raw` is registered by the type invariant. The call removes the files, and
        // waits until no function of theirs runs.
        unsafe { ffi::class_unregister(&self.0.raw) };
    }
}
