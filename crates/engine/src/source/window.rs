//! The bytes of one row group, as its decoder asks for them.
//!
//! Small row groups are held whole, each chunk until its last page was taken. Of larger ones each column keeps one
//! block, read when it is asked for: the decoder runs on its own thread and may wait.
//!
//! The one law: bytes outside the row group's column chunks are never given.

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use offtake_model::{ErrorCode, Fault};
use offtake_ports::RangeReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

/// Bounds of a column's block in a row group that is read piece by piece.
const BLOCK_BYTES: Range<u64> = 64 << 10..4 << 20;

/// Read at once where the decoder reads byte by byte: page headers.
const HEADER_BYTES: u64 = 1 << 10;

/// Bytes of one row group. Clones share them.
#[derive(Clone)]
pub(crate) struct Window {
    shared: Arc<Shared>,
}

struct Shared {
    size: u64,
    /// Column chunks by position, ascending.
    chunks: Vec<Range<u64>>,
    bytes: Contents,
    /// What the chunks take of the memory there is; given back with them.
    room: Mutex<OwnedSemaphorePermit>,
    /// Why a read failed; the decoder's own error has only its text.
    fault: Mutex<Option<Fault>>,
}

enum Contents {
    /// Of each chunk, in order; given up when the chunk's last page was taken.
    Whole(Mutex<Vec<Bytes>>),
    Blocks(Blocks),
}

struct Blocks {
    reader: Arc<dyn RangeReader>,
    handle: Handle,
    block_bytes: u64,
    /// The last block of each chunk, by the chunk's ordinal, with its position.
    held: Mutex<HashMap<usize, (u64, Bytes)>>,
}

impl Window {
    /// Reads the chunks whole, or as they are asked for when they are larger than that together.
    pub(crate) async fn open(
        reader: &Arc<dyn RangeReader>,
        mut chunks: Vec<Range<u64>>,
        whole_max: u64,
        room: OwnedSemaphorePermit,
    ) -> std::result::Result<Self, Fault> {
        chunks.sort_by_key(|chunk| chunk.start);
        let total: u64 = chunks.iter().map(|chunk| chunk.end - chunk.start).sum();
        let bytes = if total <= whole_max {
            let parts = reader.read_many(&chunks).await?;
            let fits =
                |(part, chunk): (&Bytes, &Range<u64>)| part.len() as u64 == chunk.end - chunk.start;
            if parts.len() != chunks.len() || !parts.iter().zip(&chunks).all(fits) {
                return Err(Fault::new(
                    ErrorCode::Internal,
                    "read a row group: the source gave other ranges than it was asked for",
                ));
            }
            Contents::Whole(Mutex::new(parts))
        } else {
            let share = whole_max / (chunks.len() as u64).max(1);
            Contents::Blocks(Blocks {
                reader: Arc::clone(reader),
                handle: Handle::current(),
                block_bytes: share.clamp(BLOCK_BYTES.start, BLOCK_BYTES.end),
                held: Mutex::new(HashMap::new()),
            })
        };
        let shared = Shared {
            size: reader.size(),
            chunks,
            bytes,
            room: Mutex::new(room),
            fault: Mutex::new(None),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The fault behind a failed read, if a read failed.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        lock(&self.shared.fault).take()
    }

    /// Lets go of chunks that end there: pages are taken in order, so nothing of them is asked for again.
    fn give_up(&self, end: u64) {
        match &self.shared.bytes {
            Contents::Whole(parts) => {
                let mut parts = lock(parts);
                for (part, chunk) in parts.iter_mut().zip(&self.shared.chunks) {
                    if chunk.end == end {
                        self.shared.give_back(std::mem::take(part).len());
                    }
                }
            }
            Contents::Blocks(blocks) => {
                let held_end = |(start, block): &(u64, Bytes)| start + block.len() as u64;
                lock(&blocks.held).retain(|_, held| held_end(held) != end);
            }
        }
    }

    /// Up to `length` bytes from `start` that lie in one chunk; at least one, at most what is at hand.
    fn some(&self, start: u64, length: u64) -> Result<Bytes> {
        let Shared { chunks, bytes, .. } = self.shared.as_ref();
        let nth = chunks.partition_point(|chunk| chunk.start <= start);
        let found = nth
            .checked_sub(1)
            .and_then(|nth| Some((nth, chunks.get(nth)?)));
        let Some((nth, chunk)) = found.filter(|(_, chunk)| start < chunk.end) else {
            return Err(ParquetError::EOF(format!(
                "byte {start} lies in no wanted column chunk"
            )));
        };
        let length = length.min(chunk.end - start);
        match bytes {
            Contents::Whole(parts) => {
                let part = lock(parts).get(nth).cloned().unwrap_or_default();
                Ok(cut(&part, start - chunk.start, length))
            }
            Contents::Blocks(blocks) => {
                let block = blocks.covering(nth, start, length, chunk.end);
                block.map_err(|fault| {
                    let text = fault.to_string();
                    *lock(&self.shared.fault) = Some(fault);
                    ParquetError::General(text)
                })
            }
        }
    }
}

impl Shared {
    /// Gives back room for that many bytes.
    fn give_back(&self, bytes: usize) {
        let mut room = lock(&self.room);
        let bytes = bytes.min(room.num_permits());
        drop(room.split(bytes));
    }
}

impl Blocks {
    fn covering(
        &self,
        nth: usize,
        start: u64,
        length: u64,
        chunk_end: u64,
    ) -> std::result::Result<Bytes, Fault> {
        if let Some((position, block)) = lock(&self.held).get(&nth) {
            let end = position + block.len() as u64;
            if *position <= start && start + length <= end {
                return Ok(cut(block, start - position, length));
            }
        }
        let end = start.saturating_add(length.max(self.block_bytes));
        let range = start..end.min(chunk_end);
        let block = self.handle.block_on(self.reader.read(range))?;
        let answer = cut(&block, 0, length);
        lock(&self.held).insert(nth, (start, block));
        Ok(answer)
    }
}

impl Length for Window {
    fn len(&self) -> u64 {
        self.shared.size
    }
}

impl ChunkReader for Window {
    type T = WindowRead;

