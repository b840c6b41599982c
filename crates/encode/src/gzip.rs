//! gzip as a sequence of members, so that a whole-buffer compressor can serve a stream.
//!
//! The one law: the members' contents, joined, are the input; an empty input still makes one valid member.

use libdeflater::{CompressionLvl, Compressor};
use offtake_model::{ErrorCode, Fault};

/// The level whose size is that of `gzip -6`.
const LEVEL: i32 = 6;

/// Makes members, one per call.
pub(crate) struct Gzip {
    compressor: Compressor,
    scratch: Vec<u8>,
}

impl Gzip {
    pub(crate) fn new() -> Self {
        Self {
            compressor: Compressor::new(CompressionLvl::new(LEVEL).unwrap_or_default()),
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
