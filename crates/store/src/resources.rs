//! Resources in their table.
//!
//! The one law: a resource is found only under its own tenant, and changed only at the revision its writer read.

mod flow;

use async_trait::async_trait;
use offtake_model::audit::AuditObject;
use offtake_model::resource::Audit;
use offtake_model::{
    Actor, Fault, Millis, OrgId, Resource, ResourceId, ResourceKind, Revision, SandboxName, Tenant,
};
use offtake_ports::{Page, PageRequest, Replaced, ResourceQuery, ResourceStore};
use sqlx::{FromRow, SqliteConnection};

use crate::audit;
use crate::failure::{Attempting, corrupt};
use crate::quotas;
use crate::rows::body::{BodyRow, FlowColumns, decode, encode};
use crate::rows::{counter, kind_name, signed};
use crate::select::Selection;
use crate::store::{Store, commit};
use flow::delete_flow;
pub(crate) use flow::remove_hidden_flow;

#[async_trait]
impl ResourceStore for Store {
    async fn get(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        id: &ResourceId,
    ) -> Result<Option<Resource>, Fault> {
        let mut tx = self.read().await?;
        let row: Option<ResourceRow> = sqlx::query_as(
            "SELECT * FROM resource WHERE org = ? AND sandbox = ? AND kind = ? AND id = ? AND hidden = 0",
        )
        .bind(tenant.org.as_str())
        .bind(tenant.sandbox.as_str())
        .bind(kind_name(kind))
        .bind(id.as_str())
        .fetch_optional(&mut *tx)
        .await
        .attempting(format_args!("read {} {id}", kind_name(kind)))?;
        row.map(|row| row.into_resource(kind)).transpose()
    }

    async fn list(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        query: &ResourceQuery,
        page: &PageRequest,
    ) -> Result<Page<Resource>, Fault> {
        let mut tx = self.read().await?;
        let page = selection(tenant, kind, query)
            .page(&mut tx, page, |row: &ResourceRow| {
                (row.created_at, row.id.clone())
            })
            .await?;
        let items = page.items.into_iter().map(|row| row.into_resource(kind));
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            next: page.next,
        })
    }

    async fn count(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        query: &ResourceQuery,
    ) -> Result<u64, Fault> {
        let mut tx = self.read().await?;
        selection(tenant, kind, query).count(&mut tx).await
    }

    async fn insert(&self, resource: &Resource, by: &Actor) -> Result<(), Fault> {
        let body = encode(&resource.body)?;
        let mut tx = self.write().await?;
        if resource.kind() == ResourceKind::Flow {
            quotas::check_flows(&mut tx, &resource.tenant.org).await?;
        }
        insert_row(&mut tx, resource, &body).await?;
        let (object, after) = (object(resource.kind(), &resource.id), digest_of(&body));
        audit::record(&mut tx, self.now(), by, &object, None, Some(after)).await?;
        commit(tx).await
    }

    async fn replace(
        &self,
        resource: &Resource,
        expected: Revision,
        by: &Actor,
    ) -> Result<Replaced, Fault> {
        let body = encode(&resource.body)?;
        let (kind, id) = (resource.kind(), &resource.id);
        let mut tx = self.write().await?;
        let before = stored_digest(&mut tx, &resource.tenant, kind, id).await?;
        if !replace_row(&mut tx, resource, &body, expected).await? {
            return Ok(Replaced::Conflict);
        }
        let (object, after) = (object(kind, id), Some(digest_of(&body)));
        audit::record(&mut tx, self.now(), by, &object, before, after).await?;
        commit(tx).await?;
        Ok(Replaced::Done)
    }

    async fn delete(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        id: &ResourceId,
        by: &Actor,
    ) -> Result<bool, Fault> {
        let mut tx = self.write().await?;
        let before = stored_digest(&mut tx, tenant, kind, id).await?;
        let deleted = if kind == ResourceKind::Flow {
            delete_flow(&mut tx, tenant, id, self.now()).await?
        } else {
            delete_row(&mut tx, tenant, kind, id).await?
        };
        if deleted {
            audit::record(&mut tx, self.now(), by, &object(kind, id), before, None).await?;
        }
        commit(tx).await?;
        Ok(deleted)
    }

    async fn flows_using(
        &self,
        tenant: &Tenant,
        kind: ResourceKind,
        id: &ResourceId,
    ) -> Result<Vec<ResourceId>, Fault> {
        let sql = match kind {
            ResourceKind::Source => USING_SOURCE,
            ResourceKind::Target => USING_TARGET,
            ResourceKind::Connection => USING_CONNECTION,
            ResourceKind::Flow | ResourceKind::Dataset => return Ok(Vec::new()),
        };
        let mut tx = self.read().await?;
        let ids: Vec<String> = sqlx::query_scalar(sql)
            .bind(tenant.org.as_str())
            .bind(tenant.sandbox.as_str())
            .bind(id.as_str())
            .fetch_all(&mut *tx)
            .await
            .attempting(format_args!("list flows using {} {id}", kind_name(kind)))?;
        Ok(ids.into_iter().map(ResourceId).collect())
    }
}

