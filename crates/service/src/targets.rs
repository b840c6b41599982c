//! Target connections: where the files go and what they look like (contract, 4.9).

use offtake_core::{bounds, validate};
use offtake_model::resource::{ConnectionState, SpecRef, TargetConnection};
use offtake_model::{
    ConnectionId, ErrorCode, Fault, Resource, ResourceBody, ResourceId, ResourceKind, Revision,
    SinkRef,
};
use offtake_ports::{Page, PageRequest, ResourceQuery};
use serde::Serialize;

use crate::connections::ConnectionView;
use crate::drafts::Start;
use crate::entity::{self, Entity};
use crate::identity::Caller;
use crate::inherit::{ConnectionHead, Heads};
use crate::listing::{Listed, Listing, Placed};
use crate::once::{Once, Slot};
use crate::service::{Changed, Service};

mod patch;

/// Whether a place is tried out before a target connection to it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// No: the first delivery shows.
    Later,
    /// Yes, as the test of a base connection does; what fails refuses the request.
    First,
}

/// A target connection.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetView {
    /// The target connection.
    pub target: Entity<TargetConnection>,
    /// Its base connection, unless it was deleted.
    pub base: Option<ConnectionHead>,
}

impl TargetView {
    /// The etag, quotes included.
    pub fn etag(&self) -> &str {
        &self.target.etag
    }
}

impl Placed for TargetView {
    fn place(&self) -> (i64, String) {
        self.target.place()
    }
}

impl Service {
    /// Makes a target connection, or a draft of one. Its base connection must exist and be of the same spec, but for a
    /// draft, and the place must keep its promises when that is to be proved first.
    pub async fn create_target(
        &self,
        caller: &Caller,
        once: Once<'_>,
        proof: Proof,
        start: Start,
    ) -> Result<Changed, Fault> {
        bounds::check(once.body)?;
        let draft = validate::target(once.body)?;
        if start == Start::Enabled || proof == Proof::First {
            let id = draft.base_connection_id;
            self.check_base(caller, &draft.spec, id).await?;
        }
        if proof == Proof::First {
            self.check_available(draft.kind)?;
            let sink = SinkRef {
                kind: draft.kind,
                tenant: caller.tenant.clone(),
                connection: draft.base_connection_id,
                container: draft.settings.container.clone(),
            };
            self.probe(&sink).await?;
        }
        let fresh = self.new_uuid().to_string();
        let slot = self.slot(caller, ResourceKind::Target, once, fresh);
        let id = match slot.await? {
            Slot::Free(id) => id,
            Slot::Taken(made) => return Ok(made),
        };
        let resource = Resource {
            id: ResourceId(id),
            tenant: caller.tenant.clone(),
            revision: Revision(1),
            audit: Self::audit(caller, self.clock.now()),
            body: ResourceBody::Target(TargetConnection {
                name: draft.name,
                description: draft.description,
                base_connection_id: draft.base_connection_id,
                spec: draft.spec,
                params: draft.params,
                state: start.connection_state(),
            }),
        };
        self.insert(caller, &resource).await
    }

    /// The target connection of that id.
    pub async fn target(&self, caller: &Caller, id: &str) -> Result<TargetView, Fault> {
        let found = self.must_find(caller, ResourceKind::Target, id).await?;
        target_view(&mut Heads::new(self, caller), found).await
    }

    /// Deletes a target connection that no flow uses.
    pub async fn delete_target(&self, caller: &Caller, id: &str) -> Result<(), Fault> {
        self.delete_unused(caller, ResourceKind::Target, id, ErrorCode::ResourceInUse)
            .await
    }

    /// A list of target connections.
    pub async fn list_targets<T: Serialize>(
        &self,
        caller: &Caller,
        listing: &Listing,
        render: impl Fn(&TargetView) -> T,
    ) -> Result<Listed<T>, Fault> {
        let query = listing.connections();
        if let Some(count) = self
            .plain_count(caller, ResourceKind::Target, &query, listing)
            .await?
        {
            return Ok(Listed::Count(count));
        }
        let fetch = |request| self.targets_page(caller, &query, request);
        listing.answer(fetch, render).await
    }

    async fn targets_page(
        &self,
        caller: &Caller,
        query: &ResourceQuery,
        request: PageRequest,
    ) -> Result<Page<TargetView>, Fault> {
        let page = self
            .page(caller, ResourceKind::Target, query, &request)
            .await?;
        let mut heads = Heads::new(self, caller);
        let mut items = Vec::with_capacity(page.items.len());
        for resource in page.items {
            items.push(target_view(&mut heads, resource).await?);
        }
        Ok(Page {
            items,
            next: page.next,
        })
    }

    async fn base_connection(
        &self,
        caller: &Caller,
        id: ConnectionId,
    ) -> Result<ConnectionView, Fault> {
        let found = self
            .find(caller, ResourceKind::Connection, &id.to_string())
            .await?;
        let found = found.ok_or_else(|| {
            Fault::new(
                ErrorCode::ConnectionNotUsable,
                format!("baseConnectionId [{id}] is not one of the connections of this sandbox"),
            )
        })?;
        entity::connection(found)
    }

    /// Refuses a base connection that a target connection of that spec cannot be used with.
    pub(crate) async fn check_base(
        &self,
        caller: &Caller,
        target: &SpecRef,
        id: ConnectionId,
    ) -> Result<(), Fault> {
        let base = self.base_connection(caller, id).await?.body;
        if base.state == ConnectionState::Draft {
            return Err(Fault::new(
                ErrorCode::ConnectionNotUsable,
                format!("baseConnectionId [{id}] is a draft; publish it first"),
            ));
        }
        validate::check_base_connection(target, id, &base.spec)
    }
}

async fn target_view(heads: &mut Heads<'_>, resource: Resource) -> Result<TargetView, Fault> {
    let target = entity::target(resource)?;
    let base = heads
        .base(&target.body.base_connection_id.to_string())
        .await?;
    Ok(TargetView { target, base })
}
