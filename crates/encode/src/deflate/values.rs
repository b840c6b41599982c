//! gzip for values that stand one behind the other, as in the pages of a Parquet file.
//!
//! Identifiers, instants, measures and addresses have little in common but what stands at the same places of values of
//! one size. So a value is compared with the last of its size alone, place by place; what is left are literals. That is
//! several times as fast as a search for what repeats, and hardly larger where a search finds little else.
//!
//! The one law: every match was compared byte by byte, so nothing said of the values can spoil them.

use std::ops::Range;

use libdeflater::crc32;

use crate::deflate::bits::BitWriter;
use crate::deflate::matching::{SAME_MAX, alike_at_the_end, forwards, same};
use crate::deflate::tokens::{SCORE_MIN, Sequence};
use crate::deflate::{BLOCK_BYTES, WINDOW_BYTES, block};
use crate::gzip::{Member, Sum};

/// Sizes told apart; others share.
const SIZES: usize = 256;

/// Bytes of a value's length.
const LENGTH_BYTES: usize = 4;

/// Bytes by which another match must be longer than one that goes on.
const OPEN_GAIN: usize = 3;

/// Less between a value's ends is not worth a look.
const MIDDLE_BYTES_MIN: usize = 8;

/// Of so many values that have nothing in common there, so many are looked at.
const MIDDLES_PERIOD: usize = 512;
const MIDDLES_LOOKED_AT: usize = 32;

/// Where a text's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Values {
    /// Where the first one begins.
    pub(crate) start: usize,
    /// How long each of them is.
    pub(crate) sizes: Sizes,
}

/// How long values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// All of that many bytes.
    Fixed(usize),
    /// Each stands behind its length, of four bytes, the lowest first.
    Told,
    /// They do not end at whole bytes, or it is not known where.
    Unknown,
}

/// Compresses texts of values.
pub(crate) struct ValueGzip {
    bits: BitWriter,
    sequences: Vec<Sequence>,
    /// Where the last value of each size stands.
    last: [usize; SIZES],
    middles: Middles,
    block_start: usize,
    literals_start: usize,
}

/// Tells whether it is worth a look what values have in common between their ends.
#[derive(Default)]
struct Middles {
    /// Values since the last that had something.
    without: usize,
}

impl Middles {
    /// Where many had nothing, only some of the next are looked at.
    #[inline]
    const fn promise(&self) -> bool {
        self.without % MIDDLES_PERIOD < MIDDLES_LOOKED_AT
    }

    #[inline]
    const fn note(&mut self, found: bool) {
        self.without = if found { 0 } else { self.without + 1 };
    }
}

impl Sizes {
    /// Where the value ends that begins there.
    #[inline]
    fn end(self, text: &[u8], start: usize) -> Option<usize> {
        let size = match self {
            Self::Fixed(size) => size,
            Self::Told => {
                let length = text.get(start..)?.first_chunk::<LENGTH_BYTES>()?;
                LENGTH_BYTES + u32::from_le_bytes(*length) as usize
            }
            Self::Unknown => return None,
        };
        let end = start + size;
        (size > 0 && end <= text.len()).then_some(end)
    }
}

impl ValueGzip {
    pub(crate) fn new() -> Self {
        Self {
            bits: BitWriter::default(),
            sequences: Vec::new(),
            last: [0; SIZES],
            middles: Middles::default(),
            block_start: 0,
            literals_start: 0,
        }
    }

    /// Compresses the text as a gzip member. The answer is valid until the next call.
    pub(crate) fn member(&mut self, text: &[u8], values: Values) -> &[u8] {
        let (mut member, head) = Member::begin();
        self.bits.restart();
        self.bits.bytes(&head);
        self.deflate(text, values);
        block::write_nothing(&mut self.bits);
        member.add(Sum {
            crc: crc32(text),
            text_bytes: text.len() as u64,
        });
        self.bits.bytes(&member.end());
        self.bits.finished()
    }

