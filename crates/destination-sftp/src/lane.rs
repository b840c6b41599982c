//! One SFTP channel, and what can be asked over it.
//!
//! It knows paths and no keys. What an answer means is for the steps to say.
//!
//! The one law: every request ends: by an answer, by the end of the channel, or by a timeout.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use russh::client::Handle;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::{Config as SftpConfig, RawSftpSession};
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

use crate::session::Gate;
use crate::trouble::Trouble;

/// How long a request may wait for its answer. Whole windows of writes wait in line behind one another.
const REQUEST_TIMEOUT_SECONDS: u64 = 60;

/// Writes of this size are taken by every server.
const WRITE_BYTES: usize = 32 * 1024;

/// Larger writes are only sent where the server says it takes them.
const WRITE_BYTES_MAX: u64 = 255 * 1024;

/// Most entries of a folder whose files are listed.
const LISTED_MAX: usize = 1_000_000;

/// One SFTP channel.
pub(crate) struct Lane {
    raw: RawSftpSession,
    lost: watch::Receiver<bool>,
    offers: BTreeSet<String>,
    write_bytes: usize,
}

/// What lies at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
    Nothing,
    /// A regular file of that many bytes.
    File(u64),
    /// A link, a folder, a device.
    Other,
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File,
    /// A link, a device, or something of which the server does not tell what it is.
    Untold,
}

impl Kind {
    fn of(attrs: &FileAttributes) -> Self {
        let kind = attrs.file_type();
        if kind.is_dir() {
            Self::Folder
        } else if kind.is_file() {
            Self::File
        } else {
            Self::Untold
        }
    }
}

impl Lane {
    /// Opens the subsystem on a new channel of the connection.
    pub(crate) async fn open_on(ssh: &Handle<Gate>) -> Result<Self, Trouble> {
        let broken = |error: russh::Error| Trouble::Lost(error.to_string());
        let channel = ssh.channel_open_session().await.map_err(broken)?;
        channel
            .request_subsystem(true, "sftp")
            .await
            .map_err(broken)?;
        let (told, lost) = watch::channel(false);
        let stream = Watched {
            inner: channel.into_stream(),
            lost: told,
        };
        let config = SftpConfig {
            request_timeout_secs: REQUEST_TIMEOUT_SECONDS,
            ..SftpConfig::default()
        };
        let mut lane = Self {
            raw: RawSftpSession::new_with_config(stream, config),
            lost,
            offers: BTreeSet::new(),
            write_bytes: WRITE_BYTES,
        };
        let version = lane.ask(lane.raw.init()).await?;
        lane.offers = version.extensions.into_keys().collect();
        if lane.offers.contains("limits@openssh.com") {
            let limits = lane.ask(lane.raw.limits()).await?;
            let most =
                usize::try_from(limits.max_write_len.min(WRITE_BYTES_MAX)).unwrap_or(WRITE_BYTES);
            lane.write_bytes = most.max(WRITE_BYTES);
        }
        Ok(lane)
    }

    pub(crate) fn alive(&self) -> bool {
        !*self.lost.borrow()
    }

