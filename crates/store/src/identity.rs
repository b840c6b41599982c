//! Organisations, sandboxes and clients in their tables.
//!
//! The one law: a client's secret is here only as a digest.

mod organisation;
mod sandbox;

use async_trait::async_trait;
use offtake_model::audit::AuditObject;
use offtake_model::{Actor, ClientId, Fault, Millis, OrgId, Role, RoleBinding, SandboxName, Usage};
use offtake_ports::{ClientRecord, FormerSecret, IdentityStore, Organisation, Sandbox};
use sqlx::{FromRow, SqliteConnection};

use crate::audit;
use crate::failure::{Attempting, corrupt};
use crate::quotas;
use crate::rows::signed;
use crate::store::{Store, commit};
use organisation::OrganisationRow;
use sandbox::SandboxRow;

/// Stands in a row for every sandbox of the organisation.
const EVERYWHERE: &str = "*";

#[async_trait]
impl IdentityStore for Store {
    async fn bootstrap(
        &self,
        org: &Organisation,
        sandbox: &Sandbox,
        client: &ClientRecord,
        by: &Actor,
    ) -> Result<bool, Fault> {
        let mut tx = self.write().await?;
        let known: i64 = sqlx::query_scalar("SELECT count(*) FROM organisation")
            .fetch_one(&mut *tx)
            .await
            .attempting("count organisations")?;
        if known > 0 {
            return Ok(false);
        }
        organisation::insert(&mut tx, org).await?;
        sandbox::insert(&mut tx, sandbox).await?;
        insert_client(&mut tx, client).await?;
        self.organisation_made(&mut tx, by, org).await?;
        self.client_made(&mut tx, by, client).await?;
        commit(tx).await?;
        Ok(true)
    }

    async fn client(&self, id: &ClientId) -> Result<Option<ClientRecord>, Fault> {
        let mut tx = self.read().await?;
        read_client(&mut tx, id).await
    }

