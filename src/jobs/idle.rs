// SPDX-License-Identifier: GPL-2.0-only

//! Marking pages as idle.

#![forbid(unsafe_code)]

use crate::zram::store::{
    SlotAttr,
    Store, //
};

/// Marks pages as idle that were last accessed before `cutoff`, in seconds since boot, and removes
/// the mark from all others.
///
/// Without a `cutoff` all pages become idle. Pages on the backing device and same-filled pages stay
/// as they are.
///
/// Context: Process context. May sleep.
pub(crate) fn mark_idle(store: &Store, cutoff: Option<u32>) {
    let idle = |attr: SlotAttr| cutoff.is_none_or(|cutoff| attr.time() < cutoff);
    store.for_each(
        0..store.len(),
        |attr| attr.is_object() && attr.is_idle() != idle(attr),
        |mut slot| {
            let idle = idle(slot.attr());
            slot.set_idle(idle);
        },
    );
}