    /// Waits for the answer, but not beyond the end of the channel.
    async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, SftpError>> + Send,
    ) -> Result<T, Trouble> {
        let mut lost = self.lost.clone();
        tokio::select! {
            biased;
            answer = call => answer.map_err(Trouble::from),
            _ = lost.wait_for(|lost| *lost) => Err(Trouble::Lost("the connection ended".to_owned())),
        }
    }

    pub(crate) const fn write_bytes(&self) -> usize {
        self.write_bytes
    }

    pub(crate) async fn lies(&self, path: &str) -> Result<Lies, Trouble> {
        match self.ask(self.raw.lstat(path)).await {
            Ok(answer) if answer.attrs.file_type().is_file() => {
                Ok(Lies::File(answer.attrs.size.unwrap_or(0)))
            }
            Ok(_) => Ok(Lies::Other),
            Err(Trouble::Missing) => Ok(Lies::Nothing),
            Err(trouble) => Err(trouble),
        }
    }

    pub(crate) async fn create_new(&self, path: &str) -> Result<String, Trouble> {
        self.open(
            path,
            OpenFlags::CREATE | OpenFlags::EXCLUDE | OpenFlags::WRITE,
        )
        .await
    }

    pub(crate) async fn open_to_write(&self, path: &str) -> Result<String, Trouble> {
        self.open(path, OpenFlags::WRITE).await
    }

    pub(crate) async fn open_to_read(&self, path: &str) -> Result<String, Trouble> {
        self.open(path, OpenFlags::READ).await
    }

    async fn open(&self, path: &str, flags: OpenFlags) -> Result<String, Trouble> {
        let opened = self
            .ask(self.raw.open(path, flags, FileAttributes::empty()))
            .await?;
        Ok(opened.handle)
    }

    pub(crate) async fn write(&self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), Trouble> {
        self.ask(self.raw.write(file, offset, bytes.to_vec()))
            .await
            .map(drop)
    }

    /// The bytes at the offset; none at the end of the file.
    pub(crate) async fn read(
        &self,
        file: &str,
        offset: u64,
        bytes: u32,
    ) -> Result<Vec<u8>, Trouble> {
        let call = async {
            match self.raw.read(file, offset, bytes).await {
                Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => {
                    Ok(Vec::new())
                }
                answer => answer.map(|read| read.data),
            }
        };
        self.ask(call).await
    }

    /// The names of the regular files in a folder.
    pub(crate) async fn files(&self, folder: &str) -> Result<Vec<String>, Trouble> {
        let entries = self.entries(folder, LISTED_MAX + 1).await?;
        if entries.len() > LISTED_MAX {
            let what = format!("folder {folder} holds more than {LISTED_MAX} entries");
            return Err(Trouble::Odd(what));
        }
        let files = entries.into_iter().filter(|(_, kind)| *kind == Kind::File);
        Ok(files.map(|(name, _)| name).collect())
    }

    /// What lies in a folder, in the server's own order, at most so many entries.
    pub(crate) async fn entries(
        &self,
        folder: &str,
        most: usize,
    ) -> Result<Vec<(String, Kind)>, Trouble> {
        let handle = self.ask(self.raw.opendir(folder)).await?.handle;
        let mut entries = Vec::new();
        while entries.len() < most {
            let call = async {
                match self.raw.readdir(&handle).await {
                    Err(SftpError::Status(status)) if status.status_code == StatusCode::Eof => {
                        Ok(None)
                    }
                    answer => answer.map(|page| Some(page.files)),
                }
            };
            let Some(page) = self.ask(call).await? else {
                break;
            };
            entries.extend(
                page.into_iter()
                    .map(|it| (it.filename, Kind::of(&it.attrs))),
            );
        }
        self.close(&handle).await?;
        entries.truncate(most);
        Ok(entries)
    }

    /// What the path leads to, behind links. Nothing of interest where that is nothing.
    pub(crate) async fn kind(&self, path: &str) -> Result<Kind, Trouble> {
        match self.ask(self.raw.stat(path)).await {
            Ok(answer) => Ok(Kind::of(&answer.attrs)),
            Err(trouble) if trouble.lost() => Err(trouble),
            Err(_) => Ok(Kind::Untold),
        }
    }

    /// Makes the file's bytes durable, where the server can.
    pub(crate) async fn sync(&self, file: &str) -> Result<(), Trouble> {
        if !self.offers.contains("fsync@openssh.com") {
            return Ok(());
        }
        self.ask(self.raw.fsync(file)).await.map(drop)
    }

    pub(crate) async fn close(&self, file: &str) -> Result<(), Trouble> {
        self.ask(self.raw.close(file)).await.map(drop)
    }

    /// Renames; by the protocol this fails when the new name is taken.
    pub(crate) async fn rename(&self, from: &str, to: &str) -> Result<(), Trouble> {
        self.ask(self.raw.rename(from, to)).await.map(drop)
    }

    /// Renames by OpenSSH's extension, which replaces what lies at the new name.
    pub(crate) async fn rename_over(&self, from: &str, to: &str) -> Result<(), Trouble> {
        const NAME: &str = "posix-rename@openssh.com";
        if !self.offers.contains(NAME) {
            return Err(Trouble::Unsupported);
        }
        let mut data = Vec::new();
        for path in [from, to] {
            let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
            data.extend_from_slice(&length.to_be_bytes());
            data.extend_from_slice(path.as_bytes());
        }
        let call = async {
            let Packet::Status(status) = self.raw.extended(NAME, data).await? else {
                return Err(SftpError::UnexpectedPacket);
            };
            if status.status_code == StatusCode::Ok {
                return Ok(());
            }
            Err(SftpError::Status(status))
        };
        self.ask(call).await
    }

    pub(crate) async fn remove(&self, path: &str) -> Result<(), Trouble> {
        self.ask(self.raw.remove(path)).await.map(drop)
    }

    pub(crate) async fn remove_folder(&self, path: &str) -> Result<(), Trouble> {
        self.ask(self.raw.rmdir(path)).await.map(drop)
    }

    pub(crate) async fn make_folder(&self, path: &str) -> Result<(), Trouble> {
        self.ask(self.raw.mkdir(path, FileAttributes::empty()))
            .await
            .map(drop)
    }

    /// Empties the file at the path.
    pub(crate) async fn empty(&self, path: &str) -> Result<(), Trouble> {
        let mut none = FileAttributes::empty();
        none.size = Some(0);
        self.ask(self.raw.setstat(path, none)).await.map(drop)
    }

    /// Bytes that the account can still write in the folder, where the server tells.
    pub(crate) async fn room(&self, folder: &str) -> Result<Option<u64>, Trouble> {
        if !self.offers.contains("statvfs@openssh.com") {
            return Ok(None);
        }
        match self.ask(self.raw.statvfs(folder)).await {
            Ok(told) => Ok(Some(told.blocks_avail.saturating_mul(told.fragment_size))),
            Err(trouble) if trouble.lost() => Err(trouble),
            Err(_) => Ok(None),
        }
    }
}

/// A stream that tells when it has ended: requests under way would wait for their timeout otherwise.
struct Watched<S> {
    inner: S,
    lost: watch::Sender<bool>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let ended = match &polled {
            Poll::Pending => false,
            Poll::Ready(Ok(())) => buf.filled().len() == before && buf.remaining() > 0,
            Poll::Ready(Err(_)) => true,
        };
        if ended {
            self.lost.send_replace(true);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S> Drop for Watched<S> {
    fn drop(&mut self) {
        self.lost.send_replace(true);
    }
}
