//! Prefix codes of limited length.

/// Symbols of the largest alphabet.
const SYMBOLS_MAX: usize = 288;

/// Bits of a code at most, in any alphabet.
const BITS_MAX: usize = 15;

/// Deeper leaves of the unlimited tree are counted as this deep.
const DEPTH_MAX: usize = 63;

/// A canonical code.
pub(super) struct Code {
    /// Bits of each symbol; 0 for those that do not occur.
    pub(super) lengths: [u8; SYMBOLS_MAX],
    /// The bits, the first in the lowest place.
    pub(super) codes: [u16; SYMBOLS_MAX],
}

impl Code {
    /// The best code of at most `limit` bits. There are at least two symbols in it, as some readers expect.
    pub(super) fn of(frequencies: &[u32], limit: usize) -> Self {
        let mut symbols: Vec<(u32, usize)> = frequencies
            .iter()
            .enumerate()
            .filter(|(_, frequency)| **frequency > 0)
            .map(|(symbol, frequency)| (*frequency, symbol))
            .collect();
        let mut spare = 0;
        while symbols.len() < 2 {
            if symbols.iter().all(|(_, symbol)| *symbol != spare) {
                symbols.push((0, spare));
            }
            spare += 1;
        }
        symbols.sort_unstable();
        let counts = limited(depths(&symbols), limit);
        let mut lengths = [0; SYMBOLS_MAX];
        let mut rarest_first = symbols.iter();
        for (bits, count) in (0..=15_u8).zip(counts).rev() {
            for (_, symbol) in rarest_first.by_ref().take(count) {
                lengths[*symbol] = bits;
            }
        }
        Self {
            codes: canonical(&lengths, counts),
            lengths,
        }
    }
}

/// How many leaves of the Huffman tree lie how deep. The symbols ascend by frequency.
fn depths(symbols: &[(u32, usize)]) -> [usize; DEPTH_MAX + 1] {
    let leaves = symbols.len();
    let nodes = 2 * leaves - 1;
    let mut weights: Vec<u64> = symbols
        .iter()
        .map(|(frequency, _)| u64::from(*frequency))
        .collect();
    let mut parents = vec![0; nodes];
    // Leaves and inner nodes both ascend, so that the two lightest are at the heads of two queues.
    let (mut leaf, mut inner) = (0, leaves);
    for node in leaves..nodes {
        let mut total = 0;
        for _ in 0..2 {
            let from_leaves = leaf < leaves && (inner >= node || weights[leaf] <= weights[inner]);
            let head = if from_leaves { &mut leaf } else { &mut inner };
            total += weights[*head];
            parents[*head] = node;
            *head += 1;
        }
        weights.push(total);
    }
    let mut depths = vec![0; nodes];
    let mut counts = [0; DEPTH_MAX + 1];
    for node in (0..nodes - 1).rev() {
        let depth: usize = depths[parents[node]] + 1;
        depths[node] = depth;
        if node < leaves {
            counts[depth.min(DEPTH_MAX)] += 1;
        }
    }
    counts
}

/// Lifts leaves below the limit and makes room for them by lowering others.
fn limited(mut counts: [usize; DEPTH_MAX + 1], limit: usize) -> [usize; BITS_MAX + 1] {
    let (kept, deeper) = counts.split_at_mut(limit + 1);
    kept[limit] += deeper.iter().sum::<usize>();
    deeper.fill(0);
    let mut taken: usize = (1..=limit).map(|bits| counts[bits] << (limit - bits)).sum();
    while taken > 1 << limit {
        let Some(bits) = (1..limit).rev().find(|bits| counts[*bits] > 0) else {
            break;
        };
        counts[bits] -= 1;
        counts[bits + 1] += 2;
        counts[limit] -= 1;
        taken -= 1;
    }
    let mut kept = [0; BITS_MAX + 1];
    kept.copy_from_slice(&counts[..=BITS_MAX]);
    kept
}

/// Codes ascend with length, then with the symbol.
fn canonical(lengths: &[u8; SYMBOLS_MAX], counts: [usize; BITS_MAX + 1]) -> [u16; SYMBOLS_MAX] {
    let mut next = [0_u16; BITS_MAX + 2];
    for bits in 1..=BITS_MAX {
        // Fewer than 2^bits symbols have that length.
        let count = u16::try_from(counts[bits]).unwrap_or(u16::MAX);
        next[bits + 1] = (next[bits].wrapping_add(count)) << 1;
    }
    let mut codes = [0; SYMBOLS_MAX];
    for (code, bits) in codes.iter_mut().zip(lengths) {
        if *bits > 0 {
            let next = &mut next[usize::from(*bits)];
            *code = next.reverse_bits() >> (16 - bits);
            *next = next.wrapping_add(1);
        }
    }
    codes
}
