//! Any sequence of calls, with restarts at any point, gets the answers that the sink in memory gives.

use bytes::Bytes;
use offtake_model::StageToken;
use offtake_ports::testing::{MemorySinks, SinkBench};
use offtake_ports::{EndOfStream, Sinks, StagedSink};
use proptest::prelude::*;

use crate::bench::{Bench, sink, tag};

const KEYS: [&str; 2] = ["exports/day/one.json", "exports/two.json"];
const ATTEMPTS: u8 = 4;

#[derive(Clone, Copy, Debug)]
enum Call {
    Publish,
    Discard,
    Retract,
    Look,
    Put,
}

fn calls() -> impl Strategy<Value = Vec<(Call, u8)>> {
    let call = prop_oneof![
        4 => Just(Call::Publish),
        3 => Just(Call::Discard),
        2 => Just(Call::Retract),
        2 => Just(Call::Look),
        1 => Just(Call::Put),
    ];
    prop::collection::vec((call, 0..ATTEMPTS), 1..24)
}

/// Every second attempt is for the other key. All have one size, so that only the tag tells two of a key apart.
async fn stage(sink: &dyn StagedSink, attempt: u8) -> StageToken {
    let key = KEYS[usize::from(attempt % 2)];
    let bytes = Bytes::from(vec![attempt; 10]);
    let mut upload = sink.begin(key, &tag(u128::from(attempt))).await.unwrap();
    upload.write(bytes).await.unwrap();
    upload.seal(EndOfStream { bytes: 10 }).await.unwrap()
}

async fn answer(sink: &dyn StagedSink, call: Call, token: &StageToken, other: u8) -> String {
    match call {
        Call::Publish => format!("{:?}", sink.publish(token).await.unwrap()),
        Call::Discard => format!("{:?}", sink.discard(&token.handle).await.unwrap()),
        Call::Retract => format!("{:?}", sink.retract(&token.handle).await),
        Call::Look => format!("{:?}", sink.look(token).await.unwrap()),
        Call::Put => {
            let put = sink.put(&token.handle.key, Bytes::from(vec![other])).await;
            format!("{:?}", put.map_err(|fault| fault.code))
        }
    }
}

async fn compare(calls: &[(Call, u8)]) {
    let bench = Bench::new();
    let memory = MemorySinks::new();
    let model = memory.open(&sink()).await.unwrap();
    let mut tokens = Vec::new();
    for attempt in 0..ATTEMPTS {
        let token = stage(bench.open().await.as_ref(), attempt).await;
        tokens.push((token, stage(model.as_ref(), attempt).await));
    }
    for (call, attempt) in calls {
        let (token, twin) = &tokens[usize::from(*attempt)];
        let expected = answer(model.as_ref(), *call, twin, *attempt).await;
        let found = answer(bench.open().await.as_ref(), *call, token, *attempt).await;
        assert_eq!(found, expected, "{call:?} of attempt {attempt}");
        for key in KEYS {
            let read = bench.read(key).await.unwrap();
            assert_eq!(read, memory.read(&sink(), key), "{key}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_folder_answers_as_the_sink_in_memory(calls in calls()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(compare(&calls));
    }
}
