//! Frames: a length of four bytes, little-endian, and that many bytes of JSON.
//!
//! The one law: no frame larger than the bound is read or written.

use std::io::{self, ErrorKind};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes of a frame at most.
const FRAME_BYTES_MAX: u32 = 64 << 20;

/// Writes one message.
pub(crate) async fn write<T: Serialize>(
    to: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok();
    let Some(length) = length.filter(|length| *length <= FRAME_BYTES_MAX) else {
        let message = format!("a message of {} bytes is larger than a frame", body.len());
        return Err(io::Error::new(ErrorKind::InvalidInput, message));
    };
    to.write_all(&length.to_le_bytes()).await?;
    to.write_all(&body).await?;
    to.flush().await
}

/// Reads one message; none when the stream ended between two.
pub(crate) async fn read<T: DeserializeOwned>(
    from: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length);
    if length > FRAME_BYTES_MAX {
        let message = format!("a frame of {length} bytes is larger than the limit");
        return Err(io::Error::new(ErrorKind::InvalidData, message));
    }
    let mut body = Vec::new();
    let read = from.take(u64::from(length)).read_to_end(&mut body).await?;
    if read as u64 != u64::from(length) {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(serde_json::from_slice(&body)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_out_as_they_went_in() {
        let mut wire = Vec::new();
        write(&mut wire, &"one").await.unwrap();
        write(&mut wire, &"two").await.unwrap();
        let mut wire = wire.as_slice();
        assert_eq!(read::<String>(&mut wire).await.unwrap().unwrap(), "one");
        assert_eq!(read::<String>(&mut wire).await.unwrap().unwrap(), "two");
        assert!(read::<String>(&mut wire).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_frame_cut_short_is_an_error() {
        let mut wire = Vec::new();
        write(&mut wire, &"one").await.unwrap();
        wire.pop();
        let error = read::<String>(&mut wire.as_slice()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_length_beyond_the_bound_is_refused_unread() {
        let wire = u32::MAX.to_le_bytes();
        let error = read::<String>(&mut wire.as_slice()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
