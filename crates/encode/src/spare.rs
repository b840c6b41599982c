//! Memory that is used again instead of being made anew: the system clears every page of it.

mod pages;
mod texts;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::deflate::RowGzip;

pub use pages::PageBuffers;
pub(crate) use texts::TextBuffers;

/// Bytes of page buffers kept at most.
const PAGES_BYTES: usize = 32 << 20;

/// Compressors kept at most.
const COMPRESSORS_MAX: usize = 8;

/// What encoders and decoders of several files use one after the other. Clones share it.
#[derive(Clone)]
pub struct Spares {
    pages: PageBuffers,
    texts: TextBuffers,
    compressors: Arc<Mutex<Vec<RowGzip>>>,
}

impl Spares {
    /// Nothing that was used before.
    pub fn new() -> Self {
        Self {
            pages: PageBuffers::new(PAGES_BYTES),
            texts: TextBuffers::default(),
            compressors: Arc::default(),
        }
    }

    /// Gives up what nobody uses now.
    pub fn clear(&self) {
        self.pages.clear();
        self.texts.clear();
        self.compressors().clear();
    }

    /// For pages that were decompressed.
    pub const fn pages(&self) -> &PageBuffers {
        &self.pages
    }

    /// For text, compressed or not.
    pub(crate) const fn texts(&self) -> &TextBuffers {
        &self.texts
    }

    /// A compressor that was used before.
    pub(crate) fn compressor(&self) -> Option<RowGzip> {
        self.compressors().pop()
    }

    /// Keeps a compressor for others.
    pub(crate) fn keep(&self, mut compressor: RowGzip) {
        if compressor.worn() {
            return;
        }
        compressor.restart();
        let mut kept = self.compressors();
        if kept.len() < COMPRESSORS_MAX {
            kept.push(compressor);
        }
    }

    fn compressors(&self) -> MutexGuard<'_, Vec<RowGzip>> {
        let kept = &self.compressors;
        kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Spares {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_given_once_and_not_at_all_when_cleared() {
        let spares = Spares::new();
        let fill = || {
            spares.keep(RowGzip::new());
            drop(spares.texts().lend(spares.texts().take(1_000)));
        };
        fill();
        assert!(spares.clone().compressor().is_some());
        assert!(spares.compressor().is_none());
        assert!(spares.texts().take(0).capacity() >= 1_000);
        assert_eq!(spares.texts().take(0).capacity(), 0);
        fill();
        spares.clear();
        assert!(spares.compressor().is_none());
        assert_eq!(spares.texts().take(0).capacity(), 0);
    }
}
