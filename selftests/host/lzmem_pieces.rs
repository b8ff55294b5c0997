// SPDX-License-Identifier: GPL-2.0-only

//! Host tests of LZMEM for pages of any size: `rustc --test --edition 2021
//! selftests/host/lzmem_pieces.rs`, with `--cfg page_size="16384"` for pages of that size.
//!
//! `lzmem_page.rs` tests what a block of 4 KiB is. The reference is here, too, `lzmem/mod.rs`.

// pages: 16384

extern crate self as kernel;
pub(crate) use lz77::page;

#[path = "../../src"]
mod zram {
    pub mod codecs {
        #[allow(dead_code)] // The other formats use all of it.
        pub mod lz77;
        pub mod lzmem_page;
        pub mod lzmem_pieces;
    }
}

#[allow(dead_code)] // The tests of the other formats use all of it.
mod lz77;
#[allow(dead_code)] // The tests of blocks use all of it.
mod lzmem;

use lz77::{
    agree,
    in_room,
    lying,
    to_page,
    Format,
    Random,
    PAGE,
    TEXTURES,
    TIGHT,
    TIMES, //
};
use lzmem::{
    blocks::any,
    state::{
        state,
        EFFORTS,
        NONE,
        ROOM,
        USED, //
    }, //
};
use zram::codecs::{
    lz77::Corrupt,
    lzmem_page::{
        self,
        Effort,
        State, //
    },
    lzmem_pieces, //
};

/// Returns the value that `read` in lz77 gets for an integer that others may write to.
pub(crate) use lz77::seen;

/// The number of bytes that a block stands for.
const PIECE: usize = 4096;

fn compress_with(state: &mut State, page: &[u8], limit: usize, effort: Effort) -> Option<Vec<u8>> {
    in_room(page, ROOM, |page, dst| {
        let dst = dst.try_into().expect("it is that long");
        // SAFETY: `page` is valid for reads of a page.
        unsafe { lzmem_pieces::compress(state, page, dst, limit, effort) }
    })
}

fn compress(page: &[u8], limit: usize, effort: Effort) -> Option<Vec<u8>> {
    USED.with_borrow_mut(|state| compress_with(state, page, limit, effort))
}

fn decompress(packed: &[u8], split: usize) -> Result<Vec<u8>, Corrupt> {
    USED.with_borrow_mut(|state| {
        to_page(packed, split, |head, tail, bridge, dst| {
            // SAFETY: `dst` is valid for reads and writes of a page.
            unsafe { lzmem_pieces::decompress(state, head, tail, bridge, dst) }
        })
    })
}

/// Puts the blocks of a page together.
fn together(blocks: &[Vec<u8>]) -> Vec<u8> {
    if let [block] = blocks {
        return block.clone();
    }
    let with_length = |block: &Vec<u8>| [&(block.len() as u16).to_le_bytes(), &block[..]].concat();
    blocks.iter().flat_map(with_length).collect()
}

/// Returns the page that the reference makes of its blocks.
fn meaning(packed: &[u8]) -> Option<Vec<u8>> {
    if PAGE == PIECE {
        return lzmem::meaning(packed);
    }
    let mut page = vec![];
    let mut rest = packed;
    for _ in 0..PAGE / PIECE {
        let (len, blocks) = rest.split_first_chunk()?;
        let (block, others) = blocks.split_at_checked(u16::from_le_bytes(*len).into())?;
        page.extend(lzmem::meaning(block)?);
        rest = others;
    }
    rest.is_empty().then_some(page)
}

/// The format, for the tests that the others have as well.
struct Pieces;

impl Format for Pieces {
    // A single block may have bytes that stand for nothing.
    const ENDS: bool = PAGE > PIECE;

    /// With any effort.
    fn compress(page: &[u8]) -> Vec<u8> {
        let sum: usize = page.iter().map(|&byte| usize::from(byte)).sum();
        compress(page, NONE, EFFORTS[sum % 3]).expect("there is no limit")
    }

    fn decompress(packed: &[u8], split: usize) -> Option<Vec<u8>> {
        decompress(packed, split).ok()
    }

    fn meaning(packed: &[u8]) -> Option<Vec<u8>> {
        meaning(packed)
    }

    fn block(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
        let pieces = (0..PAGE / PIECE).map(|_| any(random));
        let (blocks, pieces): (Vec<_>, Vec<_>) = pieces.unzip();
        (together(&blocks), pieces.concat())
    }
}

lz77::tests_of_any_format!(Pieces);

/// Checks that a page becomes the blocks of its pieces, and these the page.
#[test]
fn each_piece_is_a_block() {
    let mut random = Random::from_environment();
    for round in 0..100 * TEXTURES / TIMES {
        let page = random.page(round % TEXTURES);
        for effort in EFFORTS {
            let blocks: Vec<_> = page
                .chunks(PIECE)
                .map(|piece| {
                    let mut room = [0; 2 * PIECE];
                    // SAFETY: `piece` is valid for reads of 4 KiB.
                    let len = unsafe {
                        let (state, src) = (&mut state(0), piece.as_ptr());
                        lzmem_page::compress(state, src, &mut room, NONE, effort)
                    };
                    room[..len.expect("there is no limit")].to_vec()
                })
                .collect();
            let packed = compress(&page, NONE, effort).expect("there is no limit");
            assert!(packed == together(&blocks));
            assert!(meaning(&packed).as_ref() == Some(&page));
            assert!(decompress(&packed, packed.len()) == Ok(page.clone()));
        }
    }
}

