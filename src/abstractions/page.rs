// SPDX-License-Identifier: GPL-2.0

//! Pages: those of others, which may change under us, and our own.
//!
//! C header: [`include/linux/highmem.h`](srctree/include/linux/highmem.h)

use super::ffi;
use core::{
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

// The table, the formats and the limits of the disk are made for this size.
const _: () = assert!(PAGE_SIZE == 4096, "rust_zram needs 4 KiB pages");

const WORDS: usize = PAGE_SIZE / size_of::<usize>();

/// A page of our own.
#[repr(C, align(4096))]
#[derive(Zeroable)]
pub(crate) struct PageBuf(pub(crate) [u8; PAGE_SIZE]);

/// A page to read from, while others may write to it.
///
/// # Invariants
///
/// `0` is page-aligned, and valid for reads of a page during `'a`.
#[derive(Clone, Copy)]
pub(crate) struct RacyPage<'a>(NonNull<u8>, PhantomData<&'a ()>);

/// RacyBytes to read, while others may write to them.
///
/// # Invariants
///
/// `from` is valid for reads of `len` bytes during `'a`.
#[derive(Clone, Copy)]
pub(crate) struct RacyBytes<'a> {
    from: *const u8,
    len: usize,
    _borrow: PhantomData<&'a ()>,
}

/// A page to write to, while others may read it or write to it.
///
/// # Invariants
///
/// `0` is page-aligned, and valid for reads and writes of a page during `'a`.
pub(crate) struct RacyPageMut<'a>(NonNull<u8>, PhantomData<&'a ()>);

impl<'a> From<&'a PageBuf> for RacyPage<'a> {
    fn from(buffer: &'a PageBuf) -> Self {
        // INVARIANT: Aligned by its type, and borrowed.
        Self(NonNull::from(buffer).cast(), PhantomData)
    }
}

impl<'a> From<&'a mut PageBuf> for RacyPageMut<'a> {
    fn from(buffer: &'a mut PageBuf) -> Self {
        // INVARIANT: Aligned by its type, and borrowed.
        Self(NonNull::from(buffer).cast(), PhantomData)
    }
}

impl<'a> From<&'a [u8]> for RacyBytes<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        // INVARIANT: Borrowed.
        Self {
            from: bytes.as_ptr(),
            len: bytes.len(),
            _borrow: PhantomData,
        }
    }
}

impl<'a> From<RacyPage<'a>> for RacyBytes<'a> {
    #[inline]
    fn from(page: RacyPage<'a>) -> Self {
        // INVARIANT: By that of `RacyPage`.
        Self {
            from: page.as_ptr(),
            len: PAGE_SIZE,
            _borrow: PhantomData,
        }
    }
}

impl RacyBytes<'_> {
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.from
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl RacyPage<'_> {
    /// For the C libraries, which only ever look at it.
    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// The word that fills the page, if it is the same all over.
    #[inline]
    pub(crate) fn same(&self) -> Option<usize> {
        let words = self.0.as_ptr().cast::<usize>();
        // SAFETY: By the type invariant.
        unsafe {
            let first = words.read_volatile();
            // Most pages differ at one of their ends.
            let last = words.add(WORDS - 1).read_volatile();
            (last == first && is_all(words, first)).then_some(first)
        }
    }

    /// Copies the page.
    pub(crate) fn copy_to(&self, buffer: &mut PageBuf) {
        // SAFETY: By the type invariant, and `buffer` is a page.
        unsafe { ffi::copy_page((&raw mut *buffer).cast(), self.0.as_ptr().cast()) };
    }
}

impl RacyPageMut<'_> {
    /// For the C libraries.
    pub(crate) fn as_ptr(&mut self) -> *mut u8 {
        self.0.as_ptr()
    }

    /// Fills the page with `word`.
    #[inline]
    pub(crate) fn fill(&mut self, word: usize) {
        // SAFETY: By the type invariant.
        unsafe { fill(self.0.as_ptr().cast(), word) };
    }

    /// Fills `bytes` from the start of the page, as far as it goes.
    pub(crate) fn copy_to(&self, bytes: &mut [u8]) {
        let len = bytes.len().min(PAGE_SIZE);
        // SAFETY: By the type invariant, and `len` is within both.
        unsafe { bytes.as_mut_ptr().copy_from(self.0.as_ptr(), len) };
    }

    /// Copies `bytes` to the start of the page, as far as they fit.
    #[inline]
    pub(crate) fn copy_from(&mut self, bytes: &[u8]) {
        if bytes.len() == PAGE_SIZE {
            // SAFETY: By the type invariant, and `bytes` is as long as a page.
            unsafe { ffi::copy_page(self.0.as_ptr().cast(), bytes.as_ptr().cast_mut().cast()) };
        } else {
            let len = bytes.len().min(PAGE_SIZE);
            // SAFETY: By the type invariant, and `len` is within both.
            unsafe { bytes.as_ptr().copy_to(self.0.as_ptr(), len) };
        }
    }
}

/// Whether each word of the page at `from` is `word`.
///
/// Two instructions a word: the compiler loads what is volatile before it compares.
///
/// # Safety
///
/// `from` is page-aligned and valid for reads of a page.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn is_all(from: *const usize, word: usize) -> bool {
    let all: u8;
    // SAFETY: By the safety requirement.
    unsafe {
        core::arch::asm!(
            "2:",
            ".irp at, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120",
            ".irp of, 0, 128, 256, 384",
            r"cmp {word}, [{from} + \of + \at]",
            "jne 3f",
            ".endr",
            ".endr",
            "add {from}, 512",
            "cmp {from}, {end}",
            "jne 2b",
            "3:",
            "sete {all}",
            word = in(reg) word,
            from = inout(reg) from => _,
            end = in(reg) from.add(WORDS),
            all = lateout(reg_byte) all,
            options(nostack, readonly)
        )
    };
    all != 0
}

