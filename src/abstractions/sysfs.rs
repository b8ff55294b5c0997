// SPDX-License-Identifier: GPL-2.0-only

//! AttributeGroups in sysfs: those of a disk, and those of a class.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)
//!
//! Upstream this would be `rust/kernel/sysfs.rs`, on top of `device::Device`, and
//! `rust/kernel/class.rs`.
//!
//! Functions of files are called in process context and may sleep. What user space writes reaches
//! them as the C string that the kernel's own parsers would see: up to the first NUL.

use super::ffi;
use core::{
    ops::Deref,
    slice, //
};
use kernel::{
    container_of,
    error::{
        from_result,
        to_result, //
    },
    fmt,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Contents of a file while they are written; no file can be longer than a page.
pub(crate) struct Text<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl Text<'_> {
    /// Appends `bytes`, which need not be UTF-8.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE` if there is no room for all of `bytes`; then none is appended.
    pub(super) fn write_bytes(&mut self, bytes: &[u8]) -> Result {
        let room = self.room.get_mut(self.len..).ok_or(EMSGSIZE)?;
        // The compiler sees that both slices have the same length, and so leaves out that check and
        // its panic.
        room.get_mut(..bytes.len())
            .ok_or(EMSGSIZE)?
            .copy_from_slice(bytes);
        self.len = self.len.saturating_add(bytes.len());
        Ok(())
    }
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// A driver that has files below its devices.
pub(crate) trait Owner: Sized + 'static {
    /// Reference to a device of this driver.
    type Ref<'a>: Copy;

    /// Returns a reference to the device `dev`.
    ///
    /// # Safety
    ///
    /// `dev` is a device of this driver, alive during `'a`.
    unsafe fn from_device<'a>(dev: *mut ffi::device) -> Self::Ref<'a>;
}

