// SPDX-License-Identifier: GPL-2.0

//! A block device that pages are written to and read from.
//!
//! C headers: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h),
//! [`include/linux/bio.h`](srctree/include/linux/bio.h)

use super::{
    bio::{
        Block,
        Kept,
        Reading, //
    },
    disk::{
        Handle,
        Operations, //
    },
    ffi,
    files,
    page::{
        Buffer,
        PageBox, //
    },
    sysfs::Text, //
};
use core::{
    mem::MaybeUninit,
    ptr::{
        self,
        NonNull, //
    }, //
};
use kernel::{
    container_of,
    error::{
        from_err_ptr,
        to_result, //
    },
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*,
    types::Opaque, //
};

const PAGE_LEN: c_uint = PAGE_SIZE as c_uint;

/// A block device, opened for exclusive use; closed when dropped.
///
/// # Invariants
///
/// `file` is an open file of the block device `bdev`.
pub(crate) struct BackingDevice {
    file: NonNull<ffi::file>,
    bdev: *mut ffi::block_device,
    pages: usize,
}

// SAFETY: Files and block devices may be used from any thread.
unsafe impl Send for BackingDevice {}
// SAFETY: As above.
unsafe impl Sync for BackingDevice {}

impl BackingDevice {
    /// Opens the device at `path`. May sleep, for as long as the device takes to be opened.
    ///
    /// # Errors
    ///
    /// What opening it returns, `EBUSY` for one in use among them; `ENOTBLK` if it is no block
    /// device; `EINVAL` if it is smaller than a page, as this disk itself is, or if it can't be written
    /// to page by page; `EROFS` if it can't be written to.
    pub(crate) fn open(path: &[u8]) -> Result<Self> {
        let name = files::name(path)?;
        let flags = (ffi::O_RDWR | ffi::O_LARGEFILE | ffi::O_EXCL) as c_int;
        // SAFETY: `name` ends with a NUL.
        let file = from_err_ptr(unsafe { ffi::filp_open(name.as_ptr().cast(), flags, 0) })?;
        let mut this = Self {
            file: NonNull::new(file).ok_or(ENOENT)?,
            bdev: ptr::null_mut(),
            pages: 0,
        };
        // SAFETY: An open file has a mapping, which has an inode.
        let inode = unsafe { (*(*file).f_mapping).host };
        // SAFETY: As above; the type of an inode does not change.
        if u32::from(unsafe { (*inode).i_mode }) & ffi::S_IFMT != ffi::S_IFBLK {
            return Err(ENOTBLK);
        }
        // INVARIANT: The inode is that of a block device.
        // SAFETY: As above.
        this.bdev = unsafe { ffi::I_BDEV(inode) };
        // SAFETY: The inode lives as long as the file.
        let bytes = unsafe { (&raw const (*inode).i_size).read_volatile() };
        this.pages = bytes as usize >> PAGE_SHIFT;
        // SAFETY: A block device that is open has a disk and a queue.
        let (read_only, block) = unsafe {
            let disk = (*this.bdev).bd_disk;
            let flags = |bdev: *mut ffi::block_device| {
                (&raw const (*bdev).__bd_flags.counter).read_volatile() as c_uint
            };
            let of_disk = (&raw const (*disk).state).read_volatile() >> ffi::GD_READ_ONLY;
            (
                (flags(this.bdev) | flags((*disk).part0)) & ffi::BD_READ_ONLY != 0
                    || of_disk & 1 != 0,
                (*(*this.bdev).bd_queue).limits.logical_block_size,
            )
        };
        if this.pages == 0 || block > PAGE_LEN {
            return Err(EINVAL);
        }
        if read_only {
            return Err(EROFS);
        }
        Ok(this)
    }

    /// Its size.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// Writes the path of the device that was opened, which is of bytes. May sleep.
    ///
    /// # Errors
    ///
    /// `ENAMETOOLONG` if it takes more than a page; `ENOMEM`.
    pub(crate) fn show_path(&self, out: &mut Text<'_>) -> Result {
        let mut page = KBox::init(pin_init::init_zeroed::<[u8; PAGE_SIZE]>(), GFP_KERNEL)?;
        let (room, len) = (page.as_mut_ptr().cast(), PAGE_SIZE as c_int - 1);
        // SAFETY: The file is open, and `page` has room for `len` bytes.
        let path = from_err_ptr(unsafe { ffi::file_path(self.file.as_ptr(), room, len) })?;
        // SAFETY: The path is a C string in `page`.
        out.write_bytes(unsafe { CStr::from_char_ptr(path) }.to_bytes())
    }

