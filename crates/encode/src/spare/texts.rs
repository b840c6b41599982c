//! Buffers for text that was encoded.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Buffers kept at most.
const KEPT_MAX: usize = 16;

/// Keeps buffers that nobody uses now. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct TextBuffers(Arc<Mutex<Vec<Vec<u8>>>>);

/// A filled buffer, which goes back when nobody reads it any more.
struct Lent {
    bytes: Vec<u8>,
    home: TextBuffers,
}

impl TextBuffers {
    /// An empty buffer with room for so many bytes.
    pub(crate) fn take(&self, room: usize) -> Vec<u8> {
        let mut buffer = self.kept().pop().unwrap_or_default();
        buffer.reserve(room);
        buffer
    }

    /// The buffer's bytes to be read; it goes back behind the last reader.
    pub(crate) fn lend(&self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent {
            bytes,
            home: self.clone(),
        })
    }

    /// Gives up all buffers that nobody uses now.
    pub(super) fn clear(&self) {
        *self.kept() = Vec::new();
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut kept = self.home.kept();
        if kept.len() < KEPT_MAX {
            self.bytes.clear();
            kept.push(std::mem::take(&mut self.bytes));
        }
    }
}
