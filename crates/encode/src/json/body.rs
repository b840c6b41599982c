//! Rows of one part on their way to bytes: as they are, or compressed.

use std::ops::Range;
use std::sync::OnceLock;

use offtake_model::{Fault, GzipLevel, GzipMembers, GzipRules};

use crate::deflate::RowGzip;
use crate::gzip::{Gzip, Sum};
use crate::json::column::{self, MemberColumn};

/// Text of a member where the general compressor serves.
const MEMBER_BYTES: usize = 1 << 20;

/// Where the general compressor takes fewer bytes than these hundredths of a table's first block, the table has too
/// little structure for the other one.
const GENERAL_WINS_BELOW: usize = 91;

/// What rows are written to.
pub(crate) trait Lines {
    /// The open row, behind others.
    fn text(&mut self) -> &mut Vec<u8>;

    /// Says that what was written since `start` is a value of that path.
    fn leaf(&mut self, ordinal: u32, start: usize);

    /// Ends a row; answers whether there are enough of them for now.
    fn end_row(&mut self) -> bool;
}

/// Which compressor serves a file, found with its first block and waited for by its other parts.
pub(super) struct Verdict {
    found: OnceLock<Compressor>,
    level: GzipLevel,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compressor {
    Rows,
    General,
}

impl Verdict {
    /// To be found, unless the rules leave nothing to find.
    pub(super) fn under(rules: GzipRules) -> Self {
        let known = match rules {
            GzipRules {
                members: GzipMembers::Single,
                level: _,
            } => Some(Compressor::Rows),
            GzipRules {
                level: GzipLevel::Fast,
                ..
            } => Some(Compressor::General),
            GzipRules { .. } => None,
        };
        Self {
            found: known.map_or_else(OnceLock::new, OnceLock::from),
            level: rules.level,
        }
    }

    /// Ends the waiting at the latest when the answer is dropped.
    pub(super) const fn settled(&self) -> Settled<'_> {
        Settled(self)
    }
}

/// A part that others wait for.
pub(super) struct Settled<'a>(&'a Verdict);

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        let _first = self.0.found.set(Compressor::Rows);
    }
}

/// Rows on their way.
pub(super) enum Body<'a> {
    Plain(Text),
    /// Compressed by what is known of their structure, which is doubted until there is a verdict.
    Rows(Box<RowGzip>, Option<&'a Verdict>),
    /// Compressed member by member, whatever they are.
    Members(Text, Box<Gzip>),
}

/// Plain lines.
#[derive(Default)]
pub(super) struct Text {
    lines: Vec<u8>,
    enough: Option<usize>,
}

impl Lines for Text {
    #[inline]
    fn text(&mut self) -> &mut Vec<u8> {
        &mut self.lines
    }

    #[inline]
    fn leaf(&mut self, _ordinal: u32, _start: usize) {}

    #[inline]
    fn end_row(&mut self) -> bool {
        self.enough.is_some_and(|enough| self.lines.len() >= enough)
    }
}

impl Lines for RowGzip {
    #[inline]
    fn text(&mut self) -> &mut Vec<u8> {
        Self::text(self)
    }

    #[inline]
    fn leaf(&mut self, ordinal: u32, start: usize) {
        Self::leaf(self, ordinal, start);
    }

    #[inline]
    fn end_row(&mut self) -> bool {
        self.row()
    }
}

impl<'a> Body<'a> {
    /// Lines as they are, which are the finished bytes.
    pub(super) const fn plain(buffer: Vec<u8>) -> Self {
        Self::Plain(Text {
            lines: buffer,
            enough: None,
        })
    }

    /// The first part of a compressed file, which finds the verdict where there is none.
    pub(super) fn first(verdict: &'a Verdict) -> Self {
        match verdict.found.get() {
            None => Self::Rows(Box::new(RowGzip::new()), Some(verdict)),
            Some(_) => Self::other(verdict, None),
        }
    }

    /// Another part of a compressed file. Waits until the first came to a verdict.
    pub(super) fn other(verdict: &Verdict, spare: Option<Box<RowGzip>>) -> Self {
        match verdict.found.wait() {
            Compressor::Rows => {
                let gzip = spare.unwrap_or_else(|| Box::new(RowGzip::new()));
                Self::Rows(gzip, None)
            }
            Compressor::General => Self::members(Gzip::new(verdict.level)),
        }
    }

    fn members(gzip: Gzip) -> Self {
        let text = Text {
            lines: Vec::new(),
            enough: Some(MEMBER_BYTES),
        };
        Self::Members(text, Box::new(gzip))
    }

    /// Writes so many rows; finished bytes go to `out`, save plain lines, which wait for the end.
    pub(super) fn write(
        &mut self,
        rows: &[MemberColumn<'_>],
        count: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut range = 0..count;
        while !range.is_empty() {
            let full = match self {
                Self::Plain(text) | Self::Members(text, _) => fill(text, rows, &mut range),
                Self::Rows(gzip, _) => fill(gzip.as_mut(), rows, &mut range),
            };
            if full {
                self.flush(out)?;
            }
        }
        Ok(())
    }

    /// Moves a block of rows to the output.
    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Plain(_) => {}
            Self::Members(text, gzip) => {
                out.extend_from_slice(gzip.member(&text.lines)?);
                text.lines.clear();
            }
            Self::Rows(gzip, doubt) => {
                let Some(verdict) = doubt.take() else {
                    gzip.close_block();
                    gzip.take(out);
                    return Ok(());
                };
                let mut general = Gzip::new(verdict.level);
                let member = general.member(gzip.open_block())?.to_vec();
                gzip.close_block();
                let before = out.len();
                gzip.take(out);
                if member.len() * 100 < (out.len() - before) * GENERAL_WINS_BELOW {
                    let _first = verdict.found.set(Compressor::General);
                    out.truncate(before);
                    out.extend(member);
                    *self = Self::members(general);
                } else {
                    let _first = verdict.found.set(Compressor::Rows);
                }
            }
        }
        Ok(())
    }

    /// Completes the part. Answers, when it is to be joined with others to a member, its sum, and its compressor, to
    /// be used again.
    pub(super) fn finish(
        mut self,
        out: &mut Vec<u8>,
    ) -> Result<Option<(Sum, Box<RowGzip>)>, Fault> {
        match &mut self {
            Self::Plain(text) => std::mem::swap(&mut text.lines, out),
            // A file without rows is a member without text.
            Self::Members(text, _) if text.lines.is_empty() && !out.is_empty() => {}
            Self::Members(..) => self.flush(out)?,
            Self::Rows(..) => {}
        }
        let Self::Rows(mut gzip, _) = self else {
            return Ok(None);
        };
        let sum = gzip.finish();
        gzip.take(out);
        Ok(Some((sum, gzip)))
    }
}

/// Writes rows of the range until there are enough, and shortens it by them; answers whether there are enough.
fn fill(lines: &mut impl Lines, rows: &[MemberColumn<'_>], range: &mut Range<usize>) -> bool {
    for row in range.by_ref() {
        column::object(rows, row, lines);
        lines.text().push(b'\n');
        if lines.end_row() {
            return true;
        }
    }
    false
}
