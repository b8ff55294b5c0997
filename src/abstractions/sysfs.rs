// SPDX-License-Identifier: GPL-2.0-only

//! Files in sysfs.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)
//!
//! Upstream this would be `rust/kernel/sysfs.rs`, on top of `device::Device`.
//!
//! Functions of files are called in process context and may sleep. What user space writes reaches
//! them as the C string that the kernel's own parsers would see: up to the first NUL.

use super::ffi;
use core::slice;
use kernel::{
    error::from_result,
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
    pub const fn ro(name: &'static CStr, show: ShowFn<T>) -> Self {
        Self::new(name, 0o444, Some(show), None)
    }

    /// Makes a file that only root may write.
    pub const fn wo(name: &'static CStr, store: StoreFn<T>) -> Self {
        Self::new(name, 0o200, None, Some(store))
    }

    /// Makes a file that everybody may read and only root may write.
    pub const fn rw(name: &'static CStr, show: ShowFn<T>, store: StoreFn<T>) -> Self {
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
pub(super) unsafe fn show(buf: *mut c_char, f: impl FnOnce(&mut Text<'_>) -> Result) -> isize {
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
pub(super) unsafe fn store(
    buf: *const c_char,
    len: usize,
    f: impl FnOnce(&[u8]) -> Result,
) -> isize {
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
    pub(super) fn from_raw(files: impl Iterator<Item = *const ffi::attribute>) -> Result<Self> {
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