/// Checks that nothing exceeds its limit, and is the same with any.
#[test]
fn the_limit_is_kept() {
    let mut random = Random::from_environment();
    for texture in 0..TEXTURES {
        let page = random.page(texture);
        for effort in EFFORTS {
            let whole = compress(&page, NONE, effort).expect("there is no limit");
            let near = whole.len() - whole.len().min(100);
            let limits = (0..near).step_by(97).chain(near..whole.len() + 40);
            for limit in limits.chain([PAGE, ROOM]) {
                match compress(&page, limit, effort) {
                    Some(packed) => assert!(packed.len() <= limit && packed == whole),
                    // A page that is taken for noise may be given up.
                    None => assert!(limit < whole.len() + 8, "{texture} {limit}"),
                }
            }
        }
    }
}

/// Checks that noise takes little more than it has, and is no page that fits.
#[test]
fn noise_takes_little_more() {
    let noise = Random(3).page(0);
    for effort in EFFORTS {
        let packed = compress(&noise, NONE, effort).expect("there is no limit");
        assert!(packed.len() <= PAGE + PAGE / PIECE * 17, "{}", packed.len());
        assert!(compress(&noise, PAGE, effort).is_none());
    }
}

/// Checks that what is made depends on nothing that was in the state before.
#[test]
fn what_was_in_the_state_does_not_matter() {
    let mut random = Random::from_environment();
    let mut used = state(0);
    for round in 0..10 * TEXTURES {
        let page = random.page(round % TEXTURES);
        for effort in EFFORTS {
            for limit in [NONE, TIGHT, 100] {
                let packed = compress_with(&mut used, &page, limit, effort);
                let byte = random.next() as u8;
                assert!(packed == compress_with(&mut state(byte), &page, limit, effort));
            }
        }
    }
}

/// Checks lengths of blocks that are wrong by a little, or by much.
#[cfg(page_size = "16384")]
#[test]
fn lengths_are_checked() {
    let mut random = Random::from_environment();
    for _ in 0..100 {
        let (packed, _) = Pieces::block(&mut random);
        let mut at = 0;
        while at < packed.len() {
            let len = u16::from_le_bytes([packed[at], packed[at + 1]]);
            let left = (packed.len() - at - 2) as u16;
            for other in [
                0,
                1,
                len.wrapping_sub(1),
                len.wrapping_add(1),
                left,
                left + 1,
                u16::MAX,
            ] {
                let mut wrong = packed.clone();
                wrong[at..at + 2].copy_from_slice(&other.to_le_bytes());
                agree::<Pieces>(&wrong);
            }
            at += 2 + usize::from(len);
        }
    }
}

/// Checks that a bridge that is too short is an error, and one that is not needed may be empty.
#[test]
fn the_bridge_may_be_too_short() {
    let mut random = Random::from_environment();
    let mut came = [0; 2];
    for _ in 0..100 {
        let (packed, page) = Pieces::block(&mut random);
        let mut used = state(0);
        let mut dst = vec![0; PAGE];
        for _ in 0..20 {
            let (head, tail) = packed.split_at(random.below(packed.len() + 1));
            let mut bridge = vec![0; random.below(packed.len())];
            // SAFETY: `dst` is valid for reads and writes of a page.
            let result = unsafe {
                lzmem_pieces::decompress(&mut used, head, tail, &mut bridge, dst.as_mut_ptr())
            };
            came[usize::from(result.is_ok())] += 1;
            assert!(result.is_err() || dst == page);
            assert!(result.is_ok() || !tail.is_empty());
        }
    }
    assert!(came[0] > 100 && came[1] > 100, "{came:?}");
}

/// Checks that a page that changes while it is compressed becomes the blocks of some page.
///
/// Every read of the page may return another value than the reads before it. No byte around the
/// buffers is touched.
#[test]
fn pages_may_change_under_way() {
    let mut random = Random::from_environment();
    let mut came = [0; 2];
    for round in 0..1000 * TEXTURES / TIMES {
        let page = random.page(round % TEXTURES);
        let share = [1, 2, 10, 100, 1000][random.below(5)];
        let limit = [NONE, TIGHT, random.below(PAGE)][random.below(3)];
        let effort = EFFORTS[random.below(3)];
        let seed = random.next();
        let packed = lying(seed, share, || compress(&page, limit, effort));
        came[usize::from(packed.is_some())] += 1;
        if let Some(packed) = packed {
            let page = meaning(&packed).expect("blocks of a page");
            assert!(decompress(&packed, packed.len()) == Ok(page));
        }
    }
    assert!(came[0] > 100 && came[1] > 100, "{came:?}");
}
