//! gzip files (RFC 1952): one member joined from parts, or members that each stand for themselves.
//!
//! The one law: the members' contents, joined, are the input; an empty input still makes one valid member.

use crc_fast::{CrcAlgorithm, checksum_combine};
use libdeflater::{CompressionLvl, Compressor};
use offtake_model::{ErrorCode, Fault, GzipLevel};

/// A member's first bytes: deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];

/// A deflate stream's last block, without text, in the fixed codes.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// The number that stands for a level: `default` is of the size of `gzip -6`.
pub(crate) const fn level(level: GzipLevel) -> i32 {
    match level {
        GzipLevel::Default => 6,
        GzipLevel::Fast => 1,
    }
}

/// What a member tells of a part's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) crc: u32,
    pub(crate) text_bytes: u64,
}

/// A member that is joined from parts which end at a whole byte and are not the stream's last.
pub(crate) struct Member(Sum);

impl Member {
    /// Begins a member with these bytes.
    pub(crate) const fn begin() -> (Self, [u8; 10]) {
        let nothing = Sum {
            crc: 0,
            text_bytes: 0,
        };
        (Self(nothing), HEADER)
    }

    /// Counts the next part.
    pub(crate) fn add(&mut self, part: Sum) {
        let Sum { crc, text_bytes } = self.0;
        let (before, part_crc) = (u64::from(crc), u64::from(part.crc));
        let joined = checksum_combine(
            CrcAlgorithm::Crc32IsoHdlc,
            before,
            part_crc,
            part.text_bytes,
        );
        self.0 = Sum {
            crc: low(joined),
            text_bytes: text_bytes + part.text_bytes,
        };
    }

    /// Ends the member with these bytes.
    pub(crate) fn end(self) -> Vec<u8> {
        let crc = self.0.crc.to_le_bytes();
        // The format counts bytes modulo 2^32.
        let count = low(self.0.text_bytes).to_le_bytes();
        [&LAST_BLOCK[..], &crc, &count].concat()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper bits are zero, or do not count"
)]
const fn low(bits: u64) -> u32 {
    bits as u32
}

/// Makes whole members, one per call, of whatever text.
pub(crate) struct Gzip {
    compressor: Compressor,
    scratch: Vec<u8>,
}

impl Gzip {
    pub(crate) fn new(asked: GzipLevel) -> Self {
        Self::of(level(asked))
    }

    pub(crate) fn of(level: i32) -> Self {
        let level = CompressionLvl::new(level).unwrap_or_default();
        Self {
            compressor: Compressor::new(level),
            scratch: Vec::new(),
        }
    }

    /// Compresses the input as one member. The answer is valid until the next call.
    pub(crate) fn member(&mut self, input: &[u8]) -> Result<&[u8], Fault> {
        let bound = self.compressor.gzip_compress_bound(input.len());
        if self.scratch.len() < bound {
            self.scratch.resize(bound, 0);
        }
        let written = self
            .compressor
            .gzip_compress(input, &mut self.scratch)
            .map_err(|error| {
                Fault::new(ErrorCode::Internal, "compress a gzip member").because(&error)
            })?;
        Ok(self.scratch.get(..written).unwrap_or_default())
    }
}
