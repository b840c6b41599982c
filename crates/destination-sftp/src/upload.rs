//! A file being staged: writes in flight on one or more channels, each at its own offset, none forgotten before its
//! acknowledgement.
//!
//! It knows no rows; the engine proves the content. This proves the size, and the bytes where more than one connection
//! was needed.
//!
//! The one law: nothing seals unless every write and the CLOSE were answered OK and the server shows every byte.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, FutureExt, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use offtake_model::{ErrorCode, Fault, StageHandle, StageToken};
use offtake_ports::{EndOfStream, StagedUpload};

use crate::lane::Lies;
use crate::place::Place;
use crate::pool::Leased;
use crate::read_back::{Sum, has_sum};
use crate::sink::perform;
use crate::trouble::Trouble;
use crate::writing::{Landed, Writing};

/// Bytes in flight at first, and at most. What is in flight is in memory up to three times on its way out.
const WINDOW_BYTES: usize = 2 * 1024 * 1024;
const WINDOW_BYTES_MAX: usize = 12 * 1024 * 1024;

/// The window grows while acknowledgements come faster than this: a slow line must not run into timeouts.
const PROMPT: Duration = Duration::from_secs(1);

/// Channels that write one file: each has a window of the server's own, which a long line cannot fill.
const LANES_MAX: usize = 4;

/// Lines with a longer round trip than this get more channels, for files larger than [`LANES_FROM_BYTES`].
const LANES_FROM: Duration = Duration::from_millis(3);
const LANES_FROM_BYTES: u64 = 4 * 1024 * 1024;

/// How often one upload goes on over a new connection, and the pause before, doubled each time.
const RESUMES_MAX: u32 = 3;
const RESUME_PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct SftpUpload {
    handle: StageHandle,
    place: Place,
    /// None once the upload is over.
    leased: Option<Leased>,
    lanes: Vec<Writing>,
    gathered: BytesMut,
    /// Chunks to be written (again), by offset.
    waiting: VecDeque<(u64, Bytes)>,
    flying: FuturesUnordered<BoxFuture<'static, Landed>>,
    flying_bytes: usize,
    window: usize,
    written: u64,
    sum: Sum,
    resumes: u32,
    failed: Option<Fault>,
}

impl SftpUpload {
    pub(crate) fn new(handle: StageHandle, place: Place, leased: Leased, file: String) -> Self {
        let lane = Arc::clone(&leased.session().lane);
        Self {
            handle,
            place,
            leased: Some(leased),
            lanes: vec![Writing::new(lane, file)],
            gathered: BytesMut::new(),
            waiting: VecDeque::new(),
            flying: FuturesUnordered::new(),
            flying_bytes: 0,
            window: WINDOW_BYTES,
            written: 0,
            sum: Sum::new(),
            resumes: 0,
            failed: None,
        }
    }

    fn part(&self) -> String {
        self.place.part(self.handle.tag.attempt)
    }

    fn fault(&self, trouble: Trouble) -> Fault {
        trouble.into_fault("write", &self.handle.key)
    }

    fn write_bytes(&self) -> usize {
        let sizes = self.lanes.iter().map(|writing| writing.lane.write_bytes());
        sizes.min().unwrap_or(1)
    }

    /// Sends what waits as far as the window allows, and takes in what has been answered. With `all`, stays until
    /// everything is written.
    async fn pump(&mut self, all: bool) -> Result<(), Fault> {
        loop {
            while self.flying_bytes < self.window
                && let Some((offset, bytes)) = self.waiting.pop_front()
            {
                self.send(offset, bytes);
            }
            let done = self.waiting.is_empty() && (self.flying.is_empty() || !all);
            let landed = if done {
                // Only what is there already; this also sets the new ones off.
                match self.flying.next().now_or_never() {
                    Some(Some(landed)) => landed,
                    Some(None) | None => return Ok(()),
                }
            } else {
                match self.flying.next().await {
                    Some(landed) => landed,
                    None => continue,
                }
            };
            self.land(landed).await?;
        }
    }

    fn send(&mut self, offset: u64, bytes: Bytes) {
        let least = self
            .lanes
            .iter_mut()
            .enumerate()
            .min_by_key(|(_, it)| it.flying_bytes);
        let Some((number, writing)) = least else {
            return;
        };
        self.flying_bytes += bytes.len();
        self.flying.push(writing.write(number, offset, bytes));
    }

