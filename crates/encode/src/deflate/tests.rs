use std::io::{Read, Write};

use flate2::read::GzDecoder;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::gzip::Member;

/// A row as pieces: text between values, then the value of that column.
type Row = Vec<(Vec<u8>, u32, Vec<u8>)>;

fn compress(rows: &[Row]) -> (Vec<u8>, Vec<u8>) {
    compress_by(&mut RowGzip::new(), rows)
}

fn compress_by(gzip: &mut RowGzip, rows: &[Row]) -> (Vec<u8>, Vec<u8>) {
    let (mut member, head) = Member::begin();
    let (mut plain, mut packed) = (Vec::new(), head.to_vec());
    for row in rows {
        for (between, leaf, value) in row {
            gzip.text().extend_from_slice(between);
            let start = gzip.text().len();
            gzip.text().extend_from_slice(value);
            gzip.leaf(*leaf, start);
            plain.extend_from_slice(between);
            plain.extend_from_slice(value);
        }
        gzip.text().extend_from_slice(b"}\n");
        plain.extend_from_slice(b"}\n");
        if gzip.row() {
            gzip.close_block();
        }
        gzip.take(&mut packed);
    }
    member.add(gzip.finish());
    gzip.take(&mut packed);
    packed.extend(member.end());
    (plain, packed)
}

/// Two decoders that are not ours, and not each other's.
pub(super) fn check(plain: &[u8], packed: &[u8]) {
    let mut found = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut found).unwrap();
    assert!(found == plain, "zlib reads other rows");
    let mut found = vec![0; plain.len()];
    let size = libdeflater::Decompressor::new()
        .gzip_decompress(packed, &mut found)
        .unwrap();
    assert_eq!(size, plain.len());
    assert!(found == plain, "libdeflate reads other rows");
}

fn events(count: u64) -> Vec<Row> {
    let hash = |row: u64, salt: u64| (row * 31 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let row = |row: u64| {
        let text = |text: String| text.into_bytes();
        vec![
            (
                text("{\"id\":".to_owned()),
                1,
                text(format!("\"{:016x}\"", hash(row, 1))),
            ),
            (
                text(",\"kind\":".to_owned()),
                2,
                text(format!("\"kind {}\"", hash(row, 2) % 5)),
            ),
            (
                text(",\"price\":".to_owned()),
                3,
                text(format!("{}.25", hash(row, 3) % 10_000)),
            ),
            (
                text(",\"again\":".to_owned()),
                4,
                text(format!("\"{:016x}\"", hash(row, 1))),
            ),
        ]
    };
    (0..count).map(row).collect()
}

#[test]
fn rows_come_back_whole_over_many_blocks() {
    let (plain, packed) = compress(&events(30_000));
    check(&plain, &packed);
    let mut general = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
    let mut out = vec![0; general.gzip_compress_bound(plain.len())];
    let general = general.gzip_compress(&plain, &mut out).unwrap();
    let tenth_less = packed.len() / 10 * 9;
    assert!(
        tenth_less < general,
        "{} bytes where level 6 makes {general}",
        packed.len()
    );
}

const CITIES: [&str; 8] = [
    "Berlin",
    "São Paulo",
    "東京",
    "New York",
    "Zürich",
    "Nairobi",
    "Lima",
    "Perth",
];

#[test]
fn a_few_values_again_and_again_take_no_more_than_level_six_makes_of_them() {
    let value = |row: u64, column: u64| {
        let mixed = (row * 31 + column).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    };
    let row = |row: u64| {
        let member = |column: u64| {
            let key = format!(",\"kind_{column}\":").into_bytes();
            let nth = usize::try_from(value(row, column) >> 61).unwrap();
            let value = format!("\"{} {column}\"", CITIES[nth]);
            (key, u32::try_from(column).unwrap(), value.into_bytes())
        };
        (1..=12).map(member).collect()
    };
    let rows: Vec<Row> = (0..5_000).map(row).collect();
    let (plain, packed) = compress(&rows);
    check(&plain, &packed);
    let mut zlib = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    zlib.write_all(&plain).unwrap();
    let zlib = zlib.finish().unwrap().len();
    assert!(
        packed.len() * 100 < zlib * 103,
        "{} bytes where level 6 makes {zlib}",
        packed.len()
    );
}

#[test]
fn a_compressor_used_again_makes_the_bytes_of_a_new_one() {
    let (rows, before) = (events(8_000), events(3_000));
    let mut gzip = RowGzip::new();
    let _other = compress_by(&mut gzip, &before[1_000..]);
    gzip.restart();
    assert!(compress_by(&mut gzip, &rows) == compress(&rows));
}

#[test]
fn nothing_at_all_is_a_valid_member() {
    let (plain, packed) = compress(&[]);
    check(&plain, &packed);
}

#[test]
fn rows_without_values_and_values_without_end_come_back() {
    let long = vec![b'x'; 700_000];
    let rows = vec![
        vec![],
        vec![],
        vec![(b"{".to_vec(), 1, long.clone())],
        vec![],
        vec![(vec![], 1, vec![]), (vec![], 1, long), (vec![], 2, vec![])],
    ];
    let (plain, packed) = compress(&rows);
    check(&plain, &packed);
    assert!(packed.len() < 5_000, "{}", packed.len());
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(prop::sample::select(b"ab".as_slice()), 0..300),
        "[0-9]{1,9}".prop_map(String::into_bytes),
        Just(b"the same value as before".to_vec()),
    ]
}

fn any_row() -> impl Strategy<Value = Row> {
    let between = prop_oneof![Just(b",\"key\":".to_vec()), vec(any::<u8>(), 0..12)];
    vec((between, 0_u32..700, any_value()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn whatever_the_rows_two_decoders_read_them(
        rows in vec(any_row(), 0..60),
        times in 1_usize..40,
    ) {
        let rows: Vec<Row> = std::iter::repeat_n(rows, times).flatten().collect();
        let (plain, packed) = compress(&rows);
        check(&plain, &packed);
    }
}

/// More where the long tests are asked for.
fn cases() -> u32 {
    let asked = std::env::var("OFFTAKE_DEEP_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(200)
}
