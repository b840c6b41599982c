//! The resources of `offtake run`, made through the public API unless they are there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use offtake_core::specs;
use reqwest::Method;
use serde_json::{Value, json};

use super::file::ExportFile;
use crate::client::Client;

const PREFIX: &str = "/data/foundation/flowservice";
const CATALOG: &str = "/data/foundation/catalog/dataSets";

/// Name of the lake root that stands for the folder around a table named by its path.
pub(super) const TABLE_ROOT: &str = "run";

/// When the flow's own schedule would begin, in seconds: in the year 5000. Cron decides when it runs.
const NEVER: i64 = 95_617_584_000;

/// What to make, for whom.
pub(super) struct Setup<'a> {
    pub(super) client: &'a Client,
    pub(super) name: &'a str,
    pub(super) export: &'a ExportFile,
}

/// The folder around the table, when the location is a path of this machine.
pub(super) fn table_root(location: &str) -> Result<Option<PathBuf>> {
    if location.contains("://") {
        return Ok(None);
    }
    let path = Path::new(location);
    match path.parent() {
        Some(parent) if path.is_absolute() && path.file_name().is_some() => {
            Ok(Some(parent.to_owned()))
        }
        Some(_) | None => bail!(
            "`dataset.location` {location} is not an absolute path of a table's folder, nor `lake://<root>/<path>`"
        ),
    }
}