/// Names lead to the fewest rows, specs to the most.
fn selection(tenant: &Tenant, kind: ResourceKind, query: &ResourceQuery) -> Selection {
    let mut selection = Selection::of("resource", "resource_newest", tenant);
    selection.led_to("kind", kind_name(kind));
    selection.with("hidden", 0);
    selection.by_first_of(&[
        ("name", "resource_by_name", query.name.as_deref()),
        ("state", "resource_by_state", query.state.as_deref()),
        ("spec", "resource_by_spec", query.spec.as_deref()),
    ]);
    selection.created(&query.created);
    selection
}

const USING_SOURCE: &str = "
    SELECT f.id FROM resource f
    WHERE f.org = ?1 AND f.sandbox = ?2 AND f.kind = 'flow' AND f.hidden = 0
      AND EXISTS (SELECT 1 FROM json_each(f.body, '$.value.sourceConnectionIds') s WHERE s.value = ?3)
    ORDER BY f.created_at DESC, f.id DESC";

const USING_TARGET: &str = "
    SELECT f.id FROM resource f
    WHERE f.org = ?1 AND f.sandbox = ?2 AND f.kind = 'flow' AND f.hidden = 0
      AND EXISTS (SELECT 1 FROM json_each(f.body, '$.value.targetConnectionIds') t WHERE t.value = ?3)
    ORDER BY f.created_at DESC, f.id DESC";

const USING_CONNECTION: &str = "
    SELECT f.id FROM resource f
    WHERE f.org = ?1 AND f.sandbox = ?2 AND f.kind = 'flow' AND f.hidden = 0
      AND EXISTS (
        SELECT 1 FROM resource c
        WHERE c.org = ?1 AND c.sandbox = ?2 AND c.kind IN ('source', 'target')
          AND json_extract(c.body, '$.value.baseConnectionId') = ?3
          AND (c.id IN (SELECT value FROM json_each(f.body, '$.value.sourceConnectionIds'))
            OR c.id IN (SELECT value FROM json_each(f.body, '$.value.targetConnectionIds'))))
    ORDER BY f.created_at DESC, f.id DESC";

/// The key that everything on the page comes after, counting from the newest.
pub(crate) fn newest_first(page: &PageRequest) -> (i64, &str) {
    page.after
        .as_ref()
        .map_or((i64::MAX, ""), |(at, id)| (*at, id.as_str()))
}

/// Cuts the one item too many that tells whether there is a next page.
pub(crate) fn cut<T>(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> (i64, String)) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(key);
    Page { items, next }
}

/// A resource's row.
#[derive(FromRow)]
pub(crate) struct ResourceRow {
    org: String,
    sandbox: String,
    id: String,
    revision: i64,
    created_at: i64,
    updated_at: i64,
    created_by: String,
    updated_by: String,
    created_client: String,
    updated_client: String,
    body: String,
    state: Option<String>,
    generation: Option<i64>,
    next_due_at: Option<i64>,
}

impl ResourceRow {
    /// The resource, whose kind the query asked for.
    pub(crate) fn into_resource(self, kind: ResourceKind) -> Result<Resource, Fault> {
        let flow = self
            .state
            .zip(self.generation)
            .map(|(state, generation)| FlowColumns {
                state,
                generation,
                next_due_at: self.next_due_at,
            });
        let body = decode(
            kind,
            &BodyRow {
                json: self.body,
                flow,
            },
        )
        .map_err(|fault| {
            corrupt(format_args!(
                "{} {}: {}",
                kind_name(kind),
                self.id,
                fault.message
            ))
        })?;
        Ok(Resource {
            id: ResourceId(self.id),
            tenant: Tenant {
                org: OrgId(self.org),
                sandbox: SandboxName(self.sandbox),
            },
            revision: Revision(counter(self.revision, "revision")?),
            audit: Audit {
                created_at: Millis(self.created_at),
                updated_at: Millis(self.updated_at),
                created_by: self.created_by,
                updated_by: self.updated_by,
                created_client: self.created_client,
                updated_client: self.updated_client,
            },
            body,
        })
    }
}