    async fn clients(&self, org: &OrgId) -> Result<Vec<ClientRecord>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<ClientRow> = sqlx::query_as(
            "SELECT id, org, name, secret_sha256, former_sha256, former_until, subject, created_at, enabled FROM client WHERE org = ?
             ORDER BY created_at, id",
        )
        .bind(org.as_str())
        .fetch_all(&mut *tx)
        .await
        .attempting(format_args!("list clients of {org}"))?;
        let mut clients = Vec::with_capacity(rows.len());
        for row in rows {
            clients.push(with_roles(&mut tx, row).await?);
        }
        Ok(clients)
    }

    async fn add_client(&self, client: &ClientRecord, by: &Actor) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        insert_client(&mut tx, client).await?;
        self.client_made(&mut tx, by, client).await?;
        commit(tx).await
    }

    async fn replace_client(&self, client: &ClientRecord, by: &Actor) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        let before = read_client(&mut tx, &client.id).await?;
        sqlx::query("UPDATE client SET name = ?, secret_sha256 = ?, former_sha256 = ?, former_until = ?, subject = ?,
                enabled = ? WHERE id = ?")
            .bind(&client.name)
            .bind(client.secret_sha256.as_slice())
            .bind(client.former_secret.map(|former| former.sha256.to_vec()))
            .bind(client.former_secret.map(|former| former.until.0))
            .bind(&client.subject)
            .bind(client.enabled)
            .bind(client.id.as_str())
            .execute(&mut *tx)
            .await
            .attempting(format_args!("change client {}", client.id))?;
        sqlx::query("DELETE FROM role_binding WHERE client = ?")
            .bind(client.id.as_str())
            .execute(&mut *tx)
            .await
            .attempting(format_args!("change the roles of client {}", client.id))?;
        insert_roles(&mut tx, client).await?;
        let (before, after) = (before.as_ref().map(digest_of), Some(digest_of(client)));
        let object = AuditObject::new("clients", client.id.as_str());
        audit::record(&mut tx, self.now(), by, &object, before, after).await?;
        commit(tx).await
    }

    async fn add_organisation(
        &self,
        org: &Organisation,
        sandbox: &Sandbox,
        client: &ClientRecord,
        by: &Actor,
    ) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        organisation::insert(&mut tx, org).await?;
        sandbox::insert(&mut tx, sandbox).await?;
        insert_client(&mut tx, client).await?;
        self.organisation_made(&mut tx, by, org).await?;
        self.client_made(&mut tx, by, client).await?;
        commit(tx).await
    }

    async fn add_sandbox(&self, sandbox: &Sandbox, by: &Actor) -> Result<bool, Fault> {
        let mut tx = self.write().await?;
        let known: i64 =
            sqlx::query_scalar("SELECT count(*) FROM sandbox WHERE org = ? AND name = ?")
                .bind(sandbox.org.as_str())
                .bind(sandbox.name.as_str())
                .fetch_one(&mut *tx)
                .await
                .attempting(format_args!("look for sandbox {}", sandbox.name))?;
        if known > 0 {
            return Ok(false);
        }
        sandbox::insert(&mut tx, sandbox).await?;
        let columns = [sandbox.name.as_str(), &sandbox.title];
        self.made(&mut tx, by, "sandboxes", &sandbox.id, &columns)
            .await?;
        commit(tx).await?;
        Ok(true)
    }

    async fn sandboxes(&self, org: &OrgId) -> Result<Vec<Sandbox>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<SandboxRow> = sqlx::query_as(
            "SELECT org, name, id, title, is_default, created_at FROM sandbox WHERE org = ?
             ORDER BY created_at, name",
        )
        .bind(org.as_str())
        .fetch_all(&mut *tx)
        .await
        .attempting(format_args!("list sandboxes of {org}"))?;
        Ok(rows.into_iter().map(Sandbox::from).collect())
    }

    async fn sandbox(&self, org: &OrgId, name: &SandboxName) -> Result<Option<Sandbox>, Fault> {
        let mut tx = self.read().await?;
        let row: Option<SandboxRow> = sqlx::query_as(
            "SELECT org, name, id, title, is_default, created_at FROM sandbox WHERE org = ? AND name = ?",
        )
        .bind(org.as_str())
        .bind(name.as_str())
        .fetch_optional(&mut *tx)
        .await
        .attempting(format_args!("read sandbox {name}"))?;
        Ok(row.map(Sandbox::from))
    }

    async fn organisations(&self) -> Result<Vec<Organisation>, Fault> {
        let mut tx = self.read().await?;
        let rows: Vec<OrganisationRow> =
            sqlx::query_as("SELECT * FROM organisation ORDER BY created_at, id")
                .fetch_all(&mut *tx)
                .await
                .attempting("list organisations")?;
        rows.into_iter()
            .map(OrganisationRow::into_organisation)
            .collect()
    }

    async fn organisation(&self, id: &OrgId) -> Result<Option<Organisation>, Fault> {
        let mut tx = self.read().await?;
        organisation::read(&mut tx, id).await
    }

    async fn replace_organisation(&self, org: &Organisation, by: &Actor) -> Result<(), Fault> {
        let mut tx = self.write().await?;
        let before = organisation::read(&mut tx, &org.id).await?;
        let limit = |limit: Option<u64>| limit.map(signed);
        sqlx::query(
            "UPDATE organisation SET name = ?, flows_max = ?, concurrent_runs_max = ?, bytes_per_day_max = ?
             WHERE id = ?",
        )
        .bind(&org.name)
        .bind(limit(org.quotas.flows))
        .bind(limit(org.quotas.concurrent_runs))
        .bind(limit(org.quotas.bytes_per_day))
        .bind(org.id.as_str())
        .execute(&mut *tx)
        .await
        .attempting(format_args!("change organisation {}", org.id))?;
        let object = AuditObject::new("organisations", org.id.as_str());
        let before = before.as_ref().map(organisation::digest_of);
        let after = Some(organisation::digest_of(org));
        audit::record(&mut tx, self.now(), by, &object, before, after).await?;
        commit(tx).await
    }

    async fn usage(&self, org: &OrgId) -> Result<Usage, Fault> {
        let mut tx = self.read().await?;
        quotas::usage(&mut tx, org, self.now()).await
    }
}

impl Store {
    async fn made(
        &self,
        db: &mut SqliteConnection,
        by: &Actor,
        collection: &str,
        id: &str,
        columns: &[&str],
    ) -> Result<(), Fault> {
        let object = AuditObject::new(collection, id);
        let after = Some(audit::digest_of(columns));
        audit::record(db, self.now(), by, &object, None, after).await
    }

    async fn organisation_made(
        &self,
        db: &mut SqliteConnection,
        by: &Actor,
        org: &Organisation,
    ) -> Result<(), Fault> {
        let object = AuditObject::new("organisations", org.id.as_str());
        let after = Some(organisation::digest_of(org));
        audit::record(db, self.now(), by, &object, None, after).await
    }

    async fn client_made(
        &self,
        db: &mut SqliteConnection,
        by: &Actor,
        client: &ClientRecord,
    ) -> Result<(), Fault> {
        let object = AuditObject::new("clients", client.id.as_str());
        audit::record(db, self.now(), by, &object, None, Some(digest_of(client))).await
    }
}

