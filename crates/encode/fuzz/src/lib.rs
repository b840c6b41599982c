//! What the fuzz targets check: an input is a table, and the encoder's files must hold it.
//!
//! The one law: what a table is expected to be written as is never said by the encoder.

mod arrays;
mod choices;
mod foreign;
mod passing;
mod reference;
#[expect(dead_code, reason = "the tests need more of it")]
#[path = "../../tests/it/support.rs"]
mod support;
mod table;

use std::io::Read;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use offtake_encode::decode::inspect;
use offtake_model::{Compression, FileType, GzipLevel, GzipMembers, GzipRules, OutputEncoding};

use choices::Choices;
use support::{JSON, JSON_GZ, encode_all};

/// Bytes that are shown before and after a difference.
const AROUND_BYTES: usize = 60;

/// JSON Lines are those of arrow-json with Spark's forms, byte for byte, and serde_json reads them.
pub fn json(input: &[u8]) {
    let batches = table::batches(&mut Choices::of(input));
    let file = encoded(&batches, JSON);
    let expected = reference::lines(&batches);
    let differing = file
        .iter()
        .zip(&expected)
        .position(|(ours, theirs)| ours != theirs);
    let at = differing.unwrap_or(file.len().min(expected.len()));
    assert!(
        file == expected,
        "at byte {at}: {} where {} is expected",
        around(&file, at),
        around(&expected, at)
    );
}

/// Compressed JSON Lines hold the plain ones, in one member where one is asked for.
pub fn gzip(input: &[u8]) {
    let mut choices = Choices::of(input);
    let rules = GzipRules {
        level: choices.one_of(&[GzipLevel::Default, GzipLevel::Fast]),
        members: choices.one_of(&[GzipMembers::Several, GzipMembers::Single]),
    };
    let batches = table::batches(&mut choices);
    let plain = encoded(&batches, JSON);
    let packed = encoded(
        &batches,
        OutputEncoding {
            gzip: rules,
            ..JSON_GZ
        },
    );
    let mut found = Vec::with_capacity(plain.len());
    let read = match rules.members {
        GzipMembers::Several => {
            flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut found)
        }
        GzipMembers::Single => {
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut found)
        }
    };
    read.expect("zlib reads it");
    assert!(found == plain, "zlib reads other rows");
}

/// Row groups that pass in their pages keep their rows; about damaged pages our own code never
/// panics.
pub fn pages(input: &[u8]) {
    let mut choices = Choices::of(input);
    let compression = choices.one_of(&[Compression::None, Compression::Gzip]);
    let batches = table::batches(&mut choices);
    let Some(mut file) = passing::source(&mut choices, &batches) else {
        return;
    };
    let damaged = passing::damage(&mut choices, &mut file);
    let file = Bytes::from(file);
    let encoding = OutputEncoding::new(FileType::Parquet, compression);
    let pass = || passing::passed(&file, encoding);
    if damaged {
        let _outcome = foreign::caught(pass);
        return;
    }
    let Some(passed) = pass().expect("a sound file passes") else {
        return;
    };
    let (before, after) = (passing::rows(&file), passing::rows(&Bytes::from(passed)));
    assert!(before.columns() == after.columns(), "other rows");
}

/// The file of the batches, which also counts what it should.
fn encoded(batches: &[RecordBatch], encoding: OutputEncoding) -> Vec<u8> {
    let (file, encoded) = encode_all(batches, encoding);
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(encoded.rows, rows as u64);
    assert_eq!(encoded.bytes, file.len() as u64);
    let found = inspect(Bytes::from(file.clone()), encoding);
    assert_eq!(found.expect("the file is whole").rows, rows as u64);
    file
}

fn around(file: &[u8], at: usize) -> String {
    let end = file.len().min(at + AROUND_BYTES);
    String::from_utf8_lossy(&file[at.saturating_sub(AROUND_BYTES)..end]).into_owned()
}
