// SPDX-License-Identifier: GPL-2.0-only

//! The parameters of an algorithm, and the checks that several algorithms make.
//!
//! What is refused is said in the log, since an errno says neither which value it is nor which ones
//! would do.

use crate::zram::abstractions::{
    compat::eopnotsupp,
    files::Contents, //
};
use core::ops::RangeInclusive;
use kernel::prelude::*;

/// The parameters of an algorithm, as user space sets them in `algorithm_params`.
#[derive(Default)]
pub(crate) struct Params {
    /// Compression level, on the algorithm's own scale.
    pub level: Option<i32>,
    /// Dictionary; empty if there is none.
    pub dict: Contents,
    /// deflate's window size, as the base two logarithm of bytes; negative for data without zlib's
    /// header and checksum.
    pub winbits: Option<i32>,
}

impl Params {
    /// Returns the level, or `default` if none is set, for the algorithm that users know as `name`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the level is not in `range`.
    pub(super) fn level_in(
        &self,
        name: &str,
        default: c_int,
        range: RangeInclusive<c_int>,
    ) -> Result<c_int> {
        let level = self.level.unwrap_or(default);
        if !range.contains(&level) {
            let (least, most) = range.into_inner();
            pr_err!("{name}: level={level} is not from {least} to {most}\n");
            return Err(EINVAL);
        }
        Ok(level)
    }

    /// Refuses a level, for the algorithm that users know as `name`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if one is set.
    pub(super) fn no_level(&self, name: &str) -> Result {
        let Some(level) = self.level else {
            return Ok(());
        };
        pr_err!("{name}: level={level} is not for this algorithm, which has no levels\n");
        Err(eopnotsupp())
    }

    /// Refuses a dictionary, for the algorithm that users know as `name`.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` if one is set.
    pub(super) fn no_dict(&self, name: &str) -> Result {
        if self.dict.is_empty() {
            return Ok(());
        }
        pr_err!("{name}: dict= is not for this algorithm, which has no dictionaries\n");
        Err(eopnotsupp())
    }
}
