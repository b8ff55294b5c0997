// SPDX-License-Identifier: GPL-2.0-only

//! A TCG plugin for QEMU that counts how often the guest's kernel executes each instruction.
//!
//! The guest starts and ends the counting by the NOPs [`BEGIN`] and [`END`], which it executes in
//! user space. At each `END` the counts since `BEGIN` are written to the file that `out=` names,
//! after those of earlier `END`s, as little-endian 64-bit words: the number of pairs, then pairs of
//! address and count.
//!
//! There must be only one vCPU. With icount each iteration of a string instruction counts as one
//! execution.

use std::{
    collections::HashMap,
    ffi::{c_char, c_int, c_uint, c_void, CStr},
    fs::File,
    io::{BufWriter, Write},
    sync::{Mutex, OnceLock},
};

/// The instruction that starts the counting: `nopl disp32(%rax)` with a displacement of our own.
const BEGIN: &[u8] = b"\x0f\x1f\x80zr\x01\x7a";
/// The instruction that ends the counting.
const END: &[u8] = b"\x0f\x1f\x80zr\x02\x7a";
/// The first address of the kernel's half of the address space.
const KERNEL: u64 = 1 << 63;
/// The most instructions that can be counted; Debian's kernel has fewer than six million.
const COUNTERS: usize = 8 << 20;

// ---- qemu-plugin.h, version 4, as far as it is used --------------------------------------------

#[repr(C)]
#[derive(Clone, Copy)]
struct Counter {
    scoreboard: *mut c_void,
    offset: usize,
}

const ADD_U64: c_int = 0;
const NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, cb: unsafe extern "C" fn(u64, *mut c_void));
    fn qemu_plugin_tb_n_insns(tb: *const c_void) -> usize;
    fn qemu_plugin_tb_get_insn(tb: *const c_void, index: usize) -> *mut c_void;
    fn qemu_plugin_insn_vaddr(insn: *const c_void) -> u64;
    fn qemu_plugin_insn_data(insn: *const c_void, to: *mut c_void, len: usize) -> usize;
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        insn: *mut c_void,
        cb: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
        insn: *mut c_void,
        op: c_int,
        to: Counter,
        add: u64,
    );
    fn qemu_plugin_scoreboard_new(size: usize) -> *mut c_void;
    fn qemu_plugin_scoreboard_find(scoreboard: *mut c_void, vcpu: c_uint) -> *mut c_void;
}

#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 4;

// ---- counting ----------------------------------------------------------------------------------

struct State {
    scoreboard: *mut c_void,
    /// The index of the counter of each address that was translated.
    places: HashMap<u64, usize>,
    out: BufWriter<File>,
}

// SAFETY: `scoreboard` belongs to QEMU, which allows any thread to use it.
unsafe impl Send for State {}

static STATE: OnceLock<Mutex<State>> = OnceLock::new();

impl State {
    fn counters(&mut self) -> &mut [u64] {
        // SAFETY: `self.scoreboard` has `COUNTERS` words for each vCPU. The only vCPU is in a
        // callback, so that nothing else accesses them.
        unsafe {
            std::slice::from_raw_parts_mut(
                qemu_plugin_scoreboard_find(self.scoreboard, 0).cast(),
                COUNTERS,
            )
        }
    }

    fn dump(&mut self) -> std::io::Result<()> {
        let places = std::mem::take(&mut self.places);
        let counters = self.counters();
        let mut words = vec![0];
        for (&address, &place) in &places {
            if counters[place] != 0 {
                words.extend([address, counters[place]]);
            }
        }
        words[0] = (words.len() / 2) as u64;
        self.places = places;
        for word in words {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.flush()
    }
}

fn state() -> std::sync::MutexGuard<'static, State> {
    STATE
        .get()
        .expect("installed")
        .lock()
        .expect("never poisoned")
}

extern "C" fn begin(_vcpu: c_uint, _data: *mut c_void) {
    state().counters().fill(0);
}

extern "C" fn end(_vcpu: c_uint, _data: *mut c_void) {
    state().dump().expect("the file of counts can be written");
}

/// Adds a counter to each of the kernel's instructions in a block that is being translated.
///
/// # Safety
///
/// `tb` is the block for which QEMU is making the callback.
unsafe extern "C" fn translated(_id: u64, tb: *mut c_void) {
    let mut state = state();
    // SAFETY: `tb` is a block by the safety requirement; its instructions live as long as it, and
    // `bytes` has room for `bytes.len()` bytes.
    unsafe {
        for index in 0..qemu_plugin_tb_n_insns(tb) {
            let insn = qemu_plugin_tb_get_insn(tb, index);
            let address = qemu_plugin_insn_vaddr(insn);
            if address >= KERNEL {
                let next = state.places.len();
                let place = *state.places.entry(address).or_insert(next);
                assert!(place < COUNTERS, "more instructions than counters");
                let to = Counter {
                    scoreboard: state.scoreboard,
                    offset: place * size_of::<u64>(),
                };
                qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, ADD_U64, to, 1);
                continue;
            }
            let mut bytes = [0u8; 16];
            let len = qemu_plugin_insn_data(insn, bytes.as_mut_ptr().cast(), bytes.len());
            match &bytes[..len] {
                BEGIN => qemu_plugin_register_vcpu_insn_exec_cb(
                    insn,
                    begin,
                    NO_REGISTERS,
                    std::ptr::null_mut(),
                ),
                END => qemu_plugin_register_vcpu_insn_exec_cb(
                    insn,
                    end,
                    NO_REGISTERS,
                    std::ptr::null_mut(),
                ),
                _ => {}
            }
        }
    }
}

/// Registers the plugin's callbacks; returns 0, or 1 if the file cannot be created.
///
/// # Safety
///
/// QEMU calls this once, with `argc` strings in `argv`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: `argv` has `argc` strings by the safety requirement.
    let arguments =
        unsafe { (0..argc as usize).map(|n| CStr::from_ptr(*argv.add(n)).to_string_lossy()) };
    let Some(path) = arguments
        .filter_map(|a| a.strip_prefix("out=").map(str::to_owned))
        .last()
    else {
        eprintln!("insn_count: which file? say out=FILE");
        return 1;
    };
    let out = match File::create(&path) {
        Ok(file) => BufWriter::new(file),
        Err(error) => {
            eprintln!("insn_count: {path}: {error}");
            return 1;
        }
    };
    // SAFETY: `id` is this plugin's, and QEMU allows both calls while it installs a plugin.
    unsafe {
        let scoreboard = qemu_plugin_scoreboard_new(COUNTERS * size_of::<u64>());
        _ = STATE.set(Mutex::new(State {
            scoreboard,
            places: HashMap::new(),
            out,
        }));
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    }
    0
}
