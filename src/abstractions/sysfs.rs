// SPDX-License-Identifier: GPL-2.0-only

//! Files in sysfs: those of a disk, and those of a class.
//!
//! C header: [`include/linux/sysfs.h`](srctree/include/linux/sysfs.h)
//!
//! Every function here is called in process context and may sleep. What user space writes reaches
//! it as the C string that the kernel's own parsers would see: up to the first NUL.

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

/// What a file shows, as it is written. Nothing may be longer than a page.
pub(crate) struct Text<'a> {
    room: &'a mut [u8],
    len: usize,
}

impl Text<'_> {
    /// Appends `bytes`, which may be no text at all.
    ///
    /// # Errors
    ///
    /// `EMSGSIZE` if there is no room for all.
    pub(super) fn write_bytes(&mut self, bytes: &[u8]) -> Result {
        let room = self.room.get_mut(self.len..).ok_or(EMSGSIZE)?;
        // As long as the bytes by construction, which the compiler sees: no check of it is left, nor its panic.
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

/// What owns the files below a device: its driver.
pub(crate) trait Owner: Sized + 'static {
    /// A reference to one of its devices.
    type Ref<'a>: Copy;

    /// The reference to the device `dev`.
    ///
    /// # Safety
    ///
    /// `dev` is a device of this driver, alive during `'a`.
    unsafe fn from_device<'a>(dev: *mut ffi::device) -> Self::Ref<'a>;
}

