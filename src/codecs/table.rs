// SPDX-License-Identifier: GPL-2.0-only

//! The hash table of [`lz4_page`](super::lz4_page) and [`lzo_page`](super::lzo_page), as a stream
//! has it.

use super::lz77::{
    self,
    PAGE, //
};
use kernel::prelude::*;

/// A hash table that is allocated as zeroes.
#[repr(transparent)]
pub(crate) struct Table(pub(super) lz77::table::Table<PAGE>);

// SAFETY: `lz77::table::Table` is an array of `u16`, for which all zeroes is a valid value.
unsafe impl Zeroable for Table {}

impl Table {
    /// Allocates a table.
    ///
    /// Context: Process context. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<KVBox<Self>> {
        KVBox::init(pin_init::init_zeroed(), GFP_KERNEL | __GFP_NOWARN)
    }
}
