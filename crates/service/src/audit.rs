//! The audit log of an organisation, for its administrators.

use offtake_model::audit::{AuditEntry, AuditObject, AuditPage, AuditQuery};
use offtake_model::{ClientId, Fault, Millis, SandboxName};

use crate::identity::Caller;
use crate::listing::{PAGE_ITEMS_MAX, page_invalid, parse_limit};
use crate::service::Service;

/// Parameters of the list, as they stand in the query.
#[derive(Clone, Debug, Default)]
pub struct AuditParams {
    /// `limit`.
    pub limit: Option<String>,
    /// `continuationToken`.
    pub token: Option<String>,
    /// `client`.
    pub client: Option<String>,
    /// `sandbox`.
    pub sandbox: Option<String>,
    /// `collection`.
    pub collection: Option<String>,
    /// `id` of the object.
    pub object: Option<String>,
    /// `createdAfter`, in epoch milliseconds.
    pub since: Option<String>,
    /// `createdBefore`, in epoch milliseconds.
    pub until: Option<String>,
}

/// A page of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntries {
    /// The entries, newest first.
    pub items: Vec<AuditEntry>,
    /// Token of the next page, when there is one.
    pub next: Option<String>,
}

impl Service {
    /// A page of what clients of the caller's organisation changed, in all of its sandboxes.
    pub async fn audit_entries(
        &self,
        caller: &Caller,
        params: &AuditParams,
    ) -> Result<AuditEntries, Fault> {
        let limit = parse_limit(params.limit.as_deref(), PAGE_ITEMS_MAX)?;
        let page = AuditPage {
            org: caller.tenant.org.clone(),
            below: number(params.token.as_deref(), "continuationToken")?,
            limit: limit + 1,
        };
        let query = AuditQuery {
            client: params.client.clone().map(ClientId),
            sandbox: params.sandbox.clone().map(SandboxName),
            collection: params.collection.clone(),
            object: params.object.clone(),
            since: number(params.since.as_deref(), "createdAfter")?.map(Millis),
            until: number(params.until.as_deref(), "createdBefore")?.map(Millis),
        };
        let mut items = self.audit_log.entries(&query, &page).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > wanted;
        items.truncate(wanted);
        let last = items.last().filter(|_| more);
        Ok(AuditEntries {
            next: last.map(|entry| entry.number.to_string()),
            items,
        })
    }

    /// Writes down a change that is about to happen outside the metadata.
    pub(crate) async fn write_down(
        &self,
        caller: &Caller,
        collection: &str,
        id: impl Into<String>,
    ) -> Result<(), Fault> {
        let object = AuditObject::new(collection, id);
        self.audit_log.record(&caller.actor(), &object).await
    }
}

fn number<T: std::str::FromStr>(text: Option<&str>, name: &str) -> Result<Option<T>, Fault> {
    let wrong = |text: &str| page_invalid(format!("{name} must be a whole number, not [{text}]"));
    text.map(|text| text.parse().map_err(|_| wrong(text)))
        .transpose()
}
