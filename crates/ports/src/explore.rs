//! Looking into destinations, for people who choose where files shall go.

use async_trait::async_trait;
use offtake_model::{Fault, SinkRef};

/// Names what lies in a destination's folders.
#[async_trait]
pub trait Explorer: Send + Sync {
    /// What lies directly in the folder, at most `limit` entries: folders first, each kind in the order of its names.
    /// `folder` is empty for the top, else a key with a slash at its end. One that does not exist holds nothing.
    async fn list(
        &self,
        sink: &SinkRef,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault>;
}

/// Something that lies in a folder, by its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FolderEntry {
    /// A folder.
    Folder(String),
    /// A file.
    File(String),
}
