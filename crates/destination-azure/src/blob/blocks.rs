//! Names of blocks, and the documents that list them.
//!
//! A name holds its owner, its number and whether the content ends with it: from a list of names alone it can be told
//! whose blocks lie there, and whether they are all of them.
//!
//! The one law: no two owners ever share a block's name, and all names are equally long, as the service wants it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use uuid::Uuid;

/// Set in the number of the last block.
const LAST: u32 = 1 << 31;

/// The blocks of one content: an attempt's file, or a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// The attempt, or a digest of the manifest.
    pub(crate) owner: Uuid,
    /// How many there are.
    pub(crate) count: u32,
}

impl Blocks {
    /// The names in order.
    fn names(self) -> impl Iterator<Item = String> {
        (0..self.count).map(move |number| name(self.owner, number, number + 1 == self.count))
    }
}

/// The name of a block.
pub(crate) fn name(owner: Uuid, number: u32, last: bool) -> String {
    let number = if last { number | LAST } else { number };
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(owner.as_bytes());
    bytes[16..].copy_from_slice(&number.to_be_bytes());
    STANDARD.encode(bytes)
}

/// Which of the listed blocks a list may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// Those that were sent, and those of the blob as it is.
    Latest,
    /// Those of the blob as it is.
    Committed,
}

/// The document that commits these blocks.
pub(crate) fn list(blocks: Blocks, from: From) -> String {
    let (open, close) = match from {
        From::Latest => ("<Latest>", "</Latest>"),
        From::Committed => ("<Committed>", "</Committed>"),
    };
    let mut text = r#"<?xml version="1.0" encoding="utf-8"?><BlockList>"#.to_owned();
    for name in blocks.names() {
        text.extend([open, &name, close]);
    }
    text.push_str("</BlockList>");
    text
}

#[derive(Deserialize)]
#[serde(rename = "BlockList", rename_all = "PascalCase")]
struct Listed {
    #[serde(default)]
    uncommitted_blocks: Uncommitted,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Uncommitted {
    #[serde(default)]
    block: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Block {
    name: String,
}

/// The names of the blocks that were sent and not committed, from the service's answer.
pub(crate) fn uncommitted(body: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(body)
        .ok()?
        .trim_start_matches('\u{feff}');
    let listed: Listed = quick_xml::de::from_str(text).ok()?;
    let blocks = listed.uncommitted_blocks.block;
    Some(blocks.into_iter().map(|block| block.name).collect())
}

/// The owner's blocks, when all of them up to the last are among these names.
pub(crate) fn whole(owner: Uuid, names: &[String]) -> Option<Blocks> {
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| number(owner, name))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    // With its mark the last one sorts behind all others.
    let (last, before) = numbers.split_last()?;
    let count = (last & !LAST).checked_add(1)?;
    let all = last & LAST != 0 && (0..count - 1).eq(before.iter().copied());
    all.then_some(Blocks { owner, count })
}

/// The number in the name, with its mark, when the block is the owner's.
fn number(owner: Uuid, name: &str) -> Option<u32> {
    let bytes: [u8; 20] = STANDARD.decode(name).ok()?.try_into().ok()?;
    let (of, number) = bytes.split_at(16);
    let number: [u8; 4] = number.try_into().ok()?;
    (of == owner.as_bytes()).then(|| u32::from_be_bytes(number))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Blocks, From, list, name, uncommitted, whole};

    const OWNER: Uuid = Uuid::from_u128(7);
    const OTHER: Uuid = Uuid::from_u128(8);

    #[test]
    fn a_list_names_its_blocks_in_order() {
        let blocks = Blocks {
            owner: OWNER,
            count: 2,
        };
        assert_eq!(
            list(blocks, From::Latest),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>\
             <Latest>AAAAAAAAAAAAAAAAAAAABwAAAAA=</Latest>\
             <Latest>AAAAAAAAAAAAAAAAAAAAB4AAAAE=</Latest></BlockList>"
        );
        assert!(list(blocks, From::Committed).contains("<Committed>AAAA"));
    }

    #[test]
    fn uncommitted_names_are_read_and_committed_ones_are_not() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>\
            <CommittedBlocks><Block><Name>old</Name><Size>1</Size></Block></CommittedBlocks>\
            <UncommittedBlocks><Block><Name>a</Name><Size>1</Size></Block>\
            <Block><Name>b</Name><Size>2</Size></Block></UncommittedBlocks></BlockList>";
        assert_eq!(uncommitted(text.as_bytes()).unwrap(), ["a", "b"]);
        assert_eq!(uncommitted(b"<BlockList/>").unwrap(), [""; 0]);
        let none = b"<BlockList><CommittedBlocks/><UncommittedBlocks/></BlockList>";
        assert_eq!(uncommitted(none).unwrap(), [""; 0]);
        assert!(uncommitted(b"<html>").is_none());
    }

    #[test]
    fn blocks_are_whole_only_with_the_last_and_all_before_it() {
        let names = |numbers: &[(u32, bool)]| -> Vec<String> {
            let ours = numbers
                .iter()
                .map(|(number, last)| name(OWNER, *number, *last));
            ours.chain([name(OTHER, 0, true), "odd".to_owned()])
                .collect()
        };
        let count = |numbers| whole(OWNER, &names(numbers)).map(|blocks| blocks.count);
        assert_eq!(count(&[(0, true)]), Some(1));
        assert_eq!(count(&[(2, true), (0, false), (1, false)]), Some(3));
        assert_eq!(count(&[]), None);
        assert_eq!(count(&[(0, false), (1, false)]), None);
        assert_eq!(count(&[(1, true)]), None);
        assert_eq!(count(&[(0, false), (2, true)]), None);
    }
}
