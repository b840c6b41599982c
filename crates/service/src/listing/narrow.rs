//! What of a filter a store can select by. The filter still judges every row: selecting only saves reading others.

use offtake_core::filter::{Bounds, Filter};
use offtake_model::{FlowId, Millis};
use offtake_ports::{ResourceQuery, RunQuery, Span};

const STATUS: &str = "metrics.statusSummary.status";
const STARTED: &str = "metrics.durationSummary.startedAtUTC";
const CREATED: &str = "createdAt";
const FLOW: &str = "flowId";
const FLOW_SPEC: &str = "flowSpec.id";
const CONNECTION_SPEC: &str = "connectionSpec.id";

/// Whether a store can select by all that the filter asks of rows of the collection.
pub(super) fn whole(collection: &str, filter: &Filter) -> bool {
    match collection {
        "runs" => filter.asks_only(&[FLOW, STATUS, FLOW_SPEC], &[CREATED, STARTED]),
        "flows" => filter.asks_only(&["name", "state", FLOW_SPEC], &[CREATED]),
        _ => filter.asks_only(&["name", CONNECTION_SPEC], &[CREATED]),
    }
}

/// The runs among which the filter's are.
pub(super) fn runs(filter: &Filter) -> RunQuery {
    RunQuery {
        // A text that is no id is no run's flow either.
        flow: filter
            .equal_to(FLOW)
            .map(|id| id.parse().unwrap_or(FlowId(uuid::Uuid::nil()))),
        status: filter.equal_to(STATUS).map(str::to_ascii_lowercase),
        spec: filter.equal_to(FLOW_SPEC).map(str::to_owned),
        created: span(filter.bounds(CREATED)),
        started: span(filter.bounds(STARTED)),
    }
}

/// The flows among which the filter's are.
pub(super) fn flows(filter: &Filter) -> ResourceQuery {
    ResourceQuery {
        state: filter.equal_to("state").map(str::to_ascii_lowercase),
        ..of_spec(filter, FLOW_SPEC)
    }
}

/// The connections of any kind among which the filter's are.
pub(super) fn connections(filter: &Filter) -> ResourceQuery {
    of_spec(filter, CONNECTION_SPEC)
}

fn of_spec(filter: &Filter, spec: &str) -> ResourceQuery {
    ResourceQuery {
        name: filter.equal_to("name").map(str::to_owned),
        state: None,
        spec: filter.equal_to(spec).map(str::to_owned),
        created: span(filter.bounds(CREATED)),
    }
}

fn span(bounds: Bounds) -> Span {
    Span {
        from: bounds.least.map(Millis),
        to: bounds.most.map(Millis),
    }
}
