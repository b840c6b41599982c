use std::io::Read;

use flate2::read::GzDecoder;

use super::*;

const WIDTH: usize = 16;

const WHOLE: Values = Values {
    start: 0,
    sizes: Sizes::Fixed(WIDTH),
};

/// Values without anything in common.
fn noise(count: u64) -> Vec<u8> {
    let hash = |row: u64| {
        (row + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(31)
    };
    let digits = |row| format!("{:016x}", hash(row).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    (0..count)
        .flat_map(|row| digits(row).into_bytes())
        .collect()
}

/// Values that stood before, but not one ago.
fn echo(count: usize) -> Vec<u8> {
    let known = noise(7);
    let values = known.chunks(WIDTH).cycle().take(count);
    values.flatten().copied().collect()
}

fn read_back(member: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    GzDecoder::new(member).read_to_end(&mut found).unwrap();
    found
}

fn served_by_values(gzip: &mut PageGzip, page: &[u8], values: Values) -> bool {
    let member = gzip.member(page, values).unwrap();
    assert!(read_back(member) == page, "other bytes");
    gzip.choice.is_some_and(|choice| choice.by_values)
}

#[test]
fn each_kind_of_page_is_compressed_by_what_serves_it() {
    let mut gzip = PageGzip::new(GzipLevel::Default);
    assert!(served_by_values(&mut gzip, &noise(5_000), WHOLE));
    gzip.restart();
    assert!(!served_by_values(&mut gzip, &echo(5_000), WHOLE));
}

#[test]
fn a_choice_serves_the_pages_behind_it_until_there_were_enough() {
    let mut gzip = PageGzip::new(GzipLevel::Default);
    assert!(served_by_values(&mut gzip, &noise(5_000), WHOLE));
    assert!(served_by_values(&mut gzip, &echo(50), WHOLE));
    let page = echo(CHOSEN_BYTES / WIDTH / 2);
    assert!(served_by_values(&mut gzip, &page, WHOLE));
    assert!(!served_by_values(&mut gzip, &page, WHOLE));
}

#[test]
fn a_choice_is_for_values_of_one_kind() {
    let mut gzip = PageGzip::new(GzipLevel::Default);
    assert!(served_by_values(&mut gzip, &noise(5_000), WHOLE));
    let other = Values {
        sizes: Sizes::Unknown,
        ..WHOLE
    };
    assert!(!served_by_values(&mut gzip, &echo(5_000), other));
}

#[test]
fn a_short_page_is_searched() {
    let mut gzip = PageGzip::new(GzipLevel::Fast);
    assert!(!served_by_values(&mut gzip, &noise(100), WHOLE));
}

#[test]
fn a_sample_has_as_much_of_the_levels_as_the_page() {
    let page = [vec![0; 300_000], noise(6_250)].concat();
    let values = Values {
        start: 300_000,
        ..WHOLE
    };
    let (sample, found) = sample(&page, values);
    assert_eq!(
        (sample.len(), found.start),
        (SAMPLE_BYTES_MAX, SAMPLE_BYTES_MAX * 3 / 4)
    );
    assert_eq!(
        sample.get(found.start..).unwrap(),
        noise(6_250).get(..SAMPLE_BYTES_MAX / 4).unwrap()
    );
}
