//! One account as a staged sink: each call takes a connection, does its steps and gives the connection back.
//!
//! The one law: a call whose connection ended is repeated once, and only because its steps can be.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{AttemptTag, ErrorCode, Fault, StageHandle, StageToken};
use offtake_ports::{Discarded, Published, Seen, StagedSink, StagedUpload};

use crate::lane::Lies;
use crate::place::Place;
use crate::pool::{Account, Leased};
use crate::probe;
use crate::steps::{BEGUN, Steps};
use crate::trouble::Trouble;
use crate::upload::SftpUpload;

/// Less room than this is none: even a small file needs its folder.
const ROOM_BYTES_MIN: u64 = 1024 * 1024;

/// A connection's account.
pub(crate) struct SftpSink {
    account: Arc<Account>,
}

impl SftpSink {
    pub(crate) const fn new(account: Arc<Account>) -> Self {
        Self { account }
    }

    /// Removes what a probe left: its tombstones and its folder.
    pub(crate) async fn sweep(&self, place: &Place, handles: &[StageHandle]) -> Result<(), Fault> {
        let paths: Vec<_> = handles
            .iter()
            .map(|handle| place.gone(handle.tag.attempt))
            .collect();
        self.with("sweep after", place, |steps| {
            let paths = paths.clone();
            async move {
                for path in &paths {
                    match steps.lane.remove(path).await {
                        Ok(()) | Err(Trouble::Missing) => {}
                        Err(trouble) => return Err(trouble),
                    }
                }
                match steps.lane.remove_folder(steps.place.folder()).await {
                    Ok(()) | Err(Trouble::Missing) => Ok(()),
                    Err(trouble) => Err(trouble),
                }
            }
        })
        .await
    }

    async fn with<T, F>(
        &self,
        attempted: &str,
        place: &Place,
        work: impl Fn(Steps) -> F + Send + Sync,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Trouble>> + Send,
    {
        perform(&self.account, attempted, place, work).await
    }
}

/// Does the steps over a connection of the account, and once more over a new one when it ended.
pub(crate) async fn perform<T, F>(
    account: &Arc<Account>,
    attempted: &str,
    place: &Place,
    work: impl Fn(Steps) -> F + Send + Sync,
) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Trouble>> + Send,
{
    let mut leased = account.lease().await?;
    let mut done = work(steps(&leased, place)).await;
    if matches!(&done, Err(trouble) if trouble.lost()) {
        leased.renew().await?;
        done = work(steps(&leased, place)).await;
    }
    if !matches!(&done, Err(trouble) if trouble.lost()) {
        leased.give_back();
    }
    done.map_err(|trouble| trouble.into_fault(attempted, place.path()))
}

fn steps(leased: &Leased, place: &Place) -> Steps {
    Steps {
        lane: Arc::clone(&leased.session().lane),
        place: place.clone(),
        on_ambiguous: leased.account().settings().on_ambiguous,
    }
}

#[async_trait]
impl StagedSink for SftpSink {
    async fn begin(&self, key: &str, tag: &AttemptTag) -> Result<Box<dyn StagedUpload>, Fault> {
        let place = Place::parse(key)?;
        let part = place.part(tag.attempt);
        let leased = self.account.lease().await?;
        let steps = steps(&leased, &place);
        let told = |trouble: Trouble| trouble.into_fault("begin", key);
        let file = match steps.create(&part).await {
            Ok(file) => file,
            Err(Trouble::Refused(_))
                if steps.lane.lies(&part).await.map_err(told)? != Lies::Nothing =>
            {
                return Err(Fault::new(
                    ErrorCode::DestinationConflict,
                    format!("begin file {key} of the SFTP server: this attempt has begun before"),
                ));
            }
            Err(trouble) => return Err(told(trouble)),
        };
        let handle = StageHandle {
            key: key.to_owned(),
            tag: *tag,
            detail: BEGUN.to_owned(),
        };
        let room = steps.lane.room(place.folder()).await.map_err(told)?;
        let upload = SftpUpload::new(handle, place, leased, file);
        if room.is_some_and(|room| room < ROOM_BYTES_MIN) {
            return Err(
                Trouble::Full("less than 1 MiB is left".to_owned()).into_fault("begin", key)
            );
        }
        Ok(Box::new(upload))
    }

    async fn publish(&self, token: &StageToken) -> Result<Published, Fault> {
        let place = Place::parse(&token.handle.key)?;
        let work = |steps: Steps| async move { steps.publish(token).await };
        self.with("publish", &place, work).await
    }

    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, Fault> {
        let place = Place::parse(&handle.key)?;
        let work = |steps: Steps| async move { steps.discard(handle).await };
        self.with("discard", &place, work).await
    }

    async fn retract(&self, handle: &StageHandle) -> Result<(), Fault> {
        let place = Place::parse(&handle.key)?;
        let work = |steps: Steps| async move { steps.retract(handle).await };
        self.with("retract", &place, work).await
    }

    async fn look(&self, token: &StageToken) -> Result<Option<Seen>, Fault> {
        let place = Place::parse(&token.handle.key)?;
        let work = |steps: Steps| async move { steps.look(token).await };
        self.with("look at", &place, work).await
    }

    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Fault> {
        let place = Place::parse(key)?;
        let bytes = &bytes;
        let work = |steps: Steps| async move { steps.put(bytes).await };
        if self.with("put", &place, work).await? {
            return Ok(());
        }
        Err(Fault::new(
            ErrorCode::DestinationConflict,
            format!("put file {key} of the SFTP server: another file lies at that name"),
        ))
    }

    async fn list(&self, folder: &str) -> Result<Option<Vec<String>>, Fault> {
        // A key's folders are checked as a whole key is, so a file's name stands in for the ones to be listed.
        let place = Place::parse(&format!("{folder}/x"))?;
        let work = |steps: Steps| async move { steps.list().await };
        self.with("list the folder of", &place, work)
            .await
            .map(Some)
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let place = Place::parse(key)?;
        let work = |steps: Steps| async move { steps.get().await };
        self.with("read", &place, work).await
    }

    async fn probe(&self) -> Result<(), Fault> {
        probe::prove(self).await
    }
}
