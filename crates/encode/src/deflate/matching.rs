//! Compares places of a text, eight bytes at a time.

/// Bytes that are alike from `earlier` and `later` on, before `end`.
#[inline]
pub(super) fn forwards(text: &[u8], earlier: usize, later: usize, end: usize) -> usize {
    let count = end - later;
    let (earlier, later) = (&text[earlier..earlier + count], &text[later..end]);
    let (earlier_words, earlier_rest) = earlier.as_chunks::<8>();
    let (later_words, later_rest) = later.as_chunks::<8>();
    for (nth, (one, other)) in earlier_words.iter().zip(later_words).enumerate() {
        let different = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if different != 0 {
            return nth * 8 + different.trailing_zeros() as usize / 8;
        }
    }
    let mut rest = earlier_rest.iter().zip(later_rest);
    let alike = rest.position(|(one, other)| one != other);
    count - later_rest.len() + alike.unwrap_or(later_rest.len())
}

/// Bytes that are alike before `earlier` and `later`, up to eight. Both have eight before them.
#[inline]
pub(super) fn backwards(text: &[u8], earlier: usize, later: usize) -> usize {
    let different = eight(text, earlier - 8) ^ eight(text, later - 8);
    different.leading_zeros() as usize / 8
}

/// Eight bytes from there on, as far as the text goes; zeros behind it.
#[inline]
pub(super) fn eight(text: &[u8], at: usize) -> u64 {
    let rest = &text[at..];
    if let Some(word) = rest.first_chunk() {
        return u64::from_le_bytes(*word);
    }
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(word)
}

/// Four bytes from there on; zero where there are fewer.
#[inline]
pub(super) fn four(text: &[u8], at: usize) -> u32 {
    text[at..]
        .first_chunk()
        .map_or(0, |word| u32::from_le_bytes(*word))
}

/// Bytes that two texts of one length have in common at their ends.
#[inline]
pub(super) fn alike_at_the_end(one: &[u8], other: &[u8]) -> usize {
    let mut alike = 0;
    let (one_rest, one_words) = one.as_rchunks::<8>();
    let (other_rest, other_words) = other.as_rchunks::<8>();
    for (one, other) in one_words.iter().zip(other_words).rev() {
        let different = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if different != 0 {
            return alike + different.leading_zeros() as usize / 8;
        }
        alike += 8;
    }
    let mut rest = one_rest.iter().zip(other_rest).rev();
    let short = rest.position(|(one, other)| one != other);
    alike + short.unwrap_or(one_rest.len())
}

/// Bytes that [`same`] compares at most.
pub(super) const SAME_MAX: usize = 64;

/// Which bytes two texts of one length have in common, the first in the lowest bit.
#[inline]
pub(super) fn same(one: &[u8], other: &[u8]) -> u64 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let mut same = 0;
    let (one_words, one_rest) = one.as_chunks::<8>();
    let (other_words, other_rest) = other.as_chunks::<8>();
    for (nth, (one, other)) in one_words.iter().zip(other_words).enumerate() {
        let different = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        // The highest bit of each byte that is zero; then these bits side by side.
        let zero = !(((different & LOW) + LOW) | different | LOW);
        same |= ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * nth);
    }
    let done = one_words.len() * 8;
    for (nth, (one, other)) in one_rest.iter().zip(other_rest).enumerate() {
        same |= u64::from(one == other) << (done + nth);
    }
    same
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_byte_that_is_alike_is_told(pairs in vec((0..3_u8, prop_oneof![0..3_u8, Just(128)]), 0..=SAME_MAX)) {
            let (one, other): (Vec<u8>, Vec<u8>) = pairs.iter().copied().unzip();
            let expected = pairs.iter().rev().fold(0, |all, (one, other)| all << 1 | u64::from(one == other));
            prop_assert_eq!(same(&one, &other), expected);
        }
    }
}
