// SPDX-License-Identifier: GPL-2.0-only

//! A module parameter of type `bool`, for 7.2, whose `module!` knows integers only.
//!
//! It takes the same words as later kernels do, fails with the same errors, and is in no file.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)

use super::{
    ffi,
    this_module, //
};
use core::ptr;
use kernel::{
    error::from_result,
    module_param::KernelParam,
    prelude::*,
    str::kstrtobool,
    sync::SetOnce, //
};

/// Declares the module, with a parameter that is a number and one that is a `bool`: what the
/// `kernel` crate's macro of this name does from 7.3 on.
macro_rules! module {
    (
        type: $type:tt,
        name: $name:tt,
        authors: $authors:tt,
        description: $description:tt,
        license: $license:tt,
        params: {
            $number:ident: u32 $about:tt,
            $flag:ident: bool {
                default: $default:literal,
                description: $meaning:literal,
            },
        },
    ) => {
        ::kernel::prelude::module! {
            type: $type,
            name: $name,
            authors: $authors,
            description: $description,
            license: $license,
            params: { $number: u32 $about, },
        }

        /// The parameters of the module.
        #[expect(unsafe_code)]
        mod parameters {
            pub(super) use super::module_parameters::*;
            use $crate::zram::compat::{modinfo_len, modinfo_line};

            #[expect(non_upper_case_globals)]
            pub(super) static $flag: $crate::zram::compat::BoolParameter =
                $crate::zram::compat::BoolParameter::new($default);

            #[link_section = "__param"]
            #[used(compiler)]
            static PARAMETER: ::kernel::module_param::KernelParam =
                // SAFETY: The name ends with a NUL.
                unsafe { $flag.entry(concat!(stringify!($flag), "\0")) };

            const TYPE: &str = concat!(stringify!($flag), ":bool");
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static TYPE_LINE: [u8; modinfo_len("parmtype", TYPE)] = modinfo_line("parmtype", TYPE);

            const MEANING: &str = concat!(stringify!($flag), ":", $meaning);
            #[link_section = ".modinfo"]
            #[used(compiler)]
            static MEANING_LINE: [u8; modinfo_len("parm", MEANING)] = modinfo_line("parm", MEANING);
        }
    };
}
pub(crate) use module;

/// Returns the value of a parameter that [`module`] declares.
macro_rules! parameter {
    ($name:ident) => {
        *$crate::parameters::$name.value()
    };
}
pub(crate) use parameter;

/// A parameter of type `bool`, which can be set when the module is loaded.
pub(crate) struct BoolParameter {
    value: SetOnce<bool>,
    default: bool,
}

impl BoolParameter {
    /// Makes a parameter that nobody has set.
    pub const fn new(default: bool) -> Self {
        Self {
            value: SetOnce::new(),
            default,
        }
    }

    /// Returns the value that was set, or the default.
    ///
    /// Context: Any context.
    pub fn value(&self) -> &bool {
        self.value.as_ref().unwrap_or(&self.default)
    }

    /// Makes the entry that C knows the parameter by, which belongs into the section `__param`.
    ///
    /// # Safety
    ///
    /// `name` ends with a NUL.
    pub const unsafe fn entry(&'static self, name: &'static str) -> KernelParam {
        KernelParam::new(ffi::kernel_param {
            name: name.as_ptr().cast(),
            mod_: this_module(),
            ops: &raw const OPERATIONS,
            // In no file of sysfs.
            perm: 0,
            level: -1,
            flags: 0,
            __bindgen_anon_1: ffi::kernel_param__bindgen_ty_1 {
                arg: ptr::from_ref(self).cast_mut().cast(),
            },
        })
    }

    /// Sets the parameter to what `text` says.
    ///
    /// Fails with `EINVAL` if that is neither yes nor no, and with `EEXIST` if it was set before.
    ///
    /// # Safety
    ///
    /// `text` is null or a C string, and `param` is from [`BoolParameter::entry`].
    unsafe extern "C" fn set(text: *const c_char, param: *const ffi::kernel_param) -> c_int {
        from_result(|| {
            if text.is_null() {
                return Err(EINVAL);
            }
            // SAFETY: `text` is a C string, and the argument of `param` a `Self`, by the safety
            // requirement.
            let (text, this) = unsafe {
                let this = (*param).__bindgen_anon_1.arg.cast::<Self>();
                (CStr::from_char_ptr(text), &*this)
            };
            let value = kstrtobool(text)?;
            this.value.populate(value).then_some(0).ok_or(EEXIST)
        })
    }
}

/// The operations of the parameter: it takes a value, and can't be read.
static OPERATIONS: ffi::kernel_param_ops = ffi::kernel_param_ops {
    flags: 0,
    set: Some(BoolParameter::set),
    get: None,
    free: None,
};
