// SPDX-License-Identifier: GPL-2.0-only

//! The numbers in the model of what the driver's files know by address.
//!
//! Programs run again and again, so that what they share must always be at the same address. What
//! is there is in the model's memory only.

use super::memory::{
    AREAS,
    LOCKS,
    OBJECTS,
    PAGES,
    WORDS, //
};
use std::{
    cell::{
        Cell,
        RefCell, //
    },
    ptr,
};

/// The size of a page of the model: two pointers, or one slot.
pub const PAGE: usize = 16;

#[repr(C, align(16))]
struct Page([u8; PAGE]);

/// An atomic word: its number, and its page if it lies in one that may be freed.
#[derive(Clone, Copy, Debug)]
pub struct Word(pub usize, pub Option<usize>);

/// Plain memory: its number, and its page.
#[derive(Clone, Copy, Debug)]
pub struct Area(pub usize, pub Option<usize>);

struct Addresses {
    pages: &'static [Page],
    /// Each with its first value.
    words: Vec<(usize, u64)>,
    areas: Vec<usize>,
    locks: Vec<usize>,
}

thread_local! {
    static LOADED: Cell<Option<Word>> = const { Cell::new(None) };
    static ADDRESSES: RefCell<Addresses> = RefCell::new(Addresses {
        pages: Vec::from_iter((0..PAGES).map(|_| Page([0; PAGE]))).leak(),
        words: Vec::new(),
        areas: Vec::new(),
        locks: Vec::new(),
    });
}

fn number<T>(all: &mut Vec<T>, new: T, same: impl Fn(&T) -> bool, limit: usize) -> usize {
    let found = all.iter().position(same);
    found.unwrap_or_else(|| {
        assert!(all.len() < limit, "the model is too small");
        all.push(new);
        all.len() - 1
    })
}

fn address<T>(at: &T) -> usize {
    const { assert!(size_of::<T>() > 0) };
    ptr::from_ref(at).addr()
}

impl Addresses {
    fn page_of(&self, address: usize) -> Option<usize> {
        let offset = address.checked_sub(self.pages.as_ptr().addr())?;
        Some(offset / PAGE).filter(|&page| page < PAGES)
    }
}

/// Forgets all numbers.
pub fn forget() {
    ADDRESSES.with_borrow_mut(|all| {
        all.words.clear();
        all.areas.clear();
        all.locks.clear();
    });
}

/// Returns the atomic word at `at`.
pub fn word<T>(at: &T, initial: u64) -> Word {
    let address = address(at);
    ADDRESSES.with_borrow_mut(|all| {
        let same = |&(other, _): &(usize, u64)| other == address;
        let word = number(&mut all.words, (address, initial), same, WORDS);
        Word(word, all.page_of(address))
    })
}

/// Returns the first value of the word with this number.
pub fn initial(word: usize) -> u64 {
    ADDRESSES.with_borrow(|all| all.words[word].1)
}

/// Remembers that the program has loaded from `word`.
pub fn load(word: Word) {
    LOADED.set(Some(word));
}

/// Returns the word that the program has loaded from last.
pub fn loaded_last() -> Word {
    LOADED.get().expect("a word")
}

/// Returns the plain memory at `at`, which is no page and no object.
pub fn area<T>(at: &T) -> Area {
    let address = address(at);
    ADDRESSES.with_borrow_mut(|all| {
        let limit = AREAS - PAGES - OBJECTS;
        let area = number(&mut all.areas, address, |&other| other == address, limit);
        Area(PAGES + OBJECTS + area, all.page_of(address))
    })
}

/// Returns the number of the spinlock or wait queue at `at`.
pub fn lock<T>(at: &T) -> usize {
    let address = address(at);
    ADDRESSES.with_borrow_mut(|all| {
        let same = |&other: &usize| other == address;
        number(&mut all.locks, address, same, LOCKS)
    })
}

/// Returns the plain memory of the page at `at`.
pub fn page<T>(at: *const T) -> Area {
    let page = ADDRESSES.with_borrow(|all| all.page_of(at.addr()));
    Area(page.expect("a page"), None)
}

/// Returns the address of page `number`.
pub fn page_at<T>(number: u64) -> *mut T {
    let page = ADDRESSES.with_borrow(|all| &raw const all.pages[number as usize]);
    page.cast_mut().cast()
}

/// Returns the plain memory of the object with this handle.
pub fn object(handle: usize) -> Area {
    Area(PAGES + handle - 1, None)
}

/// Returns the numbers of all words, and of all plain memory, in `page`.
pub fn in_page(page: usize) -> (Vec<usize>, Vec<usize>) {
    ADDRESSES.with_borrow(|all| {
        let here = |address: usize| all.page_of(address) == Some(page);
        let words = (0..all.words.len()).filter(|&word| here(all.words[word].0));
        let areas = (0..all.areas.len()).filter(|&area| here(all.areas[area]));
        let areas = areas.map(|area| PAGES + OBJECTS + area);
        (words.collect(), areas.collect())
    })
}
