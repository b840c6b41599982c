//! Whose a file is, told from the file itself, before and after its publish.
//!
//! An extended attribute carries the attempt's tag. On a file system without attributes the inode and birth time,
//! noted when the file was made, stand in: a rename keeps both. The inode alone would not do, because the next file
//! can get the number of one that was removed.
//!
//! The one law: a file of another attempt is never taken for one's own.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

use offtake_model::{AttemptTag, StageHandle};
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// The attribute that carries the tag.
const ATTRIBUTE: &str = "user.offtake.tag";

/// Longest tag, in bytes: two UUIDs, a number, two slashes.
const TAG_BYTES_MAX: usize = 128;

/// How files are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marking {
    /// By attribute where the file system has them, else by inode.
    Attribute,
    /// By inode always.
    #[cfg(test)]
    Inode,
}

/// How a file can be known again; kept as text in its handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Mark {
    /// By the tag in its attribute.
    Attribute,
    /// By what the file system says of it.
    Inode {
        /// The inode's number.
        number: u64,
        /// When it was made, in nanoseconds since 1970, where the file system knows.
        born: Option<u64>,
    },
}

/// Marks a new file as the attempt's. The answer is the handle's detail.
pub(crate) fn mark(file: &File, tag: &AttemptTag, marking: Marking) -> io::Result<String> {
    let marked = match marking {
        Marking::Attribute => {
            let text = tag.to_string();
            rustix::fs::fsetxattr(file, ATTRIBUTE, text.as_bytes(), XattrFlags::CREATE)
        }
        #[cfg(test)]
        Marking::Inode => Err(Errno::NOTSUP),
    };
    let mark = match marked {
        Ok(()) => Mark::Attribute,
        Err(Errno::NOTSUP | Errno::NOSYS | Errno::PERM | Errno::INVAL) => inode(&file.metadata()?),
        Err(error) => return Err(error.into()),
    };
    Ok(serde_json::to_string(&mark)?)
}

/// Whether the file is the one that the handle's attempt made.
pub(crate) fn ours(handle: &StageHandle, file: &File, metadata: &Metadata) -> io::Result<bool> {
    // A handle without detail is one whose attempt was journaled and whose upload was not: the tag still finds it.
    if handle.detail.is_empty() {
        return carries(file, &handle.tag);
    }
    match serde_json::from_str(&handle.detail)? {
        Mark::Attribute => carries(file, &handle.tag),
        noted @ Mark::Inode { .. } => Ok(noted == inode(metadata)),
    }
}

fn carries(file: &File, tag: &AttemptTag) -> io::Result<bool> {
    let mut text = [0_u8; TAG_BYTES_MAX];
    match rustix::fs::fgetxattr(file, ATTRIBUTE, &mut text) {
        Ok(length) => Ok(text.get(..length) == Some(tag.to_string().as_bytes())),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn inode(metadata: &Metadata) -> Mark {
    let born = metadata
        .created()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .and_then(|age| u64::try_from(age.as_nanos()).ok());
    Mark::Inode {
        number: metadata.ino(),
        born,
    }
}
