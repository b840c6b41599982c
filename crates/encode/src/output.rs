//! The far end of every encoder: collects bytes into chunks, counts and hashes them.
//!
//! The one law: whatever leaves here was counted and hashed, in this order, once.

use std::collections::VecDeque;
use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use crate::encoder::Encoded;

/// Bytes of a chunk before it is handed on, about: a chunk may exceed it by one write, and by as much when it was
/// taken over.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// Finished bytes of one file.
pub(crate) struct Output {
    open: Vec<u8>,
    ready: VecDeque<Bytes>,
    digest: Context,
    bytes: u64,
}

impl Output {
    pub(crate) fn new() -> Self {
        Self {
            open: Vec::new(),
            ready: VecDeque::new(),
            digest: Context::new(&SHA256),
            bytes: 0,
        }
    }

    pub(crate) fn append(&mut self, bytes: &[u8]) {
        if self.open.capacity() == 0 {
            self.open.reserve(CHUNK_BYTES + CHUNK_BYTES / 8);
        }
        self.open.extend_from_slice(bytes);
        if self.open.len() >= CHUNK_BYTES {
            self.close_chunk();
        }
    }

    /// Takes bytes over, without copying them when they are at least half a chunk.
    pub(crate) fn adopt(&mut self, bytes: Bytes) {
        if bytes.len() < CHUNK_BYTES / 2 {
            return self.append(&bytes);
        }
        self.close_chunk();
        self.note(&bytes);
        let mut rest = bytes;
        while rest.len() > CHUNK_BYTES * 2 {
            self.ready.push_back(rest.split_to(CHUNK_BYTES));
        }
        self.ready.push_back(rest);
    }

    pub(crate) fn take(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Hands the last chunk on and says what was written in all.
    pub(crate) fn finish(&mut self, rows: u64) -> Encoded {
        self.close_chunk();
        Encoded {
            rows,
            bytes: self.bytes,
            sha256: hex::encode(self.digest.clone().finish()),
        }
    }

    fn close_chunk(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let chunk = std::mem::take(&mut self.open);
        self.note(&chunk);
        self.ready.push_back(Bytes::from(chunk));
    }

    fn note(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
