//! Writes a block: sequences of literals and matches in Huffman codes of their own.

use crate::deflate::bits::BitWriter;
use crate::deflate::huffman::Code;
use crate::deflate::symbol::{
    DISTANCE_BASE, DISTANCE_EXTRA, DISTANCE_SYMBOLS, END_OF_BLOCK, LENGTH_BASE, LENGTH_EXTRA,
    LENGTH_MAX, LENGTH_MIN, LENGTHS, LITERAL_SYMBOLS, distance_symbol, length_symbol, part,
};
use crate::deflate::tokens::Sequence;

/// Bits of a literal's or length's code, so that three literals or one match fit between two flushes.
const LITERAL_BITS_MAX: usize = 14;
const DISTANCE_BITS_MAX: usize = 15;
const LENGTH_CODE_BITS_MAX: usize = 7;

/// Bytes that the codes' description takes at most.
const DESCRIPTION_BYTES: usize = 1 << 10;

/// The order in which the description's own code is told (RFC 1951, 3.2.7).
const DESCRIPTION_ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// The length of a stored block without bytes, and its complement.
const NOTHING_STORED: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// Bits and how many they are.
type Bits = (u64, u32);

pub(super) fn write(text: &[u8], sequences: &[Sequence], out: &mut BitWriter) {
    let (literals, distances) = count(text, sequences);
    let literals = Code::of(&literals, LITERAL_BITS_MAX);
    let distances = Code::of(&distances, DISTANCE_BITS_MAX);
    // A literal takes at most two bytes, a match at most six for its three.
    out.reserve(text.len() * 2 + DESCRIPTION_BYTES);
    describe(&literals, &distances, out);
    let writer = Writer::new(&literals, &distances);
    let mut rest = text;
    for sequence in sequences {
        let (run, after) = rest.split_at(sequence.literals as usize);
        writer.literals(run, out);
        writer.matched(sequence.length as usize, sequence.distance as usize, out);
        rest = &after[sequence.length as usize..];
    }
    writer.literals(rest, out);
    let (code, bits) = writer.literals[END_OF_BLOCK];
    out.put(code, bits);
    out.flush();
}

/// Writes a block without text, which ends at a whole byte.
pub(super) fn write_nothing(out: &mut BitWriter) {
    // Not the last, of kind 0, filled up to a byte.
    out.put(0, 3);
    out.align();
    out.bytes(&NOTHING_STORED);
}

fn count(text: &[u8], sequences: &[Sequence]) -> ([u32; LITERAL_SYMBOLS], [u32; DISTANCE_SYMBOLS]) {
    // Two tables, because a byte often follows its like and would wait for the count before.
    let mut even = [0_u32; LITERAL_SYMBOLS];
    let mut odd = [0_u32; 256];
    let mut distances = [0_u32; DISTANCE_SYMBOLS];
    let mut tally = |run: &[u8], even: &mut [u32; LITERAL_SYMBOLS]| {
        let (pairs, rest) = run.as_chunks::<2>();
        for [first, second] in pairs {
            even[usize::from(*first)] += 1;
            odd[usize::from(*second)] += 1;
        }
        for byte in rest {
            even[usize::from(*byte)] += 1;
        }
    };
    let mut rest = text;
    for sequence in sequences {
        let (run, after) = rest.split_at(sequence.literals as usize);
        tally(run, &mut even);
        let mut length = sequence.length as usize;
        while length > 0 {
            let told = part(length);
            even[LENGTHS + length_symbol(told)] += 1;
            distances[distance_symbol(sequence.distance as usize)] += 1;
            length -= told;
        }
        rest = &after[sequence.length as usize..];
    }
    tally(rest, &mut even);
    for (even, odd) in even.iter_mut().zip(odd) {
        *even += odd;
    }
    even[END_OF_BLOCK] = 1;
    (even, distances)
}

