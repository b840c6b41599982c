//! Publish, discard, retract and put: what they answer, repeated, reversed, raced and after a restart.

use std::slice::from_ref;

use bytes::Bytes;
use futures_util::future::join_all;
use offtake_model::{ErrorCode, StageHandle, StageToken};

use super::{FILE_BYTES, Suite, expect, noise, promised, refused, tag};
use crate::sink::{Discarded, EndOfStream, Published};

pub(super) async fn check(suite: &Suite<'_>) -> Result<(), String> {
    publish_is_idempotent(suite).await?;
    discarded_is_never_published(suite).await?;
    discarded_while_written_is_never_published(suite).await?;
    published_is_told_by_discard(suite).await?;
    a_second_attempt_never_replaces(suite).await?;
    racing_attempts_leave_one(suite).await?;
    racing_publishes_agree(suite).await?;
    publish_and_discard_race_to_one_outcome(suite).await?;
    retract_removes_only_its_own(suite).await?;
    put_repeats_but_never_replaces(suite).await
}

/// How many contenders the races have, and how often each race is run.
const CONTENDERS: u8 = 4;
const RACES: u8 = 8;

async fn publish_is_idempotent(suite: &Suite<'_>) -> Result<(), String> {
    let bytes = noise(FILE_BYTES, 11);
    let parts = super::chunked(&bytes, 40_000);
    let token = suite
        .stage("suite/outcomes/idempotent/file.json", &tag(1), &parts)
        .await?;
    let sink = suite.open().await?;
    for turn in ["first", "second", "third"] {
        let answer = promised("a publish answers", sink.publish(&token).await)?;
        expect(
            &format!("publish is idempotent: the {turn} is done, not {answer:?}"),
            matches!(answer, Published::Done { .. }),
        )?;
        suite
            .visible("a published file stays", &token, &bytes)
            .await?;
    }
    suite
        .publishes(
            "a publish whose reply was lost, repeated after a restart",
            &token,
        )
        .await?;
    suite
        .visible("a published file stays", &token, &bytes)
        .await
}

async fn discarded_is_never_published(suite: &Suite<'_>) -> Result<(), String> {
    let key = "suite/outcomes/discarded/file.json";
    let token = suite.stage(key, &tag(1), &[noise(FILE_BYTES, 12)]).await?;
    for turn in ["first", "second"] {
        let answer = suite.discard(&token.handle).await?;
        expect(
            &format!("the {turn} discard of a staged file says gone"),
            answer == Discarded::Gone,
        )?;
        let answer = suite.publish(&token).await?;
        expect(
            &format!("a discarded file is never published, yet publish says {answer:?}"),
            answer == Published::Lost,
        )?;
        suite.invisible("a discarded file", &token).await?;
    }
    let bytes = noise(FILE_BYTES, 13);
    let next = suite.stage(key, &tag(2), from_ref(&bytes)).await?;
    suite
        .publishes("the attempt after a discarded one", &next)
        .await?;
    let answer = suite.publish(&token).await?;
    expect(
        "a discarded file is never published over its successor",
        !matches!(answer, Published::Done { .. }),
    )?;
    let answer = suite.discard(&token.handle).await?;
    expect(
        "a successor's file is not one's own",
        answer == Discarded::Gone,
    )?;
    suite
        .visible("the successor's file stays", &next, &bytes)
        .await
}

async fn discarded_while_written_is_never_published(suite: &Suite<'_>) -> Result<(), String> {
    let key = "suite/outcomes/discarded-early/file.json";
    let sink = suite.open().await?;
    let mut upload = promised("an upload begins", sink.begin(key, &tag(1)).await)?;
    let handle = upload.handle().clone();
    promised(
        "a chunk is written",
        upload.write(noise(FILE_BYTES, 14)).await,
    )?;
    let answer = suite.discard(&handle).await?;
    expect("a running upload is discarded", answer == Discarded::Gone)?;
    // The zombie may notice or not; either way its work is for nothing.
    if upload.write(noise(FILE_BYTES, 15)).await.is_ok() {
        let proof = EndOfStream {
            bytes: 2 * FILE_BYTES as u64,
        };
        if let Ok(token) = upload.seal(proof).await {
            let answer = suite.publish(&token).await?;
            expect(
                "what a discarded upload seals is never published",
                answer == Published::Lost,
            )?;
        }
    }
    suite.unread("an upload discarded while it ran", key).await
}

