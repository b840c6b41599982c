//! Proves the promises of a sink by keeping them once in a scratch folder: what a connection test does.
//!
//! The one law: a probe that passes has staged, published, published again, discarded and retracted.

use bytes::Bytes;
use offtake_model::{AttemptId, AttemptTag, DeliveryId, ErrorCode, Fault, StageToken};
use offtake_ports::{Discarded, EndOfStream, Published, StagedSink};
use uuid::Uuid;

use crate::place::Place;
use crate::sink::SftpSink;

/// What the scratch files hold.
const CONTENT: &[u8] = b"offtake probe\n";

/// Proves the promises, then removes the scratch folder.
pub(crate) async fn prove(sink: &SftpSink) -> Result<(), Fault> {
    let key = format!(".offtake-probe-{}/probe", Uuid::new_v4().simple());
    let first = stage(sink, &key).await?;
    let second = stage(sink, &key).await?;
    let proven = kept(sink, &first, &second).await;
    let _either = sink.discard(&first.handle).await?;
    let _either = sink.discard(&second.handle).await?;
    sink.retract(&first.handle).await?;
    let swept = sink
        .sweep(&Place::parse(&key)?, &[first.handle, second.handle])
        .await;
    proven.and(swept)
}

async fn stage(sink: &SftpSink, key: &str) -> Result<StageToken, Fault> {
    let tag = AttemptTag {
        delivery: DeliveryId(Uuid::nil()),
        task: 0,
        attempt: AttemptId(Uuid::new_v4()),
    };
    let mut upload = sink.begin(key, &tag).await?;
    upload.write(Bytes::from_static(CONTENT)).await?;
    let bytes = CONTENT.len() as u64;
    upload.seal(EndOfStream { bytes }).await
}

async fn kept(sink: &SftpSink, first: &StageToken, second: &StageToken) -> Result<(), Fault> {
    let before = sink.look(first).await?;
    holds("a staged file is invisible", before.is_none())?;
    for _ in 0..2 {
        let done = matches!(sink.publish(first).await?, Published::Done { .. });
        holds("a publish is done, also when repeated", done)?;
        let seen = sink.look(first).await?;
        holds(
            "a published file is known again",
            seen.is_some_and(|seen| seen.ours),
        )?;
    }
    let told = sink.discard(&first.handle).await? == Discarded::WasPublished;
    holds("a publish is told", told)?;
    let gone = sink.discard(&second.handle).await? == Discarded::Gone;
    holds("a discard removes", gone)?;
    let away = sink.publish(second).await? == Published::Lost;
    holds("a discarded file stays away", away)
}

fn holds(promise: &str, kept: bool) -> Result<(), Fault> {
    if kept {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::DestinationProtocol,
        format!("probe the SFTP server: it does not hold that {promise}"),
    ))
}
