// SPDX-License-Identifier: GPL-2.0-only

//! The files of a device in debugfs: `/sys/kernel/debug/zram/zramN/`.

#![forbid(unsafe_code)]

#[cfg(CONFIG_FAULT_INJECTION)]
use super::corrupt::CorruptFile;
use crate::zram::{
    abstractions::{
        debugfs::{
            Dir,
            File,
            Show,
            Writer, //
        },
        percpu::possible_cpus,
        sched::boot_seconds, //
    },
    device::{
        Device,
        Live, //
    },
    store::SlotAttr,
    streams::Counts, //
};
use core::ops::ControlFlow;
use kernel::{
    fmt::{
        self,
        Write as _, //
    },
    prelude::*,
    seq_file::{
        seq_print,
        SeqFile, //
    },
    str::Formatter,
    sync::Arc, //
};

/// The files of a device; removed when dropped.
pub(super) struct DebugfsFiles {
    _ages: File<Ages>,
    _block_state: File<BlockState>,
    _streams: File<Streams>,
    #[cfg(CONFIG_FAULT_INJECTION)]
    _corrupt: File<CorruptFile>,
}

impl DebugfsFiles {
    /// Creates the files of `device` in the directory `name` below `parent`.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`. That debugfs lacks a file is no error.
    pub(super) fn new(parent: &Dir, name: &CStr, device: &Arc<Device>) -> Result<Self> {
        let dir = parent.subdir(name)?;
        let ages = Arc::new(Ages(device.clone()), GFP_KERNEL)?;
        let block_state = Arc::new(BlockState(device.clone()), GFP_KERNEL)?;
        let streams = Arc::new(Streams(device.clone()), GFP_KERNEL)?;
        Ok(Self {
            _ages: dir.text_file(c"ages", ages),
            _block_state: dir.read_only_file(c"block_state", block_state),
            _streams: dir.text_file(c"streams", streams),
            #[cfg(CONFIG_FAULT_INJECTION)]
            _corrupt: dir.write_only_file(
                c"corrupt",
                Arc::new(CorruptFile(device.clone()), GFP_KERNEL)?,
            ),
        })
    }
}

/// The file `block_state`: a line for each slot that is not empty, with its index, the time of its
/// last access, and its flags.
///
/// The file position is the index of a page of the disk, not a number of bytes.
struct BlockState(Arc<Device>);

impl Writer for BlockState {
    fn write_to(&self, pos: &mut u64, room: usize, out: &mut KVVec<u8>) -> Result {
        self.0.with_live_pinned(|live| {
            let len = live.store.len();
            let mut result = Ok(());
            let end = live.store.scan(*pos as usize..len, |index, attr| {
                let mut line = [0; 64];
                let mut text = Formatter::new(&mut line);
                result = write_line(&mut text, index, attr).map_err(Error::from);
                let line = line.get(..text.bytes_written()).unwrap_or(&[]);
                // As in mainline, there must be room for a NUL after the line, which is not copied.
                if result.is_err() || out.len().saturating_add(line.len()) >= room {
                    return ControlFlow::Break(index);
                }
                result = out.extend_from_slice(line, GFP_KERNEL).map_err(Error::from);
                match result {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(index),
                }
            });
            *pos = match end {
                ControlFlow::Break(index) => index as u64,
                ControlFlow::Continue(()) => len as u64,
            };
            result
        })
    }
}

/// Writes the line of page `index`.
fn write_line(out: &mut Formatter<'_>, index: usize, attr: SlotAttr) -> fmt::Result {
    write!(out, "{index:>12} {:>12}.000000 ", attr.time())?;
    let flags = [
        (attr.is_same(), 's'),
        (attr.is_written(), 'w'),
        (attr.is_huge(), 'h'),
        (attr.is_idle(), 'i'),
        (attr.priority() > 0, 'r'),
        (attr.is_incompressible(), 'n'),
    ];
    for (is_set, letter) in flags {
        out.write_char(if is_set { letter } else { '.' })?;
    }
    writeln!(out)
}

/// The file `streams`: a line for each algorithm and possible CPU, which says whether the CPU has a
/// stream, and how the stream was used.
struct Streams(Arc<Device>);

impl Show for Streams {
    fn show(&self, out: &SeqFile) -> Result {
        seq_print!(out, "cpu algorithm state takes contended retries\n");
        self.0.with_live(|live| {
            for zcomp in live.into_iter().flat_map(Live::zcomps) {
                let name = zcomp.algorithm().name();
                for cpu in possible_cpus() {
                    let Some((present, counts)) = zcomp.counts(cpu) else {
                        continue;
                    };
                    let (cpu, state) = (cpu.as_u32(), if present { "present" } else { "absent" });
                    let Counts {
                        takes,
                        contended,
                        retries,
                    } = counts;
                    seq_print!(out, "{cpu} {name} {state} {takes} {contended} {retries}\n");
                }
            }
            Ok(())
        })
    }
}

/// The file `ages`: how long the pages of the disk have not been accessed, by the tier that they
/// are in.
///
/// Each line is for twice the age of the line before.
/// Of a disk with more than a million pages, some are looked at, and stand for the others.
struct Ages(Arc<Device>);

impl Ages {
    /// The number of lines: one for pages that are younger than a second, and one for each power of
    /// two of seconds.
    const LINES: usize = u32::BITS as usize + 1;
    /// The most pages that are looked at, about.
    const SAMPLE: u64 = 1 << 20;

    /// Counts the pages of a disk, by their age and their tier: compressed by the primary
    /// algorithm, recompressed, huge, and on the backing device.
    fn count(live: &Live, counts: &mut [[u64; 4]; Self::LINES]) {
        let now = boot_seconds();
        let stride = live.store.stats().pages_stored() / Self::SAMPLE + 1;
        let _ = live.store.sample(stride as usize, |_, attr| {
            let tier = match attr {
                _ if attr.is_written() => 3,
                _ if !attr.is_object() => return ControlFlow::Continue(()),
                _ if attr.is_huge() => 2,
                _ if attr.priority() > 0 => 1,
                _ => 0,
            };
            let age = now.saturating_sub(attr.time());
            let line = age.checked_ilog2().map_or(0, |log| log.saturating_add(1));
            let count = counts.get_mut(line as usize);
            if let Some(count) = count.and_then(|tiers| tiers.get_mut(tier)) {
                *count = count.saturating_add(stride);
            }
            ControlFlow::<()>::Continue(())
        });
    }
}

impl Show for Ages {
    fn show(&self, out: &SeqFile) -> Result {
        let mut counts: KBox<[[u64; 4]; Self::LINES]> =
            KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let live = self.0.with_live_pinned(|live| {
            Self::count(live, &mut counts);
            Ok(())
        });
        if live.is_ok() {
            seq_print!(out, "seconds primary recompressed huge written\n");
            for (line, [primary, recompressed, huge, written]) in (0_u32..).zip(counts.iter()) {
                let seconds = line.checked_sub(1).map_or(0, |log| 1_u64 << log);
                seq_print!(out, "{seconds} {primary} {recompressed} {huge} {written}\n");
            }
        }
        Ok(())
    }
}
