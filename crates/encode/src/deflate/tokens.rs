//! Turns rows of marked text into sequences of literals and matches.

use std::ops::Range;

use crate::deflate::WINDOW_BYTES;
use crate::deflate::adapt::Adaptation;
use crate::deflate::matching::{backwards, forwards, four};
use crate::deflate::places::{Places, Slots};
use crate::deflate::probes::{Probes, Searched};

/// A match must gain that much: four for each byte, less the bits of its distance.
pub(super) const SCORE_MIN: i32 = 6;

/// Longer matches are no better.
const LENGTH_SCORED_MAX: usize = 1 << 20;

/// Literals and the match behind them.
#[derive(Clone, Copy)]
pub(super) struct Sequence {
    pub(super) literals: u32,
    pub(super) length: u32,
    pub(super) distance: u32,
}

/// A value in the open row.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) leaf: u32,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A match that may still grow.
#[derive(Clone, Copy, Default)]
struct Open {
    length: usize,
    distance: usize,
}

/// The best match found for a place.
#[derive(Clone, Copy, Default)]
struct Best {
    score: i32,
    forwards: usize,
    backwards: usize,
    distance: usize,
}

impl Best {
    /// Takes the match of that distance if it is better.
    #[inline]
    fn weigh(
        &mut self,
        text: &[u8],
        here: Range<usize>,
        distance: usize,
        backwards: usize,
        alike: bool,
    ) {
        let Range { start: at, end } = here;
        let cost = distance.ilog2().cast_signed();
        let score = |length: usize| {
            4 * i32::try_from(length.min(LENGTH_SCORED_MAX)).unwrap_or_default() - cost
        };
        // Longer backwards alone, or alike where the best one ends: else it cannot win.
        let next = at + self.forwards;
        let promising = score(self.forwards + backwards) > self.score
            || (alike && next < end && text[next] == text[next - distance]);
        if !promising {
            return;
        }
        let forwards = forwards(text, at - distance, at, end);
        let score = score(forwards + backwards);
        if score > self.score && forwards + backwards >= 3 {
            *self = Self {
                score,
                forwards,
                backwards,
                distance,
            };
        }
    }
}

