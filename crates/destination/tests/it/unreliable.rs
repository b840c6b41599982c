//! Stores that lose answers, break, stall and refuse: what becomes of a file, and what a user is told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use offtake_destination::S3Sinks;
use offtake_model::plan::DestinationKind;
use offtake_model::{ErrorCode, Fault, StageToken};
use offtake_ports::{Discarded, EndOfStream, Published, Sinks, StagedSink};
use offtake_storage::{Network, NetworkSettings, Retries};
use serde_json::json;

use crate::bench::tag;
use crate::script::{Asked, Reply, SECRET, Script, Store, refusal};
use crate::stores::{Told, access, bucket_sink, s3_access};

const BYTES: &[u8] = b"{\"row\":1}\n";

async fn open(script: &Script, kind: DestinationKind) -> Arc<dyn StagedSink> {
    let access = if kind == DestinationKind::Gcs {
        access(
            kind,
            &json!({"accessKeyId": "GOOG1E", "endpoint": script.endpoint}),
            ("secretAccessKey", SECRET),
        )
    } else {
        s3_access(&script.endpoint, "AKIATESTBEDKEY234567", SECRET)
    };
    let network = Network::new(NetworkSettings {
        allow: vec!["127.0.0.0/8".to_owned()],
        request_timeout: Duration::from_millis(300),
        ..NetworkSettings::default()
    });
    let retries = Retries {
        calls_max: 3,
        pause_first: Duration::from_millis(1),
        pause_max: Duration::from_millis(5),
        ..Retries::default()
    };
    let sinks = S3Sinks::new(&network.unwrap(), Arc::new(Told(access)), retries);
    sinks.open(&bucket_sink(kind, "b")).await.unwrap()
}

async fn stage(sink: &dyn StagedSink) -> Result<StageToken, Fault> {
    let mut upload = sink.begin("f", &tag(1)).await?;
    upload.write(Bytes::from_static(BYTES)).await?;
    let bytes = BYTES.len() as u64;
    upload.seal(EndOfStream { bytes }).await
}

/// Stages and publishes at a store that is told what to answer.
async fn published(
    tells: impl Fn(&mut Store, &Asked) -> Option<Reply> + Send + Sync + 'static,
) -> (Result<Published, Fault>, Script) {
    let script = Script::serve(tells).await;
    let sink = open(&script, DestinationKind::S3).await;
    let outcome = match stage(&*sink).await {
        Ok(token) => sink.publish(&token).await,
        Err(fault) => Err(fault),
    };
    (outcome, script)
}

fn done(outcome: &Result<Published, Fault>) -> bool {
    matches!(outcome, Ok(Published::Done { .. }))
}

#[tokio::test]
async fn a_completion_whose_answer_is_lost_is_done() {
    let (outcome, script) = published(|store, asked| {
        (asked.call == "complete" && asked.before == 0).then(|| {
            let _carried_out = store.answer(asked);
            Reply::Cut("")
        })
    })
    .await;
    assert!(done(&outcome), "{outcome:?}");
    assert_eq!(script.calls("complete").len(), 2);
}

