//! Bits, the first in the lowest place of a byte.

/// Room for one [`BitWriter::flush`].
const WORD_BYTES: usize = 8;

/// Collects bits into bytes.
#[derive(Default)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    /// Finished bytes of `out`; behind them is room.
    len: usize,
    word: u64,
    count: u32,
}

impl BitWriter {
    /// Makes room for that many bytes more, which [`Self::flush`] relies on.
    pub(super) fn reserve(&mut self, bytes: usize) {
        let end = self.len + bytes + WORD_BYTES;
        if self.out.len() < end {
            self.out.resize(end, 0);
        }
    }

    /// Adds bits. Between two flushes there is room for 56.
    #[inline]
    pub(super) const fn put(&mut self, bits: u64, count: u32) {
        self.word |= bits << self.count;
        self.count += count;
    }

    /// Moves whole bytes out.
    #[inline]
    pub(super) fn flush(&mut self) {
        let end = self.len + WORD_BYTES;
        self.out[self.len..end].copy_from_slice(&self.word.to_le_bytes());
        let whole = self.count / 8;
        self.len += whole as usize;
        self.word >>= whole * 8;
        self.count %= 8;
    }

    /// Fills the last byte up.
    pub(super) fn align(&mut self) {
        self.reserve(WORD_BYTES);
        self.count = self.count.next_multiple_of(8);
        self.flush();
    }

    /// Adds whole bytes; the bits before them were aligned.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let end = self.len + bytes.len();
        self.out[self.len..end].copy_from_slice(bytes);
        self.len = end;
    }

    /// Moves the finished bytes; an unfinished one stays.
    pub(super) fn take(&mut self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.out[..self.len]);
        self.len = 0;
    }

    /// The finished bytes.
    pub(super) fn finished(&self) -> &[u8] {
        &self.out[..self.len]
    }

    /// Drops everything.
    pub(super) const fn restart(&mut self) {
        (self.len, self.word, self.count) = (0, 0, 0);
    }
}
