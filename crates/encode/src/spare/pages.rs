//! Buffers for decompressed pages, used again instead of being made anew: the system clears every page of a new one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Smaller buffers are not worth keeping.
const BUFFER_BYTES_MIN: usize = 64 << 10;

/// A buffer is not taken for what would leave more than this part of it unused.
const WASTE: usize = 4;

/// Keeps buffers that nobody uses now. Clones share them.
#[derive(Clone, Debug)]
pub struct PageBuffers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    /// The smallest first.
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

/// A page in a buffer that goes back when nobody reads it any more.
struct Lent {
    buffer: Vec<u8>,
    page_bytes: usize,
    home: PageBuffers,
}

impl PageBuffers {
    /// Keeps buffers of so many bytes together at most.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                kept: Mutex::default(),
                bytes_max,
            }),
        }
    }

    /// Gives up all buffers that nobody uses now.
    pub(super) fn clear(&self) {
        *self.kept() = Kept::default();
    }

    /// A page of so many bytes, as `fill` writes it.
    pub(crate) fn page<E>(
        &self,
        bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let mut lent = Lent {
            buffer: self.take(bytes),
            page_bytes: bytes,
            home: self.clone(),
        };
        fill(&mut lent.buffer[..bytes])?;
        Ok(Bytes::from_owner(lent))
    }

    /// A buffer of at least so many bytes, whatever they are.
    fn take(&self, bytes: usize) -> Vec<u8> {
        if bytes < BUFFER_BYTES_MIN {
            return vec![0; bytes];
        }
        let mut kept = self.kept();
        let fitting = kept.buffers.partition_point(|it| it.len() < bytes);
        let found = kept.buffers.get(fitting);
        if found.is_some_and(|it| it.len() / WASTE <= bytes) {
            let buffer = kept.buffers.remove(fitting);
            kept.bytes -= buffer.len();
            return buffer;
        }
        drop(kept);
        // A little larger, for the page that is a little larger the next time.
        vec![0; bytes.next_multiple_of(bytes.next_power_of_two() / 16)]
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.kept();
        let bytes = kept.bytes + buffer.len();
        if buffer.len() < BUFFER_BYTES_MIN || bytes > self.shared.bytes_max {
            return;
        }
        let place = kept.buffers.partition_point(|it| it.len() < buffer.len());
        kept.buffers.insert(place, buffer);
        kept.bytes = bytes;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        let kept = &self.shared.kept;
        kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.page_bytes]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const BYTES: usize = 1 << 20;

    fn page(buffers: &PageBuffers, bytes: usize) -> Bytes {
        let filled = buffers.page(bytes, |into| {
            into.fill(7);
            Ok::<_, Infallible>(())
        });
        filled.unwrap()
    }

    #[test]
    fn a_buffer_is_used_again_behind_its_last_reader() {
        let buffers = PageBuffers::new(4 * BYTES);
        let first = page(&buffers, BYTES - 100);
        let (place, slice) = (first.as_ptr(), first.slice(5..));
        drop(first);
        assert_ne!(page(&buffers, BYTES).as_ptr(), place);
        drop(slice);
        let again = page(&buffers, BYTES);
        assert_eq!((again.as_ptr(), again.len()), (place, BYTES));
        assert!(again.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn the_smallest_buffer_that_fits_is_taken() {
        let buffers = PageBuffers::new(8 * BYTES);
        let pages = [3 * BYTES, BYTES, 2 * BYTES].map(|bytes| page(&buffers, bytes));
        let [_, _, middle] = pages.each_ref().map(|page| page.as_ptr());
        drop(pages);
        assert_eq!(page(&buffers, BYTES + BYTES / 2).as_ptr(), middle);
    }

    #[test]
    fn a_large_buffer_is_not_taken_for_a_small_page() {
        let buffers = PageBuffers::new(8 * BYTES);
        let large = page(&buffers, 8 * BYTES).as_ptr();
        let small = page(&buffers, BYTES);
        assert_ne!(small.as_ptr(), large);
        assert_eq!(page(&buffers, 3 * BYTES).as_ptr(), large);
    }

    #[test]
    fn no_more_is_kept_than_was_agreed_and_nothing_when_cleared() {
        let buffers = PageBuffers::new(2 * BYTES);
        drop([(); 3].map(|()| page(&buffers, BYTES)));
        let kept = |buffers: &PageBuffers| {
            let kept = buffers.kept();
            (kept.buffers.len(), kept.bytes)
        };
        assert_eq!(kept(&buffers), (2, 2 * BYTES));
        let taken = page(&buffers, BYTES);
        assert_eq!(kept(&buffers), (1, BYTES));
        buffers.clear();
        assert_eq!(kept(&buffers), (0, 0));
        drop(taken);
        drop(page(&buffers, 100));
        assert_eq!(kept(&buffers), (1, BYTES));
    }

    #[test]
    fn a_page_that_was_not_filled_gives_its_buffer_back() {
        let buffers = PageBuffers::new(BYTES);
        let failed = buffers.page(BYTES, |_into| Err("damaged"));
        assert_eq!(failed, Err("damaged"));
        assert_eq!(buffers.kept().bytes, BYTES);
    }
}
