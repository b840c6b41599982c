//! An output that is read from while a writer holds it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::encoder::Encoded;
use crate::output::Output;

/// A handle to one [`Output`].
#[derive(Clone)]
pub(super) struct SharedOutput(Arc<Mutex<Output>>);

impl SharedOutput {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Output::new())))
    }

    pub(super) fn take(&self) -> Option<Bytes> {
        self.lock().take()
    }

    pub(super) fn finish(&self, rows: u64) -> Encoded {
        self.lock().finish(rows)
    }

    fn lock(&self) -> MutexGuard<'_, Output> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for SharedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
