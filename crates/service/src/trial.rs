//! Trying a base connection out (contract, 4.7): its sink is opened and has to keep its promises in a scratch folder.
//!
//! A destination that fails the trial is an answer, not a failure of the request.
//!
//! The one law: a trial leaves nothing visible behind where it may remove what it made.

use std::collections::BTreeSet;

use offtake_core::specs;
use offtake_model::{
    ConnectionId, DestinationKind, ErrorCode, Fault, Resource, ResourceBody, ResourceKind, SinkRef,
};
use offtake_ports::{PageRequest, ResourceQuery};

use crate::entity;
use crate::identity::Caller;
use crate::service::Service;

/// Target connections looked through for the places that a base connection is used for.
const TARGETS_MAX: u32 = 1_000;
/// Places tried in one request.
const PLACES_MAX: usize = 4;

/// What a trial showed.
#[derive(Clone, Debug)]
#[must_use]
pub enum Trial {
    /// Every place keeps the promises.
    Passed,
    /// The first thing that failed, and at which bucket or container.
    Failed {
        /// The bucket or container, where the platform has them.
        container: Option<String>,
        /// What was attempted and went wrong.
        fault: Fault,
    },
}

impl Service {
    /// Tries a base connection out: at `container` when one is named, otherwise at every place that target
    /// connections name with it.
    pub async fn try_connection(
        &self,
        caller: &Caller,
        id: &str,
        container: Option<String>,
    ) -> Result<Trial, Fault> {
        let found = self.must_find(caller, ResourceKind::Connection, id).await?;
        let connection: ConnectionId = found.id.as_str().parse().map_err(|_| {
            Fault::new(
                ErrorCode::Internal,
                format!("try connection {id}: its id is no UUID"),
            )
        })?;
        let kind = kind_of(found)?;
        self.check_available(kind)?;
        // A trial writes at the destination with the connection's credentials.
        self.write_down(caller, ResourceKind::Connection.collection(), id)
            .await?;
        for container in self.containers(caller, connection, kind, container).await? {
            let sink = SinkRef {
                kind,
                tenant: caller.tenant.clone(),
                connection,
                container: container.clone(),
            };
            if let Err(fault) = self.probe(&sink).await {
                return Ok(Trial::Failed { container, fault });
            }
        }
        Ok(Trial::Passed)
    }

    /// Refuses platforms that this build cannot deliver to.
    pub(crate) fn check_available(&self, kind: DestinationKind) -> Result<(), Fault> {
        if self.destinations.contains(&kind) {
            return Ok(());
        }
        let name = specs::destination(kind).name();
        Err(Fault::new(
            ErrorCode::DestinationNotAvailable,
            format!("this build cannot deliver to {name}"),
        ))
    }

    pub(crate) async fn probe(&self, sink: &SinkRef) -> Result<(), Fault> {
        self.sinks.open(sink).await?.probe().await
    }

    /// Where to try: platforms with buckets or containers can't be tried without the name of one.
    async fn containers(
        &self,
        caller: &Caller,
        connection: ConnectionId,
        kind: DestinationKind,
        named: Option<String>,
    ) -> Result<Vec<Option<String>>, Fault> {
        let Some(parameter) = container_parameter(kind) else {
            return Ok(vec![None]);
        };
        if named.is_some() {
            return Ok(vec![named]);
        }
        let used = self.containers_used(caller, connection, parameter).await?;
        if used.is_empty() {
            return Err(Fault::new(
                ErrorCode::QueryParameterMissing,
                format!(
                    "try connection {connection}: no target connection uses it yet; name a place with `?{parameter}=`"
                ),
            ));
        }
        Ok(used.into_iter().take(PLACES_MAX).map(Some).collect())
    }

    /// The buckets or containers that target connections name with the base connection.
    pub(crate) async fn containers_used(
        &self,
        caller: &Caller,
        connection: ConnectionId,
        parameter: &str,
    ) -> Result<BTreeSet<String>, Fault> {
        let request = PageRequest {
            limit: TARGETS_MAX,
            after: None,
            offset: 0,
        };
        let query = ResourceQuery::default();
        let page = self
            .page(caller, ResourceKind::Target, &query, &request)
            .await?;
        let used = page
            .items
            .into_iter()
            .filter_map(|target| container_of(target, connection, parameter));
        Ok(used.collect())
    }
}

/// The parameter of target connections that names the bucket or container, where the platform has them.
pub(crate) const fn container_parameter(kind: DestinationKind) -> Option<&'static str> {
    match kind {
        DestinationKind::S3 | DestinationKind::Gcs => Some("bucketName"),
        DestinationKind::AzureBlob => Some("container"),
        DestinationKind::AdlsGen2 | DestinationKind::LandingZone | DestinationKind::Sftp => None,
    }
}

pub(crate) fn kind_of(found: Resource) -> Result<DestinationKind, Fault> {
    let view = entity::connection(found)?;
    specs::connection_spec(&view.body.spec.id)
        .and_then(specs::ConnectionSpec::kind)
        .ok_or_else(|| {
            Fault::new(
                ErrorCode::Internal,
                "try a connection: its spec is not that of a destination",
            )
        })
}

fn container_of(target: Resource, connection: ConnectionId, parameter: &str) -> Option<String> {
    let ResourceBody::Target(target) = target.body else {
        return None;
    };
    let name = target.params.get(parameter)?.as_str()?.to_owned();
    (target.base_connection_id == connection).then_some(name)
}
