//! gzip for rows of text whose structure is known.
//!
//! A general compressor must search for what repeats. The encoder knows: a value repeats the one its column had
//! before, and the text between two values is the same in every row. It marks each value (a *leaf*), and matches are
//! tried at these marks alone: the last place of the same value, the last places of the same pair of neighbours, each
//! measured forwards and backwards. What is left of a value is searched with a probe a byte, fewer where there is nothing.
//!
//! The answer is part of a deflate stream (RFC 1951) that refers to nothing before it: parts are joined to one gzip
//! member ([`crate::gzip::Member`]), whoever compressed them.
//!
//! The one law: every match was compared byte by byte, so no heuristic can spoil the text.

mod adapt;
mod bits;
mod block;
mod huffman;
mod matching;
mod places;
mod probes;
mod symbol;
mod tokens;
mod values;

use libdeflater::Crc;

use crate::gzip::Sum;
use bits::BitWriter;
use tokens::Tokens;

pub(crate) use values::{Sizes, ValueGzip, Values};

/// Text bytes of a block, each with Huffman codes of its own. A row may exceed it.
const BLOCK_BYTES: usize = 256 << 10;

/// Reach of a match.
const WINDOW_BYTES: usize = 32 << 10;

/// Compresses rows into a part of a gzip member.
pub(crate) struct RowGzip {
    tokens: Tokens,
    bits: BitWriter,
    crc: Crc,
    text_bytes: u64,
}

impl RowGzip {
    pub(crate) fn new() -> Self {
        Self {
            tokens: Tokens::new(),
            bits: BitWriter::default(),
            crc: Crc::new(),
            text_bytes: 0,
        }
    }

    /// Begins another part, after the end of one.
    pub(crate) fn restart(&mut self) {
        self.tokens.restart();
        self.bits.restart();
        self.crc = Crc::new();
        self.text_bytes = 0;
    }

    /// Whether it counted so much text that places in its tables may soon be taken for others.
    pub(crate) const fn worn(&self) -> bool {
        self.tokens.worn()
    }

    /// Where the next row is written.
    #[inline]
    pub(crate) const fn text(&mut self) -> &mut Vec<u8> {
        &mut self.tokens.text
    }

    /// Marks what was written since `start` as a value of that column.
    #[inline]
    pub(crate) fn leaf(&mut self, id: u32, start: usize) {
        self.tokens.mark(id, start);
    }

    /// Ends a row; answers whether there is enough text for a block.
    pub(crate) fn row(&mut self) -> bool {
        self.tokens.take_row();
        self.tokens.pending() >= BLOCK_BYTES
    }

    /// The text of the open block, as far as it has rows.
    pub(crate) fn open_block(&self) -> &[u8] {
        self.tokens.block()
    }

    /// Ends the open block.
    pub(crate) fn close_block(&mut self) {
        self.tokens.close_block();
        let text = self.tokens.block();
        self.crc.update(text);
        self.text_bytes += text.len() as u64;
        block::write(text, self.tokens.sequences(), &mut self.bits);
        self.tokens.slide();
    }

    /// Moves finished bytes.
    pub(crate) fn take(&mut self, into: &mut Vec<u8>) {
        self.bits.take(into);
    }

    /// Ends the part at a whole byte and sums up its text. Nothing may be written afterwards.
    pub(crate) fn finish(&mut self) -> Sum {
        self.close_block();
        block::write_nothing(&mut self.bits);
        Sum {
            crc: self.crc.sum(),
            text_bytes: self.text_bytes,
        }
    }
}

#[cfg(test)]
mod tests;