    /// Reads block `index` to the memory that `request` is for; then calls [`Operations::read_done`] with
    /// `ticket`, in process context, unless the read failed. The bio that the memory belongs to does not end
    /// before. Does not wait for the device.
    pub(crate) fn read<T: Operations>(
        &self,
        index: usize,
        request: ReadRequest<T>,
        ticket: T::Ticket,
    ) {
        let ReadRequest { room, kept } = request;
        let read = room.write(Read {
            raw: Opaque::uninit(),
            vec: pin_init::zeroed(),
            kept,
            ticket,
        });
        let (raw, flags) = (read.raw.get(), read.kept.bio().flags());
        let read = KBox::into_raw(read);
        // SAFETY: The request stays where it is until its bio has ended, and so does what `kept` has.
        unsafe {
            ffi::bio_init(raw, self.bdev, &raw mut (*read).vec, 1, flags);
            (*raw).bi_iter.bi_sector = sector(index);
            (*raw).bi_end_io = Some(Read::<T>::end);
            // What there is to do then may sleep.
            (*raw).bi_flags |= 1 << ffi::BIO_COMPLETE_IN_TASK;
            (*read).kept.add_to(raw);
            ffi::submit_bio(raw);
        }
    }
}

impl Drop for BackingDevice {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ffi::filp_close(self.file.as_ptr(), ptr::null_mut()) };
    }
}

fn sector(index: usize) -> u64 {
    (index as u64) << (PAGE_SHIFT - 9)
}

/// Memory for a `T`, got as I/O under memory pressure may.
fn allocate_noio<T>() -> Result<KBox<MaybeUninit<T>>> {
    // SAFETY: The call has no requirements.
    let raw = unsafe {
        ffi::krealloc_node_align_noprof(
            ptr::null(),
            size_of::<T>(),
            align_of::<T>(),
            ffi::ZRAM_GFP_TABLE,
            ffi::NUMA_NO_NODE,
        )
    };
    let raw = NonNull::new(raw).ok_or(ENOMEM)?;
    // SAFETY: Allocated with kmalloc, for a `T`.
    Ok(unsafe { KBox::from_raw(raw.as_ptr().cast()) })
}

/// What a read from a backing device needs, had before it is known whether there is anything to read.
pub(crate) struct ReadRequest<T: Operations> {
    room: KBox<MaybeUninit<Read<T>>>,
    kept: Kept<T>,
}

impl<T: Operations> ReadRequest<T> {
    /// Allocates what it takes to read to `block`, whose bio does not end before the result is dropped, or the
    /// read is done. May sleep and reclaim memory, but starts no I/O.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn new(block: &Block<'_, T, Reading>) -> Result<Self> {
        Ok(Self {
            room: allocate_noio()?,
            kept: block.keep()?,
        })
    }
}

/// A read on its way.
struct Read<T: Operations> {
    raw: Opaque<ffi::bio>,
    vec: ffi::bio_vec,
    kept: Kept<T>,
    ticket: T::Ticket,
}

impl<T: Operations> Read<T> {
    /// # Safety
    ///
    /// `raw` is the field of a `Self` from `KBox::into_raw`, whose bio has ended.
    unsafe extern "C" fn end(raw: *mut ffi::bio) {
        // SAFETY: By the safety requirement.
        let (read, status) = unsafe {
            let read = KBox::from_raw(container_of!(Opaque::cast_from(raw), Self, raw).cast_mut());
            ffi::bio_uninit(raw);
            (read, (*raw).bi_status)
        };
        // SAFETY: The call has no requirements.
        let read_status = to_result(unsafe { ffi::blk_status_to_errno(status) });
        let Self {
            mut kept, ticket, ..
        } = KBox::into_inner(read);
        // SAFETY: The bio was sent to a disk of `T`, and does not end while `kept` has a share in it.
        let disk = unsafe { Handle::<T>::from_bio(kept.bio().as_ptr()) };
        let result = read_status.and_then(|()| {
            // SAFETY: As above.
            kept.finish(|page| unsafe { disk.read_done(ticket, page) })
        });
        if result.is_err() {
            kept.fail(status);
        }
        // The share in the bio goes last: after it, the opener that kept everything may be gone, too.
    }
}