    fn get_read(&self, start: u64) -> Result<WindowRead> {
        Ok(WindowRead {
            window: self.clone(),
            position: start,
            held: Bytes::new(),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let bytes = self.some(start, length as u64)?;
        if bytes.len() == length {
            self.give_up(start + length as u64);
            return Ok(bytes);
        }
        Err(ParquetError::EOF(format!(
            "{length} bytes at {start} reach beyond their column chunk"
        )))
    }
}

/// Reads a window from a position on.
pub(crate) struct WindowRead {
    window: Window,
    /// Of the first byte not held yet.
    position: u64,
    held: Bytes,
}

impl Read for WindowRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.held.is_empty() {
            let more = self.window.some(self.position, HEADER_BYTES);
            self.held = more.map_err(io::Error::other)?;
            self.position += self.held.len() as u64;
        }
        let count = buffer.len().min(self.held.len());
        let (read, _) = buffer.split_at_mut(count);
        read.copy_from_slice(&self.held.split_to(count));
        Ok(count)
    }
}

/// That part of the bytes, as far as they go.
fn cut(bytes: &Bytes, start: u64, length: u64) -> Bytes {
    let end = bytes.len();
    let from = usize::try_from(start).unwrap_or(end).min(end);
    let length = usize::try_from(length).unwrap_or(end).min(end - from);
    bytes.slice(from..from + length)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::source::held::Held;

    /// A window on two chunks, the second before the first, in room for so many bytes.
    async fn open(whole_max: u64, room: u32) -> (Arc<Semaphore>, Window) {
        let reader: Arc<dyn RangeReader> = Arc::new(Held(Bytes::from_static(b"aaaa....bbbb")));
        let free = Arc::new(Semaphore::new(room as usize));
        let room = Arc::clone(&free).acquire_many_owned(room).await.unwrap();
        let window = Window::open(&reader, vec![8..12, 0..4], whole_max, room).await;
        (free, window.unwrap())
    }

    #[tokio::test]
    async fn room_is_given_back_with_the_last_page_of_each_chunk() {
        let (free, window) = open(8, 8).await;
        window.get_bytes(8, 2).unwrap();
        assert_eq!(free.available_permits(), 0);
        assert_eq!(window.get_bytes(10, 2).unwrap(), "bb");
        assert_eq!(free.available_permits(), 4);
        drop(window);
        assert_eq!(free.available_permits(), 8);
    }

    #[tokio::test]
    async fn room_of_chunks_read_piece_by_piece_is_given_back_at_the_end() {
        let (free, window) = open(7, 4).await;
        let reading = window.clone();
        let read = tokio::task::spawn_blocking(move || reading.get_bytes(0, 4));
        assert_eq!(read.await.unwrap().unwrap(), "aaaa");
        assert_eq!(free.available_permits(), 0);
        drop(window);
        assert_eq!(free.available_permits(), 4);
    }
}
