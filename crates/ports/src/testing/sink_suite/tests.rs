use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_model::plan::DestinationKind;
use offtake_model::{ConnectionId, Fault, OrgId, SandboxName, SinkRef, Tenant};
use uuid::Uuid;

use super::{SinkBench, conforms, reads_back};
use crate::sink::Sinks;
use crate::testing::{Broken, BrokenSinks, FaultySinks, MemorySinks};

struct Bench {
    memory: MemorySinks,
    over: fn(MemorySinks) -> Arc<dyn Sinks>,
}

#[async_trait]
impl SinkBench for Bench {
    fn sinks(&self) -> Arc<dyn Sinks> {
        (self.over)(self.memory.clone())
    }

    fn sink(&self) -> SinkRef {
        SinkRef {
            kind: DestinationKind::LandingZone,
            tenant: Tenant {
                org: OrgId("ABCDEF0123456789ABCDEF01@AdobeOrg".to_owned()),
                sandbox: SandboxName("prod".to_owned()),
            },
            connection: ConnectionId(Uuid::from_u128(9)),
            container: None,
        }
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        Ok(self.memory.read(&self.sink(), key))
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        Ok(self.memory.keys(&self.sink()))
    }
}

async fn verdict(over: fn(MemorySinks) -> Arc<dyn Sinks>) -> Result<(), String> {
    let memory = MemorySinks::new();
    conforms(&Bench { memory, over }).await
}

#[tokio::test]
async fn memory_can_be_read_back() {
    let memory = MemorySinks::new();
    let bench = Bench {
        memory,
        over: |memory| Arc::new(memory),
    };
    assert_eq!(reads_back(&bench).await, Ok(()));
}

#[tokio::test]
async fn the_memory_sink_conforms() {
    assert_eq!(verdict(|memory| Arc::new(memory)).await, Ok(()));
}

#[tokio::test]
async fn a_faulty_sink_without_a_script_conforms() {
    assert_eq!(
        verdict(|memory| Arc::new(FaultySinks::new(Arc::new(memory)))).await,
        Ok(())
    );
}

macro_rules! broken {
    ($($name:ident: $how:ident, $promise:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let broken = verdict(|memory| Arc::new(BrokenSinks::new(Broken::$how, memory))).await;
            let promise = broken.expect_err("the suite must notice");
            assert!(promise.contains($promise), "noticed by another promise: {promise}");
        }
    )*

        #[test]
        fn every_broken_sink_is_judged() {
            assert_eq!([$(Broken::$how,)*], Broken::ALL);
        }
    };
}

broken! {
    visible_before_publish_is_noticed: VisibleBeforePublish, "a sealed file is invisible";
    a_second_publish_that_fails_is_noticed: SecondPublishFails, "publish is idempotent: the second";
    a_publish_after_discard_is_noticed: PublishAfterDiscard, "a discarded file is never published";
    an_accepted_truncation_is_noticed: TruncationAccepted, "never seal";
    a_lost_reply_taken_as_failure_is_noticed: LostReplyTakenAsFailure, "whose reply was lost, repeated after a restart";
    a_look_without_tag_is_noticed: LookWithoutTag, "look sees another attempt's file as not one's own";
    a_dropped_part_is_noticed: PartDropped, "readers get exactly the bytes written";
    an_ignored_abort_is_noticed: AbortIgnored, "a dropped upload never shows";
}
