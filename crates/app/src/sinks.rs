//! Which destinations this build delivers to, and who opens their sinks.
//!
//! The one law: the list of available destinations and the way a sink is opened come from one table.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use offtake_model::{DestinationKind, ErrorCode, Fault, SinkRef};
use offtake_ports::{Sinks, StagedSink};

/// Opens the sink of any available destination.
pub(crate) struct SinkRouter {
    table: Vec<(DestinationKind, Arc<dyn Sinks>)>,
}

impl fmt::Debug for SinkRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.kinds()).finish()
    }
}

impl SinkRouter {
    /// Delivers to the destinations of the table.
    pub(crate) const fn new(table: Vec<(DestinationKind, Arc<dyn Sinks>)>) -> Self {
        Self { table }
    }

    /// The destinations that can be delivered to.
    pub(crate) fn kinds(&self) -> Vec<DestinationKind> {
        self.table.iter().map(|(kind, _)| *kind).collect()
    }
}

#[async_trait]
impl Sinks for SinkRouter {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        let found = self.table.iter().find(|(kind, _)| *kind == sink.kind);
        let Some((_, sinks)) = found else {
            return Err(Fault::new(
                ErrorCode::DestinationNotAvailable,
                format!(
                    "open the sink of connection {}: this build cannot deliver to its platform",
                    sink.connection
                ),
            ));
        };
        sinks.open(sink).await
    }
}
