//! Drafts of connections (contract, 4): kept while they are worked on, for use once they are published.
//!
//! A draft's body is checked as any other. What it names may be missing still, and so may the credentials of a base
//! connection: publishing asks for them. A published connection does not become a draft again.
//!
//! The one law: nothing is delivered by way of a draft.

use offtake_core::validate;
use offtake_model::resource::ConnectionState;
use offtake_model::{ErrorCode, Fault, Resource, ResourceBody, ResourceKind};

use crate::connections::patch;
use crate::etag;
use crate::identity::Caller;
use crate::service::{Changed, Service};

/// How something begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// For use, with everything that it needs checked.
    Enabled,
    /// As a draft: of no use, and checked, only once it is published.
    Draft,
}

impl Start {
    /// The state of a connection that begins so.
    pub(crate) const fn connection_state(self) -> ConnectionState {
        match self {
            Self::Enabled => ConnectionState::Enabled,
            Self::Draft => ConnectionState::Draft,
        }
    }
}

impl Service {
    /// Acts on a base, source or target connection: `op` must be `publish`, in either case, and the connection a
    /// draft. `if_match` is honoured when it is sent.
    pub async fn act_on_connection(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: &str,
        op: Option<&str>,
        if_match: Option<&str>,
    ) -> Result<Changed, Fault> {
        let before = self.must_find(caller, kind, id).await?;
        check_op(op)?;
        if let Some(given) = if_match {
            etag::check(&before, given)?;
        }
        let mut after = Self::touched(caller, &before, self.clock.now());
        match state_of(&mut after.body) {
            Some(state) if *state == ConnectionState::Draft => *state = ConnectionState::Enabled,
            Some(_) | None => {
                return Err(Fault::new(
                    ErrorCode::ActionNotAllowed,
                    format!(
                        "action publish is not allowed: {} [{id}] is enabled",
                        kind.collection()
                    ),
                ));
            }
        }
        self.check_complete(caller, &after).await?;
        self.replace(caller, &before, &after).await
    }

    /// Refuses what lacks something that a published connection has.
    async fn check_complete(&self, caller: &Caller, resource: &Resource) -> Result<(), Fault> {
        match &resource.body {
            ResourceBody::Connection(it) if it.auth.is_none() => {
                validate::connection(&patch::body_of(it).into()).map(drop)
            }
            ResourceBody::Source(it) => {
                for dataset in &it.datasets {
                    self.known_dataset(caller, &dataset.id).await?;
                }
                Ok(())
            }
            ResourceBody::Target(it) => {
                self.check_base(caller, &it.spec, it.base_connection_id)
                    .await
            }
            ResourceBody::Connection(_) | ResourceBody::Flow(_) | ResourceBody::Dataset(_) => {
                Ok(())
            }
        }
    }
}

/// Refuses what can't be done to a connection.
fn check_op(op: Option<&str>) -> Result<(), Fault> {
    match op.filter(|op| !op.is_empty()) {
        None => Err(Fault::new(
            ErrorCode::QueryParameterMissing,
            "query parameter op is missing",
        )),
        Some(op) if op.eq_ignore_ascii_case("publish") => Ok(()),
        Some(op) => Err(Fault::new(
            ErrorCode::ActionUnknown,
            format!("op must be publish, not [{op}]: connections are neither enabled nor disabled"),
        )),
    }
}

const fn state_of(body: &mut ResourceBody) -> Option<&mut ConnectionState> {
    match body {
        ResourceBody::Connection(it) => Some(&mut it.state),
        ResourceBody::Source(it) => Some(&mut it.state),
        ResourceBody::Target(it) => Some(&mut it.state),
        ResourceBody::Flow(_) | ResourceBody::Dataset(_) => None,
    }
}
