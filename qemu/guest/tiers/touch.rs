// SPDX-License-Identifier: GPL-2.0-only

//! Touches pages of memory, one at a time, and counts how long each touch took.
//!
//! Fills a region of memory, waits for the word to go, and touches pages of it at a steady rate. Most
//! touches are of the hot part, the others of the cold one; in each part the pages follow Zipf's law.
//! From phase to phase the pages that were the coldest become the hottest. Everything but the region
//! is locked in memory. What is touched follows from the arguments alone, however long a touch takes.
//!
//! The kernel counts for each process what it has read from devices, and its major faults. So it is
//! known of each touch where the page was: in memory, in memory but compressed, or on the disk.

use std::{
    collections::HashMap,
    env,
    fs::{
        self,
        File,
        OpenOptions, //
    },
    os::{
        fd::AsRawFd,
        unix::fs::FileExt, //
    },
    process::exit,
    ptr,
    sync::atomic::{
        AtomicU64,
        Ordering::Relaxed, //
    },
    thread::sleep,
    time::{
        Duration,
        Instant, //
    }, //
};

const PAGE: usize = 4096;
const WORDS: usize = PAGE / 8;

/// Words of the file that is shared with who started this program; histograms follow.
const FILLED: usize = 0;
const TOUCHED: usize = 1;
const WRONG: usize = 2;
const ENDED: usize = 3;
const GO: usize = 4;
const HISTOGRAMS: usize = 16;

/// Where the pages were: [`place`] returns one of so many.
const PLACES: usize = 3;
/// A bucket for each nanosecond below 32, then 32 for each power of two.
const BUCKETS: usize = 36 * 32;

/// So many touches are made in a row, then this program sleeps until the next are due.
const BURST: u64 = 10;
/// One touch in so many writes.
const WRITES: u64 = 4;

extern "C" {
    fn mmap(at: *mut u8, size: usize, prot: i32, flags: i32, fd: i32, offset: i64) -> *mut u8;
    fn madvise(at: *mut u8, size: usize, advice: i32) -> i32;
    fn mlockall(flags: i32) -> i32;
    fn getrusage(who: i32, usage: *mut [i64; 18]) -> i32;
}

const PROT_READ_WRITE: i32 = 3;
const MAP_SHARED: i32 = 1;
const MAP_PRIVATE_ANONYMOUS: i32 = 0x22;
const MADV_NOHUGEPAGE: i32 = 15;
const MCL_CURRENT: i32 = 1;

/// Maps memory, of a file or of none.
fn map(size: usize, flags: i32, fd: i32) -> *mut u64 {
    // SAFETY: The kernel chooses the address, so no memory that is in use is mapped over.
    let at = unsafe { mmap(ptr::null_mut(), size, PROT_READ_WRITE, flags, fd, 0) };
    assert!(at as isize != -1, "cannot map {size} bytes");
    at.cast()
}

/// A generator of random numbers, xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Returns a number from 0 to 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Ranks, of which the chance is 1 / rank^exponent: the sums of these, of which a random number picks one.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        Self(
            (1..=ranks)
                .map(|rank| {
                    sum += (rank as f64).powf(-exponent);
                    sum
                })
                .collect(),
        )
    }

    /// Returns a rank, from 0 on.
    fn pick(&self, random: &mut Random) -> usize {
        let last = self.0.len() - 1;
        let at = random.part() * self.0[last];
        self.0.partition_point(|&end| end < at).min(last)
    }
}

/// What the kernel has counted for this process: major faults, and blocks of 512 bytes that it read.
#[derive(Clone, Copy)]
struct Usage {
    faults: i64,
    blocks: i64,
}

impl Usage {
    fn now() -> Self {
        let mut usage = [0; 18];
        // SAFETY: `usage` has room for a `struct rusage`.
        unsafe { getrusage(0, &mut usage) };
        Self {
            faults: usage[9],
            blocks: usage[11],
        }
    }
}

/// Returns where a page was: 0 in memory, 1 in memory but compressed, 2 on the disk. A read of the
/// swap device counts as `own` blocks by itself, be there a disk below it or not.
fn place(before: Usage, after: Usage, own: i64) -> usize {
    if after.blocks - before.blocks > own {
        2
    } else if after.faults != before.faults || after.blocks != before.blocks {
        1
    } else {
        0
    }
}

fn bucket(ns: u64) -> usize {
    if ns < 32 {
        return ns as usize;
    }
    let power = ns.ilog2() as usize;
    (((power - 4) << 5) | ((ns >> (power - 5)) & 31) as usize).min(BUCKETS - 1)
}

/// The region of memory.
struct Region(*mut u64);

impl Region {
    fn word(&self, page: usize, word: usize) -> *mut u64 {
        // SAFETY: Callers name pages of the region and words of a page.
        unsafe { self.0.add(page * WORDS + word) }
    }

    /// Fills a page: one in ten with noise, one in twenty with a word all over, the others with pages of
    /// the memory of programs. Its first and its last word say which page of whom it is.
    fn fill(&self, number: usize, page: usize, id: u64, corpus: &File, pages: usize) {
        let mut content = [0; PAGE];
        let mut random = Random(id);
        match random.below(20) {
            0..2 => content.fill_with(|| random.next() as u8),
            2 => content
                .chunks_exact_mut(8)
                .for_each(|word| word.copy_from_slice(&id.to_ne_bytes())),
            _ => {
                let from = (page + number * pages) as u64 * 1999 % (corpus_pages(corpus) as u64);
                corpus
                    .read_exact_at(&mut content, from * PAGE as u64)
                    .expect("the corpus can be read");
            }
        }
        // SAFETY: A page of the region has as many bytes, and nobody else has a pointer to it.
        unsafe {
            ptr::copy_nonoverlapping(content.as_ptr(), self.word(page, 0).cast(), PAGE);
            *self.word(page, 0) = id;
            *self.word(page, WORDS - 1) = id;
        }
    }

