//! Where values, and runs of values, stood before.
//!
//! Tables forget: a slot knows the last that fell into it. Whoever is given a place compares the text there.

use crate::deflate::matching::eight;
use crate::deflate::tokens::Mark;

/// Places remembered for each pair of neighbouring leaves.
const PLACES: usize = 6;

/// Sizes of the tables, in bits of a hash.
const VALUE_BITS: u32 = 13;
const RUN_BITS: u32 = 12;
const PAIR_BITS: u32 = 12;

const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
const SPREAD_SHORT: u32 = 0x9E37_79B1;

/// The tables' slots for one value.
#[derive(Clone, Copy)]
pub(super) struct Slots {
    value: usize,
    /// Of this value and the next, and of this one and the next two.
    two: usize,
    three: usize,
    pair: usize,
}

/// Positions of values.
pub(super) struct Places {
    values: Box<[u32]>,
    twos: Box<[u32]>,
    threes: Box<[u32]>,
    pairs: Box<[[u32; PLACES]]>,
    previous_leaf: u32,
    /// Of the open row's values.
    hashes: Vec<u64>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self {
            values: vec![0; 1 << VALUE_BITS].into_boxed_slice(),
            twos: vec![0; 1 << RUN_BITS].into_boxed_slice(),
            threes: vec![0; 1 << RUN_BITS].into_boxed_slice(),
            pairs: vec![[0; PLACES]; 1 << PAIR_BITS].into_boxed_slice(),
            previous_leaf: 0,
            hashes: Vec::new(),
        }
    }

    /// Begins with a row that none precedes.
    pub(super) const fn restart(&mut self) {
        self.previous_leaf = 0;
    }

    /// Takes the values of the open row.
    pub(super) fn open_row(&mut self, text: &[u8], marks: &[Mark]) {
        self.hashes.clear();
        self.hashes
            .extend(marks.iter().map(|mark| hash(text, *mark)));
    }

    /// The slots of the open row's value of that ordinal. Values are asked for in order.
    #[inline]
    pub(super) fn slots(&mut self, nth: usize, leaf: u32) -> Slots {
        let at = |nth: usize| self.hashes.get(nth).copied().unwrap_or_default();
        let one = at(nth);
        let two = (one ^ at(nth + 1).rotate_left(17)).wrapping_mul(SPREAD);
        let three = (two ^ at(nth + 2).rotate_left(31)).wrapping_mul(SPREAD);
        Slots {
            value: slot(one, VALUE_BITS),
            two: slot(two, RUN_BITS),
            three: slot(three, RUN_BITS),
            pair: self.pair(leaf),
        }
    }

    /// Positions to try: where the same values stood, the longest run of them first, then where the same two
    /// neighbours stood.
    #[inline]
    pub(super) fn candidates(&self, slots: Slots) -> [u32; 3 + PLACES] {
        let mut places = [0; 3 + PLACES];
        places[0] = self.threes[slots.three];
        places[1] = self.twos[slots.two];
        places[2] = self.values[slots.value];
        places[3..].copy_from_slice(&self.pairs[slots.pair]);
        places
    }

    /// Remembers where the value stands.
    #[inline]
    pub(super) fn note(&mut self, slots: Slots, here: u32) {
        self.values[slots.value] = here;
        self.twos[slots.two] = here;
        self.threes[slots.three] = here;
        let places = &mut self.pairs[slots.pair];
        places.copy_within(..PLACES - 1, 1);
        places[0] = here;
    }

    /// The slot of the leaf and the one before it.
    #[inline]
    fn pair(&mut self, leaf: u32) -> usize {
        let previous = std::mem::replace(&mut self.previous_leaf, leaf);
        let mixed = (previous.wrapping_mul(SPREAD_SHORT) >> 16) ^ leaf.wrapping_mul(40_503);
        (mixed & ((1 << PAIR_BITS) - 1)) as usize
    }
}

/// Of a value in its column, by its ends, its middle and its length.
#[inline]
fn hash(text: &[u8], mark: Mark) -> u64 {
    let Mark { leaf, start, end } = mark;
    let length = end - start;
    let text = &text[..end];
    let hash = if length >= 8 {
        eight(text, start)
            ^ eight(text, end - 8).rotate_left(23)
            ^ eight(text, start + (length - 8) / 2).rotate_left(41)
    } else {
        eight(text, start)
    };
    let keyed = hash ^ u64::from(leaf) << 48 ^ (length as u64) << 40;
    keyed.wrapping_mul(SPREAD)
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "few bits are left of the hash"
)]
const fn slot(hash: u64, bits: u32) -> usize {
    (hash >> (64 - bits)) as usize
}