type Show<T> = fn(<T as Owner>::Ref<'_>, &mut Text<'_>) -> Result;
type Store<T> = fn(<T as Owner>::Ref<'_>, &[u8]) -> Result;

/// One file under `/sys/block/<disk>/`.
#[repr(C)]
pub(crate) struct Attribute<T: Owner> {
    raw: ffi::device_attribute,
    show: Option<Show<T>>,
    store: Option<Store<T>>,
}

// SAFETY: Never written after construction.
unsafe impl<T: Owner> Sync for Attribute<T> {}

impl<T: Owner> Attribute<T> {
    /// A file that anyone may read.
    pub(crate) const fn ro(name: &'static CStr, show: Show<T>) -> Self {
        Self::new(name, 0o444, Some(show), None)
    }

    /// A file that only root may write.
    pub(crate) const fn wo(name: &'static CStr, store: Store<T>) -> Self {
        Self::new(name, 0o200, None, Some(store))
    }

    /// A file that anyone may read and only root may write.
    pub(crate) const fn rw(name: &'static CStr, show: Show<T>, store: Store<T>) -> Self {
        Self::new(name, 0o644, Some(show), Some(store))
    }

    const fn new(
        name: &'static CStr,
        mode: u16,
        show: Option<Show<T>>,
        store: Option<Store<T>>,
    ) -> Self {
        let mut raw: ffi::device_attribute = pin_init::zeroed();
        raw.attr.name = kernel::str::as_char_ptr_in_const_context(name);
        raw.attr.mode = mode;
        raw.__bindgen_anon_1.show_const = Some(Self::show_trampoline);
        raw.__bindgen_anon_2.store_const = Some(Self::store_trampoline);
        Self { raw, show, store }
    }

    /// # Safety
    ///
    /// `dev` is a disk of `T`, `attr` is the first field of a `Self`, `buf` is a whole page.
    unsafe extern "C" fn show_trampoline(
        dev: *mut ffi::device,
        attr: *const ffi::device_attribute,
        buf: *mut c_char,
    ) -> isize {
        // SAFETY: By the safety requirements.
        let (this, disk) = unsafe { (&*attr.cast::<Self>(), T::from_device(dev)) };
        // SAFETY: By the safety requirements.
        unsafe { show(buf, |out| this.show.ok_or(EIO)?(disk, out)) }
    }

    /// # Safety
    ///
    /// As for `show_trampoline`; `buf` is valid for `len` bytes.
    unsafe extern "C" fn store_trampoline(
        dev: *mut ffi::device,
        attr: *const ffi::device_attribute,
        buf: *const c_char,
        len: usize,
    ) -> isize {
        // SAFETY: By the safety requirements.
        let (this, disk) = unsafe { (&*attr.cast::<Self>(), T::from_device(dev)) };
        // SAFETY: By the safety requirements.
        unsafe { store(buf, len, |arg| this.store.ok_or(EIO)?(disk, arg)) }
    }
}

/// Lets `f` write to the page that sysfs shows.
///
/// # Safety
///
/// `buf` is a whole page that nobody else uses.
unsafe fn show(buf: *mut c_char, f: impl FnOnce(&mut Text<'_>) -> Result) -> isize {
    from_result(|| {
        // SAFETY: By the safety requirement.
        let room = unsafe { slice::from_raw_parts_mut(buf.cast(), PAGE_SIZE) };
        let mut out = Text { room, len: 0 };
        f(&mut out)?;
        Ok(out.len as isize)
    })
}

/// Lets `f` take what user space wrote.
///
/// # Safety
///
/// `buf` is valid for reads of `len` bytes.
unsafe fn store(buf: *const c_char, len: usize, f: impl FnOnce(&[u8]) -> Result) -> isize {
    from_result(|| {
        // SAFETY: By the safety requirement.
        let bytes: &[u8] = unsafe { slice::from_raw_parts(buf.cast(), len) };
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(len);
        f(bytes.get(..end).ok_or(EINVAL)?)?;
        Ok(len as isize)
    })
}

/// A list of files in the shape that the driver core wants.
pub(super) struct Files {
    _attributes: KVec<*const ffi::attribute>,
    _group: KBox<ffi::attribute_group>,
    groups: KBox<[*const ffi::attribute_group; 2]>,
}

impl Files {
    pub(super) fn new<T: Owner>(files: &'static [Attribute<T>]) -> Result<Self> {
        Self::from_raw(files.iter().map(|file| &raw const file.raw.attr))
    }

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

    /// The list, which must be in use no longer than `self` lives.
    pub(super) fn groups(&mut self) -> *mut *const ffi::attribute_group {
        self.groups.as_mut_ptr()
    }
}

type ClassShow<T> = fn(&T, &mut Text<'_>) -> Result;
type ClassStore<T> = fn(&T, &[u8]) -> Result;

/// One file under `/sys/class/<class>/`.
#[repr(C)]
pub(crate) struct ClassAttribute<T> {
    raw: ffi::class_attribute,
    show: Option<ClassShow<T>>,
    store: Option<ClassStore<T>>,
}

// SAFETY: Never written after construction.
unsafe impl<T> Sync for ClassAttribute<T> {}

impl<T> ClassAttribute<T> {
    /// A file that only root may read.
    pub(crate) const fn ro(name: &'static CStr, show: ClassShow<T>) -> Self {
        let mut raw = Self::raw(name, 0o400);
        raw.show = Some(Self::show_trampoline);
        let (show, store) = (Some(show), None);
        Self { raw, show, store }
    }

    /// A file that only root may write.
    pub(crate) const fn wo(name: &'static CStr, store: ClassStore<T>) -> Self {
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

    /// # Safety
    ///
    /// `class` is that of a live `Class<T>`, `attr` is the first field of a `Self`, `buf` is a whole
    /// page.
    unsafe extern "C" fn show_trampoline(
        class: *const ffi::class,
        attr: *const ffi::class_attribute,
        buf: *mut c_char,
    ) -> isize {
        // SAFETY: By the safety requirements.
        let (this, class) = unsafe { (&*attr.cast::<Self>(), Registered::<T>::from_raw(class)) };
        // SAFETY: By the safety requirements.
        unsafe { show(buf, |out| this.show.ok_or(EIO)?(&class.data, out)) }
    }

    /// # Safety
    ///
    /// As for `show_trampoline`; `buf` is valid for `len` bytes.
    unsafe extern "C" fn store_trampoline(
        class: *const ffi::class,
        attr: *const ffi::class_attribute,
        buf: *const c_char,
        len: usize,
    ) -> isize {
        // SAFETY: By the safety requirements.
        let (this, class) = unsafe { (&*attr.cast::<Self>(), Registered::<T>::from_raw(class)) };
        // SAFETY: By the safety requirements.
        unsafe { store(buf, len, |arg| this.store.ok_or(EIO)?(&class.data, arg)) }
    }
}

/// A class of devices that has none, only files; unregistered when dropped.
///
/// # Invariants
///
/// `0.raw` is registered.
pub(crate) struct Class<T>(Pin<KBox<Registered<T>>>);

#[pin_data]
struct Registered<T> {
    raw: ffi::class,
    files: Files,
    #[pin]
    data: T,
}

impl<T> Registered<T> {
    /// # Safety
    ///
    /// `raw` is the field of a `Self` that lives for `'a`.
    unsafe fn from_raw<'a>(raw: *const ffi::class) -> &'a Self {
        // SAFETY: By the safety requirement.
        unsafe { &*container_of!(raw, Self, raw) }
    }
}

// SAFETY: The driver core takes its own locks.
unsafe impl<T: Send> Send for Class<T> {}
// SAFETY: Gives out `&T` only.
unsafe impl<T: Sync> Sync for Class<T> {}

impl<T: Send + Sync> Class<T> {
    /// Makes the files appear. May sleep.
    pub(crate) fn new(
        name: &'static CStr,
        files: &'static [ClassAttribute<T>],
        data: impl PinInit<T, Error>,
    ) -> Result<Self> {
        let mut files = Files::from_raw(files.iter().map(|file| &raw const file.raw.attr))?;
        let mut raw: ffi::class = pin_init::zeroed();
        raw.name = name.as_char_ptr();
        raw.class_groups = files.groups();
        let init = try_pin_init!(Registered {
            raw,
            files,
            data <- data,
        });
        let class = KBox::pin_init(init, GFP_KERNEL)?;
        // SAFETY: `class` is complete and stays where it is until it is unregistered.
        to_result(unsafe { ffi::class_register(&class.raw) })?;
        // INVARIANT: Registered above.
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
        // SAFETY: By the type invariant. This waits for whoever uses a file.
        unsafe { ffi::class_unregister(&self.0.raw) };
    }
}
