// SPDX-License-Identifier: GPL-2.0

//! 842, by [`crate::zram::sw842`]: stock kernels lack the library.

use super::{
    super::{
        ffi,
        page::{
            Buffer,
            Source,
            Target, //
        }, //
    },
    no_level_no_dict,
    Compressor,
    Params,
    Room, //
};
use crate::zram::sw842;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// 842, which has no parameters.
pub(crate) struct Sw842;

/// The compressor's tables, and a page that nobody else changes.
pub(crate) struct Context {
    tables: KVBox<Tables>,
    page: KVBox<Buffer>,
}

#[repr(transparent)]
struct Tables(sw842::Workspace);

// SAFETY: The tables are integers.
unsafe impl Zeroable for Tables {}

impl Compressor for Sw842 {
    type Context = Context;

    fn new(params: Params) -> Result<Self> {
        no_level_no_dict(&params)?;
        Ok(Self)
    }

    fn context(&self) -> Result<Context> {
        let flags = GFP_KERNEL | __GFP_NOWARN;
        let mut tables: KVBox<Tables> = KVBox::init(pin_init::init_zeroed(), flags)?;
        // SAFETY: The call has no requirements.
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
        src: Source<'_>,
        dst: &mut Room,
        limit: usize,
    ) -> Option<usize> {
        // The compressor reads what it has read before, and must find it unchanged.
        src.copy_to(&mut context.page);
        let dst = dst.get_mut(..limit)?;
        sw842::compress(&mut context.tables.0, &context.page.0, dst).ok()
    }

    #[inline(never)]
    fn decompress(&self, context: &mut Context, src: &[u8], mut dst: Target<'_>) -> Result {
        match sw842::decompress(src, &mut context.page.0) {
            Ok(PAGE_SIZE) => {
                dst.copy_from(&context.page.0);
                Ok(())
            }
            _ => Err(EINVAL),
        }
    }
}
