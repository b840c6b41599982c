//! Tables written by hand, to say exactly what a log says.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::support::commit_file;

pub(crate) struct Crafted {
    pub(crate) path: PathBuf,
    pub(crate) next: u64,
}

impl Crafted {
    /// A table with a column `row_id` and those further fields, in version 0.
    pub(crate) fn new(path: &Path, fields: &[Value], partitions: &[&str]) -> Self {
        Self::with(
            path,
            json!({"minReaderVersion": 1, "minWriterVersion": 2}),
            fields,
            partitions,
        )
    }

    pub(crate) fn with(
        path: &Path,
        protocol: Value,
        fields: &[Value],
        partitions: &[&str],
    ) -> Self {
        fs::create_dir_all(path.join("_delta_log")).unwrap();
        let mut table = Self {
            path: path.to_owned(),
            next: 0,
        };
        table.commit(&[
            json!({"protocol": protocol}),
            metadata("one", fields, partitions, json!({})),
        ]);
        table
    }

    pub(crate) fn commit(&mut self, lines: &[Value]) -> u64 {
        let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
        let text = lines.join("\n") + "\n";
        self.commit_text(&text)
    }

    pub(crate) fn commit_text(&mut self, text: &str) -> u64 {
        fs::write(commit_file(&self.path, self.next), text).unwrap();
        self.next += 1;
        self.next - 1
    }

    /// Writes a data file of those row numbers; answers its size.
    pub(crate) fn file(&self, path: &str, rows: std::ops::Range<i64>) -> u64 {
        let place = self.path.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let numbers = Arc::new(Int64Array::from_iter_values(rows));
        let batch = RecordBatch::try_from_iter([("row_id", numbers as _)]).unwrap();
        let mut writer =
            ArrowWriter::try_new(fs::File::create(&place).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        fs::metadata(place).unwrap().len()
    }
}

pub(crate) fn column(name: &str, kind: &str) -> Value {
    json!({"name": name, "type": kind, "nullable": true, "metadata": {}})
}

pub(crate) fn metadata(
    id: &str,
    fields: &[Value],
    partitions: &[&str],
    configuration: Value,
) -> Value {
    let mut all = vec![column("row_id", "long")];
    all.extend_from_slice(fields);
    metadata_of(id, &all, partitions, configuration)
}

pub(crate) fn metadata_of(
    id: &str,
    all: &[Value],
    partitions: &[&str],
    configuration: Value,
) -> Value {
    let schema = json!({"type": "struct", "fields": all});
    json!({"metaData": {
        "id": id,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema.to_string(),
        "partitionColumns": partitions,
        "configuration": configuration,
        "createdTime": 0,
    }})
}

pub(crate) fn add(path: &str, size: u64, values: Value) -> Value {
    json!({"add": {
        "path": path, "partitionValues": values, "size": size,
        "modificationTime": 0, "dataChange": true, "stats": "{\"numRecords\":10}",
    }})
}

pub(crate) fn remove(path: &str, data_change: bool) -> Value {
    json!({"remove": {"path": path, "dataChange": data_change, "deletionTimestamp": 0}})
}

pub(crate) fn info(operation: &str) -> Value {
    json!({"commitInfo": {"operation": operation, "timestamp": 0}})
}