async fn published_is_told_by_discard(suite: &Suite<'_>) -> Result<(), String> {
    let bytes = noise(FILE_BYTES, 16);
    let token = suite
        .stage("suite/outcomes/told/file.json", &tag(1), from_ref(&bytes))
        .await?;
    suite.publishes("a sealed file", &token).await?;
    for turn in ["first", "second"] {
        let answer = suite.discard(&token.handle).await?;
        expect(
            &format!("the {turn} discard of a published file says so"),
            answer == Discarded::WasPublished,
        )?;
        suite
            .visible("a discard leaves the published file", &token, &bytes)
            .await?;
    }
    suite
        .publishes("a file discarded after its publish", &token)
        .await
}

async fn a_second_attempt_never_replaces(suite: &Suite<'_>) -> Result<(), String> {
    let key = "suite/outcomes/second/file.json";
    let bytes = noise(FILE_BYTES, 17);
    let first = suite.stage(key, &tag(1), from_ref(&bytes)).await?;
    // The same size, so that only the tag tells the two apart.
    let second = suite.stage(key, &tag(2), &[noise(FILE_BYTES, 18)]).await?;
    suite.publishes("the first attempt", &first).await?;
    for _ in 0..2 {
        let answer = suite.publish(&second).await?;
        expect(
            &format!("the second attempt meets a conflict, not {answer:?}"),
            answer == Published::Conflict,
        )?;
    }
    let sink = suite.open().await?;
    let seen = promised("a look answers", sink.look(&second).await)?;
    expect(
        "look sees another attempt's file as not one's own",
        seen.is_some_and(|seen| !seen.ours && seen.bytes == FILE_BYTES as u64),
    )?;
    let answer = suite.discard(&second.handle).await?;
    expect("the second attempt is discarded", answer == Discarded::Gone)?;
    suite
        .visible("the first attempt's file stays", &first, &bytes)
        .await
}

async fn racing_attempts_leave_one(suite: &Suite<'_>) -> Result<(), String> {
    for race in 0..RACES {
        let key = format!("suite/outcomes/race-{race}/file.json");
        let mut entrants: Vec<(StageToken, Bytes)> = Vec::new();
        for number in 0..CONTENDERS {
            let bytes = noise(5_000, u64::from(number) + 20);
            let token = suite
                .stage(&key, &tag(u128::from(number) + 1), from_ref(&bytes))
                .await?;
            entrants.push((token, bytes));
        }
        let answers = join_all(entrants.iter().map(|(token, _)| suite.publish(token))).await;
        let mut winner = None;
        for (answer, entrant) in answers.into_iter().zip(&entrants) {
            match answer? {
                Published::Done { .. } if winner.is_none() => winner = Some(entrant),
                Published::Conflict => {}
                other @ (Published::Done { .. } | Published::Lost | Published::Ambiguous) => {
                    return Err(format!(
                        "of racing attempts one is done and the others conflict, yet one says {other:?}"
                    ));
                }
            }
        }
        let (token, bytes) = winner.ok_or("of racing attempts one is published")?;
        suite.visible("a race's winner", token, bytes).await?;
    }
    Ok(())
}

