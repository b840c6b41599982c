//! Looking into a bucket on behalf of a person.

use offtake_model::Fault;
use offtake_ports::FolderEntry;

use super::sink::S3Sink;

impl S3Sink {
    /// What lies directly in a folder.
    pub(crate) async fn explore(
        &self,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        let listed = self.client.look_into(folder, limit).await;
        let (folders, files) = listed.map_err(|failure| {
            let place = if folder.is_empty() { "/" } else { folder };
            self.client.fault(failure, "list", place)
        })?;
        let name = |key: &str| {
            let name = key.strip_prefix(folder).unwrap_or(key);
            name.trim_end_matches('/').to_owned()
        };
        let folders = folders.iter().map(|key| FolderEntry::Folder(name(key)));
        let files = files.iter().map(|key| FolderEntry::File(name(key)));
        Ok(folders.chain(files).collect())
    }
}
