//! Connection and flow specs: read-only, the same for every tenant (contract, 4.5 and 5).

use offtake_core::filter::Filter;
use offtake_core::specs::{self, ConnectionSpec, FlowSpec};
use offtake_model::Fault;
use serde_json::Value;

use crate::service::{Service, not_found};

impl Service {
    /// The connection specs that pass the filters, as JSON.
    pub fn connection_specs(&self, properties: &[String]) -> Result<Vec<&'static Value>, Fault> {
        let all = specs::connection_specs().iter().map(ConnectionSpec::shown);
        passing(all, properties)
    }

    /// The connection spec of that id, as JSON.
    pub fn connection_spec(&self, id: &str) -> Result<&'static Value, Fault> {
        specs::connection_spec(id)
            .map(ConnectionSpec::shown)
            .ok_or_else(|| not_found("connectionSpecs", id))
    }

    /// The flow specs that pass the filters, as JSON.
    pub fn flow_specs(&self, properties: &[String]) -> Result<Vec<&'static Value>, Fault> {
        passing(specs::flow_specs().iter().map(FlowSpec::shown), properties)
    }

    /// The flow spec of that id, as JSON.
    pub fn flow_spec(&self, id: &str) -> Result<&'static Value, Fault> {
        specs::flow_spec(id)
            .map(FlowSpec::shown)
            .ok_or_else(|| not_found("flowSpecs", id))
    }
}

fn passing(
    specs: impl Iterator<Item = &'static Value>,
    properties: &[String],
) -> Result<Vec<&'static Value>, Fault> {
    let filter = Filter::parse(properties)?;
    let mut passed = Vec::new();
    for spec in specs {
        if filter.matches(spec)? {
            passed.push(spec);
        }
    }
    Ok(passed)
}
