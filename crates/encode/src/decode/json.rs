//! Counts the lines of a JSON Lines file, each of which must be one object.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use serde::de::IgnoredAny;

use crate::decode::DecodeError;

/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

/// Bytes of a line at most.
const LINE_BYTES_MAX: u64 = 1 << 30;

pub(crate) fn count(bytes: impl Read) -> Result<u64, DecodeError> {
    let mut lines = BufReader::with_capacity(BUFFER_BYTES, bytes);
    let mut line = Vec::new();
    let mut rows = 0;
    loop {
        line.clear();
        let mut bounded = (&mut lines).take(LINE_BYTES_MAX);
        let length = bounded
            .read_until(b'\n', &mut line)
            .map_err(|error| unreadable(error, rows))?;
        if length == 0 {
            return Ok(rows);
        }
        rows += 1;
        check(&line, rows)?;
    }
}

fn check(line: &[u8], number: u64) -> Result<(), DecodeError> {
    let Some(object) = line.strip_suffix(b"\n") else {
        return Err(DecodeError::Truncated {
            place: format!("line {number} has no end"),
        });
    };
    let whole = object.first() == Some(&b'{') && std::str::from_utf8(object).is_ok();
    if whole && serde_json::from_slice::<IgnoredAny>(object).is_ok() {
        return Ok(());
    }
    Err(DecodeError::Corrupt {
        place: format!("line {number} is no JSON object"),
    })
}

fn unreadable(error: io::Error, lines: u64) -> DecodeError {
    let kind = error.kind();
    if kind == ErrorKind::UnexpectedEof {
        return DecodeError::Truncated {
            place: format!("the gzip stream ends after {lines} whole lines"),
        };
    }
    if matches!(kind, ErrorKind::InvalidInput | ErrorKind::InvalidData) {
        return DecodeError::Corrupt {
            place: format!("the gzip stream does not decode after line {lines}"),
        };
    }
    DecodeError::Io(error)
}
