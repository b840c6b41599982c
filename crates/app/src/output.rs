//! Writing to the terminal: data on standard output, talk on standard error, and nothing else prints.

use std::io::{IsTerminal, Write};
use std::time::Instant;

use serde_json::Value;

/// How the user wants answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// Text, or JSON for programs.
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON was asked for.
    pub(crate) const fn json(self) -> bool {
        self.json
    }

    /// Prints a line of data. A closed pipe is the reader's business, not a failure.
    pub(crate) fn line(text: &str) {
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }

    /// Prints the value as JSON when that was asked for, the text otherwise.
    pub(crate) fn answer(self, value: &Value, text: impl FnOnce() -> String) {
        if self.json {
            Self::line(&format!("{value:#}"));
            return;
        }
        let text = text();
        if !text.is_empty() {
            Self::line(&text);
        }
    }

    /// Says something to the person at the terminal. Silent for programs that asked for JSON.
    pub(crate) fn say(self, text: &str) {
        if !self.json {
            let _ = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// Reports a failure on standard error.
    pub(crate) fn complain(text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

/// Progress of long work: one line rewritten on a terminal, a plain line now and then when piped.
pub(crate) struct Progress {
    output: Output,
    terminal: bool,
    started: Instant,
    last: Option<Instant>,
}

/// Milliseconds between two words of progress, on a terminal and when piped.
const TERMINAL_PAUSE_MS: u128 = 200;
const PIPED_PAUSE_MS: u128 = 5_000;

impl Progress {
    /// Starts the clock.
    pub(crate) fn new(output: Output) -> Self {
        Self {
            output,
            terminal: std::io::stderr().is_terminal(),
            started: Instant::now(),
            last: None,
        }
    }

    /// Says where the work stands: rows done, rows in all when that is known, bytes written.
    pub(crate) fn tell(&mut self, rows: u64, rows_total: Option<u64>, bytes: u64) {
        let pause = if self.terminal {
            TERMINAL_PAUSE_MS
        } else {
            PIPED_PAUSE_MS
        };
        if self.output.json()
            || self
                .last
                .is_some_and(|last| last.elapsed().as_millis() < pause)
        {
            return;
        }
        self.last = Some(Instant::now());
        let text = describe(
            rows,
            rows_total,
            bytes,
            self.started.elapsed().as_secs_f64(),
        );
        let _ = if self.terminal {
            write!(std::io::stderr().lock(), "\r\x1b[K{text}")
        } else {
            writeln!(std::io::stderr().lock(), "{text}")
        };
    }

    /// Ends the line.
    pub(crate) fn done(self) {
        if self.terminal && self.last.is_some() {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// One line of progress: `1,200,000 of 2,000,000 rows, 84.0 MB, 400,000 rows/s, 2 s left`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for people"
)]
fn describe(rows: u64, rows_total: Option<u64>, bytes: u64, secs: f64) -> String {
    let rate = if secs > 0.0 { rows as f64 / secs } else { 0.0 };
    let mut text = grouped(rows);
    if let Some(total) = rows_total {
        text.push_str(" of ");
        text.push_str(&grouped(total));
    }
    text.push_str(" rows, ");
    text.push_str(&size(bytes));
    if rate >= 1.0 {
        text.push_str(", ");
        text.push_str(&grouped(rate as u64));
        text.push_str(" rows/s");
        if let Some(total) = rows_total {
            let left = total.saturating_sub(rows) as f64 / rate;
            text.push_str(", ");
            text.push_str(&grouped(left.ceil() as u64));
            text.push_str(" s left");
        }
    }
    text
}

/// A number with thousands separated: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2 files`.
pub(crate) fn counted_files(count: u64) -> String {
    if count == 1 {
        "1 file".to_owned()
    } else {
        format!("{} files", grouped(count))
    }
}

/// A size in powers of 1,000: `84.0 MB`.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    for unit in UNITS {
        if value < 1000.0 {
            return format!("{value:.1} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} PB")
}

#[cfg(test)]
mod tests {
    use super::{describe, grouped, size};

    #[test]
    fn figures_are_readable() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
        assert_eq!(size(999), "999 B");
        assert_eq!(size(84_000_000), "84.0 MB");
        assert_eq!(
            describe(500, Some(1_000), 2_000, 1.0),
            "500 of 1,000 rows, 2.0 kB, 500 rows/s, 1 s left"
        );
    }
}
