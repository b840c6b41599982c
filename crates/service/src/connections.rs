//! Base connections: credentials for one destination platform (contract, 4.7).
//!
//! Edits are in [`patch`].
//!
//! The one law: secret parameters are sealed before anything is stored, and no view shows them.

use offtake_core::{bounds, calendar, validate};
use offtake_model::resource::{Auth, Connection};
use offtake_model::{
    ErrorCode, Fault, Millis, Resource, ResourceBody, ResourceId, ResourceKind, Revision,
};
use offtake_ports::{Access, Page, PageRequest, ResourceQuery};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;

use crate::credentials;
use crate::drafts::Start;
use crate::entity::{self, Entity};
use crate::identity::Caller;
use crate::listing::{Listed, Listing};
use crate::once::{Once, Slot};
use crate::service::{Changed, Service};

pub(crate) mod patch;

/// What a read shows among the parameters of the credentials (contract, 4.7) and nobody sets: the day they were given.
pub const AUTHORIZED_DATE: &str = "authorizedDate";

/// A base connection.
pub type ConnectionView = Entity<Connection>;

impl Service {
    /// Makes a base connection, or a draft of one.
    pub async fn create_connection(
        &self,
        caller: &Caller,
        once: Once<'_>,
        start: Start,
    ) -> Result<Changed, Fault> {
        bounds::check(once.body)?;
        let draft = match start {
            Start::Enabled => validate::connection(once.body)?,
            Start::Draft => validate::connection_draft(once.body)?,
        };
        self.judge(&draft)?;
        let fresh = self.new_uuid().to_string();
        let slot = self.slot(caller, ResourceKind::Connection, once, fresh);
        let id = match slot.await? {
            Slot::Free(id) => id,
            Slot::Taken(made) => return Ok(made),
        };
        let now = self.clock.now();
        let auth = match draft.auth {
            Some(auth) => Some(self.sealed(caller, &id, auth, now).await?),
            None => None,
        };
        let resource = Resource {
            id: ResourceId(id),
            tenant: caller.tenant.clone(),
            revision: Revision(1),
            audit: Self::audit(caller, now),
            body: ResourceBody::Connection(Connection {
                name: draft.name,
                description: draft.description,
                spec: draft.spec,
                auth,
                state: start.connection_state(),
            }),
        };
        self.insert(caller, &resource).await
    }

    /// The base connection of that id.
    pub async fn connection(&self, caller: &Caller, id: &str) -> Result<ConnectionView, Fault> {
        entity::connection(self.must_find(caller, ResourceKind::Connection, id).await?)
    }

    /// Deletes a base connection that no flow uses.
    pub async fn delete_connection(&self, caller: &Caller, id: &str) -> Result<(), Fault> {
        self.delete_unused(
            caller,
            ResourceKind::Connection,
            id,
            ErrorCode::ConnectionInUse,
        )
        .await
    }

    /// A list of base connections.
    pub async fn list_connections<T: Serialize>(
        &self,
        caller: &Caller,
        listing: &Listing,
        render: impl Fn(&ConnectionView) -> T,
    ) -> Result<Listed<T>, Fault> {
        let query = listing.connections();
        if let Some(count) = self
            .plain_count(caller, ResourceKind::Connection, &query, listing)
            .await?
        {
            return Ok(Listed::Count(count));
        }
        let fetch = |request| self.connections_page(caller, &query, request);
        listing.answer(fetch, render).await
    }

    async fn connections_page(
        &self,
        caller: &Caller,
        query: &ResourceQuery,
        request: PageRequest,
    ) -> Result<Page<ConnectionView>, Fault> {
        let page = self
            .page(caller, ResourceKind::Connection, query, &request)
            .await?;
        let items = page.items.into_iter().map(entity::connection);
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: page.next,
        })
    }

    /// Refuses credentials that have not the form of any.
    fn judge(&self, draft: &validate::ConnectionDraft) -> Result<(), Fault> {
        let Some(auth) = &draft.auth else {
            return Ok(());
        };
        self.sinks.judge(&Access {
            kind: draft.kind,
            auth: Some(auth.spec_name.clone()),
            params: auth.shown.clone(),
            secrets: credentials::texts(&auth.secrets),
        })
    }

    async fn sealed(
        &self,
        caller: &Caller,
        id: &str,
        auth: validate::AuthDraft,
        now: Millis,
    ) -> Result<Auth, Fault> {
        let sealed = if auth.secrets.is_empty() {
            None
        } else {
            let plain = SecretString::from(Value::Object(auth.secrets).to_string());
            let place = secrets_place(id);
            Some(self.secrets.seal(&caller.tenant, &place, &plain).await?)
        };
        Ok(Auth {
            spec_name: auth.spec_name,
            shown: auth.shown,
            sealed,
            authorized_date: calendar::date(now),
        })
    }
}

/// Where a connection's credentials belong: one JSON object of its secret parameters. Ciphertext moved to another
/// place does not open.
pub fn secrets_place(connection: &str) -> String {
    format!("connections/{connection}/auth")
}