    /// Touches a page, and returns whether it is the right one.
    fn touch(&self, page: usize, id: u64, write: Option<u64>) -> bool {
        // SAFETY: The words are of a page of the region, to which nobody else has a pointer.
        unsafe {
            if let Some(value) = write {
                self.word(page, 1).write_volatile(value);
            }
            self.word(page, 0).read_volatile() == id
                && self.word(page, WORDS - 1).read_volatile() == id
        }
    }
}

fn corpus_pages(corpus: &File) -> usize {
    corpus.metadata().expect("the corpus has a size").len() as usize / PAGE
}

/// Returns what a page has in its first and its last word: never zero.
fn id(number: usize, page: usize) -> u64 {
    ((number as u64 + 1) << 32 | page as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

fn main() {
    let arguments: HashMap<String, String> = env::args()
        .skip(1)
        .filter_map(|word| {
            word.split_once('=')
                .map(|(name, value)| (name.into(), value.into()))
        })
        .collect();
    let text = |name: &str| {
        arguments
            .get(name)
            .unwrap_or_else(|| panic!("{name}= is missing"))
    };
    let number = |name: &str| {
        let value = text(name).parse::<f64>();
        value.unwrap_or_else(|_| panic!("{name}= is no number"))
    };
    let me = number("number") as usize;
    let pages = number("pages") as usize;
    let (phases, shift) = (number("phases") as usize, number("shift") as usize);
    let (rate, own) = (number("rate"), number("own") as i64);
    let touches = (rate * number("seconds")) as u64;
    let hot = (pages as f64 * number("hot")) as usize;

    // The first that the kernel kills, if memory runs out.
    fs::write("/proc/self/oom_score_adj", "500").expect("it is Linux");
    let corpus = File::open(text("corpus")).expect("there is a corpus");
    let shared = OpenOptions::new()
        .read(true)
        .write(true)
        .open(text("state"))
        .expect("there is a file for the state");
    let words = HISTOGRAMS + phases * 2 * PLACES * BUCKETS;
    shared.set_len(words as u64 * 8).expect("the file can grow");
    let state = map(words * 8, MAP_SHARED, shared.as_raw_fd()).cast::<AtomicU64>();
    // SAFETY: The mapping has so many words, and is never unmapped.
    let state = unsafe { std::slice::from_raw_parts(state, words) };
    let mut random = Random(me as u64 + 1);

    let exponent = number("exponent");
    let parts = [Zipf::new(hot, exponent), Zipf::new(pages - hot, exponent)];
    let chance_of_cold = number("cold");
    let mut order: Vec<u32> = (0..pages as u32).collect();
    for at in (1..pages).rev() {
        order.swap(at, random.below(at as u64 + 1) as usize);
    }
    // Same-filled pages, once written to, would not be that any more.
    let same: Vec<bool> = (0..pages)
        .map(|page| Random(id(me, page)).below(20) == 2)
        .collect();
    // SAFETY: It changes no memory.
    assert!(
        unsafe { mlockall(MCL_CURRENT) } == 0,
        "memory cannot be locked"
    );
    let region = Region(map(pages * PAGE, MAP_PRIVATE_ANONYMOUS, -1));
    // SAFETY: The region is mapped, and its content does not change by this.
    unsafe { madvise(region.0.cast(), pages * PAGE, MADV_NOHUGEPAGE) };

    // From the coldest to the hottest, so that it begins as if it had gone on for a while.
    for rank in (0..pages).rev() {
        let page = order[rank] as usize;
        region.fill(me, page, id(me, page), &corpus, pages);
        state[FILLED].fetch_add(1, Relaxed);
    }
    while state[GO].load(Relaxed) == 0 {
        sleep(Duration::from_millis(10));
    }

    let start = Instant::now();
    let mut due = 0;
    for phase in 0..phases {
        // With each phase the pages that were coldest become the hottest ones.
        let first = pages - phase * shift % pages;
        for _ in 0..touches {
            if due % BURST == 0 {
                let wait =
                    Duration::from_secs_f64(due as f64 / rate).saturating_sub(start.elapsed());
                if !wait.is_zero() {
                    sleep(wait);
                }
            }
            due += 1;
            let cold = random.part() < chance_of_cold;
            let rank = usize::from(cold) * hot + parts[usize::from(cold)].pick(&mut random);
            let page = order[(rank + first) % pages] as usize;
            let write = (random.below(WRITES) == 0 && !same[page]).then_some(due);
            let id = id(me, page);

            let before = Usage::now();
            let begin = Instant::now();
            let right = region.touch(page, id, write);
            let taken = begin.elapsed();
            let place = place(before, Usage::now(), own);

            let kind = phase * 2 + usize::from(cold);
            let bucket = bucket(taken.as_nanos() as u64);
            state[HISTOGRAMS + (kind * PLACES + place) * BUCKETS + bucket].fetch_add(1, Relaxed);
            state[TOUCHED].fetch_add(1, Relaxed);
            if !right {
                state[WRONG].fetch_add(1, Relaxed);
            }
        }
    }
    state[ENDED].store(1, Relaxed);
    exit(0);
}
