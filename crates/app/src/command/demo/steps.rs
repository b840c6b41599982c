//! The six documented steps as requests, each shown before it is sent.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::output::Output;

const FLOW_SERVICE: &str = "/data/foundation/flowservice";
const CATALOG: &str = "/data/foundation/catalog/dataSets";
const DATA_LAKE_SPEC: &str = "23598e46-f560-407b-88d5-ea6207e49db0";
const LANDING_ZONE_SPEC: &str = "10440537-2a7b-4583-ac39-ed38d4b848e8";
const LANDING_ZONE_FLOW_SPEC: &str = "cd2fc47e-e838-4f38-a581-8fff2f99b63a";

/// How often, and how far apart, the first run is looked for.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// The export that the demo sets up.
pub(super) struct Export<'a> {
    pub(super) client: &'a Client,
    pub(super) output: Output,
    pub(super) file_type: &'a str,
    pub(super) compression: &'a str,
}

impl Export<'_> {
    /// Registers the table and performs steps 1 to 5; the flow's id.
    pub(super) async fn set_up(&self, location: &str) -> Result<String> {
        let dataset = self.dataset(location).await?;
        self.output.say("== Step 1: list exportable datasets");
        let path = format!(
            "{FLOW_SERVICE}/connectionSpecs/{DATA_LAKE_SPEC}/configs?outputType=activationDatasets&outputField=datasets&start=0&limit=20&properties=name,state"
        );
        self.request(Method::GET, &path, None).await?;
        let source = self.source(&dataset).await?;
        let base = self.base().await?;
        let target = self.target(&base).await?;
        self.flow(&source, &target).await
    }

    async fn dataset(&self, location: &str) -> Result<String> {
        self.output
            .say("== Before the steps: the table becomes a dataset");
        let body = json!({ "name": "Demo events", "location": location });
        let answer = self.request(Method::POST, CATALOG, Some(&body)).await?;
        let reference = answer.pointer("/0").and_then(Value::as_str);
        let id = reference
            .and_then(|it| it.rsplit('/').next())
            .context("the dataset has no id")?;
        Ok(id.to_owned())
    }

    async fn source(&self, dataset: &str) -> Result<String> {
        self.output.say("== Step 2: source connection (what)");
        let body = json!({
            "name": "Demo events",
            "connectionSpec": { "id": DATA_LAKE_SPEC, "version": "1.0" },
            "params": { "datasets": [{ "dataSetId": dataset, "name": "Demo events" }] },
        });
        self.create("sourceConnections", &body).await
    }

    async fn base(&self) -> Result<String> {
        self.output
            .say("== Step 3: base connection (credentials; the landing zone needs none)");
        let body = json!({
            "name": "Demo landing zone",
            "connectionSpec": { "id": LANDING_ZONE_SPEC, "version": "1.0" },
        });
        self.create("connections", &body).await
    }

    async fn target(&self, base: &str) -> Result<String> {
        self.output
            .say("== Step 4: target connection (where and how)");
        let body = json!({
            "name": "Demo target",
            "baseConnectionId": base,
            "connectionSpec": { "id": LANDING_ZONE_SPEC, "version": "1.0" },
            "params": {
                "mode": "Server-to-server",
                "path": "exports",
                "compression": self.compression,
                "datasetFileType": self.file_type,
            },
        });
        self.create("targetConnections", &body).await
    }

    async fn flow(&self, source: &str, target: &str) -> Result<String> {
        self.output.say("== Step 5: flow (schedule)");
        let body = json!({
            "name": "Demo flow",
            "flowSpec": { "id": LANDING_ZONE_FLOW_SPEC, "version": "1.0" },
            "sourceConnectionIds": [source],
            "targetConnectionIds": [target],
            "transformations": [],
            "scheduleParams": {
                "exportMode": "FIRST_FULL_THEN_INCREMENTAL",
                "interval": 3,
                "timeUnit": "hour",
                "startTime": now_secs(),
            },
        });
        self.create("flows", &body).await
    }

    /// The run that the schedule started by itself; its id.
    pub(super) async fn first_run(&self, flow: &str) -> Result<String> {
        let path = format!("{FLOW_SERVICE}/runs?property=flowId=={flow}");
        self.output.say(&format!("   GET {path}"));
        for _ in 0..LOOKS {
            let answer = self.client.call(Method::GET, &path, None).await?;
            if let Some(id) = answer.pointer("/items/0/id").and_then(Value::as_str) {
                return Ok(id.to_owned());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!("the flow did not start a run by itself; look at the log with OFFTAKE_LOG=info")
    }

    async fn create(&self, collection: &str, body: &Value) -> Result<String> {
        let answer = self
            .request(
                Method::POST,
                &format!("{FLOW_SERVICE}/{collection}"),
                Some(body),
            )
            .await?;
        let id = answer
            .get("id")
            .and_then(Value::as_str)
            .context("the answer has no id")?;
        Ok(id.to_owned())
    }

    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let body_text = body.map_or(String::new(), |it| format!("  {it}"));
        self.output.say(&format!("   {method} {path}{body_text}"));
        let answer = self.client.call(method, path, body).await?;
        let text = answer.to_string();
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        let more = if shown.len() < text.len() { " …" } else { "" };
        self.output.say(&format!("   -> {shown}{more}"));
        Ok(answer)
    }
}

/// How much of an answer is shown.
const SHOWN_CHARS: usize = 240;

fn now_secs() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
