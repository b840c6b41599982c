//! Deletion vectors, in the log and in files.

use std::fs;

use offtake_model::change::MaskRef;
use offtake_model::{Changes, ErrorCode};
use offtake_ports::RowMasks;
use serde_json::{Value, json};

use crate::craft::{Crafted, add, info, remove};
use crate::support::{TestLake, refused};

const MAGIC: u32 = 1_681_511_377;

/// A bitmap of those row numbers, all below 65,536, in the portable format.
fn bitmap(rows: &[u16]) -> Vec<u8> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(0_u32.to_le_bytes());
    bytes.extend(12_346_u32.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes.extend((u16::try_from(rows.len()).unwrap() - 1).to_le_bytes());
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(rows.iter().flat_map(|row| row.to_le_bytes()));
    while !bytes.len().is_multiple_of(4) {
        bytes.push(0);
    }
    bytes
}

fn z85(bytes: &[u8]) -> String {
    const DIGITS: &[u8] =
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    bytes
        .chunks(4)
        .flat_map(|four| {
            let number = u32::from_be_bytes(four.try_into().unwrap());
            (0..5)
                .rev()
                .map(move |digit| char::from(DIGITS[(number / 85_u32.pow(digit) % 85) as usize]))
        })
        .collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ ((crc & 1) * 0xedb8_8320)
        })
    })
}

fn masked(lake: &TestLake, vector: &Value) -> Crafted {
    let features = json!(["deletionVectors"]);
    let protocol = json!({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features});
    let mut table = Crafted::with(&lake.path("t"), protocol, &[], &[]);
    let size = table.file("p.parquet", 0..10);
    let mut line = add("p.parquet", size, json!({}));
    line["add"]["stats"] = json!("{\"numRecords\":10}");
    table.commit(&[line.clone()]);
    line["add"]["deletionVector"] = vector.clone();
    table.commit(&[info("DELETE"), remove("p.parquet", true), line]);
    table
}

async fn mask(lake: &TestLake) -> MaskRef {
    let set = lake.snapshot("t").await.unwrap();
    assert_eq!((set.slices.len(), set.slices[0].rows), (1, Some(10)));
    *set.slices[0].mask.clone().unwrap()
}

#[tokio::test]
async fn an_inline_vector_leaves_the_other_rows() {
    let bytes = bitmap(&[0, 3, 4, 9]);
    let lake = TestLake::new();
    masked(
        &lake,
        &json!({"storageType": "i", "pathOrInlineDv": z85(&bytes), "sizeInBytes": bytes.len(), "cardinality": 4}),
    );

    let mask = mask(&lake).await;

    assert_eq!((mask.root.as_str(), mask.rows), ("main", 4));
    assert_eq!(lake.lake.keep(&mask, 10).await.unwrap(), [1..3, 5..9]);
    refused(
        lake.lake.keep(&mask, 9).await,
        ErrorCode::SourceCorrupt,
        "9 rows",
    );
    let from = lake.snapshot("t").await.unwrap().to;
    let Changes::Rewritten { at, .. } = lake
        .changes("t", &crate::support::at(&from, 1))
        .await
        .unwrap()
    else {
        panic!()
    };
    assert_eq!(at, "version 2 (DELETE)");
}

#[tokio::test]
async fn a_vector_in_a_file_leaves_the_other_rows() {
    let bytes = bitmap(&[1, 2]);
    let id = uuid::Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    let lake = TestLake::new();
    let path = format!("ab{}", z85(id.as_bytes()));
    masked(
        &lake,
        &json!({"storageType": "u", "pathOrInlineDv": path, "offset": 1, "sizeInBytes": bytes.len(), "cardinality": 2}),
    );
    let mask = mask(&lake).await;
    refused(
        lake.lake.keep(&mask, 10).await,
        ErrorCode::SourceVanished,
        "lake://main/t",
    );

    let mut file = vec![1];
    file.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    file.extend(&bytes);
    file.extend(crc32(&bytes).to_be_bytes());
    fs::create_dir(lake.path("t/ab")).unwrap();
    let place = lake.path(&format!("t/ab/deletion_vector_{id}.bin"));
    fs::write(&place, &file).unwrap();
    assert_eq!(lake.lake.keep(&mask, 10).await.unwrap(), [0..1, 3..10]);

    let last = file.len() - 1;
    file[last] ^= 1;
    fs::write(&place, &file).unwrap();
    refused(
        lake.lake.keep(&mask, 10).await,
        ErrorCode::SourceCorrupt,
        "lake://main/t",
    );
    fs::write(&place, &file[..3]).unwrap();
    refused(
        lake.lake.keep(&mask, 10).await,
        ErrorCode::SourceCorrupt,
        "",
    );
}

#[tokio::test]
async fn a_vector_that_disagrees_with_the_log_is_refused() {
    let bytes = bitmap(&[0, 3]);
    let lake = TestLake::new();
    masked(
        &lake,
        &json!({"storageType": "i", "pathOrInlineDv": z85(&bytes), "sizeInBytes": bytes.len(), "cardinality": 3}),
    );
    let mask = mask(&lake).await;
    refused(
        lake.lake.keep(&mask, 10).await,
        ErrorCode::SourceCorrupt,
        "2 rows where the log says 3",
    );
}