/// A page to write to a backing device, again and again. A write that is under way when it is
/// dropped is waited for.
///
/// # Invariants
///
/// While `busy`, the bio of `inner` is under way; else it is not.
pub(crate) struct Write {
    inner: Pin<KBox<WriteInner>>,
    busy: bool,
}

#[pin_data]
struct WriteInner {
    #[pin]
    raw: Opaque<ffi::bio>,
    vec: ffi::bio_vec,
    #[pin]
    done: Opaque<ffi::completion>,
    page: PageBox<Buffer>,
}

// SAFETY: Memory, and a bio that ends anywhere.
unsafe impl Send for WriteInner {}

impl Write {
    /// Allocates a page. May sleep.
    pub(crate) fn new() -> Result<Self> {
        // Where there is no memory it is this that fails, and nobody is killed for what follows.
        let page = PageBox::new_noio()?;
        let init = try_pin_init!(WriteInner {
            raw <- Opaque::zeroed(),
            vec: pin_init::zeroed(),
            done <- Opaque::ffi_init(|done: *mut ffi::completion| {
                // SAFETY: `done` is there to be initialised; the names are static.
                unsafe {
                    (*done).done = 0;
                    ffi::__init_swait_queue_head(
                        &raw mut (*done).wait,
                        c"zram_write".as_char_ptr(),
                        kernel::static_lock_class!().as_ptr(),
                    );
                }
            }),
            page,
        });
        // INVARIANT: Nothing is under way.
        Ok(Self {
            inner: KBox::try_pin_init(init, GFP_KERNEL | __GFP_NOWARN)?,
            busy: false,
        })
    }

    /// The page, when the device does not read from it.
    pub(crate) fn page(&mut self) -> Option<&mut Buffer> {
        if self.busy {
            return None;
        }
        Some(self.inner.as_mut().project().page)
    }

    /// Starts to write the page to block `index` of `device`; waits for the write before this.
    pub(crate) fn start(&mut self, device: &BackingDevice, index: usize) {
        let _ = self.wait();
        let inner = self.inner.as_mut().project();
        let raw = inner.raw.get();
        // SAFETY: By the type invariant the bio is ours, and `inner` stays until it has ended.
        unsafe {
            (*inner.done.get()).done = 0;
            ffi::bio_init(raw, device.bdev, inner.vec, 1, ffi::req_op_REQ_OP_WRITE);
            (*raw).bi_iter.bi_sector = sector(index);
            (*raw).bi_end_io = Some(Self::end);
            (*raw).bi_private = inner.done.get().cast();
            ffi::bio_add_virt_nofail(raw, (&raw mut **inner.page).cast(), PAGE_LEN);
            ffi::submit_bio(raw);
        }
        // INVARIANT: Submitted above.
        self.busy = true;
    }

    /// Waits until the device has written the page; nothing, if it was not asked to. Sleeps.
    pub(crate) fn wait(&mut self) -> Option<Result> {
        if !self.busy {
            return None;
        }
        let raw = self.inner.raw.get();
        // SAFETY: By the type invariant the bio is under way, and will end.
        let result = unsafe {
            ffi::wait_for_completion_io(self.inner.done.get());
            ffi::bio_uninit(raw);
            to_result(ffi::blk_status_to_errno((*raw).bi_status))
        };
        // INVARIANT: It has ended.
        self.busy = false;
        Some(result)
    }

    /// # Safety
    ///
    /// `raw` is the bio of a `WriteInner`, and has ended.
    unsafe extern "C" fn end(raw: *mut ffi::bio) {
        // SAFETY: By the safety requirement; after this the bio may be gone.
        unsafe { ffi::complete((*raw).bi_private.cast()) };
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        let _ = self.wait();
    }
}
