//! gzip for pages: by their values where that is no larger than a search for what repeats.

use offtake_model::{Fault, GzipLevel};

use crate::deflate::{Sizes, ValueGzip, Values};
use crate::gzip::{Gzip, level};

/// The default level of the search: above it pages get slower far sooner than smaller.
const LEVEL: i32 = 2;

/// Text that is compressed either way to find which one serves: an eighth of a page, so much at most. A page whose
/// eighth is less than the least is searched.
const SAMPLE_BYTES_MAX: usize = 32 << 10;
const SAMPLE_BYTES_MIN: usize = 4 << 10;
const SAMPLE_PART: usize = 8;

/// Text that a choice is good for.
const CHOSEN_BYTES: usize = 1 << 20;

/// Thousandths of the search's bytes that values may take: they take a quarter of its time or less.
const VALUES_MAX: usize = 1_060;

/// Compresses pages, one column chunk's after the other's.
pub(super) struct PageGzip {
    search: Gzip,
    values: ValueGzip,
    choice: Option<Choice>,
}

/// The way that served a sample of such values.
#[derive(Clone, Copy)]
struct Choice {
    sizes: Sizes,
    by_values: bool,
    /// Text that it is still good for.
    bytes: usize,
}

impl PageGzip {
    pub(super) fn new(asked: GzipLevel) -> Self {
        let level = match asked {
            GzipLevel::Default => LEVEL,
            GzipLevel::Fast => level(GzipLevel::Fast),
        };
        Self {
            search: Gzip::of(level),
            values: ValueGzip::new(),
            choice: None,
        }
    }

    /// Begins another chunk.
    pub(super) const fn restart(&mut self) {
        self.choice = None;
    }

    /// Compresses the page as a gzip member. The answer is valid until the next call.
    pub(super) fn member(&mut self, page: &[u8], values: Values) -> Result<&[u8], Fault> {
        if self.serve(page, values)? {
            Ok(self.values.member(page, values))
        } else {
            self.search.member(page)
        }
    }

    /// Whether the page's values serve.
    fn serve(&mut self, page: &[u8], values: Values) -> Result<bool, Fault> {
        let known = self
            .choice
            .filter(|it| it.sizes == values.sizes && it.bytes >= page.len());
        let mut choice = match known {
            Some(choice) => choice,
            None if page.len() < SAMPLE_BYTES_MIN * SAMPLE_PART => return Ok(false),
            None => Choice {
                sizes: values.sizes,
                by_values: self.try_both(page, values)?,
                bytes: CHOSEN_BYTES,
            },
        };
        choice.bytes = choice.bytes.saturating_sub(page.len());
        self.choice = Some(choice);
        Ok(choice.by_values)
    }

    fn try_both(&mut self, page: &[u8], values: Values) -> Result<bool, Fault> {
        let (sample, values) = sample(page, values);
        let searched = self.search.member(&sample)?.len();
        let by_values = self.values.member(&sample, values).len();
        Ok(by_values * 1_000 <= searched * VALUES_MAX)
    }
}

/// Some of what stands before the values and some of the values, as much of either as they have of the page.
fn sample(page: &[u8], values: Values) -> (Vec<u8>, Values) {
    let (before, behind) = page.split_at(values.start.min(page.len()));
    let bytes = (page.len() / SAMPLE_PART).min(SAMPLE_BYTES_MAX);
    let share = |of: &[u8]| of.len() * bytes / page.len().max(1);
    let (before, behind) = (&before[..share(before)], &behind[..share(behind)]);
    let values = Values {
        start: before.len(),
        ..values
    };
    ([before, behind].concat(), values)
}

#[cfg(test)]
mod tests;