    async fn land(&mut self, landed: Landed) -> Result<(), Fault> {
        self.flying_bytes -= landed.bytes.len();
        if let Some(writing) = self.lanes.get_mut(landed.lane) {
            writing.flying_bytes -= landed.bytes.len();
        }
        match landed.answer {
            Ok(()) => {
                if landed.took < PROMPT {
                    self.window = (self.window + landed.bytes.len()).min(WINDOW_BYTES_MAX);
                }
                Ok(())
            }
            Err(trouble) if trouble.lost() => {
                self.waiting.push_back((landed.offset, landed.bytes));
                self.resume(trouble).await
            }
            Err(trouble) => {
                let trouble = self.read_failure(trouble).await;
                Err(self.fault(trouble))
            }
        }
    }

    /// OpenSSH says of a full disk no more than that something failed.
    async fn read_failure(&mut self, trouble: Trouble) -> Trouble {
        let (Trouble::Refused(text), Some(writing)) = (&trouble, self.lanes.first()) else {
            return trouble;
        };
        match writing.lane.room(self.place.folder()).await {
            Ok(Some(room)) if room < 1024 * 1024 => Trouble::Full(text.clone()),
            Ok(_) | Err(_) => trouble,
        }
    }

    /// Goes on over a new connection: every write that was not acknowledged is sent again at its offset.
    async fn resume(&mut self, mut trouble: Trouble) -> Result<(), Fault> {
        // The connection is over for all of them.
        self.lanes.clear();
        while let Some(landed) = self.flying.next().await {
            self.flying_bytes -= landed.bytes.len();
            if landed.answer.is_err() {
                self.waiting.push_back((landed.offset, landed.bytes));
            }
        }
        while self.resumes < RESUMES_MAX {
            tokio::time::sleep(RESUME_PAUSE * 2_u32.pow(self.resumes)).await;
            self.resumes += 1;
            match self.reopen().await? {
                Ok(()) => return Ok(()),
                Err(again) => trouble = again,
            }
        }
        Err(self.fault(trouble))
    }

    async fn reopen(&mut self) -> Result<Result<(), Trouble>, Fault> {
        let part = self.part();
        let Some(leased) = self.leased.as_mut() else {
            return Ok(Err(Trouble::Lost("the upload is over".to_owned())));
        };
        match leased.renew().await {
            Ok(()) => {}
            Err(fault) if fault.code == ErrorCode::DestinationUnreachable => {
                return Ok(Err(Trouble::Lost(fault.to_string())));
            }
            Err(fault) => return Err(fault),
        }
        let lane = Arc::clone(&leased.session().lane);
        let sent_again = self.waiting.iter().map(|(offset, _)| *offset).min();
        let kept = sent_again.unwrap_or(self.written);
        match lane.lies(&part).await {
            Ok(Lies::File(bytes)) if bytes >= kept => {}
            Ok(Lies::Nothing) => return Err(self.removed()),
            Ok(Lies::File(_) | Lies::Other) => return Err(self.fault(Trouble::Damaged)),
            Err(trouble) if trouble.lost() => return Ok(Err(trouble)),
            Err(trouble) => return Err(self.fault(trouble)),
        }
        match lane.open_to_write(&part).await {
            Ok(file) => self.lanes.push(Writing::new(lane, file)),
            Err(trouble) if trouble.lost() => return Ok(Err(trouble)),
            Err(trouble) => return Err(self.fault(trouble)),
        }
        Ok(Ok(()))
    }

    /// More channels for a long line; one that cannot be had is not missed.
    async fn widen(&mut self) {
        let Some(leased) = &self.leased else {
            return;
        };
        if self.lanes.len() != 1
            || self.written < LANES_FROM_BYTES
            || leased.session().round_trip < LANES_FROM
        {
            return;
        }
        let (session, part) = (leased.session(), self.part());
        let more = (1..LANES_MAX).map(|_| async {
            let lane = Arc::new(session.another().await?);
            let file = lane.open_to_write(&part).await?;
            Ok::<_, Trouble>(Writing::new(lane, file))
        });
        let more: Vec<_> = join_all(more).await.into_iter().flatten().collect();
        self.lanes.extend(more);
    }

