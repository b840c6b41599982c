//! What entities show of the connections they hang on (`inheritedAttributes`).

use std::collections::HashMap;

use offtake_model::resource::SpecRef;
use offtake_model::{Fault, ResourceKind};

use crate::entity;
use crate::identity::Caller;
use crate::service::Service;

/// Id and spec of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionHead {
    /// The connection.
    pub id: String,
    /// Its spec.
    pub spec: SpecRef,
}

/// A target connection with its base connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHead {
    /// The target connection.
    pub head: ConnectionHead,
    /// Its base connection, unless it was deleted.
    pub base: Option<ConnectionHead>,
}

/// Looks connections up, each once per answer.
pub(crate) struct Heads<'a> {
    service: &'a Service,
    caller: &'a Caller,
    bases: HashMap<String, Option<ConnectionHead>>,
    sources: HashMap<String, Option<ConnectionHead>>,
    targets: HashMap<String, Option<TargetHead>>,
}

impl<'a> Heads<'a> {
    pub(crate) fn new(service: &'a Service, caller: &'a Caller) -> Self {
        Self {
            service,
            caller,
            bases: HashMap::new(),
            sources: HashMap::new(),
            targets: HashMap::new(),
        }
    }

    /// The base connection, unless it was deleted.
    pub(crate) async fn base(&mut self, id: &str) -> Result<Option<ConnectionHead>, Fault> {
        if let Some(known) = self.bases.get(id) {
            return Ok(known.clone());
        }
        let found = self.find(ResourceKind::Connection, id).await?;
        let head = found
            .map(entity::connection)
            .transpose()?
            .map(|it| ConnectionHead {
                id: it.id,
                spec: it.body.spec,
            });
        self.bases.insert(id.to_owned(), head.clone());
        Ok(head)
    }

    /// The source connection, unless it was deleted.
    pub(crate) async fn source(&mut self, id: &str) -> Result<Option<ConnectionHead>, Fault> {
        if let Some(known) = self.sources.get(id) {
            return Ok(known.clone());
        }
        let found = self.find(ResourceKind::Source, id).await?;
        let head = found
            .map(entity::source)
            .transpose()?
            .map(|it| ConnectionHead {
                id: it.id,
                spec: it.body.spec,
            });
        self.sources.insert(id.to_owned(), head.clone());
        Ok(head)
    }

    /// The target connection, unless it was deleted.
    pub(crate) async fn target(&mut self, id: &str) -> Result<Option<TargetHead>, Fault> {
        if let Some(known) = self.targets.get(id) {
            return Ok(known.clone());
        }
        let found = self.find(ResourceKind::Target, id).await?;
        let head = match found.map(entity::target).transpose()? {
            Some(it) => Some(TargetHead {
                base: self.base(&it.body.base_connection_id.to_string()).await?,
                head: ConnectionHead {
                    id: it.id,
                    spec: it.body.spec,
                },
            }),
            None => None,
        };
        self.targets.insert(id.to_owned(), head.clone());
        Ok(head)
    }

    async fn find(
        &self,
        kind: ResourceKind,
        id: &str,
    ) -> Result<Option<offtake_model::Resource>, Fault> {
        self.service.find(self.caller, kind, id).await
    }
}
