// SPDX-License-Identifier: GPL-2.0-only

//! What [`shortest`](super::shortest) keeps of the ways through a page.

/// The number of nodes, which is also the length of a stretch at most.
pub(super) const NODES: usize = 1024;

/// The cheapest way to a position.
///
/// All zeroes is a valid value.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Node {
    /// The number of bits since the start of the stretch.
    pub price: u16,
    /// The length of the match that ends here, or 0 if a literal does.
    pub len: u16,
    /// The distance of the last match.
    pub distance: u16,
    /// The number of literals after the last match.
    pub literals: u16,
}

impl Node {
    /// No way at all.
    pub(super) const NONE: Self = Self {
        price: u16::MAX,
        len: 0,
        distance: 0,
        literals: 0,
    };
}

// No way through a stretch takes as many bits as `Node::NONE`: a literal takes at most eleven, and
// four bytes of a match take less.
const _: () = assert!(NODES * 11 + 100 < u16::MAX as usize);