#[tokio::test]
async fn a_completion_whose_answer_is_cut_off_is_done() {
    for cut in [
        "HTTP/1.1 200 x\r\ncontent-length: 500\r\n\r\n<CompleteMultipartUploadResult><Key>",
        "HTTP/1.1 200 x\r\ncontent-length: 31\r\n\r\n<CompleteMultipartUploadResult>",
        "HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200",
    ] {
        let (outcome, _) = published(move |store, asked| {
            (asked.call == "complete" && asked.before == 0).then(|| {
                let _carried_out = store.answer(asked);
                Reply::Cut(cut)
            })
        })
        .await;
        assert!(done(&outcome), "{cut}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_success_that_carries_an_error_is_a_failure() {
    let (outcome, _) =
        published(|_, asked| (asked.call == "complete").then(|| refusal(200, "InternalError", "")))
            .await;
    assert_eq!(outcome.unwrap_err().code, ErrorCode::DestinationProtocol);
    let (outcome, _) = published(|_, asked| {
        (asked.call == "complete" && asked.before == 0).then(|| refusal(200, "InternalError", ""))
    })
    .await;
    assert!(done(&outcome), "{outcome:?}");
}

#[tokio::test]
async fn a_busy_store_is_asked_again_within_bounds() {
    let (outcome, script) = published(|_, asked| {
        (asked.before < 2)
            .then(|| refusal(503, "SlowDown", ""))
            .filter(|_| asked.call != "head")
    })
    .await;
    assert!(done(&outcome), "{outcome:?}");
    assert_eq!(script.calls("create").len(), 3);
    let (outcome, script) = published(|_, _| Some(refusal(503, "SlowDown", ""))).await;
    assert_eq!(outcome.unwrap_err().code, ErrorCode::DestinationBusy);
    assert_eq!(script.every_call().len(), 3);
}

#[tokio::test]
async fn a_silent_store_is_left_in_time() {
    let (outcome, _) = published(|_, _| Some(Reply::Silence)).await;
    assert_eq!(outcome.unwrap_err().code, ErrorCode::DestinationUnreachable);
}

#[tokio::test]
async fn an_upload_that_vanished_is_lost_and_another_writers_object_is_a_conflict() {
    let vanished = |_: &mut Store, asked: &Asked| {
        matches!(asked.call, "complete" | "parts").then(|| refusal(404, "NoSuchUpload", ""))
    };
    let (outcome, _) = published(vanished).await;
    assert_eq!(outcome, Ok(Published::Lost));
    let (outcome, script) = published(|store, asked| {
        let foreign = vec![("content-length", BYTES.len().to_string())];
        (asked.call == "head" && store.visible.is_none())
            .then(|| Reply::Answer(200, foreign, String::new()))
    })
    .await;
    assert_eq!(outcome, Ok(Published::Conflict));
    assert!(script.calls("complete").is_empty());
}

#[tokio::test]
async fn a_refused_upload_is_lost_when_the_store_wants_a_new_one() {
    let (outcome, _) = published(|_, asked| {
        (asked.call == "complete").then(|| refusal(409, "ConditionalRequestConflict", ""))
    })
    .await;
    assert_eq!(outcome, Ok(Published::Lost));
}

#[tokio::test]
async fn an_upload_that_lives_is_never_called_lost() {
    let (outcome, _) =
        published(|_, asked| (asked.call == "complete").then(|| refusal(404, "NoSuchUpload", "")))
            .await;
    assert_eq!(outcome.unwrap_err().code, ErrorCode::StagedLost);
}

#[tokio::test]
async fn each_refusal_has_its_code_and_shows_no_secret() {
    let table = [
        (400, "ExpiredToken", "", ErrorCode::DestinationKeysExpired),
        (
            403,
            "SignatureDoesNotMatch",
            "",
            ErrorCode::DestinationKeysInvalid,
        ),
        (
            403,
            "RequestTimeTooSkewed",
            "",
            ErrorCode::DestinationClockSkewed,
        ),
        (403, "AccessDenied", "", ErrorCode::DestinationDenied),
        (403, "QuotaExceeded", "", ErrorCode::DestinationFull),
        (404, "NoSuchBucket", "", ErrorCode::DestinationBucketMissing),
        (400, "BadDigest", "", ErrorCode::DestinationDamaged),
        (
            400,
            "AuthorizationHeaderMalformed",
            "<Region>eu-west-1</Region>",
            ErrorCode::DestinationRegionWrong,
        ),
    ];
    for refused in ["create", "part", "complete"] {
        for (status, code, more, expected) in table {
            let (outcome, _) = published(move |_, asked| {
                (asked.call == refused).then(|| refusal(status, code, more))
            })
            .await;
            let fault = outcome.unwrap_err();
            assert_eq!(fault.code, expected, "{refused} {code}");
            assert!(!format!("{fault:?}").contains(SECRET), "{fault:?}");
            assert!(fault.message.contains(code), "{fault}");
            if !more.is_empty() {
                assert!(fault.message.contains("eu-west-1"), "{fault}");
            }
        }
    }
}

#[tokio::test]
async fn a_source_that_ends_early_is_never_published() {
    let script = Script::serve(|_, _| None).await;
    let sink = open(&script, DestinationKind::S3).await;
    let mut upload = sink.begin("f", &tag(1)).await.unwrap();
    upload.write(Bytes::from_static(BYTES)).await.unwrap();
    let sealed = upload.seal(EndOfStream { bytes: 100 }).await;
    assert_eq!(sealed.unwrap_err().code, ErrorCode::RowsMismatch);
    assert!(script.calls("complete").is_empty());
}

#[tokio::test]
async fn after_a_failed_part_nothing_is_sent_and_nothing_seals() {
    let script =
        Script::serve(|_, asked| (asked.call == "part").then(|| refusal(403, "AccessDenied", "")))
            .await;
    let sink = open(&script, DestinationKind::S3).await;
    let mut upload = sink.begin("f", &tag(1)).await.unwrap();
    let part = Bytes::from(vec![7; 8 << 20]);
    let mut written = 0;
    while upload.write(part.clone()).await.is_ok() {
        written += part.len() as u64;
        assert!(written < 1 << 30, "a failure must show");
    }
    let sent = script.calls("part").len();
    assert!(upload.write(part.clone()).await.is_err());
    written += 2 * part.len() as u64;
    let sealed = upload.seal(EndOfStream { bytes: written }).await;
    assert_eq!(sealed.unwrap_err().code, ErrorCode::DestinationDenied);
    assert_eq!(script.calls("part").len(), sent);
}

#[tokio::test]
async fn an_abort_is_repeated_until_the_upload_is_gone() {
    // A part that was under way outlives the first two aborts.
    let script = Script::serve(|_, asked| {
        (asked.call == "abort" && asked.before < 2)
            .then(|| Reply::Answer(204, Vec::new(), String::new()))
    })
    .await;
    let sink = open(&script, DestinationKind::S3).await;
    let token = stage(&*sink).await.unwrap();
    assert_eq!(sink.discard(&token.handle).await, Ok(Discarded::Gone));
    assert_eq!(script.calls("abort").len(), 3);
}

#[tokio::test]
async fn without_the_right_to_read_a_file_is_known_by_name_and_size() {
    let script = Script::serve(|_, asked| {
        (asked.call == "head").then(|| Reply::Answer(403, Vec::new(), String::new()))
    })
    .await;
    for kind in [DestinationKind::Gcs, DestinationKind::S3] {
        let sink = open(&script, kind).await;
        let token = stage(&*sink).await.unwrap();
        assert!(done(&sink.publish(&token).await));
        assert!(done(&sink.publish(&token).await));
        assert!(sink.look(&token).await.unwrap().unwrap().ours);
        let fault = sink.retract(&token.handle).await.unwrap_err();
        assert_eq!(fault.code, ErrorCode::DestinationDenied);
    }
}

#[tokio::test]
async fn an_object_of_google_that_has_other_bytes_does_not_stay() {
    let script = Script::serve(|store, asked| {
        (asked.call == "complete").then(|| {
            let Reply::Answer(status, mut headers, body) = store.answer(asked) else {
                return Reply::Silence;
            };
            headers.push(("x-goog-hash", "crc32c=AAAAAA==,md5=x".to_owned()));
            Reply::Answer(status, headers, body)
        })
    })
    .await;
    let sink = open(&script, DestinationKind::Gcs).await;
    let token = stage(&*sink).await.unwrap();
    assert_eq!(sink.publish(&token).await, Ok(Published::Lost));
    assert_eq!(script.calls("delete").len(), 1);
}

#[tokio::test]
async fn google_is_sent_one_family_of_headers_and_no_sums() {
    let script = Script::serve(|_, _| None).await;
    let sink = open(&script, DestinationKind::Gcs).await;
    let token = stage(&*sink).await.unwrap();
    assert!(done(&sink.publish(&token).await));
    for asked in script.every_call() {
        for name in asked.headers.keys() {
            let foreign = name.starts_with("x-goog-")
                || name.starts_with("x-amz-checksum-")
                || name.contains("encoding")
                || name.starts_with("if-");
            assert!(!foreign, "{} sends {name}", asked.call);
        }
    }
}
