//! Strings as Jackson escapes them, and base64.
//!
//! The one law: only quote, backslash and control characters are escaped; everything else is raw UTF-8.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;
const HEX: &[u8; 16] = b"0123456789ABCDEF";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Writes the text quoted and escaped.
#[inline]
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    loop {
        let (clean, tail) = rest.split_at(clean_len(rest));
        out.extend_from_slice(clean);
        let Some((byte, after)) = tail.split_first() else {
            break;
        };
        escape(*byte, out);
        rest = after;
    }
    out.push(b'"');
}

/// Writes the bytes in quotes, as base64 with padding.
pub(crate) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len().div_ceil(3) * 4 + 2);
    out.push(b'"');
    let (triples, rest) = bytes.as_chunks::<3>();
    for [a, b, c] in triples {
        out.extend_from_slice(&sextets(*a, *b, *c));
    }
    match rest {
        [a] => {
            let [first, second, ..] = sextets(*a, 0, 0);
            out.extend_from_slice(&[first, second, b'=', b'=']);
        }
        [a, b] => {
            let [first, second, third, _] = sextets(*a, *b, 0);
            out.extend_from_slice(&[first, second, third, b'=']);
        }
        _ => {}
    }
    out.push(b'"');
}

#[inline]
fn sextets(a: u8, b: u8, c: u8) -> [u8; 4] {
    let bits = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    [bits >> 18, bits >> 12, bits >> 6, bits].map(|sextet| BASE64[sextet & 63])
}

/// Bytes before the first that must be escaped; eight at a time.
#[inline]
fn clean_len(text: &[u8]) -> usize {
    let (words, tail) = text.as_chunks::<8>();
    for (nth, word) in words.iter().enumerate() {
        let found = dirty(u64::from_le_bytes(*word));
        if found != 0 {
            return nth * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let clean = tail.iter().position(|byte| needs_escape(*byte));
    text.len() - tail.len() + clean.unwrap_or(tail.len())
}

/// The high bit of every byte of the word that must be escaped, and of none below the first such byte.
#[inline]
const fn dirty(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    ((quote.wrapping_sub(ONES) & !quote)
        | (backslash.wrapping_sub(ONES) & !backslash)
        | (word.wrapping_sub(ONES * 0x20) & !word))
        & HIGHS
}

#[inline]
const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

#[cold]
fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        control => {
            let (high, low) = (usize::from(control >> 4), usize::from(control & 15));
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        string(text.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_ascii_character_is_escaped_at_every_offset_or_not_at_all() {
        for byte in 0..128_u8 {
            for offset in 0..20 {
                let text = format!("{}{}tail", "x".repeat(offset), char::from(byte));
                let back: String = serde_json::from_str(&escaped(&text)).unwrap();
                assert_eq!(back, text, "byte {byte} at {offset}");
                let raw = escaped(&text).len() == text.len() + 2;
                assert_eq!(raw, !needs_escape(byte), "byte {byte} at {offset}");
            }
        }
    }

    #[test]
    fn beyond_ascii_nothing_is_escaped() {
        assert_eq!(
            escaped("a/é\u{2028}日本🦀\u{7f}"),
            "\"a/é\u{2028}日本🦀\u{7f}\""
        );
    }

    #[test]
    fn control_characters_have_upper_case_hexadecimal() {
        assert_eq!(
            escaped("\u{8}\t\n\u{c}\r\u{1f}\u{0b}"),
            r#""\b\t\n\f\r\u001F\u000B""#
        );
    }
}
