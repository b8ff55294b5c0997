// SPDX-License-Identifier: GPL-2.0-only

//! Module parameters that C parses, so that they take what those of any C module take.
//!
//! The `kernel` crate's macro `module!` has parameters, too, which take no word alone, as in
//! `coexist`, and none twice; 7.2 has none of type `bool`.
//!
//! C header: [`include/linux/moduleparam.h`](srctree/include/linux/moduleparam.h)
//!
//! Upstream this would be `rust/kernel/module_param.rs`.

use super::{
    compat::this_module,
    ffi, //
};
use core::{
    cell::UnsafeCell,
    ptr, //
};
use kernel::prelude::*;

pub(crate) use super::modinfo::{
    modinfo_len as len,
    modinfo_line as line, //
};

/// Declares parameters, which `insmod` and `modprobe` take; they are in no file.
///
/// Each becomes a static [`Parameter`] of that name in a module `parameters`, which an attribute
/// allows `unsafe`: only C reads the sections that the entries of the parameters are put into.
macro_rules! module_parameters {
    ($($name:ident: $type:ty = $default:expr, $about:literal;)*) => {
        /// The parameters of the module.
        #[expect(unsafe_code)]
        mod parameters {
            use ::kernel::prelude::*;

            $(
                #[doc = $about]
                #[expect(non_upper_case_globals)]
                pub(super) static $name: $crate::zram::module_param::Parameter<$type> =
                    $crate::zram::module_param::Parameter::new($default);

                const _: () = {
                    #[link_section = "__param"]
                    #[used(compiler)]
                    static ENTRY: $crate::zram::module_param::Entry =
                        $name.entry(::kernel::c_str!(stringify!($name)));

                    const TYPE: &[&str] = &[stringify!($name), ":", $name.type_name()];
                    #[link_section = ".modinfo"]
                    #[used(compiler)]
                    static TYPE_LINE: [u8; $crate::zram::module_param::len("parmtype", TYPE)] =
                        $crate::zram::module_param::line("parmtype", TYPE);

                    const ABOUT: &[&str] = &[stringify!($name), ":", $about];
                    #[link_section = ".modinfo"]
                    #[used(compiler)]
                    static ABOUT_LINE: [u8; $crate::zram::module_param::len("parm", ABOUT)] =
                        $crate::zram::module_param::line("parm", ABOUT);
                };
            )*
        }
    };
}
pub(crate) use module_parameters;

/// A type that C parses.
///
/// # Safety
///
/// `OPERATIONS` write nothing but valid values of the type, to a place for one.
pub(crate) unsafe trait Value: Copy + Sync + 'static {
    /// The name that `modinfo` shows.
    const NAME: &'static str;
    /// The functions that parse it.
    const OPERATIONS: *const ffi::kernel_param_ops;
}

// SAFETY: `param_set_bool()` writes a `bool`.
unsafe impl Value for bool {
    const NAME: &'static str = "bool";
    const OPERATIONS: *const ffi::kernel_param_ops = &raw const ffi::param_ops_bool;
}

// SAFETY: `param_set_uint()` writes an `unsigned int`.
unsafe impl Value for c_uint {
    const NAME: &'static str = "uint";
    const OPERATIONS: *const ffi::kernel_param_ops = &raw const ffi::param_ops_uint;
}

/// A parameter that can be set when the module is loaded.
///
/// # Examples
///
/// ```
/// # use crate::zram::abstractions::module_param::Parameter;
/// static DISKS: Parameter<u32> = Parameter::new(1);
/// pr_info!("{} disks\n", DISKS.value());
/// ```
#[repr(transparent)]
pub(crate) struct Parameter<T>(UnsafeCell<T>);

// SAFETY: C writes the value while it loads the module, before any code of the module runs. All
// others only read it.
unsafe impl<T: Value> Sync for Parameter<T> {}

impl<T: Value> Parameter<T> {
    /// Makes a parameter, which is `default` if nobody sets it.
    pub const fn new(default: T) -> Self {
        Self(UnsafeCell::new(default))
    }

    /// Returns the value that was set, or the default.
    ///
    /// Context: Any context.
    pub fn value(&self) -> T {
        // SAFETY: The value is valid by the safety requirement of `Value`, and nobody writes it
        // while code of the module runs.
        unsafe { *self.0.get() }
    }

    /// Returns the name of the type, as `modinfo` shows it.
    pub const fn type_name(&self) -> &'static str {
        T::NAME
    }

    /// Makes the entry that C knows the parameter by, which is to be in the section `__param`.
    pub const fn entry(&'static self, name: &'static CStr) -> Entry {
        Entry(ffi::kernel_param {
            name: kernel::str::as_char_ptr_in_const_context(name),
            mod_: this_module(),
            ops: T::OPERATIONS,
            // In no file of sysfs, so that it can't be written later.
            perm: 0,
            level: -1,
            flags: 0,
            __bindgen_anon_1: ffi::kernel_param__bindgen_ty_1 {
                arg: ptr::from_ref(self).cast_mut().cast(),
            },
        })
    }
}

/// An entry of the section `__param`, which C knows a parameter by.
#[repr(transparent)]
pub(crate) struct Entry(ffi::kernel_param);

// SAFETY: Only C uses an `Entry`, while it loads the module.
unsafe impl Sync for Entry {}
