use std::fmt::Write;

use offtake_model::GzipLevel;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::deflate::tests::check;
use crate::gzip::Gzip;

/// Texts behind their lengths.
fn told(texts: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut page = Vec::new();
    for text in texts {
        page.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        page.extend(text.into_bytes());
    }
    page
}

fn hash(row: u64) -> u64 {
    (row + 1)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(29)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

fn size_by_values(page: &[u8], sizes: Sizes) -> usize {
    let mut gzip = ValueGzip::new();
    let member = gzip.member(page, Values { start: 0, sizes });
    check(page, member);
    member.len()
}

fn size_by_search(page: &[u8]) -> usize {
    let mut gzip = Gzip::new(GzipLevel::Default);
    gzip.member(page).unwrap().len()
}

#[test]
fn identifiers_take_fewer_bytes_than_by_a_search() {
    let ids = (0..20_000).map(|row| format!("{:016x}{:016x}", hash(row), hash(row + (1 << 40))));
    let page = told(ids);
    let (by_values, searched) = (size_by_values(&page, Sizes::Told), size_by_search(&page));
    assert!(
        by_values < searched,
        "{by_values} bytes, searched {searched}"
    );
}

#[test]
fn values_of_one_size_share_both_ends() {
    let address = |row| format!("user-{:04x}@example.com", hash(row) & 0xFFFF);
    let (page, without_ends) = (told((0..5_000).map(address)), 5_000 * 4);
    let by_values = size_by_values(&page, Sizes::Told);
    assert!(by_values < without_ends, "{by_values} bytes");
}

#[test]
fn values_of_one_size_share_what_stands_between_their_ends() {
    let address = |row| {
        let (item, session) = (hash(row) % 10_000, hash(row + (1 << 40)));
        format!("https://shop.example.com/item/{item:04}?session={session:016x}&from=newsletter")
    };
    let page = told((0..5_000).map(address));
    let (by_values, searched) = (size_by_values(&page, Sizes::Told), size_by_search(&page));
    assert!(
        by_values * 20 < searched * 21,
        "{by_values} bytes, searched {searched}"
    );
}

#[test]
fn what_is_alike_after_many_values_that_had_nothing_is_found_again() {
    let noise = |row| format!("{:016x}{:016x}", hash(row), hash(row + (1 << 40)));
    let marked = |row| format!("{}&session={:016x}", &noise(row)[..8], hash(row));
    let alone = size_by_values(&told((0..20_000).map(marked)), Sizes::Told);
    let behind = told((0..20_000).map(noise).chain((0..20_000).map(marked)));
    let noise = size_by_values(&told((0..20_000).map(noise)), Sizes::Told);
    let both = size_by_values(&behind, Sizes::Told);
    assert!(
        both < noise + alone + alone / 50,
        "{both} bytes, {noise} and {alone}"
    );
}

#[test]
fn what_follows_a_match_is_taken_with_it() {
    // The last value of the first one's size begins in another way; the third one's like was followed by its like.
    let beginnings = [
        "left hand side ",
        "right hand side",
        "both hands side by side ",
    ];
    let label = |row: u64| {
        let beginning = beginnings.iter().cycle().nth((row % 3) as usize).unwrap();
        format!("{beginning}{:08x}, or so", hash(row) >> 32)
    };
    let page = told((0..9_000).map(label));
    let by_values = size_by_values(&page, Sizes::Told);
    assert!(by_values < 100_000, "{by_values} bytes");
}

#[test]
fn a_run_of_equal_values_is_one_match() {
    let page = 7_i64.to_le_bytes().repeat(10_000);
    let by_values = size_by_values(&page, Sizes::Fixed(8));
    assert!(by_values < 400, "{by_values} bytes");
}

#[test]
fn a_value_may_be_longer_than_a_block() {
    let long = |salt: u64| {
        let mut text = String::new();
        for nth in 0..40_000 {
            write!(text, "{:016x}", hash(nth + (salt << 32))).unwrap();
        }
        text
    };
    let page = told([long(1), "short".to_owned(), long(2), long(2)]);
    assert!(page.len() > 3 * BLOCK_BYTES);
    size_by_values(&page, Sizes::Told);
}

#[test]
fn one_compressor_serves_texts_that_have_nothing_to_do_with_each_other() {
    let mut gzip = ValueGzip::new();
    for salt in 0..4 {
        let page = told((0..3_000).map(|row| format!("{:x}", hash(row + (salt << 20)))));
        let values = Values {
            start: 0,
            sizes: Sizes::Told,
        };
        check(&page, gzip.member(&page, values));
    }
    check(
        &[],
        gzip.member(
            &[],
            Values {
                start: 0,
                sizes: Sizes::Told,
            },
        ),
    );
}

fn sizes() -> impl Strategy<Value = Sizes> {
    prop_oneof![
        (0..40_usize).prop_map(Sizes::Fixed),
        Just(Sizes::Told),
        Just(Sizes::Unknown)
    ]
}

proptest! {
    /// Values made of the same parts, long enough for what is alike to cross the words that are compared.
    #[test]
    fn values_of_the_same_parts_are_read_back(
        parts in vec("[a-f]{0,90}", 1..4),
        rows in vec(vec("[0-3]{0,6}", 3), 0..60),
    ) {
        let value = |row: &Vec<String>| -> String {
            parts.iter().zip(row).flat_map(|(part, own)| [part.as_str(), own]).collect()
        };
        let page = told(rows.iter().map(value));
        size_by_values(&page, Sizes::Told);
    }

    /// Whatever is said of the values, true or not.
    #[test]
    fn any_text_is_read_back(
        pieces in vec((vec(any::<u8>(), 0..24), 1..60_usize), 0..40),
        start in 0..200_usize,
        sizes in sizes(),
    ) {
        let mut text = Vec::new();
        for (piece, times) in pieces {
            if times % 3 == 0 {
                text.extend(u32::try_from(piece.len()).unwrap().to_le_bytes());
            }
            text.extend(piece.repeat(times));
        }
        let values = Values { start: start.min(text.len()), sizes };
        check(&text, ValueGzip::new().member(&text, values));
    }
}
