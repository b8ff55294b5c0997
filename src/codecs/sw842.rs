// SPDX-License-Identifier: GPL-2.0-only

//! 842, with [`format`], as stock kernels are built without the library.

mod format;

use super::{
    Backend,
    CompressBuf,
    Params, //
};
use crate::zram::abstractions::{
    ffi,
    page::PageBuf,
    racy::{
        RacyPage,
        RacyPageMut, //
    }, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

// A whole page is an input of `format::compress()`, which refuses a longer one.
const _: () = assert!(PAGE_SIZE <= format::MAX_INPUT);

/// 842, which has no parameters.
pub(crate) struct Sw842;

/// The compressor's tables, and a page that no other task can change.
pub(crate) struct Context {
    tables: VBox<Tables>,
    page: KVBox<PageBuf>,
}

/// Tables that may be allocated as zeroes.
#[repr(transparent)]
struct Tables(format::Workspace);

// SAFETY: `format::Workspace` consists of integers, for which all zeroes is a valid value.
unsafe impl Zeroable for Tables {}

impl Backend for Sw842 {
    type Context = Context;

    fn new(name: &str, params: Params) -> Result<Self> {
        params.no_dict(name)?;
        params.no_level(name)?;
        Ok(Self)
    }

    fn context(&self) -> Result<Context> {
        let flags = GFP_KERNEL | __GFP_NOWARN;
        let mut tables: VBox<Tables> = VBox::init(pin_init::init_zeroed(), flags)?;
        // SAFETY: `get_random_u64()` has no requirements.
        tables.0.seed(unsafe { ffi::get_random_u64() });
        Ok(Context {
            tables,
            page: KVBox::init(pin_init::init_zeroed(), flags)?,
        })
    }

    #[inline(never)]
    fn compress(
        &self,
        context: &mut Context,
        src: RacyPage<'_>,
        dst: &mut CompressBuf,
        limit: usize,
    ) -> Option<usize> {
        // `format::compress` takes a slice, which others must not write to during the call.
        src.copy_to(&mut context.page);
        let dst = dst.get_mut(..limit)?;
        format::compress(&mut context.tables.0, &context.page.0, dst).ok()
    }

    #[inline(never)]
    fn decompress(&self, context: &mut Context, src: &[u8], mut dst: RacyPageMut<'_>) -> Result {
        match format::decompress(src, &mut context.page.0) {
            Ok(PAGE_SIZE) => {
                dst.copy_from(&context.page.0);
                Ok(())
            }
            _ => Err(EINVAL),
        }
    }
}