type ShowFn<T> = fn(<T as Owner>::Ref<'_>, &mut Text<'_>) -> Result;
type StoreFn<T> = fn(<T as Owner>::Ref<'_>, &[u8]) -> Result;

/// One file below a device, such as `/sys/block/zram0/disksize`.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::{disk::{DiskRef, Operations}, sysfs::{Attribute, Text}};
/// # use kernel::fmt::Write as _;
/// fn show_name_len<T: Operations>(disk: DiskRef<'_, T>, out: &mut Text<'_>) -> Result {
///     Ok(writeln!(out, "{}", disk.name().to_bytes().len())?)
/// }
///
/// const fn attributes<T: Operations>() -> [Attribute<T>; 1] {
///     [Attribute::ro(c"name_len", show_name_len)]
/// }
/// ```
#[repr(C)]
pub(crate) struct Attribute<T: Owner> {
    raw: ffi::device_attribute,
    show: Option<ShowFn<T>>,
    store: Option<StoreFn<T>>,
}

// SAFETY: An `Attribute` is never written to after its construction.
unsafe impl<T: Owner> Sync for Attribute<T> {}

impl<T: Owner> Attribute<T> {
    /// Makes a file that everybody may read.
    pub(crate) const fn ro(name: &'static CStr, show: ShowFn<T>) -> Self {
        Self::new(name, 0o444, Some(show), None)
    }

    /// Makes a file that only root may write.
    pub(crate) const fn wo(name: &'static CStr, store: StoreFn<T>) -> Self {
        Self::new(name, 0o200, None, Some(store))
    }

    /// Makes a file that everybody may read and only root may write.
    pub(crate) const fn rw(name: &'static CStr, show: ShowFn<T>, store: StoreFn<T>) -> Self {
        Self::new(name, 0o644, Some(show), Some(store))
    }

    const fn new(
        name: &'static CStr,
        mode: u16,
        show: Option<ShowFn<T>>,
        store: Option<StoreFn<T>>,
    ) -> Self {
        let mut raw: ffi::device_attribute = pin_init::zeroed();
        raw.attr.name = kernel::str::as_char_ptr_in_const_context(name);
        raw.attr.mode = mode;
        raw.__bindgen_anon_1.show_const = Some(Self::show_trampoline);
        raw.__bindgen_anon_2.store_const = Some(Self::store_trampoline);
        Self { raw, show, store }
    }

    /// Calls the function that shows the file.
    ///
    /// # Safety
    ///
    /// `dev` is a device of `T`, `attr` is the first field of a `Self`, and `buf` is a whole page
    /// that nobody else uses.
    unsafe extern "C" fn show_trampoline(
        dev: *mut ffi::device,
        attr: *const ffi::device_attribute,
        buf: *mut c_char,
    ) -> isize {
        // SAFETY: `attr` is the first field of a `Self`, which is `repr(C)` and static, and `dev`
        // is a device of `T`.
        let (this, disk) = unsafe { (&*attr.cast::<Self>(), T::from_device(dev)) };
        // SAFETY: `buf` is a whole page that nobody else uses.
        unsafe { show(buf, |out| this.show.ok_or(EIO)?(disk, out)) }
    }

    /// Calls the function that takes what was written.
    ///
    /// # Safety
    ///
    /// `dev` is a device of `T`, `attr` is the first field of a `Self`, and `buf` is valid for
    /// reads of `len` bytes.
    unsafe extern "C" fn store_trampoline(
        dev: *mut ffi::device,
        attr: *const ffi::device_attribute,
        buf: *const c_char,
        len: usize,
    ) -> isize {
        // SAFETY: `attr` is the first field of a `Self`, which is `repr(C)` and static, and `dev`
        // is a device of `T`.
        let (this, disk) = unsafe { (&*attr.cast::<Self>(), T::from_device(dev)) };
        // SAFETY: `buf` is valid for reads of `len` bytes.
        unsafe { store(buf, len, |arg| this.store.ok_or(EIO)?(disk, arg)) }
    }
}

/// Calls `f` to fill the page that sysfs shows; returns the length, or a negative error number.
///
/// # Safety
///
/// `buf` is a whole page that nobody else uses.
unsafe fn show(buf: *mut c_char, f: impl FnOnce(&mut Text<'_>) -> Result) -> isize {
    from_result(|| {
        // SAFETY: `buf` is a whole page that nobody else uses, by the safety requirement of `show`.
        let room = unsafe { slice::from_raw_parts_mut(buf.cast(), PAGE_SIZE) };
        let mut out = Text { room, len: 0 };
        f(&mut out)?;
        Ok(out.len as isize)
    })
}

/// Calls `f` with what user space wrote, up to the first NUL; returns `len`, or a negative error
/// number.
///
/// # Safety
///
/// `buf` is valid for reads of `len` bytes.
unsafe fn store(buf: *const c_char, len: usize, f: impl FnOnce(&[u8]) -> Result) -> isize {
    from_result(|| {
        // SAFETY: `buf` is valid for reads of `len` bytes by the safety requirement of `store`.
        let bytes: &[u8] = unsafe { slice::from_raw_parts(buf.cast(), len) };
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(len);
        f(bytes.get(..end).ok_or(EINVAL)?)?;
        Ok(len as isize)
    })
}

/// A list of files in the form that the driver core wants.
pub(super) struct AttributeGroups {
    _attributes: KVec<*const ffi::attribute>,
    _group: KBox<ffi::attribute_group>,
    groups: KBox<[*const ffi::attribute_group; 2]>,
}

impl AttributeGroups {
    /// Makes a list of the files of a device.
    pub(super) fn new<T: Owner>(files: &'static [Attribute<T>]) -> Result<Self> {
        Self::from_raw(files.iter().map(|file| &raw const file.raw.attr))
    }

    /// Makes a list of files, which have to outlive it.
    fn from_raw(files: impl Iterator<Item = *const ffi::attribute>) -> Result<Self> {
        let mut attributes = KVec::new();
        for file in files {
            attributes.push(file, GFP_KERNEL)?;
        }
        attributes.push(core::ptr::null(), GFP_KERNEL)?;
        let mut group: KBox<ffi::attribute_group> = KBox::new(pin_init::zeroed(), GFP_KERNEL)?;
        group.__bindgen_anon_2.attrs_const = attributes.as_ptr();
        let groups = KBox::new([&raw const *group, core::ptr::null()], GFP_KERNEL)?;
        Ok(Self {
            _attributes: attributes,
            _group: group,
            groups,
        })
    }

    /// Returns the list, which must not be used after `self` is dropped.
    pub(super) fn groups(&mut self) -> *mut *const ffi::attribute_group {
        self.groups.as_mut_ptr()
    }
}

type ClassShowFn<T> = fn(&T, &mut Text<'_>) -> Result;
type ClassStoreFn<T> = fn(&T, &[u8]) -> Result;

/// One file of a class, such as `/sys/class/zram-control/hot_add`.
#[repr(C)]
pub(crate) struct ClassAttribute<T> {
    raw: ffi::class_attribute,
    show: Option<ClassShowFn<T>>,
    store: Option<ClassStoreFn<T>>,
}

// SAFETY: A `ClassAttribute` is never written to after its construction.
unsafe impl<T> Sync for ClassAttribute<T> {}

impl<T> ClassAttribute<T> {
    /// Makes a file that only root may read.
    pub(crate) const fn ro(name: &'static CStr, show: ClassShowFn<T>) -> Self {
        let mut raw = Self::raw(name, 0o400);
        raw.show = Some(Self::show_trampoline);
        let (show, store) = (Some(show), None);
        Self { raw, show, store }
    }

    /// Makes a file that only root may write.
    pub(crate) const fn wo(name: &'static CStr, store: ClassStoreFn<T>) -> Self {
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
/// # use crate::zram::abstractions::sysfs::{Class, ClassAttribute};
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
    pub(crate) fn new(
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
