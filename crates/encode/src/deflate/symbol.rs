//! The alphabets of deflate (RFC 1951, 3.2.5).

/// Longest match that one symbol tells.
pub(super) const LENGTH_MAX: usize = 258;
/// Shortest match.
pub(super) const LENGTH_MIN: usize = 3;
/// Ends a block.
pub(super) const END_OF_BLOCK: usize = 256;
/// First symbol that is a length.
pub(super) const LENGTHS: usize = 257;
/// Literals, the end of the block and lengths.
pub(super) const LITERAL_SYMBOLS: usize = 286;
/// Distances.
pub(super) const DISTANCE_SYMBOLS: usize = 30;

pub(super) const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];
pub(super) const LENGTH_EXTRA: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
pub(super) const DISTANCE_BASE: [u16; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
    2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
];
pub(super) const DISTANCE_EXTRA: [u8; 30] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];

/// The ordinal among length symbols, by length.
const LENGTH_SYMBOL: [u8; LENGTH_MAX + 1] = {
    let mut table = [0; LENGTH_MAX + 1];
    let mut length = LENGTH_MIN;
    let mut symbol = 0_u8;
    while length <= LENGTH_MAX {
        while symbol < 28 && LENGTH_BASE[symbol as usize + 1] as usize <= length {
            symbol += 1;
        }
        table[length] = symbol;
        length += 1;
    }
    table
};

/// The ordinal among length symbols.
#[inline]
pub(super) const fn length_symbol(length: usize) -> usize {
    LENGTH_SYMBOL[length] as usize
}

/// The ordinal among distances.
#[inline]
pub(super) const fn distance_symbol(distance: usize) -> usize {
    let zero_based = distance - 1;
    if zero_based < 2 {
        return zero_based;
    }
    let bits = zero_based.ilog2() as usize;
    bits * 2 + ((zero_based >> (bits - 1)) & 1)
}

/// The part of a match that one symbol tells; what stays is none or again a match.
#[inline]
pub(super) const fn part(length: usize) -> usize {
    if length <= LENGTH_MAX {
        length
    } else if length < LENGTH_MAX + LENGTH_MIN {
        length - LENGTH_MIN
    } else {
        LENGTH_MAX
    }
}