    async fn finish(&mut self, proof: EndOfStream) -> Result<(), Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        let key = &self.handle.key;
        if proof.bytes != self.written {
            let (written, stream) = (self.written, proof.bytes);
            return Err(Fault::new(
                ErrorCode::RowsMismatch,
                format!("seal file {key}: {written} bytes were written, the stream had {stream}"),
            ));
        }
        self.cut(0);
        self.pump(true).await?;
        loop {
            let sealed = self.close().await;
            match sealed {
                Ok(Lies::File(bytes)) if bytes == proof.bytes => match self.read_back().await {
                    Ok(()) => return Ok(()),
                    Err(trouble) if trouble.lost() => self.resume(trouble).await?,
                    Err(trouble) => return Err(trouble.into_fault("seal", &self.handle.key)),
                },
                Ok(Lies::Nothing) => return Err(self.removed()),
                Ok(Lies::File(_) | Lies::Other) => {
                    let text = "the server took every byte and does not show as many".to_owned();
                    return Err(Trouble::Odd(text).into_fault("seal", &self.handle.key));
                }
                // All bytes were acknowledged: sync and close can be done over another connection.
                Err(trouble) if trouble.lost() => self.resume(trouble).await?,
                Err(trouble) => return Err(trouble.into_fault("seal", &self.handle.key)),
            }
        }
    }

    async fn close(&mut self) -> Result<Lies, Trouble> {
        let Some(first) = self.lanes.first() else {
            return Err(Trouble::Lost("no channel is left".to_owned()));
        };
        first.lane.sync(&first.file).await?;
        for closed in join_all(self.lanes.iter().map(|it| it.lane.close(&it.file))).await {
            closed?;
        }
        first.lane.lies(&self.part()).await
    }

    /// Looks at the bytes of a file that took more than one connection.
    async fn read_back(&mut self) -> Result<(), Trouble> {
        let Some(first) = self.lanes.first().filter(|_| self.resumes > 0) else {
            return Ok(());
        };
        let (lane, part) = (Arc::clone(&first.lane), self.part());
        match has_sum(&lane, &part, self.written, self.sum.value()).await? {
            Some(true) => Ok(()),
            Some(false) => Err(Trouble::Damaged),
            None => {
                tracing::warn!(
                    key = %self.handle.key,
                    "an upload went on over a new connection, and the account may not read it back"
                );
                Ok(())
            }
        }
    }

    fn removed(&self) -> Fault {
        let key = &self.handle.key;
        Fault::new(
            ErrorCode::StagedLost,
            format!("seal file {key}: its staged file was discarded while it was written"),
        )
    }

    /// Cuts gathered bytes into writes while more than `rest` remain.
    fn cut(&mut self, rest: usize) {
        let size = self.write_bytes();
        let mut at = self.written - self.gathered.len() as u64;
        while self.gathered.len() > rest {
            let chunk = self
                .gathered
                .split_to(size.min(self.gathered.len()))
                .freeze();
            let next = at + chunk.len() as u64;
            self.waiting.push_back((at, chunk));
            at = next;
        }
    }

    async fn take(&mut self, chunk: &Bytes) -> Result<(), Fault> {
        if self.lanes.is_empty() {
            // The caller gave up waiting while a connection was being replaced.
            return Err(self.fault(Trouble::Lost("the upload was given up".to_owned())));
        }
        // Counted first: should the caller give up waiting, bytes may be missing, and then the sizes must differ.
        self.written += chunk.len() as u64;
        self.sum.add(chunk);
        self.gathered.extend_from_slice(chunk);
        let size = self.write_bytes();
        if self.gathered.len() < size {
            return Ok(());
        }
        self.cut(size - 1);
        self.widen().await;
        self.pump(false).await
    }
}

#[async_trait]
impl StagedUpload for SftpUpload {
    fn handle(&self) -> &StageHandle {
        &self.handle
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault> {
        if let Some(fault) = &self.failed {
            return Err(fault.clone());
        }
        self.take(&chunk)
            .await
            .inspect_err(|fault| self.failed = Some(fault.clone()))
    }

    async fn seal(mut self: Box<Self>, proof: EndOfStream) -> Result<StageToken, Fault> {
        self.finish(proof).await?;
        // The further channels end here; the connection and its first channel serve the next.
        self.lanes.clear();
        if let Some(leased) = self.leased.take() {
            leased.give_back();
        }
        Ok(StageToken {
            handle: self.handle.clone(),
            bytes: proof.bytes,
            detail: String::new(),
        })
    }
}

impl Drop for SftpUpload {
    fn drop(&mut self) {
        let Some(leased) = self.leased.take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let account = Arc::clone(leased.account());
        // Writes may still be on their way over it.
        drop(leased);
        let (handle, place) = (self.handle.clone(), self.place.clone());
        runtime.spawn(async move {
            // Best effort: the journal's handle finds what is left here.
            let handle = &handle;
            let work = |steps: crate::steps::Steps| async move { steps.discard(handle).await };
            if let Err(fault) = perform(&account, "discard", &place, work).await {
                tracing::debug!(%fault, "a dropped upload left its staged file");
            }
        });
    }
}
