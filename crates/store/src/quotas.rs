//! Quotas of organisations: counted and judged in the transaction that would exceed them.
//!
//! The one law: a quota never ends what has begun; it refuses what is asked for and puts off what is due.

use offtake_model::{ErrorCode, Fault, Millis, OrgId, Quotas, Usage};
use sqlx::SqliteConnection;

use crate::failure::Attempting;
use crate::rows::{counter, signed};

/// Days of counted bytes that are kept.
const DAYS_KEPT: i64 = 400;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The day of UTC, counted from 1970-01-01.
pub(crate) fn day(now: Millis) -> i64 {
    now.0.div_euclid(DAY_MS)
}

/// Refuses one more flow of an organisation that has all it may have.
pub(crate) async fn check_flows(db: &mut SqliteConnection, org: &OrgId) -> Result<(), Fault> {
    let full: Option<(i64, i64)> = sqlx::query_as(
        "SELECT o.flows_max, count(*) FROM organisation o
         JOIN resource f ON f.org = o.id AND f.kind = 'flow' AND f.hidden = 0
         WHERE o.id = ? AND o.flows_max IS NOT NULL
         GROUP BY o.id HAVING count(*) >= o.flows_max
         UNION ALL
         SELECT flows_max, 0 FROM organisation WHERE id = ? AND flows_max = 0",
    )
    .bind(org.as_str())
    .bind(org.as_str())
    .fetch_optional(db)
    .await
    .attempting(format_args!("count the flows of {org}"))?;
    match full {
        None => Ok(()),
        Some((most, count)) => Err(exceeded(format!(
            "the organisation has {count} flows and may have {most}, in all of its sandboxes together"
        ))),
    }
}

/// Refuses a run that a client asks for when the organisation has had its bytes for today.
pub(crate) async fn check_bytes(
    db: &mut SqliteConnection,
    org: &OrgId,
    now: Millis,
) -> Result<(), Fault> {
    let used: Option<(i64, i64)> = sqlx::query_as(
        "SELECT o.bytes_per_day_max, coalesce(b.bytes, 0) FROM organisation o
         LEFT JOIN delivered_bytes b ON b.org = o.id AND b.day = ?
         WHERE o.id = ? AND coalesce(b.bytes, 0) >= o.bytes_per_day_max",
    )
    .bind(day(now))
    .bind(org.as_str())
    .fetch_optional(db)
    .await
    .attempting(format_args!("count the bytes of {org}"))?;
    match used {
        None => Ok(()),
        Some((most, bytes)) => Err(exceeded(format!(
            "the organisation has had {bytes} bytes delivered today and may have {most}; scheduled runs go on after \
             midnight UTC"
        ))),
    }
}

/// Counts what a delivery has delivered, and forgets long past days.
pub(crate) async fn count_bytes(
    db: &mut SqliteConnection,
    delivery: &str,
    bytes: u64,
    now: Millis,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO delivered_bytes (org, day, bytes) SELECT org, ?, ? FROM delivery WHERE id = ?
         ON CONFLICT (org, day) DO UPDATE SET bytes = bytes + excluded.bytes",
    )
    .bind(day(now))
    .bind(signed(bytes))
    .bind(delivery)
    .execute(&mut *db)
    .await
    .attempting(format_args!("count the bytes of delivery {delivery}"))?;
    sqlx::query(
        "DELETE FROM delivered_bytes WHERE day < ?1 AND org = (SELECT org FROM delivery WHERE id = ?2)",
    )
    .bind(day(now) - DAYS_KEPT)
    .bind(delivery)
    .execute(&mut *db)
    .await
    .attempting("forget the bytes of past days")?;
    Ok(())
}

/// What an organisation uses at `now`.
pub(crate) async fn usage(
    db: &mut SqliteConnection,
    org: &OrgId,
    now: Millis,
) -> Result<Usage, Fault> {
    let (flows, running, bytes): (i64, i64, i64) = sqlx::query_as(
        "SELECT
           (SELECT count(*) FROM resource WHERE org = ?1 AND kind = 'flow' AND hidden = 0),
           (SELECT count(DISTINCT run_id) FROM delivery
            WHERE org = ?1 AND completed_at IS NULL AND lease_owner IS NOT NULL AND lease_expires_at > ?2),
           (SELECT coalesce(sum(bytes), 0) FROM delivered_bytes WHERE org = ?1 AND day = ?3)",
    )
    .bind(org.as_str())
    .bind(now.0)
    .bind(day(now))
    .fetch_one(db)
    .await
    .attempting(format_args!("count what {org} uses"))?;
    Ok(Usage {
        flows: counter(flows, "count")?,
        running: counter(running, "count")?,
        bytes_today: counter(bytes, "bytes")?,
    })
}

/// Quotas from their columns.
pub(crate) fn from_columns(
    flows: Option<i64>,
    concurrent_runs: Option<i64>,
    bytes_per_day: Option<i64>,
) -> Result<Quotas, Fault> {
    let limit = |column: Option<i64>| column.map(|it| counter(it, "quota")).transpose();
    Ok(Quotas {
        flows: limit(flows)?,
        concurrent_runs: limit(concurrent_runs)?,
        bytes_per_day: limit(bytes_per_day)?,
    })
}

fn exceeded(message: String) -> Fault {
    Fault::new(ErrorCode::QuotaExceeded, message)
}