    fn deflate(&mut self, text: &[u8], values: Values) {
        // Nothing stands before the text.
        self.last = [usize::MAX; SIZES];
        self.middles = Middles::default();
        (self.block_start, self.literals_start) = (0, 0);
        let mut at = values.start;
        while let Some(end) = values.sizes.end(text, at) {
            self.take(text, at, end);
            at = end;
            if at - self.block_start >= BLOCK_BYTES {
                self.write_block(text, at);
            }
        }
        while self.block_start < text.len() {
            // All sequences are of this much text: those of more were written.
            self.write_block(text, text.len().min(self.block_start + BLOCK_BYTES));
        }
    }

    /// Compares a value with the last of its size, and its beginning with what followed the match before it.
    #[inline]
    fn take(&mut self, text: &[u8], start: usize, end: usize) {
        let place = std::mem::replace(&mut self.last[(end - start) % SIZES], start);
        let alike = Some(start.wrapping_sub(place)).filter(|it| *it <= start.min(WINDOW_BYTES));
        let rest = start + self.take_beginning(text, start..end, alike);
        let Some(distance) = alike else { return };
        let ending = alike_at_the_end(&text[rest - distance..end - distance], &text[rest..end]);
        let last = end - ending;
        if last - rest >= MIDDLE_BYTES_MIN {
            let found = self.middles.promise() && self.take_middle(text, rest..last, distance);
            self.middles.note(found);
        }
        self.take_match(last, ending, distance);
    }

    /// Takes a value's beginning, which also goes on with the match that ends there; answers how long it is.
    #[inline]
    fn take_beginning(&mut self, text: &[u8], value: Range<usize>, alike: Option<usize>) -> usize {
        let Range { start, end } = value;
        let beginning = |distance| (forwards(text, start - distance, start, end), distance);
        let open = self.open(start).map(beginning).filter(|it| it.0 > 0);
        let fresh = alike.map(beginning);
        let (length, distance) = match (open, fresh) {
            (Some(open), Some(fresh)) if open.0 + OPEN_GAIN < fresh.0 => fresh,
            (Some(found), _) | (None, Some(found)) => found,
            (None, None) => return 0,
        };
        self.take_match(start, length, distance);
        length
    }

    /// The distance of the match that ends there.
    #[inline]
    fn open(&self, start: usize) -> Option<usize> {
        let before = self.sequences.last()?;
        (self.literals_start == start).then_some(before.distance as usize)
    }

    /// Takes what is alike between a value's ends; answers whether there was something.
    #[inline]
    fn take_middle(&mut self, text: &[u8], range: Range<usize>, distance: usize) -> bool {
        let before = self.sequences.len();
        let Range { mut start, end } = range;
        while start < end {
            let stop = end.min(start + SAME_MAX);
            let same = same(&text[start - distance..stop - distance], &text[start..stop]);
            // Where runs of four begin.
            let mut runs = same & (same >> 1) & (same >> 2) & (same >> 3);
            while runs != 0 {
                let first = runs.trailing_zeros();
                let length = (same >> first).trailing_ones();
                self.take_match(start + first as usize, length as usize, distance);
                runs &= u64::MAX.checked_shl(first + length).unwrap_or_default();
            }
            start = stop;
        }
        self.sequences.len() > before
    }

    #[inline]
    fn take_match(&mut self, start: usize, length: usize, distance: usize) {
        let told = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let (end, length, distance) = (start + length, told(length), told(distance));
        if start == self.literals_start
            && let Some(before) = self.sequences.last_mut()
            && before.distance == distance
        {
            before.length += length;
            self.literals_start = end;
            return;
        }
        let score = 4 * i64::from(length) - i64::from(distance.ilog2());
        if length >= 3 && score >= i64::from(SCORE_MIN) {
            self.sequences.push(Sequence {
                literals: told(start - self.literals_start),
                length,
                distance,
            });
            self.literals_start = end;
        }
    }

    fn write_block(&mut self, text: &[u8], end: usize) {
        block::write(
            &text[self.block_start..end],
            &self.sequences,
            &mut self.bits,
        );
        self.sequences.clear();
        (self.block_start, self.literals_start) = (end, end);
    }
}

#[cfg(test)]
mod tests;
