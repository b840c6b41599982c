//! The conformance suite of [`StagedSink`]: the assumptions the delivery protocol makes, as executable promises.
//!
//! It knows a destination only through its port and through a reader's eyes. It doesn't measure speed and doesn't
//! test rights or full disks.
//!
//! The one law: a sink that passes can carry a delivery; a sink that can lose or repeat a file doesn't pass.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::{
    AttemptId, AttemptTag, DeliveryId, ErrorCode, Fault, RunId, SinkRef, StageHandle, StageToken,
};
use uuid::Uuid;

use crate::sink::{Discarded, EndOfStream, Published, Sinks, StagedSink};

mod names;
mod outcomes;
mod staging;

/// A destination under test, with a reader's view of it. The place must be empty at first.
#[async_trait]
pub trait SinkBench: Send + Sync {
    /// Sinks over the place, with nothing remembered in memory: as after a restart.
    fn sinks(&self) -> Arc<dyn Sinks>;

    /// Which sink to test.
    fn sink(&self) -> SinkRef;

    /// What a reader of the destination gets at the key.
    async fn read(&self, key: &str) -> Result<Option<Bytes>, Fault>;

    /// Every key a reader of the destination sees by listing it; names that begin with a dot are hidden from readers.
    async fn list(&self) -> Result<Vec<String>, Fault>;
}

/// Checks every promise. The error is the first broken one, in words.
pub async fn conforms(bench: &dyn SinkBench) -> Result<(), String> {
    let suite = Suite { bench };
    staging::check(&suite).await?;
    outcomes::check(&suite).await?;
    names::check(&suite).await?;
    let sink = suite.open().await?;
    promised("the probe passes", sink.probe().await)?;
    let left = promised("the destination can be listed", bench.list().await)?;
    match left.iter().find(|key| !key.starts_with(FOLDER)) {
        None => Ok(()),
        Some(key) => Err(format!(
            "the probe leaves nothing visible, yet there is {key}"
        )),
    }
}

/// Checks that manifests can be read back: the promises of `list` and `get`, for destinations that keep them.
pub async fn reads_back(bench: &dyn SinkBench) -> Result<(), String> {
    let sink = Suite { bench }.open().await?;
    let folder = format!("{FOLDER}read back/_offtake/flow ü");
    let none = promised(
        "a folder that is missing is listed",
        sink.list(&folder).await,
    )?;
    expect(
        "a folder that is missing is empty",
        none.is_some_and(|it| it.is_empty()),
    )?;
    let mut names: Vec<String> = (0..LISTED_FILES)
        .map(|n| format!("{n:04}.manifest"))
        .collect();
    for name in &names {
        let put = sink.put(&format!("{folder}/{name}"), noise(2_000, 7)).await;
        promised("a small file is put", put)?;
    }
    let deeper = format!("{folder}/deeper/not listed.manifest");
    promised("a small file is put", sink.put(&deeper, noise(10, 1)).await)?;
    let beside = format!("{folder} beside.manifest");
    promised("a small file is put", sink.put(&beside, noise(10, 1)).await)?;
    let listed = promised("the folder is listed", sink.list(&folder).await)?;
    let mut listed: Vec<String> = listed.unwrap_or_default();
    listed.retain(|name| name.contains('.') && !name.starts_with('.'));
    listed.sort();
    names.sort();
    expect(
        "a listing names exactly the files in the folder",
        listed == names,
    )?;
    let got = promised("a file is read", sink.get(&deeper).await)?;
    expect("a file is read as it was put", got == Some(noise(10, 1)))?;
    let empty = format!("{folder}/empty");
    promised("an empty file is put", sink.put(&empty, Bytes::new()).await)?;
    let got = promised("an empty file is read", sink.get(&empty).await)?;
    expect("an empty file is read as empty", got == Some(Bytes::new()))?;
    let got = promised(
        "a missing file is asked for",
        sink.get(&format!("{folder}/no")).await,
    )?;
    expect("a missing file is none", got.is_none())
}

/// Files that `reads_back` puts into one folder.
const LISTED_FILES: usize = 12;

/// Everything the suite makes lies below this folder.
const FOLDER: &str = "suite/";

/// Size of the suite's middle-sized files, in bytes: larger than any sensible buffer's first fill.
const FILE_BYTES: usize = 200_000;

pub(super) struct Suite<'a> {
    bench: &'a dyn SinkBench,
}