async fn racing_publishes_agree(suite: &Suite<'_>) -> Result<(), String> {
    for race in 0..RACES {
        let key = format!("suite/outcomes/agree-{race}/file.json");
        let bytes = noise(5_000, 30);
        let token = suite.stage(&key, &tag(1), from_ref(&bytes)).await?;
        let turns = (0..CONTENDERS).map(|_| suite.publishes("one of parallel publishes", &token));
        for answer in join_all(turns).await {
            answer?;
        }
        suite
            .visible("a file published in parallel", &token, &bytes)
            .await?;
    }
    Ok(())
}

async fn publish_and_discard_race_to_one_outcome(suite: &Suite<'_>) -> Result<(), String> {
    for race in 0..RACES {
        let key = format!("suite/outcomes/versus-{race}/file.json");
        let bytes = noise(5_000, 31);
        let token = suite.stage(&key, &tag(1), from_ref(&bytes)).await?;
        let (published, discarded) =
            futures_util::join!(async { suite.publish(&token).await }, async {
                suite.discard(&token.handle).await
            });
        match (published?, discarded?) {
            (Published::Done { .. }, Discarded::WasPublished) => {
                suite
                    .visible("a publish that beat a discard", &token, &bytes)
                    .await?;
            }
            (Published::Lost, Discarded::Gone) => {
                suite
                    .invisible("a publish beaten by a discard", &token)
                    .await?;
            }
            (published, discarded) => {
                return Err(format!(
                    "a publish and a discard that race agree, yet they say {published:?} and {discarded:?}"
                ));
            }
        }
    }
    Ok(())
}

async fn retract_removes_only_its_own(suite: &Suite<'_>) -> Result<(), String> {
    let key = "suite/outcomes/retract/file.json";
    let bytes = noise(FILE_BYTES, 32);
    let token = suite.stage(key, &tag(1), from_ref(&bytes)).await?;
    let other = suite.stage(key, &tag(2), &[noise(FILE_BYTES, 33)]).await?;
    let retract = async |handle: &StageHandle| {
        let sink = suite.open().await?;
        promised("a retract answers", sink.retract(handle).await)
    };
    retract(&token.handle).await?;
    suite
        .publishes(
            "a file staged, not published, when it was retracted",
            &token,
        )
        .await?;
    retract(&other.handle).await?;
    suite
        .visible("another attempt's retract", &token, &bytes)
        .await?;
    let answer = suite.discard(&other.handle).await?;
    expect("the other attempt is discarded", answer == Discarded::Gone)?;
    for _ in 0..2 {
        retract(&token.handle).await?;
        suite.invisible("a retracted file", &token).await?;
    }
    let answer = suite.publish(&token).await?;
    expect("a retracted file is lost", answer == Published::Lost)
}

async fn put_repeats_but_never_replaces(suite: &Suite<'_>) -> Result<(), String> {
    let key = "suite/outcomes/put/_offtake/delivery.manifest";
    let bytes = noise(3_000, 34);
    let sink = suite.open().await?;
    let same = (0..CONTENDERS).map(|_| sink.put(key, bytes.clone()));
    for answer in join_all(same).await {
        promised("putting the same bytes in parallel is harmless", answer)?;
    }
    suite.reads("a put file", key, &bytes).await?;
    let again = suite.open().await?;
    promised(
        "putting the same bytes again is harmless",
        again.put(key, bytes.clone()).await,
    )?;
    for other in [noise(3_000, 35), bytes.slice(..2_999), Bytes::new()] {
        refused(
            "putting other bytes at a taken name is a conflict",
            again.put(key, other).await,
            ErrorCode::DestinationConflict,
        )?;
    }
    suite.reads("a put file stays", key, &bytes).await?;
    let token = suite.stage(key, &tag(1), &[noise(3_000, 36)]).await?;
    let answer = suite.publish(&token).await?;
    expect(
        "a publish never replaces a put file",
        answer == Published::Conflict,
    )?;
    let answer = suite.discard(&token.handle).await?;
    expect("a conflicting file is discarded", answer == Discarded::Gone)?;
    suite.reads("a put file stays", key, &bytes).await
}