/// Whether each word of the page at `from` is `word`.
///
/// # Safety
///
/// `from` is page-aligned and valid for reads of a page.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
unsafe fn is_all(from: *const usize, word: usize) -> bool {
    // SAFETY: By the safety requirement.
    (0..WORDS).all(|at| unsafe { from.add(at).read_volatile() } == word)
}

/// Fills the page at `to` with `word`.
///
/// # Safety
///
/// `to` is page-aligned and valid for writes of a page.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn fill(to: *mut usize, word: usize) {
    // SAFETY: By the safety requirement; the kernel runs with the direction flag clear.
    unsafe {
        core::arch::asm!(
            "rep stosq",
            inout("rcx") WORDS => _,
            inout("rdi") to => _,
            in("rax") word,
            options(nostack, preserves_flags)
        )
    };
}

/// Fills the page at `to` with `word`.
///
/// # Safety
///
/// `to` is page-aligned and valid for writes of a page.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
unsafe fn fill(to: *mut usize, word: usize) {
    for at in 0..WORDS {
        // SAFETY: By the safety requirement.
        unsafe { to.add(at).write(word) };
    }
}

/// A page of somebody else's, mapped for the current task to read from.
///
/// Mappings nest: the last one made is the first to be dropped. May sleep while it lives.
///
/// # Invariants
///
/// `0` is the address of a mapping made with `kmap_local_page`.
pub(crate) struct KmapLocal<'a>(NonNull<u8>, PhantomData<(&'a (), *mut ())>);

impl KmapLocal<'_> {
    /// # Safety
    ///
    /// `page` is a page that nobody frees during the result's life.
    #[inline]
    pub(super) unsafe fn new(page: *mut ffi::page) -> Self {
        // SAFETY: By the safety requirement. The address of a mapping is not null.
        let address = unsafe { NonNull::new_unchecked(ffi::kmap_local_page(page)) };
        // INVARIANT: KmapLocal above.
        Self(address.cast(), PhantomData)
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// The page, to read from.
    #[inline]
    pub(crate) fn source(&self) -> RacyPage<'_> {
        // INVARIANT: By the type invariant.
        RacyPage(self.0, PhantomData)
    }
}

// Without high memory all pages are mapped for good.
#[cfg(CONFIG_HIGHMEM)]
impl Drop for KmapLocal<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ffi::kunmap_local(self.0.as_ptr().cast()) };
    }
}

/// A page of somebody else's, mapped for the current task to write to.
///
/// # Invariants
///
/// The page may be written to. `raw` is the page that is mapped.
pub(crate) struct KmapLocalMut<'a> {
    mapped: KmapLocal<'a>,
    raw: *mut ffi::page,
}

impl KmapLocalMut<'_> {
    /// # Safety
    ///
    /// `page` is a page that nobody frees during the result's life, and that may be written to.
    #[inline]
    pub(super) unsafe fn new(page: *mut ffi::page) -> Self {
        // INVARIANT: By the safety requirement.
        Self {
            // SAFETY: As above.
            mapped: unsafe { KmapLocal::new(page) },
            raw: page,
        }
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.mapped.0.as_ptr()
    }

    /// The page, to write to.
    #[inline]
    pub(crate) fn target(&mut self) -> RacyPageMut<'_> {
        // INVARIANT: By the type invariant.
        RacyPageMut(self.mapped.0, PhantomData)
    }
}

impl Drop for KmapLocalMut<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The page is mapped. Whoever maps it elsewhere, where caches tell addresses apart, shall see
        // what was written.
        unsafe { ffi::flush_dcache_page(self.raw) };
    }
}

/// A `T` that fills a page of its own; the page is freed when dropped.
///
/// # Invariants
///
/// `0` is a page from the page allocator that holds a `T`.
pub(crate) struct PageBox<T>(NonNull<T>, PhantomData<T>);

// SAFETY: Owns its `T`.
unsafe impl<T: Send> Send for PageBox<T> {}
// SAFETY: Gives out `&T` to those who share it.
unsafe impl<T: Sync> Sync for PageBox<T> {}

impl<T: Zeroable> PageBox<T> {
    /// Allocates a zeroed page. May sleep and reclaim memory, but starts no I/O, and gives up in the end: see
    /// [`super::memory::Patience`].
    ///
    /// # Errors
    ///
    /// `ENOMEM`, without a word in the log.
    pub(crate) fn new_noio() -> Result<Self> {
        const { assert!(size_of::<T>() == PAGE_SIZE) };
        // SAFETY: The call has no requirements.
        let address = unsafe { ffi::get_free_pages_noprof(ffi::ZRAM_GFP_TABLE, 0) };
        // INVARIANT: A new page, whose zeroes are a `T`.
        NonNull::new(address as *mut T)
            .map(|page| Self(page, PhantomData))
            .ok_or(ENOMEM)
    }
}

impl<T> PageBox<T> {
    /// Gives up ownership, to be taken back with [`PageBox::from_raw`].
    pub(crate) fn into_raw(self) -> NonNull<T> {
        core::mem::ManuallyDrop::new(self).0
    }

    /// # Safety
    ///
    /// `raw` came from [`PageBox::into_raw`], and was not taken back since.
    pub(crate) unsafe fn from_raw(raw: NonNull<T>) -> Self {
        // INVARIANT: By the safety requirement.
        Self(raw, PhantomData)
    }
}

impl<T> Deref for PageBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for PageBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariant.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for PageBox<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe {
            self.0.drop_in_place();
            ffi::free_pages(self.0.as_ptr() as usize, 0);
        }
    }
}
