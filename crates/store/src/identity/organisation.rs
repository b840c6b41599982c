//! Organisations in their rows.

use offtake_model::{Fault, Millis, OrgId};
use offtake_ports::Organisation;
use sqlx::{FromRow, SqliteConnection};

use crate::audit;
use crate::failure::Attempting;
use crate::quotas;

/// Inserts an organisation without quotas.
pub(super) async fn insert(db: &mut SqliteConnection, org: &Organisation) -> Result<(), Fault> {
    sqlx::query("INSERT INTO organisation (id, name, created_at) VALUES (?, ?, ?)")
        .bind(org.id.as_str())
        .bind(&org.name)
        .bind(org.created_at.0)
        .execute(db)
        .await
        .attempting(format_args!("insert organisation {}", org.id))?;
    Ok(())
}

/// As text, so that no limit and a limit of nothing differ.
pub(super) fn digest_of(org: &Organisation) -> String {
    audit::digest_of(&[&org.name, &format!("{:?}", org.quotas)])
}

/// The organisation of that id.
pub(super) async fn read(
    db: &mut SqliteConnection,
    id: &OrgId,
) -> Result<Option<Organisation>, Fault> {
    let row: Option<OrganisationRow> = sqlx::query_as("SELECT * FROM organisation WHERE id = ?")
        .bind(id.as_str())
        .fetch_optional(db)
        .await
        .attempting(format_args!("read organisation {id}"))?;
    row.map(OrganisationRow::into_organisation).transpose()
}

#[derive(FromRow)]
pub(super) struct OrganisationRow {
    id: String,
    name: String,
    created_at: i64,
    flows_max: Option<i64>,
    concurrent_runs_max: Option<i64>,
    bytes_per_day_max: Option<i64>,
}

impl OrganisationRow {
    pub(super) fn into_organisation(self) -> Result<Organisation, Fault> {
        Ok(Organisation {
            id: OrgId(self.id),
            name: self.name,
            created_at: Millis(self.created_at),
            quotas: quotas::from_columns(
                self.flows_max,
                self.concurrent_runs_max,
                self.bytes_per_day_max,
            )?,
        })
    }
}
