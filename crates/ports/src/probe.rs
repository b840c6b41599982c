//! Proves a sink's promises by using it in a scratch folder, as a connection test does.
//!
//! It asks only through the port, and removes what it made.
//!
//! The one law: a probe that passes has staged, published, published again, discarded and retracted.

use bytes::Bytes;
use offtake_model::{AttemptId, AttemptTag, DeliveryId, ErrorCode, Fault, StageToken};
use uuid::Uuid;

use crate::sink::{Discarded, EndOfStream, Published, StagedSink};

/// What the scratch files hold.
const CONTENT: &[u8] = b"offtake probe\n";

/// The name of a scratch folder that nobody else uses.
pub fn scratch() -> String {
    format!(".offtake-probe-{}", Uuid::new_v4().simple())
}

/// Proves the promises in a scratch folder.
pub async fn prove(sink: &dyn StagedSink) -> Result<(), Fault> {
    prove_in(sink, &scratch()).await
}

/// Proves the promises in this folder, for a sink that must remove the folder itself.
pub async fn prove_in(sink: &dyn StagedSink, folder: &str) -> Result<(), Fault> {
    let key = format!("{folder}/probe");
    let tag = || AttemptTag {
        delivery: DeliveryId(Uuid::nil()),
        task: 0,
        attempt: AttemptId(Uuid::new_v4()),
    };
    let token = stage(sink, &key, &tag()).await?;
    let proven = published(sink, &token).await;
    let removed = remove(sink, &token).await;
    proven.and(removed)?;
    let token = stage(sink, &key, &tag()).await?;
    let discarded = sink.discard(&token.handle).await?;
    holds("a discard removes", discarded == Discarded::Gone)?;
    let late = sink.publish(&token).await?;
    holds("a discarded file stays away", late == Published::Lost)
}

async fn stage(sink: &dyn StagedSink, key: &str, tag: &AttemptTag) -> Result<StageToken, Fault> {
    let mut upload = sink.begin(key, tag).await?;
    upload.write(Bytes::from_static(CONTENT)).await?;
    let proof = EndOfStream {
        bytes: CONTENT.len() as u64,
    };
    upload.seal(proof).await
}

async fn published(sink: &dyn StagedSink, token: &StageToken) -> Result<(), Fault> {
    let before = sink.look(token).await?;
    holds("a staged file is invisible", before.is_none())?;
    for _ in 0..2 {
        let answer = sink.publish(token).await?;
        holds(
            "a publish is done, also when repeated",
            matches!(answer, Published::Done { .. }),
        )?;
        let seen = sink.look(token).await?;
        holds(
            "a published file is known again",
            seen.is_some_and(|seen| seen.ours),
        )?;
    }
    let answer = sink.discard(&token.handle).await?;
    holds("a publish is told", answer == Discarded::WasPublished)
}

async fn remove(sink: &dyn StagedSink, token: &StageToken) -> Result<(), Fault> {
    let _either = sink.discard(&token.handle).await?;
    sink.retract(&token.handle).await?;
    let after = sink.look(token).await?;
    holds("a retracted file is gone", after.is_none())
}

fn holds(promise: &str, kept: bool) -> Result<(), Fault> {
    if kept {
        return Ok(());
    }
    Err(Fault::new(
        ErrorCode::DestinationProtocol,
        format!("probe the destination: it does not hold that {promise}"),
    ))
}
