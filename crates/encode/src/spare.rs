//! Buffers that are used again instead of being made anew: the system clears every page of a new one.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Buffers kept at most.
const KEPT_MAX: usize = 8;

/// Buffers that nobody uses now. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

/// A filled buffer, which goes back when nobody reads it any more.
struct Lent {
    bytes: Vec<u8>,
    home: Spare,
}

impl Spare {
    /// An empty buffer with room for so many bytes.
    pub(crate) fn take(&self, room: usize) -> Vec<u8> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = spare.pop().unwrap_or_default();
        drop(spare);
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
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spare = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < KEPT_MAX {
            self.bytes.clear();
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}