impl Suite<'_> {
    /// A view of the destination that shares no memory with earlier ones.
    async fn open(&self) -> Result<Arc<dyn StagedSink>, String> {
        promised(
            "the sink opens",
            self.bench.sinks().open(&self.bench.sink()).await,
        )
    }

    /// Stages and seals a file of these chunks.
    async fn stage(
        &self,
        key: &str,
        tag: &AttemptTag,
        chunks: &[Bytes],
    ) -> Result<StageToken, String> {
        let sink = self.open().await?;
        let mut upload = promised("an upload begins", sink.begin(key, tag).await)?;
        let handle = upload.handle().clone();
        expect(
            "the handle carries key and tag",
            handle.key == key && handle.tag == *tag,
        )?;
        let mut bytes = 0;
        for chunk in chunks {
            bytes += chunk.len() as u64;
            promised("a chunk is written", upload.write(chunk.clone()).await)?;
        }
        let token = promised(
            &format!("a complete upload of {key} seals"),
            upload.seal(EndOfStream { bytes }).await,
        )?;
        expect(
            "the token carries the upload's handle and size",
            token.handle == handle && token.bytes == bytes,
        )?;
        Ok(token)
    }

    /// Holds the key to be as good as absent, by look and by a reader's eyes.
    async fn invisible(&self, what: &str, token: &StageToken) -> Result<(), String> {
        let key = &token.handle.key;
        let sink = self.open().await?;
        let seen = promised("a look answers", sink.look(token).await)?;
        expect(&format!("{what}: look sees nothing"), seen.is_none())?;
        self.unread(what, key).await
    }

    async fn unread(&self, what: &str, key: &str) -> Result<(), String> {
        let read = promised("the destination can be read", self.bench.read(key).await)?;
        expect(&format!("{what}: readers get nothing"), read.is_none())?;
        let listed = promised("the destination can be listed", self.bench.list().await)?;
        let near = listed.iter().find(|other| other.starts_with(parent(key)));
        expect(&format!("{what}: readers list nothing"), near.is_none())
    }

    /// Holds exactly these bytes to be visible as the token's own.
    async fn visible(&self, what: &str, token: &StageToken, bytes: &[u8]) -> Result<(), String> {
        let sink = self.open().await?;
        let seen = promised("a look answers", sink.look(token).await)?
            .ok_or_else(|| format!("{what}: look sees the file"))?;
        expect(&format!("{what}: look knows its own"), seen.ours)?;
        expect(
            &format!("{what}: look tells the size"),
            seen.bytes == bytes.len() as u64,
        )?;
        self.reads(what, &token.handle.key, bytes).await
    }

    async fn reads(&self, what: &str, key: &str, bytes: &[u8]) -> Result<(), String> {
        let read = promised("the destination can be read", self.bench.read(key).await)?
            .ok_or_else(|| format!("{what}: readers get the file"))?;
        expect(
            &format!("{what}: readers get exactly the bytes written"),
            read == bytes,
        )?;
        let listed = promised("the destination can be listed", self.bench.list().await)?;
        expect(
            &format!("{what}: readers list the file once, and nothing beside it"),
            listed
                .iter()
                .filter(|other| other.starts_with(parent(key)))
                .eq([key]),
        )
    }

    async fn publish(&self, token: &StageToken) -> Result<Published, String> {
        let sink = self.open().await?;
        promised("a publish answers", sink.publish(token).await)
    }

    async fn publishes(&self, what: &str, token: &StageToken) -> Result<(), String> {
        let answer = self.publish(token).await?;
        expect(
            &format!("{what}: publish is done, not {answer:?}"),
            matches!(answer, Published::Done { .. }),
        )
    }

    async fn discard(&self, handle: &StageHandle) -> Result<Discarded, String> {
        let sink = self.open().await?;
        promised("a discard answers", sink.discard(handle).await)
    }
}

/// A tag of one delivery and task, told apart by the attempt alone: the hardest case for a sink.
fn tag(attempt: u128) -> AttemptTag {
    AttemptTag {
        delivery: DeliveryId::derive(
            RunId(Uuid::from_u128(1)),
            &offtake_model::DatasetId("5f3b2c1d0e9f8a7b6c5d4e3f".to_owned()),
        ),
        task: 0,
        attempt: AttemptId(Uuid::from_u128(attempt)),
    }
}

/// Bytes without a period that a buffer size could hide.
fn noise(bytes: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

fn chunked(bytes: &Bytes, chunk: usize) -> Vec<Bytes> {
    (0..bytes.len())
        .step_by(chunk)
        .map(|from| bytes.slice(from..bytes.len().min(from + chunk)))
        .collect()
}

/// The key's folder, with its slash.
fn parent(key: &str) -> &str {
    key.rfind('/').map_or(key, |slash| &key[..=slash])
}

fn expect(promise: &str, kept: bool) -> Result<(), String> {
    if kept {
        Ok(())
    } else {
        Err(promise.to_owned())
    }
}

fn promised<T>(promise: &str, answer: Result<T, Fault>) -> Result<T, String> {
    answer.map_err(|fault| {
        let cause = fault.cause.as_deref().unwrap_or("no cause");
        format!("{promise}, yet it failed with {fault} ({cause})")
    })
}

fn refused(promise: &str, answer: Result<(), Fault>, code: ErrorCode) -> Result<(), String> {
    match answer {
        Err(fault) if fault.code == code => Ok(()),
        Err(fault) => Err(format!("{promise}, yet it failed with {fault}")),
        Ok(()) => Err(promise.to_owned()),
    }
}

#[cfg(test)]
mod tests;
