//! Choices read off the bytes of one input.
//!
//! The first two bytes seed what comes after the last one, so that a short input can say a large table: a change of
//! one byte still changes one choice.
//!
//! The one law: an input has a bound on what it may ask for.

use std::ops::RangeInclusive;

/// Text bytes and list elements that one input may ask for: mostly little, so that many inputs have their turn.
const ROOM: [usize; 16] = [
    500, 500, 1_000, 1_000, 1_000, 1_000, 2_000, 2_000, 2_000, 2_000, 4_000, 4_000, 4_000, 10_000,
    80_000, 400_000,
];

/// Yields choices until nobody asks.
pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
    state: u64,
    room: usize,
    last_text: String,
}

impl<'a> Choices<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let (seed, bytes) = bytes.split_at(bytes.len().min(2));
        let state = seed
            .iter()
            .fold(1, |seed, byte| seed << 8 | u64::from(*byte));
        let mut choices = Self {
            bytes,
            state,
            room: 0,
            last_text: String::new(),
        };
        choices.room = choices.one_of(&ROOM);
        choices
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else {
            return self.chance().to_le_bytes()[0];
        };
        self.bytes = rest;
        *first
    }

    pub(crate) fn word(&mut self) -> u64 {
        if self.bytes.is_empty() {
            return self.chance();
        }
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number within the range, of up to four bytes of the input.
    pub(crate) fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        let count = range.end() - range.start() + 1;
        let mut number = usize::from(self.byte());
        let mut reach = 256;
        while reach < count {
            number = number << 8 | usize::from(self.byte());
            reach <<= 8;
        }
        range.start() + number % count
    }

    /// True once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.within(1..=times) == 1
    }

    pub(crate) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.within(0..=values.len() - 1)]
    }

    /// As much of what is asked for as there is room.
    pub(crate) fn take_room(&mut self, asked: usize) -> usize {
        let taken = asked.min(self.room);
        self.room -= taken;
        taken
    }

    /// A text of the kinds that tables have, and of some that they should not have.
    pub(crate) fn text(&mut self) -> String {
        let text = match self.within(0..=11) {
            0 => String::new(),
            1 | 2 => format!("kind {}", self.within(0..=5)),
            3 | 4 => format!("{:016x}", self.word()),
            5 | 6 => self.characters(24, Self::ascii),
            7 => self.characters(16, Self::character),
            8 => self.last_text.clone(),
            9 => {
                let mut text = self.last_text.clone();
                text.push(self.character());
                text
            }
            10 => {
                let unit = self.characters(5, Self::ascii);
                unit.repeat(self.within(0..=400))
            }
            _ => self.long(),
        };
        self.last_text = self.fit(text);
        self.last_text.clone()
    }

    fn long(&mut self) -> String {
        if !self.once_in(8) {
            return self.characters(400, Self::ascii);
        }
        let unit = self.characters(300, Self::character);
        let times = self.within(0..=70_000) / unit.len().max(1);
        unit.repeat(times)
    }

    fn characters(&mut self, most: usize, mut next: impl FnMut(&mut Self) -> char) -> String {
        let count = self.within(0..=most);
        (0..count).map(|_| next(self)).collect()
    }

    fn ascii(&mut self) -> char {
        char::from(self.byte() & 0x7F)
    }

    fn character(&mut self) -> char {
        let bits = self.within(5..=21);
        let number = (self.word() & ((1 << bits) - 1)) as u32;
        char::from_u32(number).unwrap_or('\u{2028}')
    }

    fn fit(&mut self, mut text: String) -> String {
        let mut room = self.take_room(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        text.truncate(room);
        text
    }

    fn chance(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
