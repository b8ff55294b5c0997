// SPDX-License-Identifier: GPL-2.0-only

//! The policy of a device: which pages its worker recompresses and writes back by itself.

#![forbid(unsafe_code)]

use core::{
    fmt,
    num::NonZero, //
};
use kernel::page::{
    PAGE_SHIFT,
    PAGE_SIZE, //
};

/// The policy of a device; by default it is off.
///
/// Its text, which is that of the file `policy`, is the rules that are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Pages are recompressed after so many seconds without an access.
    pub recompress_idle: Option<NonZero<u32>>,
    /// Pages are written to the backing device after so many seconds without an access.
    pub writeback_idle: Option<NonZero<u32>>,
    /// Pages that are huge or incompressible are, after so many seconds.
    pub writeback_incompressible: Option<NonZero<u32>>,
    /// The use of memory that makes the worker free some, and the one that it stops at.
    pub watermarks: Option<Watermarks>,
    /// The share of a CPU, in percent, that the worker may use while memory is below the high
    /// watermark; [`Policy::CPU`] by default.
    pub cpu: Option<NonZero<u8>>,
}

/// Two amounts of memory of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watermarks {
    /// Both in bytes.
    Bytes {
        /// The amount above which pages are moved.
        high: u64,
        /// The amount at which that stops; below `high`.
        low: u64,
    },
    /// Both as percentages of `mem_limit`.
    Percent {
        /// The share above which pages are moved, up to 100.
        high: u8,
        /// The share at which that stops; below `high`.
        low: u8,
    },
}

/// The watermarks of a pool, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Above this, the worker moves pages.
    pub high: usize,
    /// When no more are in use, it stops.
    pub low: usize,
}

impl Policy {
    /// The share of a CPU, in percent, for the worker if none was set.
    const CPU: u8 = 10;

    /// The number of pages that have to be free below a limit for a write to go on: zsmalloc may
    /// allocate so many at once for one object.
    pub const ROOM: usize = 16;

    /// Returns whether there is no rule.
    pub fn is_off(&self) -> bool {
        let Self {
            recompress_idle,
            writeback_idle,
            writeback_incompressible,
            watermarks,
            cpu: _,
        } = self;
        let ages = [recompress_idle, writeback_idle, writeback_incompressible];
        ages.into_iter().all(Option::is_none) && watermarks.is_none()
    }

    /// Returns the share of a CPU, in percent, that the worker may use without pressure.
    pub fn cpu_share(&self) -> u8 {
        self.cpu.map_or(Self::CPU, NonZero::get)
    }

    /// Returns the watermarks of a pool, or `None` if there is nothing to watch.
    ///
    /// `limit` is `mem_limit` in pages, if there is one, and `new_pages` what it leaves for pages
    /// whose slots are empty. With a backing device that is a high watermark, too.
    pub fn marks(
        &self,
        limit: Option<usize>,
        new_pages: usize,
        has_backing: bool,
    ) -> Option<Marks> {
        let share = |percent: u8| {
            let limit = limit? as u64;
            Some((limit.saturating_mul(percent.into()) / 100) as usize)
        };
        let set = match self.watermarks {
            None => None,
            Some(Watermarks::Bytes { high, low }) => {
                let pages = |bytes: u64| usize::try_from(bytes >> PAGE_SHIFT).unwrap_or(usize::MAX);
                Some((pages(high), pages(low)))
            }
            Some(Watermarks::Percent { high, low }) => share(high).zip(share(low)),
        };
        let at_limit = (has_backing && limit.is_some() && !self.is_off()).then_some(new_pages);
        let (high, low) = match (set, at_limit) {
            (None, None) => return None,
            (Some(set), None) => set,
            (Some((high, low)), Some(most)) => (high.min(most), low),
            (None, Some(most)) => (most, most),
        };
        // Some room is made in any case, so that the worker is not back at once.
        let low = low.min(high.saturating_sub((high / 32).max(Self::ROOM)));
        Some(Marks { high, low })
    }
}

// A watermark of less than a page is 0 pages.
const _: () = assert!(1 << PAGE_SHIFT == PAGE_SIZE);

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let ages = [
            ("recompress_idle", self.recompress_idle),
            ("writeback_idle", self.writeback_idle),
            ("writeback_incompressible", self.writeback_incompressible),
        ];
        for (name, age) in ages {
            if let Some(age) = age {
                write!(f, "{separator}{name}={age}")?;
                separator = " ";
            }
        }
        match self.watermarks {
            Some(Watermarks::Bytes { high, low }) => {
                write!(f, "{separator}high={high} low={low}")?;
                separator = " ";
            }
            Some(Watermarks::Percent { high, low }) => {
                write!(f, "{separator}high={high}% low={low}%")?;
                separator = " ";
            }
            None => {}
        }
        if let Some(cpu) = self.cpu {
            write!(f, "{separator}cpu={cpu}")?;
            separator = " ";
        }
        if separator.is_empty() {
            write!(f, "off")?;
        }
        Ok(())
    }
}