impl Setup<'_> {
    /// The flow that delivers what the file says; its id.
    pub(super) async fn flow(&self) -> Result<String> {
        let kind = self.export.destination.kind;
        let to = specs::destination(kind).reference();
        let dataset = self.dataset().await?;
        let source = json!({
            "connectionSpec": { "id": specs::data_lake().id(), "version": specs::VERSION },
            "params": { "datasets": [{ "dataSetId": dataset, "name": self.dataset_name()? }] },
        });
        let source = self.ensure("sourceConnections", source).await?;
        let mut base = json!({ "connectionSpec": { "id": to.id, "version": to.version } });
        if let (Some(auth), Some(base)) = (self.export.auth()?, base.as_object_mut()) {
            base.insert("auth".to_owned(), auth);
        }
        let base = self.ensure("connections", base).await?;
        let target = json!({
            "baseConnectionId": base,
            "connectionSpec": { "id": to.id, "version": to.version },
            "params": self.export.target_params(),
        });
        let target = self.ensure("targetConnections", target).await?;
        let wanted = Wanted {
            source: json!([source]),
            target: json!([target]),
            folder: self
                .export
                .folder
                .as_ref()
                .map_or(Value::Null, |it| json!(it)),
        };
        match self.found("flows", &self.named("flow")).await? {
            Some(flow) => self.point(&flow, &wanted).await,
            None => self.make_flow(&wanted).await,
        }
    }

    async fn make_flow(&self, wanted: &Wanted) -> Result<String> {
        let kind = self.export.destination.kind;
        let spec = specs::flow_spec_of(kind).context("no flow spec for this destination")?;
        let mut schedule = json!({
            "exportMode": "FIRST_FULL_THEN_INCREMENTAL",
            "interval": 1,
            "timeUnit": "day",
            "startTime": NEVER,
        });
        if let (false, Some(schedule)) = (wanted.folder.is_null(), schedule.as_object_mut()) {
            schedule.insert("foldernameTemplate".to_owned(), wanted.folder.clone());
        }
        let body = json!({
            "name": self.named("flow"),
            "flowSpec": { "id": spec.id(), "version": specs::VERSION },
            "sourceConnectionIds": wanted.source,
            "targetConnectionIds": wanted.target,
            "transformations": [],
            "scheduleParams": schedule,
        });
        self.create("flows", &body).await
    }

    /// Points the flow at what the file says now. Its position stays.
    async fn point(&self, flow: &Value, wanted: &Wanted) -> Result<String> {
        let id = text(flow, "id").context("a flow without id")?;
        let template = "/scheduleParams/foldernameTemplate";
        let mut patch = Vec::new();
        for (path, value) in [
            ("/sourceConnectionIds", &wanted.source),
            ("/targetConnectionIds", &wanted.target),
            (template, &wanted.folder),
        ] {
            let now = flow.pointer(path).unwrap_or(&Value::Null);
            if now != value {
                patch.push(match (now.is_null(), value.is_null()) {
                    (_, true) => json!({ "op": "remove", "path": path }),
                    (true, false) => json!({ "op": "add", "path": path, "value": value }),
                    (false, false) => json!({ "op": "replace", "path": path, "value": value }),
                });
            }
        }
        if !patch.is_empty() {
            let etag = text(flow, "etag").context("a flow without etag")?;
            let path = format!("{PREFIX}/flows/{id}");
            self.client
                .patch(&path, &etag, &Value::Array(patch))
                .await?;
        }
        Ok(id)
    }

    /// The dataset at the file's location; its id.
    async fn dataset(&self) -> Result<String> {
        let given = &self.export.dataset.location;
        let location = match table_root(given)? {
            None => given.clone(),
            Some(_) => format!("lake://{TABLE_ROOT}/{}", folder_name(given)?),
        };
        let path = format!("{CATALOG}?limit=100");
        let known = self.client.call(Method::GET, &path, None).await?;
        let name = self.dataset_name()?;
        for (id, dataset) in known.as_object().into_iter().flatten() {
            if text(dataset, "name").as_ref() == Some(&name)
                && text(dataset, "location").as_ref() == Some(&location)
            {
                return Ok(id.clone());
            }
        }
        let body = json!({ "name": name, "location": location });
        let answer = self.client.call(Method::POST, CATALOG, Some(&body)).await?;
        let reference = answer.pointer("/0").and_then(Value::as_str);
        let id = reference.and_then(|it| it.rsplit('/').next());
        Ok(id.context("the dataset has no id")?.to_owned())
    }

    fn dataset_name(&self) -> Result<String> {
        match &self.export.dataset.name {
            Some(name) => Ok(name.clone()),
            None => folder_name(&self.export.dataset.location),
        }
    }

    /// The resource with this body, made unless it is there; its id.
    async fn ensure(&self, collection: &str, mut body: Value) -> Result<String> {
        let name = format!(
            "{}-{}",
            self.named(collection),
            self.client.fingerprint(&body)
        );
        if let Some(found) = self.found(collection, &name).await? {
            return text(&found, "id").context("a resource without id");
        }
        if let Some(body) = body.as_object_mut() {
            body.insert("name".to_owned(), json!(name));
        }
        self.create(collection, &body).await
    }

    async fn create(&self, collection: &str, body: &Value) -> Result<String> {
        let path = format!("{PREFIX}/{collection}");
        let answer = self.client.call(Method::POST, &path, Some(body)).await?;
        text(&answer, "id").context("the answer has no id")
    }

    async fn found(&self, collection: &str, name: &str) -> Result<Option<Value>> {
        let path = format!("{PREFIX}/{collection}?limit=1&property=name=={name}");
        let page = self.client.call(Method::GET, &path, None).await?;
        Ok(page.pointer("/items/0").cloned())
    }

    /// A name without characters that mean something in an address or a filter.
    fn named(&self, what: &str) -> String {
        let plain = |it: char| if it.is_ascii_alphanumeric() { it } else { '-' };
        let name: String = self.name.chars().map(plain).collect();
        format!("run-{name}-{what}")
    }
}

/// What the flow is to be pointed at.
struct Wanted {
    source: Value,
    target: Value,
    folder: Value,
}

fn folder_name(location: &str) -> Result<String> {
    let name = location.trim_end_matches('/').rsplit('/').next();
    Ok(name
        .filter(|it| !it.is_empty())
        .with_context(|| format!("`dataset.location` {location} names no folder"))?
        .to_owned())
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}
