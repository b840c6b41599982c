//! The last places of four bytes within values, found by one probe a byte, and fewer where there are none.

use crate::deflate::WINDOW_BYTES;
use crate::deflate::matching::forwards;

/// Size of the tables, in bits of a hash.
const BITS: u32 = 14;
const SLOTS: usize = 1 << BITS;

/// A match of four or five bytes must be as near as this to be cheaper than literals.
const NEAR_FOR_FOUR: usize = 64;
const NEAR_FOR_FIVE: usize = 2_048;

/// Misses after which one more byte is skipped behind each probe, and how many are skipped at most.
const MISSES: usize = 8;
const SKIPPED_MAX: usize = 7;

const SPREAD: u32 = 0x9E37_79B1;

/// Positions by a hash of what stands there.
pub(super) struct Probes {
    places: Box<[u32]>,
    /// The columns of these places, as of the rows that teach.
    columns: Box<[u8; SLOTS]>,
}

/// What is searched.
#[derive(Clone, Copy)]
pub(super) struct Searched<'a> {
    /// Up to the row's end, which a match may reach.
    pub(super) text: &'a [u8],
    /// Position of the text's first byte.
    pub(super) base: u32,
    /// Where a match must begin at the latest, less four.
    pub(super) value_end: usize,
    pub(super) column: u8,
}

/// A match.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) end: usize,
    pub(super) length: usize,
    pub(super) distance: usize,
    /// The column in which the place lies, if the row teaches.
    pub(super) given: u8,
}

impl Probes {
    pub(super) fn new() -> Self {
        Self {
            places: vec![0; SLOTS].into_boxed_slice(),
            columns: Box::new([0; SLOTS]),
        }
    }

    /// Forgets columns. Places before the new text are out of reach by themselves.
    pub(super) fn restart(&mut self) {
        self.columns.fill(0);
    }

    /// The first match worth its bits that begins at `from` or later. Notes the places it probes, and its column if
    /// the row teaches which columns give matches.
    #[inline]
    pub(super) fn find<const TEACHING: bool>(
        &mut self,
        searched: &Searched<'_>,
        from: usize,
    ) -> Option<Found> {
        let Searched { text, base, .. } = *searched;
        let value = &text[..searched.value_end];
        // Of a known size, so that no slot is compared with it.
        let places = self.places.first_chunk_mut::<SLOTS>()?;
        let mut at = from;
        while let Some(word) = word(value, at) {
            let slot = slot(word);
            let here = position(base, at);
            let place = std::mem::replace(&mut places[slot], here);
            let given = if TEACHING {
                std::mem::replace(&mut self.columns[slot], searched.column)
            } else {
                0
            };
            let distance = here.wrapping_sub(place) as usize;
            let near = distance.wrapping_sub(1) < WINDOW_BYTES && distance <= at;
            // Compared with its neighbour where there is no place: one branch that is hardly ever taken.
            let there = if near { at - distance } else { at + 1 };
            if self::word(text, there) != Some(word) || !near {
                // What had no match so far seldom has one soon.
                at += 1 + ((at - from) / MISSES).min(SKIPPED_MAX);
                continue;
            }
            let mut start = at;
            while start > from && start > distance && text[start - 1] == text[start - 1 - distance]
            {
                start -= 1;
            }
            let end = at + 4 + forwards(text, at + 4 - distance, at + 4, text.len());
            let length = end - start;
            let cheap = length >= 6
                || (length == 5 && distance < NEAR_FOR_FIVE)
                || (length == 4 && distance < NEAR_FOR_FOUR);
            if !cheap {
                at += 1;
                continue;
            }
            let matched = &text[..end.min(searched.value_end)];
            self.remember(matched, base, at + 1);
            if TEACHING {
                self.attribute(matched, at + 1, searched.column);
            }
            return Some(Found {
                end,
                length,
                distance,
                given,
            });
        }
        None
    }

    /// Notes every place from there to the text's end. `base` is the position of the text's first byte.
    pub(super) fn remember(&mut self, text: &[u8], base: u32, from: usize) {
        let base = position(base, from);
        for (nth, slot) in (0_u32..).zip(slots(text, from)) {
            self.places[slot] = base.wrapping_add(nth);
        }
    }

    /// Notes whose those places are.
    fn attribute(&mut self, text: &[u8], from: usize, column: u8) {
        for slot in slots(text, from) {
            self.columns[slot] = column;
        }
    }
}

/// The slots of every four bytes from there on.
#[inline]
fn slots(text: &[u8], from: usize) -> impl Iterator<Item = usize> {
    let words = text[from.min(text.len())..].windows(4);
    words.map(|word| {
        slot(
            word.first_chunk()
                .map_or(0, |word| u32::from_le_bytes(*word)),
        )
    })
}

#[inline]
fn word(text: &[u8], at: usize) -> Option<u32> {
    let word = text.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*word))
}

#[inline]
const fn slot(word: u32) -> usize {
    (word.wrapping_mul(SPREAD) >> (32 - BITS)) as usize
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "positions are counted modulo 2^32"
)]
const fn position(base: u32, at: usize) -> u32 {
    base.wrapping_add(at as u32)
}
