//! gzip for values that stand one behind the other, as in the pages of a Parquet file.
//!
//! Identifiers, instants and measures have nothing in common but what values of one size begin or end with. So a value
//! is compared with the last of its size alone, at either end; what is left are literals. That is several times as fast
//! as a search for what repeats, and no larger where a search finds nothing else.
//!
//! The one law: every match was compared byte by byte, so nothing said of the values can spoil them.

use libdeflater::crc32;

use crate::deflate::bits::BitWriter;
use crate::deflate::matching::{alike_at_the_end, forwards};
use crate::deflate::tokens::{SCORE_MIN, Sequence};
use crate::deflate::{BLOCK_BYTES, WINDOW_BYTES, block};
use crate::gzip::{Member, Sum};

/// Sizes told apart; others share.
const SIZES: usize = 256;

/// Bytes of a value's length.
const LENGTH_BYTES: usize = 4;

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
    block_start: usize,
    literals_start: usize,
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

    /// Compares a value with the last of its size.
    #[inline]
    fn take(&mut self, text: &[u8], start: usize, end: usize) {
        let place = std::mem::replace(&mut self.last[(end - start) % SIZES], start);
        let distance = start.wrapping_sub(place);
        if distance > start || distance > WINDOW_BYTES {
            return;
        }
        let beginning = forwards(text, start - distance, start, end);
        self.take_match(start, beginning, distance);
        let rest = start + beginning;
        let ending = alike_at_the_end(&text[rest - distance..end - distance], &text[rest..end]);
        self.take_match(end - ending, ending, distance);
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
