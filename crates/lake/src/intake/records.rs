//! Cuts a JSON file into rows: lines, an array's elements, or documents one after the other.
//!
//! Doesn't parse them. The one law: at most one row is held in memory, and a row has a bound.

use std::io::{self, BufRead};

/// Largest row, in bytes.
const ROW_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A row, or the reason why there is none.
pub(crate) enum Record<'a> {
    /// Its bytes.
    Row(&'a [u8]),
    /// What is wrong.
    Broken(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Unknown,
    Lines,
    /// Elements; a comma is due before the next one or not.
    Array {
        comma_due: bool,
    },
    Documents,
    Ended,
}

/// Rows of one file.
pub(crate) struct Records<R> {
    reader: R,
    documents: bool,
    mode: Mode,
    line: u64,
    row: Vec<u8>,
}

impl<R: BufRead> Records<R> {
    /// `documents` says that a row outside an array may take several lines.
    pub(crate) fn new(reader: R, documents: bool) -> Self {
        Self {
            reader,
            documents,
            mode: Mode::Unknown,
            line: 1,
            row: Vec::new(),
        }
    }

    /// The next row with the line that it begins on.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, Record<'_>)>> {
        if self.mode == Mode::Unknown {
            self.begin()?;
        }
        match self.mode {
            Mode::Lines => self.next_line(),
            Mode::Array { comma_due } => self.next_element(comma_due),
            Mode::Documents => self.next_document(),
            Mode::Unknown | Mode::Ended => Ok(None),
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
        if self.reader.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
            self.reader.consume(BYTE_ORDER_MARK.len());
        }
        self.mode = match self.skip_blanks()? {
            Some(b'[') => {
                self.reader.consume(1);
                Mode::Array { comma_due: false }
            }
            Some(_) if self.documents => Mode::Documents,
            Some(_) => Mode::Lines,
            None => Mode::Ended,
        };
        Ok(())
    }

    fn next_line(&mut self) -> io::Result<Option<(u64, Record<'_>)>> {
        loop {
            self.row.clear();
            let line = self.line;
            let mut too_long = false;
            loop {
                let buffer = self.reader.fill_buf()?;
                if buffer.is_empty() {
                    self.mode = Mode::Ended;
                    break;
                }
                let end = buffer.iter().position(|byte| *byte == b'\n');
                let taken = end.unwrap_or(buffer.len());
                too_long |= self.row.len() + taken > ROW_BYTES_MAX;
                if !too_long {
                    self.row.extend(buffer.iter().take(taken));
                }
                self.reader.consume(taken + usize::from(end.is_some()));
                if end.is_some() {
                    self.line += 1;
                    break;
                }
            }
            if too_long {
                return Ok(Some((
                    line,
                    Record::Broken("the row is longer than 16 MiB"),
                )));
            }
            if !self.row.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some((line, Record::Row(&self.row))));
            }
            if self.mode == Mode::Ended {
                return Ok(None);
            }
        }
    }

    fn next_element(&mut self, comma_due: bool) -> io::Result<Option<(u64, Record<'_>)>> {
        let mut found = self.skip_blanks()?;
        if comma_due && found == Some(b',') {
            self.reader.consume(1);
            found = self.skip_blanks()?;
        } else if comma_due && found != Some(b']') && found.is_some() {
            return self.give_up("a comma is missing between two rows of the array");
        }
        match found {
            None => self.give_up("the array is not closed"),
            Some(b']') => {
                self.reader.consume(1);
                if self.skip_blanks()?.is_some() {
                    return self.give_up("something follows after the array");
                }
                self.mode = Mode::Ended;
                Ok(None)
            }
            Some(_) => {
                self.mode = Mode::Array { comma_due: true };
                self.value()
            }
        }
    }

    fn next_document(&mut self) -> io::Result<Option<(u64, Record<'_>)>> {
        if self.skip_blanks()?.is_none() {
            self.mode = Mode::Ended;
            return Ok(None);
        }
        self.value()
    }

    /// One object, from its brace to the brace that closes it.
    fn value(&mut self) -> io::Result<Option<(u64, Record<'_>)>> {
        self.row.clear();
        let line = self.line;
        let mut depth = 0_u32;
        let (mut text, mut escaped) = (false, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return self.give_up("the row is not closed");
            }
            let mut taken = 0;
            for byte in buffer {
                taken += 1;
                match byte {
                    b'\n' => self.line += 1,
                    _ if escaped => escaped = false,
                    b'\\' if text => escaped = true,
                    b'"' => text = !text,
                    b'{' | b'[' if !text => depth += 1,
                    b'}' | b']' if !text => depth = depth.saturating_sub(1),
                    _ => {}
                }
                if depth == 0 && !text {
                    break;
                }
            }
            self.row.extend(buffer.iter().take(taken));
            self.reader.consume(taken);
            if self.row.len() > ROW_BYTES_MAX {
                return self.give_up("the row is longer than 16 MiB");
            }
            if depth == 0 && !text {
                break;
            }
        }
        if self.row.first() != Some(&b'{') {
            return self.give_up("a row must be an object");
        }
        Ok(Some((line, Record::Row(&self.row))))
    }

    /// After this nothing tells where the next row begins.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "it is the last word of functions that may fail"
    )]
    fn give_up(&mut self, reason: &'static str) -> io::Result<Option<(u64, Record<'_>)>> {
        self.mode = Mode::Ended;
        Ok(Some((self.line, Record::Broken(reason))))
    }

    fn skip_blanks(&mut self) -> io::Result<Option<u8>> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let Some(first) = buffer.first().copied() else {
                return Ok(None);
            };
            if !first.is_ascii_whitespace() {
                return Ok(Some(first));
            }
            self.line += u64::from(first == b'\n');
            self.reader.consume(1);
        }
    }
}
