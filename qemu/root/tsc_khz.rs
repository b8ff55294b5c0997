// SPDX-License-Identifier: GPL-2.0-only

//! Prints how many thousand times a second the host's time stamp counter counts.
//!
//! QEMU's TCG gives the guest that counter. A guest that measures it by an emulated timer on a busy
//! host may be wrong by a factor of five, and then so is its clock.

use std::{
    arch::x86_64::_rdtsc,
    thread::sleep,
    time::{
        Duration,
        Instant, //
    }, //
};

fn main() {
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            // SAFETY: Every x86-64 has the instruction.
            let (start, count) = (Instant::now(), unsafe { _rdtsc() });
            sleep(Duration::from_millis(20));
            // SAFETY: As above.
            let (time, end) = (start.elapsed(), unsafe { _rdtsc() });
            (end - count) as f64 / time.as_secs_f64() / 1000.0
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("{:.0}", rates[2]);
}
