// SPDX-License-Identifier: GPL-2.0-only

//! The slow parse: finds the sequences that take the fewest bits with a set of codes.
//!
//! All ways through the page are followed that are worth it: from a position on by one literal, by
//! a match with the last distance, or by a match that a chain of positions with the same hash has.
//! [`Node`] keeps the cheapest way to a position. A stretch of nodes begins where the first match
//! is found, and ends where all ways meet.

use super::{
    chains::{
        Finder,
        Found,
        Links,
        GOOD, //
    },
    codes::{
        escape,
        Write,
        DISTANCE_SYMBOLS,
        MANY_LITERALS,
        SAME, //
    },
    node::{
        Node,
        NODES, //
    },
    sequences::{
        Sequence,
        MOST, //
    },
    FIRST_DISTANCE,
    LAST_START,
    LEAST_BACK,
    PAGE, //
};
use crate::zram::codecs::lz77::{
    read,
    table::Table,
    MIN_MATCH, //
};

/// The number of bits that the time to read a sequence is worth, with the last distance.
const SAME_TIME: u32 = 1;
/// The same with another distance, whose code is longer, so that the next word is needed sooner.
const TIME: u32 = 4;

/// The number of lengths of a match that are tried: its own, and shorter ones.
const TRIED: usize = 3;

/// The number of bits by which a way must be ahead of the one that has got farthest to be followed.
const AHEAD: u32 = 8;

/// Finds the sequences of a page, and returns their number.
///
/// # Safety
///
/// `page` is valid for reads of a page. Others may write to it meanwhile.
pub(super) unsafe fn shortest(
    table: &mut Table<PAGE>,
    links: &mut Links,
    nodes: &mut [Node; NODES],
    list: &mut [Sequence; MOST],
    page: *const u8,
    codes: &Write,
) -> usize {
    let mut finder = Finder::new(page, table, links);
    let mut list = List { list, count: 0 };
    // The start of the stretch, and the way to there.
    let mut start = 1_usize;
    let mut way = Node {
        price: 0,
        len: 0,
        distance: FIRST_DISTANCE as u16,
        literals: 1,
    };
    while start <= LAST_START {
        // SAFETY: `page` is valid for reads of a page, `start` is at most `LAST_START`, and the
        // distance is from 1 to `start`.
        unsafe { finder.find(start, way.distance) };
        if finder.found().is_empty() {
            start = start.wrapping_add(1);
            way.literals = way.literals.wrapping_add(1);
            continue;
        }
        // SAFETY: As above; matches were found at `start`.
        let (done, taken) = unsafe { stretch(&mut finder, nodes, codes, start, way) };
        if !list.add(nodes, done) {
            break;
        }
        start = start.wrapping_add(done);
        way = Node {
            price: 0,
            len: 0,
            ..*node(nodes, done)
        };
        if let Some(Found { len, distance }) = taken {
            if !list.push(way.literals, len, distance) {
                break;
            }
            start = start.wrapping_add(usize::from(len));
            way.distance = distance;
            way.literals = 0;
            // Only the last positions of a long match are worth finding again.
            finder.skip(start.wrapping_sub(4));
        }
    }
    list.count
}

/// Follows all ways from `start` until they meet, or to a match that is long enough to be taken.
///
/// Returns how far that is, and that match.
///
/// # Safety
///
/// The page of `finder` is valid for reads, and `finder` has found matches at `start` last. `way`
/// has a distance from 1 to `start`.
#[inline(always)]
unsafe fn stretch(
    finder: &mut Finder<'_>,
    nodes: &mut [Node; NODES],
    codes: &Write,
    start: usize,
    way: Node,
) -> (usize, Option<Found>) {
    let page = finder.page;
    *node(nodes, 0) = way;
    let mut end = 0_usize;
    let mut at = 0_usize;
    loop {
        let way = *node(nodes, at);
        if let Some(longest) = finder.longest() {
            let len = usize::from(longest.len);
            if len >= GOOD || at.wrapping_add(len) >= NODES {
                return (at, Some(longest));
            }
            // The nodes from here on have a way each.
            while end < at.wrapping_add(len) {
                end = end.wrapping_add(1);
                *node(nodes, end) = Node::NONE;
            }
            follow(finder, nodes, codes, at, way);
        }
        if at == end {
            return (at, None);
        }

        if is_ahead(way, *node(nodes, end)) {
            // SAFETY: The position is in the page, as it is before the end of a match, and the
            // distance is from 1 to `start`, or that of a match before.
            let (byte, before): (u8, u8) = unsafe {
                let from = page.add(start).add(at);
                (read(from), read(from.sub(usize::from(way.distance))))
            };
            let literal = if codes.differences && usize::from(way.distance) >= LEAST_BACK {
                byte ^ before
            } else {
                byte
            };
            let price = u16::from(codes.literals[usize::from(literal)].len);
            let price = way.price.wrapping_add(price);
            let next = node(nodes, at.wrapping_add(1));
            if price < next.price {
                *next = Node {
                    price,
                    len: 0,
                    distance: way.distance,
                    literals: way.literals.wrapping_add(1),
                };
            }
        }
        at = at.wrapping_add(1);
        finder.clear();
        let next = *node(nodes, at);
        let position = start.wrapping_add(at);
        if at < end && is_ahead(next, *node(nodes, end)) && position <= LAST_START {
            // SAFETY: `position` is at most `LAST_START`, and the distance is that of a match
            // before.
            unsafe { finder.find(position, next.distance) };
        }
    }
}

