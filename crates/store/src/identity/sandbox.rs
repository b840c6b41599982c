//! Sandboxes in their rows.

use offtake_model::{Fault, Millis, OrgId, SandboxName};
use offtake_ports::Sandbox;
use sqlx::{FromRow, SqliteConnection};

use crate::failure::Attempting;

/// Inserts a sandbox.
pub(super) async fn insert(db: &mut SqliteConnection, sandbox: &Sandbox) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO sandbox (org, name, id, title, is_default, created_at) VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(sandbox.org.as_str())
    .bind(sandbox.name.as_str())
    .bind(&sandbox.id)
    .bind(&sandbox.title)
    .bind(sandbox.is_default)
    .bind(sandbox.created_at.0)
    .execute(db)
    .await
    .attempting(format_args!("insert sandbox {}", sandbox.name))?;
    Ok(())
}

#[derive(FromRow)]
pub(super) struct SandboxRow {
    org: String,
    name: String,
    id: String,
    title: String,
    is_default: bool,
    created_at: i64,
}

impl From<SandboxRow> for Sandbox {
    fn from(row: SandboxRow) -> Self {
        Self {
            id: row.id,
            org: OrgId(row.org),
            name: SandboxName(row.name),
            title: row.title,
            is_default: row.is_default,
            created_at: Millis(row.created_at),
        }
    }
}