fn object(kind: ResourceKind, id: &ResourceId) -> AuditObject {
    AuditObject::new(kind.collection(), id.as_str())
}

/// The scheduler's columns are no part of it: they change without anybody's doing.
fn digest_of(body: &BodyRow) -> String {
    let state = body.flow.as_ref().map_or("", |flow| flow.state.as_str());
    audit::digest_of(&[&body.json, state])
}

async fn stored_digest(
    db: &mut SqliteConnection,
    tenant: &Tenant,
    kind: ResourceKind,
    id: &ResourceId,
) -> Result<Option<String>, Fault> {
    let row: Option<(String, Option<String>)> = sqlx::query_as(
        "SELECT body, state FROM resource WHERE org = ? AND sandbox = ? AND kind = ? AND id = ? AND hidden = 0",
    )
    .bind(tenant.org.as_str())
    .bind(tenant.sandbox.as_str())
    .bind(kind_name(kind))
    .bind(id.as_str())
    .fetch_optional(db)
    .await
    .attempting(format_args!("read {} {id}", kind_name(kind)))?;
    Ok(row.map(|(body, state)| audit::digest_of(&[&body, state.as_deref().unwrap_or_default()])))
}

async fn insert_row(
    db: &mut SqliteConnection,
    resource: &Resource,
    body: &BodyRow,
) -> Result<(), Fault> {
    let audit = &resource.audit;
    let flow = body.flow.as_ref();
    sqlx::query(
        "INSERT INTO resource (org, sandbox, kind, id, revision, created_at, updated_at, created_by, updated_by,
                               created_client, updated_client, body, state, generation, next_due_at)
         VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(resource.tenant.org.as_str())
    .bind(resource.tenant.sandbox.as_str())
    .bind(kind_name(resource.kind()))
    .bind(resource.id.as_str())
    .bind(audit.created_at.0)
    .bind(audit.updated_at.0)
    .bind(&audit.created_by)
    .bind(&audit.updated_by)
    .bind(&audit.created_client)
    .bind(&audit.updated_client)
    .bind(&body.json)
    .bind(flow.map(|flow| flow.state.as_str()))
    .bind(flow.map(|flow| flow.generation))
    .bind(flow.and_then(|flow| flow.next_due_at))
    .execute(db)
    .await
    .attempting(format_args!(
        "insert {} {}",
        kind_name(resource.kind()),
        resource.id
    ))?;
    Ok(())
}

async fn replace_row(
    db: &mut SqliteConnection,
    resource: &Resource,
    body: &BodyRow,
    expected: Revision,
) -> Result<bool, Fault> {
    let audit = &resource.audit;
    let flow = body.flow.as_ref();
    let done = sqlx::query(
        "UPDATE resource SET revision = revision + 1, updated_at = ?, updated_by = ?, updated_client = ?,
                body = ?, state = ?, generation = ?, next_due_at = ?
         WHERE org = ? AND sandbox = ? AND kind = ? AND id = ? AND hidden = 0 AND revision = ?",
    )
    .bind(audit.updated_at.0)
    .bind(&audit.updated_by)
    .bind(&audit.updated_client)
    .bind(&body.json)
    .bind(flow.map(|flow| flow.state.as_str()))
    .bind(flow.map(|flow| flow.generation))
    .bind(flow.and_then(|flow| flow.next_due_at))
    .bind(resource.tenant.org.as_str())
    .bind(resource.tenant.sandbox.as_str())
    .bind(kind_name(resource.kind()))
    .bind(resource.id.as_str())
    .bind(signed(expected.0))
    .execute(db)
    .await
    .attempting(format_args!(
        "replace {} {}",
        kind_name(resource.kind()),
        resource.id
    ))?;
    Ok(done.rows_affected() == 1)
}

async fn delete_row(
    db: &mut SqliteConnection,
    tenant: &Tenant,
    kind: ResourceKind,
    id: &ResourceId,
) -> Result<bool, Fault> {
    let done = sqlx::query(
        "DELETE FROM resource WHERE org = ? AND sandbox = ? AND kind = ? AND id = ? AND hidden = 0",
    )
    .bind(tenant.org.as_str())
    .bind(tenant.sandbox.as_str())
    .bind(kind_name(kind))
    .bind(id.as_str())
    .execute(db)
    .await
    .attempting(format_args!("delete {} {id}", kind_name(kind)))?;
    Ok(done.rows_affected() == 1)
}