/// The tokeniser's state.
pub(super) struct Tokens {
    /// The window, the open block and the open row.
    pub(super) text: Vec<u8>,
    marks: Vec<Mark>,
    sequences: Vec<Sequence>,
    /// Counts text bytes, modulo 2^32: of the text's first.
    base: u32,
    /// End of the text that has sequences.
    done: usize,
    block_start: usize,
    literals_start: usize,
    open: Open,
    /// Where the last row's text behind its last value was.
    tail: u32,
    places: Places,
    probes: Probes,
    adaptation: Adaptation,
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self {
            text: Vec::new(),
            marks: Vec::new(),
            sequences: Vec::new(),
            // Beyond what the tables' zeros could be taken for.
            base: 1 << 20,
            done: 0,
            block_start: 0,
            literals_start: 0,
            open: Open::default(),
            tail: 0,
            places: Places::new(),
            probes: Probes::new(),
            adaptation: Adaptation::new(),
        }
    }

    /// Forgets all text. Places in the tables lie before the new text, where no match reaches.
    pub(super) fn restart(&mut self) {
        self.base = self.position(self.text.len());
        self.text.clear();
        self.sequences.clear();
        (self.done, self.block_start, self.literals_start) = (0, 0, 0);
        self.open = Open::default();
        self.places.restart();
        self.probes.restart();
        self.adaptation = Adaptation::new();
    }

    /// Whether the count of text is in its second half: it must not come round while the tables last.
    pub(super) const fn worn(&self) -> bool {
        self.base > u32::MAX / 2
    }

    #[inline]
    pub(super) fn mark(&mut self, leaf: u32, start: usize) {
        let end = self.text.len();
        self.marks.push(Mark { leaf, start, end });
    }

    /// Bytes of the open block.
    pub(super) const fn pending(&self) -> usize {
        self.done - self.block_start
    }

    /// The open block's text.
    pub(super) fn block(&self) -> &[u8] {
        &self.text[self.block_start..self.done]
    }

    pub(super) fn sequences(&self) -> &[Sequence] {
        &self.sequences
    }

    /// Ends the open match with the block.
    pub(super) fn close_block(&mut self) {
        // Text that belongs to no row is literals.
        self.close_match(self.done);
        self.done = self.text.len();
    }

    /// Forgets what lies behind the window.
    pub(super) fn slide(&mut self) {
        self.sequences.clear();
        let kept = self.done.min(WINDOW_BYTES);
        let gone = self.done - kept;
        self.text.drain(..gone);
        self.base = self.position(gone);
        self.done = kept;
        self.block_start = kept;
        self.literals_start = kept;
    }

    /// Tokenises the row that ends with the text.
    pub(super) fn take_row(&mut self) {
        let end = self.text.len();
        let mut at = self.done;
        if self.open.length > 0 {
            let more = forwards(&self.text, at - self.open.distance, at, end);
            self.open.length += more;
            at += more;
        }
        let mut after_value = self.done;
        let marks = std::mem::take(&mut self.marks);
        self.places.open_row(&self.text, &marks);
        for (nth, mark) in marks.iter().enumerate() {
            let slots = self.places.slots(nth, mark.leaf);
            at = self.take_value(*mark, slots, at, end);
            after_value = mark.end;
        }
        self.take_tail(at, after_value, end);
        self.marks = marks;
        self.marks.clear();
        self.adaptation.end_row(end - self.done);
        self.done = end;
    }

    /// Covers the text up to the value's end at least; answers how far it came.
    fn take_value(&mut self, mark: Mark, slots: Slots, mut at: usize, end: usize) -> usize {
        let here = self.position(mark.start);
        if at < mark.end {
            let best = self.best(at, here, slots, end);
            if best.score >= SCORE_MIN {
                self.close_match(at);
                self.open = Open {
                    length: best.forwards + best.backwards,
                    distance: best.distance,
                };
                at += best.forwards;
            }
            if at < mark.end {
                self.close_match(at);
                at = self.search(at, mark, end);
            }
        }
        self.places.note(slots, here);
        at
    }

    /// What follows the last value is mostly what followed it in the row before.
    fn take_tail(&mut self, mut at: usize, after_value: usize, end: usize) {
        let tail = self.position(after_value);
        if at < end {
            let distance = tail.wrapping_sub(self.tail) as usize;
            self.close_match(at);
            if reachable(distance, at) {
                let length = forwards(&self.text, at - distance, at, end);
                if length >= 3 {
                    self.open = Open { length, distance };
                    at += length;
                }
            }
            if at < end {
                self.close_match(at);
            }
        }
        self.tail = tail;
    }

    /// The best of the places where the same values, or the same two neighbours, stood before.
    #[inline]
    fn best(&self, at: usize, here: u32, slots: Slots, end: usize) -> Best {
        let text = self.text.as_slice();
        let behind = match self.open.length {
            0 => (at - self.literals_start).min(8),
            _ => 0,
        };
        let ahead = four(text, at);
        let mut best = Best::default();
        for place in self.places.candidates(slots) {
            let distance = here.wrapping_sub(place) as usize;
            if !reachable(distance, at) {
                continue;
            }
            let there = at - distance;
            let alike = four(text, there) == ahead;
            let backwards = match behind {
                0 => 0,
                _ => backwards(text, there, at).min(behind),
            };
            if alike || backwards > 0 {
                best.weigh(text, at..end, distance, backwards, alike);
            }
        }
        best
    }

    /// Searches the rest of a value, or remembers it at least; answers how far it came.
    fn search(&mut self, from: usize, mark: Mark, end: usize) -> usize {
        let column = mark.leaf.to_le_bytes()[0];
        if !self.adaptation.takes(column) {
            if self.adaptation.gives(column) {
                self.probes
                    .remember(&self.text[..mark.end], self.base, from);
            }
            return mark.end;
        }
        let learning = self.adaptation.learning();
        let mut at = from;
        loop {
            let searched = Searched {
                text: &self.text[..end],
                base: self.base,
                value_end: mark.end,
                column,
            };
            let found = if learning {
                self.probes.find::<true>(&searched, at)
            } else {
                self.probes.find::<false>(&searched, at)
            };
            let Some(found) = found else {
                return mark.end;
            };
            self.adaptation.note(column, found.given);
            self.open = Open {
                length: found.length,
                distance: found.distance,
            };
            at = found.end;
            if at >= mark.end {
                return at;
            }
            self.close_match(at);
        }
    }

    /// Ends the open match there, if one is open; literals follow.
    #[inline]
    fn close_match(&mut self, at: usize) {
        let Open { length, distance } = self.open;
        if length == 0 {
            return;
        }
        let literals = at - length - self.literals_start;
        self.sequences.push(Sequence {
            literals: counted(literals),
            length: counted(length),
            distance: counted(distance),
        });
        self.literals_start = at;
        self.open = Open::default();
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "positions are counted modulo 2^32"
    )]
    const fn position(&self, at: usize) -> u32 {
        self.base.wrapping_add(at as u32)
    }
}

/// Within the window and the text, with eight bytes before it.
#[inline]
const fn reachable(distance: usize, at: usize) -> bool {
    distance.wrapping_sub(1) < WINDOW_BYTES && distance + 8 <= at
}

/// Lengths within a block, which is far below 4 GiB unless one row is not.
#[inline]
fn counted(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressor_is_worn_long_before_its_count_comes_round() {
        let mut tokens = Tokens::new();
        assert!(!tokens.worn());
        tokens.base = u32::MAX / 2 + 1;
        assert!(tokens.worn());
    }
}
