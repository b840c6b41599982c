//! Keys: what a plan may name arrives under exactly that name.

use std::slice::from_ref;

use super::{FOLDER, Suite, noise, tag};

/// Longest key a plan makes, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// Longest part of the suite's keys between two slashes, in bytes.
const SEGMENT_BYTES: usize = 200;

pub(super) async fn check(suite: &Suite<'_>) -> Result<(), String> {
    for (number, name) in odd_names().iter().enumerate() {
        let key = format!("{FOLDER}names/{number}/{name}");
        arrives(suite, &key).await?;
    }
    arrives(suite, &longest_key()).await
}

fn odd_names() -> [&'static str; 7] {
    [
        "Zürich – données/データ.json",
        "with space/a file .json",
        "percent%2F%20/100%.json",
        "plus+and&hash#?=;/file:1.json",
        "quote'\"/$(x)`y`.json",
        "tilde~/…/dots..in..name.gz.parquet",
        "_leading/-dash.json",
    ]
}

fn longest_key() -> String {
    let mut key = format!("{FOLDER}names/longest/");
    while key.len() < KEY_BYTES_MAX {
        let room = (KEY_BYTES_MAX - key.len()).min(SEGMENT_BYTES);
        let letter = if room == 1 { "x" } else { "é" };
        key.push_str(&letter.repeat(room / letter.len()));
        if room % letter.len() == 1 {
            key.push('x');
        }
        if key.len() + 1 < KEY_BYTES_MAX {
            key.push('/');
        } else if key.len() < KEY_BYTES_MAX {
            key.push('y');
        }
    }
    key
}

async fn arrives(suite: &Suite<'_>, key: &str) -> Result<(), String> {
    let bytes = noise(1_000, key.len() as u64);
    let token = suite.stage(key, &tag(1), from_ref(&bytes)).await?;
    suite.invisible(key, &token).await?;
    suite.publishes(key, &token).await?;
    suite.visible(key, &token, &bytes).await
}

#[cfg(test)]
mod tests {
    use super::{KEY_BYTES_MAX, SEGMENT_BYTES, longest_key};

    #[test]
    fn the_longest_key_is_as_long_as_it_may_be() {
        let key = longest_key();
        assert_eq!(key.len(), KEY_BYTES_MAX);
        assert!(
            key.split('/')
                .all(|part| (1..=SEGMENT_BYTES + 1).contains(&part.len()))
        );
    }
}
