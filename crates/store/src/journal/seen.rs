//! What a flow has delivered of a Parquet folder.
//!
//! The one law: rows change only within the commit that moves the cursor.

use offtake_model::delivery::SeenMove;
use offtake_model::{DatasetId, Fault, FlowId, FolderFile, SeenFolder};
use sqlx::SqliteConnection;

use crate::failure::Attempting;
use crate::rows::{counter, from_json, to_json};

/// Files written by one statement.
const CHUNK: usize = 10_000;

pub(crate) async fn read(
    db: &mut SqliteConnection,
    flow: FlowId,
    dataset: &DatasetId,
) -> Result<Option<SeenFolder>, Fault> {
    let what = format!("read the seen files of flow {flow} and dataset {dataset}");
    let schema: Option<Option<String>> =
        sqlx::query_scalar("SELECT seen_schema FROM cursor WHERE flow_id = ? AND dataset_id = ?")
            .bind(flow.to_string())
            .bind(dataset.as_str())
            .fetch_optional(&mut *db)
            .await
            .attempting(&what)?;
    let Some(schema) = schema.flatten() else {
        return Ok(None);
    };
    let rows: Vec<(String, i64, Option<String>)> = sqlx::query_as(
        "SELECT path, bytes, tag FROM seen_file WHERE flow_id = ? AND dataset_id = ? ORDER BY path",
    )
    .bind(flow.to_string())
    .bind(dataset.as_str())
    .fetch_all(db)
    .await
    .attempting(&what)?;
    let files = rows.into_iter().map(|(path, bytes, tag)| {
        Ok(FolderFile {
            path,
            bytes: counter(bytes, "file size")?,
            tag,
        })
    });
    Ok(Some(SeenFolder {
        files: files.collect::<Result<_, Fault>>()?,
        schema: from_json(&schema, "schema")?,
    }))
}

/// Writes what the delivery of that id has sent; its cursor has just been moved.
pub(crate) async fn advance(
    db: &mut SqliteConnection,
    delivery: &str,
    step: &SeenMove,
) -> Result<(), Fault> {
    let what = format!("note the files of delivery {delivery}");
    if step.whole {
        sqlx::query(
            "DELETE FROM seen_file WHERE (flow_id, dataset_id) =
                 (SELECT flow_id, dataset_id FROM delivery WHERE id = ?)",
        )
        .bind(delivery)
        .execute(&mut *db)
        .await
        .attempting(&what)?;
    }
    for files in step.delivered.files.chunks(CHUNK) {
        sqlx::query(
            "INSERT INTO seen_file (org, sandbox, flow_id, dataset_id, path, bytes, tag)
             SELECT d.org, d.sandbox, d.flow_id, d.dataset_id,
                    f.value ->> 'path', f.value ->> 'bytes', f.value ->> 'tag'
             FROM delivery d, json_each(?) f WHERE d.id = ?",
        )
        .bind(serde_json::to_string(files).attempting(&what)?)
        .bind(delivery)
        .execute(&mut *db)
        .await
        .attempting(&what)?;
    }
    sqlx::query(
        "UPDATE cursor SET seen_schema = ? WHERE (flow_id, dataset_id) =
             (SELECT flow_id, dataset_id FROM delivery WHERE id = ?)",
    )
    .bind(to_json(&step.delivered.schema, "schema")?)
    .bind(delivery)
    .execute(db)
    .await
    .attempting(&what)?;
    Ok(())
}
