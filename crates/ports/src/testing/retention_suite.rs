//! What every sink promises from which files are taken away.

use bytes::Bytes;

use crate::retention::{RetainedSink, Withdrawn};

/// Whether the sink, empty at these keys, withdraws what was put there and nothing else.
///
/// # Errors
/// The promise that was broken, in words.
pub async fn withdraws(sink: &dyn RetainedSink) -> Result<(), String> {
    let key = "withdraw/a.manifest";
    let (ours, longer) = (Bytes::from_static(b"ours"), Bytes::from_static(b"longer"));
    let other = Bytes::from_static(b"othr");
    let told = |what: &str| what.to_owned();
    let withdrawn =
        async |bytes: &Bytes| sink.withdraw(key, bytes).await.map_err(|it| it.to_string());

    if withdrawn(&ours).await? != Withdrawn::Gone {
        return Err(told("a missing file counts as withdrawn"));
    }
    sink.put(key, ours.clone())
        .await
        .map_err(|it| it.to_string())?;
    for foreign in [&other, &longer] {
        if withdrawn(foreign).await? != Withdrawn::Foreign {
            return Err(told("other bytes at the key are left alone"));
        }
    }
    if sink.put(key, ours.clone()).await.is_err() {
        return Err(told("what was left alone is still there"));
    }
    for _ in 0..2 {
        if withdrawn(&ours).await? != Withdrawn::Gone {
            return Err(told("a withdrawal can be repeated"));
        }
    }
    sink.put(key, other.clone())
        .await
        .map_err(|_| told("after a withdrawal the key is free"))?;
    withdrawn(&other).await.map(drop)
}