/// The secret takes part by its digest, so that a new one shows.
fn digest_of(client: &ClientRecord) -> String {
    let mut roles: Vec<String> = client.roles.iter().map(spelled).collect();
    roles.sort();
    let enabled = if client.enabled {
        "enabled"
    } else {
        "disabled"
    };
    let secret = hex::encode(client.secret_sha256);
    let former = client.former_secret.map_or_else(String::new, |former| {
        format!("{} {}", hex::encode(former.sha256), former.until.0)
    });
    let subject = client.subject.as_deref().unwrap_or_default();
    let mut columns = vec![client.name.as_str(), enabled, &secret, &former, subject];
    columns.extend(roles.iter().map(String::as_str));
    audit::digest_of(&columns)
}

fn spelled(binding: &RoleBinding) -> String {
    let sandbox = binding
        .sandbox
        .as_ref()
        .map_or(EVERYWHERE, SandboxName::as_str);
    format!("{} {sandbox}", binding.role.name())
}

async fn read_client(
    db: &mut SqliteConnection,
    id: &ClientId,
) -> Result<Option<ClientRecord>, Fault> {
    let row: Option<ClientRow> = sqlx::query_as(
        "SELECT id, org, name, secret_sha256, former_sha256, former_until, subject, created_at, enabled FROM client WHERE id = ?",
    )
    .bind(id.as_str())
    .fetch_optional(&mut *db)
    .await
    .attempting(format_args!("read client {id}"))?;
    match row {
        Some(row) => with_roles(db, row).await.map(Some),
        None => Ok(None),
    }
}

async fn insert_client(db: &mut SqliteConnection, client: &ClientRecord) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO client (id, org, name, secret_sha256, subject, created_at, enabled)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(client.id.as_str())
    .bind(client.org.as_str())
    .bind(&client.name)
    .bind(client.secret_sha256.as_slice())
    .bind(&client.subject)
    .bind(client.created_at.0)
    .bind(client.enabled)
    .execute(&mut *db)
    .await
    .attempting(format_args!("insert client {}", client.id))?;
    insert_roles(db, client).await
}

async fn insert_roles(db: &mut SqliteConnection, client: &ClientRecord) -> Result<(), Fault> {
    for binding in &client.roles {
        let sandbox = binding
            .sandbox
            .as_ref()
            .map_or(EVERYWHERE, SandboxName::as_str);
        sqlx::query("INSERT OR IGNORE INTO role_binding (client, sandbox, role) VALUES (?, ?, ?)")
            .bind(client.id.as_str())
            .bind(sandbox)
            .bind(binding.role.name())
            .execute(&mut *db)
            .await
            .attempting(format_args!("insert a role of client {}", client.id))?;
    }
    Ok(())
}

async fn with_roles(db: &mut SqliteConnection, row: ClientRow) -> Result<ClientRecord, Fault> {
    let bindings: Vec<(String, String)> = sqlx::query_as(
        "SELECT sandbox, role FROM role_binding WHERE client = ? ORDER BY sandbox, role",
    )
    .bind(&row.id)
    .fetch_all(db)
    .await
    .attempting(format_args!("read the roles of client {}", row.id))?;
    let roles = bindings.into_iter().map(|(sandbox, role)| {
        let known = Role::parse(&role);
        Ok(RoleBinding {
            sandbox: (sandbox != EVERYWHERE).then_some(SandboxName(sandbox)),
            role: known.ok_or_else(|| corrupt(format_args!("stored role {role:?} is none")))?,
        })
    });
    let roles = roles.collect::<Result<_, Fault>>()?;
    row.into_record(roles)
}

#[derive(FromRow)]
struct ClientRow {
    id: String,
    org: String,
    name: String,
    secret_sha256: Vec<u8>,
    former_sha256: Option<Vec<u8>>,
    former_until: Option<i64>,
    subject: Option<String>,
    created_at: i64,
    enabled: bool,
}

impl ClientRow {
    fn into_record(self, roles: Vec<RoleBinding>) -> Result<ClientRecord, Fault> {
        let digest = |bytes: Vec<u8>| -> Result<[u8; 32], Fault> {
            let proper = bytes.try_into();
            proper.map_err(|_| corrupt(format_args!("client {} has no proper digest", self.id)))
        };
        let secret_sha256 = digest(self.secret_sha256)?;
        let former_secret = match self.former_sha256.zip(self.former_until) {
            Some((bytes, until)) => Some(FormerSecret {
                sha256: digest(bytes)?,
                until: Millis(until),
            }),
            None => None,
        };
        Ok(ClientRecord {
            id: ClientId(self.id),
            org: OrgId(self.org),
            name: self.name,
            secret_sha256,
            former_secret,
            subject: self.subject,
            created_at: Millis(self.created_at),
            enabled: self.enabled,
            roles,
        })
    }
}
