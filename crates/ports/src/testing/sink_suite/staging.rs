//! What is staged: invisible, complete, and exactly the bytes written.

use bytes::Bytes;

use super::{FILE_BYTES, Suite, chunked, expect, noise, promised, tag};
use crate::sink::{EndOfStream, Published};

pub(super) async fn check(suite: &Suite<'_>) -> Result<(), String> {
    staged_is_invisible(suite).await?;
    every_size_arrives(suite).await?;
    a_dropped_upload_never_shows(suite).await?;
    a_wrong_proof_never_seals(suite).await
}

async fn staged_is_invisible(suite: &Suite<'_>) -> Result<(), String> {
    let key = "suite/staged/invisible/file.json";
    let bytes = noise(FILE_BYTES, 1);
    let sink = suite.open().await?;
    let mut upload = promised("an upload begins", sink.begin(key, &tag(1)).await)?;
    suite.unread("a begun upload is invisible", key).await?;
    promised("a chunk is written", upload.write(bytes.clone()).await)?;
    suite.unread("a running upload is invisible", key).await?;
    let proof = EndOfStream {
        bytes: bytes.len() as u64,
    };
    let token = promised("a complete upload seals", upload.seal(proof).await)?;
    suite
        .invisible("a sealed file is invisible", &token)
        .await?;
    suite.publishes("a sealed file", &token).await?;
    suite
        .visible("a published file is visible", &token, &bytes)
        .await
}

async fn every_size_arrives(suite: &Suite<'_>) -> Result<(), String> {
    let large = noise(9 * 1024 * 1024 + 13, 2);
    let cases: [(&str, Bytes, usize); 6] = [
        ("no bytes", Bytes::new(), 1),
        ("one byte", noise(1, 3), 1),
        ("small writes", noise(5_000, 4), 7),
        ("writes of one byte", noise(700, 5), 1),
        ("uneven writes", large.clone(), 300_007),
        ("one large write", large.clone(), large.len()),
    ];
    for (number, (what, bytes, chunk)) in cases.into_iter().enumerate() {
        let key = format!("suite/staged/size-{number}/file.json");
        let mut chunks = chunked(&bytes, chunk);
        chunks.push(Bytes::new());
        let token = suite.stage(&key, &tag(2), &chunks).await?;
        suite.invisible(what, &token).await?;
        suite.publishes(what, &token).await?;
        suite.visible(what, &token, &bytes).await?;
    }
    Ok(())
}

async fn a_dropped_upload_never_shows(suite: &Suite<'_>) -> Result<(), String> {
    let key = "suite/staged/dropped/file.json";
    let sink = suite.open().await?;
    let mut upload = promised("an upload begins", sink.begin(key, &tag(3)).await)?;
    let handle = upload.handle().clone();
    promised(
        "a chunk is written",
        upload.write(noise(FILE_BYTES, 6)).await,
    )?;
    drop(upload);
    suite.unread("a dropped upload never shows", key).await?;
    let forged = offtake_model::StageToken {
        handle,
        bytes: FILE_BYTES as u64 + 1,
        detail: String::new(),
    };
    let answer = sink.publish(&forged).await;
    expect(
        "a dropped upload cannot be published",
        !matches!(answer, Ok(Published::Done { .. })),
    )?;
    suite.unread("a dropped upload never shows", key).await
}

async fn a_wrong_proof_never_seals(suite: &Suite<'_>) -> Result<(), String> {
    let bytes = noise(FILE_BYTES, 7);
    let right = bytes.len() as u64;
    for (number, wrong) in [0, right - 1, right + 1].into_iter().enumerate() {
        let key = format!("suite/staged/proof-{number}/file.json");
        let sink = suite.open().await?;
        let mut upload = promised("an upload begins", sink.begin(&key, &tag(4)).await)?;
        let handle = upload.handle().clone();
        promised("a chunk is written", upload.write(bytes.clone()).await)?;
        let sealed = upload.seal(EndOfStream { bytes: wrong }).await;
        expect(
            &format!("{right} bytes written with a proof of {wrong} never seal"),
            sealed.is_err(),
        )?;
        suite.unread("an unproven upload never shows", &key).await?;
        let _gone = suite.discard(&handle).await?;
        suite.unread("an unproven upload never shows", &key).await?;
    }
    Ok(())
}
