//! Looking into an account's folders on behalf of a person.
//!
//! Servers name entries in an order of their own, so a folder is read up to a bound and then sorted.
//!
//! The one law: however large a folder is, looking into it ends, with what was read until then.

use async_trait::async_trait;
use offtake_model::{Fault, SinkRef};
use offtake_ports::{Explorer, FolderEntry};

use crate::lane::{Kind, Lane, Lies};
use crate::place::Place;
use crate::sink::perform;
use crate::sinks::SftpSinks;
use crate::trouble::Trouble;

/// Entries of a folder that are read; of a larger one, some are never shown.
const READ_MAX: usize = 10_000;

/// Entries whose kind is asked for one by one, because the listing does not tell it: links, mostly.
const ASKED_MAX: usize = 100;

#[async_trait]
impl Explorer for SftpSinks {
    async fn list(
        &self,
        sink: &SinkRef,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        let account = self.account_of(sink).await?;
        // A key's folders are checked as a whole key is, so `*` stands in for a file's name.
        let Ok(place) = Place::parse(&format!("{folder}*")) else {
            // No folder can have such a name.
            return Ok(Vec::new());
        };
        let mut found = perform(&account, "list", &place, |steps| async move {
            look(&steps.lane, steps.place.folder()).await
        })
        .await?;
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }
}

/// What lies in the folder, without names that begin with a dot: they are what is staged or given up.
async fn look(lane: &Lane, folder: &str) -> Result<Vec<FolderEntry>, Trouble> {
    let listed = match lane.entries(folder, READ_MAX).await {
        Err(Trouble::Missing) => return Ok(Vec::new()),
        // Most servers refuse to list a file without saying that it is one.
        Err(Trouble::Refused(_)) if matches!(lane.lies(folder).await?, Lies::File(_)) => {
            return Ok(Vec::new());
        }
        listed => listed?,
    };
    let (mut found, mut asked) = (Vec::new(), 0);
    for (name, mut kind) in listed {
        if name.starts_with('.') || name.contains('/') {
            continue;
        }
        if kind == Kind::Untold && asked < ASKED_MAX {
            asked += 1;
            kind = lane.kind(&format!("{folder}/{name}")).await?;
        }
        match kind {
            Kind::Folder => found.push(FolderEntry::Folder(name)),
            Kind::File => found.push(FolderEntry::File(name)),
            Kind::Untold => {}
        }
    }
    Ok(found)
}
