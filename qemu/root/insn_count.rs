// SPDX-License-Identifier: GPL-2.0-only

//! A TCG plugin for QEMU that counts how often the guest's kernel executes each of its instructions.
//!
//! The guest says when: it executes a NOP with the displacement [`BEGIN`] or [`END`], in user space. At each `END` the
//! counts since `BEGIN` go to the file that `out=` names, as 64-bit words: how many pairs follow, then pairs of address
//! and count. One vCPU only. With icount an iteration of a string instruction counts as one execution.

use std::{
    collections::HashMap,
    ffi::{c_char, c_int, c_uint, c_void, CStr},
    fs::File,
    io::{BufWriter, Write},
    sync::{Mutex, OnceLock},
};

/// Displacements of `nopl disp32(%rax)`.
const BEGIN: &[u8] = b"\x0f\x1f\x80zr\x01\x7a";
const END: &[u8] = b"\x0f\x1f\x80zr\x02\x7a";
/// Where the kernel's half of the address space begins.
const KERNEL: u64 = 1 << 63;
/// Room for that many different instructions; Debian's kernel has fewer than six million.
const COUNTERS: usize = 8 << 20;

// ---- what of qemu-plugin.h is used, version 4 of its interface -----------------------------------------------------

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
    fn qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn: *mut c_void, op: c_int, to: Counter, add: u64);
    fn qemu_plugin_scoreboard_new(size: usize) -> *mut c_void;
    fn qemu_plugin_scoreboard_find(scoreboard: *mut c_void, vcpu: c_uint) -> *mut c_void;
}

#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 4;

// ---- counting --------------------------------------------------------------------------------------------------------

struct State {
    scoreboard: *mut c_void,
    /// Each address that was translated, and the place of its counter.
    places: HashMap<u64, usize>,
    out: BufWriter<File>,
}

// SAFETY: The scoreboard is QEMU's, for any thread to use.
unsafe impl Send for State {}

static STATE: OnceLock<Mutex<State>> = OnceLock::new();

impl State {
    fn counters(&mut self) -> &mut [u64] {
        // SAFETY: The scoreboard has COUNTERS words for each vCPU. The one vCPU is in a callback, so nothing counts.
        unsafe { std::slice::from_raw_parts_mut(qemu_plugin_scoreboard_find(self.scoreboard, 0).cast(), COUNTERS) }
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
    STATE.get().expect("installed").lock().expect("never poisoned")
}

extern "C" fn begin(_vcpu: c_uint, _data: *mut c_void) {
    state().counters().fill(0);
}

extern "C" fn end(_vcpu: c_uint, _data: *mut c_void) {
    state().dump().expect("the file of counts can be written");
}

/// Called for each block that is translated: each of its instructions gets its counter.
unsafe extern "C" fn translated(_id: u64, tb: *mut c_void) {
    let mut state = state();
    // SAFETY: QEMU passes a block; its instructions live as long, and data of any length may be asked for.
    unsafe {
        for index in 0..qemu_plugin_tb_n_insns(tb) {
            let insn = qemu_plugin_tb_get_insn(tb, index);
            let address = qemu_plugin_insn_vaddr(insn);
            if address >= KERNEL {
                let next = state.places.len();
                let place = *state.places.entry(address).or_insert(next);
                assert!(place < COUNTERS, "more instructions than counters");
                let to = Counter { scoreboard: state.scoreboard, offset: place * size_of::<u64>() };
                qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, ADD_U64, to, 1);
                continue;
            }
            let mut bytes = [0u8; 16];
            let len = qemu_plugin_insn_data(insn, bytes.as_mut_ptr().cast(), bytes.len());
            match &bytes[..len] {
                BEGIN => qemu_plugin_register_vcpu_insn_exec_cb(insn, begin, NO_REGISTERS, std::ptr::null_mut()),
                END => qemu_plugin_register_vcpu_insn_exec_cb(insn, end, NO_REGISTERS, std::ptr::null_mut()),
                _ => {}
            }
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: QEMU passes that many strings.
    let arguments = unsafe { (0..argc as usize).map(|n| CStr::from_ptr(*argv.add(n)).to_string_lossy()) };
    let Some(path) = arguments.filter_map(|a| a.strip_prefix("out=").map(str::to_owned)).last() else {
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
    // SAFETY: This is where QEMU wants both to be called.
    unsafe {
        let scoreboard = qemu_plugin_scoreboard_new(COUNTERS * size_of::<u64>());
        _ = STATE.set(Mutex::new(State { scoreboard, places: HashMap::new(), out }));
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    }
    0
}