/// Tells the lengths of both codes.
fn describe(literals: &Code, distances: &Code, out: &mut BitWriter) {
    let used = |lengths: &[u8], least: usize| {
        let last = lengths.iter().rposition(|bits| *bits > 0);
        last.map_or(least, |last| least.max(last + 1))
    };
    let literal_count = used(&literals.lengths[..LITERAL_SYMBOLS], LENGTHS);
    let distance_count = used(&distances.lengths[..DISTANCE_SYMBOLS], 1);
    let lengths = [
        &literals.lengths[..literal_count],
        &distances.lengths[..distance_count],
    ];
    let runs = runs(&lengths.concat());
    let mut frequencies = [0; 19];
    for run in &runs {
        frequencies[run.symbol] += 1;
    }
    let code = Code::of(&frequencies, LENGTH_CODE_BITS_MAX);
    let told = DESCRIPTION_ORDER
        .iter()
        .rposition(|symbol| code.lengths[*symbol] > 0);
    let told = told.map_or(4, |last| (last + 1).max(4));
    // Not the last block, with codes of its own.
    out.put(0, 1);
    out.put(2, 2);
    out.put((literal_count - LENGTHS) as u64, 5);
    out.put((distance_count - 1) as u64, 5);
    out.put((told - 4) as u64, 4);
    for symbol in &DESCRIPTION_ORDER[..told] {
        out.put(u64::from(code.lengths[*symbol]), 3);
        out.flush();
    }
    for run in runs {
        out.put(
            u64::from(code.codes[run.symbol]),
            u32::from(code.lengths[run.symbol]),
        );
        out.put(run.extra, run.extra_bits);
        out.flush();
    }
}

/// A code length, or a repetition of one.
struct Run {
    symbol: usize,
    extra: u64,
    extra_bits: u32,
}

fn runs(lengths: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    for same in lengths.chunk_by(|one, next| one == next) {
        let symbol = same.first().copied().map_or(0, usize::from);
        let mut left = same.len();
        let plain = Run {
            symbol,
            extra: 0,
            extra_bits: 0,
        };
        if symbol != 0 {
            runs.push(Run { ..plain });
            left -= 1;
        }
        while left >= 3 {
            let (symbol, count, extra_bits) = match (symbol, left) {
                (0, 11..) => (18, left.min(138), 7),
                (0, _) => (17, left.min(10), 3),
                (_, _) => (16, left.min(6), 2),
            };
            let least = if symbol == 18 { 11 } else { 3 };
            let extra = (count - least) as u64;
            runs.push(Run {
                symbol,
                extra,
                extra_bits,
            });
            left -= count;
        }
        for _ in 0..left {
            runs.push(Run { ..plain });
        }
    }
    runs
}

/// Codes with their bits, ready to be put.
struct Writer {
    literals: [Bits; END_OF_BLOCK + 1],
    /// By length, with its extra bits.
    lengths: [Bits; LENGTH_MAX + 1],
    distances: [Bits; DISTANCE_SYMBOLS],
}

impl Writer {
    fn new(literals: &Code, distances: &Code) -> Self {
        let bits = |code: &Code, symbol: usize| {
            (
                u64::from(code.codes[symbol]),
                u32::from(code.lengths[symbol]),
            )
        };
        let mut lengths = [(0, 0); LENGTH_MAX + 1];
        for (length, told) in lengths.iter_mut().enumerate().skip(LENGTH_MIN) {
            let symbol = length_symbol(length);
            let (code, count) = bits(literals, LENGTHS + symbol);
            let extra = length as u64 - u64::from(LENGTH_BASE[symbol]);
            *told = (
                code | extra << count,
                count + u32::from(LENGTH_EXTRA[symbol]),
            );
        }
        Self {
            literals: std::array::from_fn(|symbol| bits(literals, symbol)),
            lengths,
            distances: std::array::from_fn(|symbol| bits(distances, symbol)),
        }
    }

    #[inline]
    fn literals(&self, run: &[u8], out: &mut BitWriter) {
        let (triples, rest) = run.as_chunks::<3>();
        for triple in triples {
            for byte in triple {
                let (code, bits) = self.literals[usize::from(*byte)];
                out.put(code, bits);
            }
            out.flush();
        }
        for byte in rest {
            let (code, bits) = self.literals[usize::from(*byte)];
            out.put(code, bits);
        }
        out.flush();
    }

    #[inline]
    fn matched(&self, length: usize, distance: usize, out: &mut BitWriter) {
        let symbol = distance_symbol(distance);
        let (code, bits) = self.distances[symbol];
        let extra = distance as u64 - u64::from(DISTANCE_BASE[symbol]);
        let distance = code | extra << bits;
        let distance_bits = bits + u32::from(DISTANCE_EXTRA[symbol]);
        let mut left = length;
        while left > 0 {
            let told = part(left);
            let (code, bits) = self.lengths[told];
            out.put(code, bits);
            out.put(distance, distance_bits);
            out.flush();
            left -= told;
        }
    }
}