/// Returns whether `way` is worth following, when `farthest` is the one that has got farthest.
#[inline(always)]
fn is_ahead(way: Node, farthest: Node) -> bool {
    u32::from(way.price).wrapping_add(AHEAD) < u32::from(farthest.price)
}

/// Follows the matches that were found at node `at`.
#[inline(always)]
fn follow(finder: &Finder<'_>, nodes: &mut [Node; NODES], codes: &Write, at: usize, way: Node) {
    let literals = usize::from(way.literals);
    let mut start = u32::from(way.price);
    if let Some(more) = literals.checked_sub(MANY_LITERALS) {
        start = start.wrapping_add(escape(more).1);
    }
    let prices = &codes.lengths[literals.min(MANY_LITERALS)];
    // No length is tried again with a distance that takes more bits.
    let mut shortest = MIN_MATCH;
    for &Found { len, distance } in finder.found() {
        let same = distance == way.distance;
        let symbol = match DISTANCE_SYMBOLS.get(usize::from(distance)) {
            Some(symbol) if !same => *symbol,
            _ => SAME,
        };
        let Some(code) = codes.distances.get(usize::from(symbol)) else {
            break;
        };
        let time = if same { SAME_TIME } else { TIME };
        let start = start.wrapping_add(u32::from(code.len)).wrapping_add(time);
        let len = usize::from(len);
        let mut tried = len.saturating_sub(TRIED - 1).max(shortest);
        while tried <= len {
            let price = prices.get(tried).map_or(0, |price| u32::from(*price));
            let price = start.wrapping_add(price);
            let to = node(nodes, at.wrapping_add(tried));
            if price < u32::from(to.price) {
                *to = Node {
                    price: price as u16,
                    len: tried as u16,
                    distance,
                    literals: 0,
                };
            }
            tried = tried.wrapping_add(1);
        }
        if !same {
            shortest = len.wrapping_add(1);
        }
    }
}

/// Returns the node `at`, which is below [`NODES`].
#[inline(always)]
fn node(nodes: &mut [Node; NODES], at: usize) -> &mut Node {
    &mut nodes[at % NODES]
}

/// The sequences so far.
struct List<'a> {
    list: &'a mut [Sequence; MOST],
    count: usize,
}

impl List<'_> {
    /// Adds a sequence, and returns whether there was room for it.
    fn push(&mut self, literals: u16, len: u16, distance: u16) -> bool {
        let Some(to) = self.list.get_mut(self.count) else {
            return false;
        };
        *to = Sequence {
            literals,
            len,
            distance,
        };
        self.count = self.count.wrapping_add(1);
        true
    }

    /// Adds the sequences of the way to node `end`, and returns whether there was room for them.
    fn add(&mut self, nodes: &mut [Node; NODES], end: usize) -> bool {
        let start = self.count;
        let mut at = end;
        while at > 0 {
            let Node { len, distance, .. } = *node(nodes, at);
            at = at.wrapping_sub(usize::from(len.max(1)));
            if len > 0 {
                // The literals before the match are those of the way to its start.
                let literals = node(nodes, at).literals;
                if !self.push(literals, len, distance) {
                    self.count = start;
                    return false;
                }
            }
        }
        // They were found from the last one on.
        let added = self.list.get_mut(start..self.count);
        added.unwrap_or_default().reverse();
        true
    }
}
