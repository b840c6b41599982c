//! Bodies of requests: what they hold, and one of each that works.
//!
//! The rules are `core`'s; here stands what can be said of them in a schema.
//!
//! budget: one body after the other reads as a list.

use serde_json::{Value, json};

/// A request body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    /// Name of its schema.
    pub(super) name: &'static str,
    /// Its content type.
    pub(super) kind: &'static str,
    /// Whether a request may come without it.
    pub(super) optional: bool,
    /// Its schema, with an example.
    pub(super) schema: fn() -> Value,
}

const JSON: &str = "application/json";

impl Body {
    const fn json_of(name: &'static str, schema: fn() -> Value) -> Self {
        Self {
            name,
            kind: JSON,
            optional: false,
            schema,
        }
    }

    const fn or_none(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    pub(super) fn json(self) -> bool {
        self.kind == JSON
    }
}

pub(crate) const NEW_CONNECTION: Body = Body::json_of("ConnectionRequest", || {
    json!({
        "type": "object",
        "description": "A base connection. With a name alone it is one to the Data Landing Zone.",
        "required": ["name"],
        "properties": {
            "name": name(), "description": description(), "connectionSpec": spec(),
            "auth": {
                "type": ["object", "null"],
                "description": "Credentials, as one of the connection spec's `authSpec` entries says.",
                "required": ["specName", "params"],
                "properties": {"specName": text(), "params": {"type": "object"}},
                "additionalProperties": false
            }
        },
        "additionalProperties": false,
        "examples": [{"name": "Landing zone", "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"}}]
    })
});

pub(crate) const FOLDER_PREVIEW: Body = Body::json_of("FolderPreviewRequest", || {
    json!({
        "type": "object",
        "description": "A flow, with what is to be tried in its place; or datasets without one.",
        "properties": {
            "flowId": {"type": ["string", "null"]},
            "foldernameTemplate": {"type": ["string", "null"], "description": "Empty for the default layout."},
            "path": {"type": ["string", "null"], "description": "Folder at the destination."},
            "dataSetIds": {"type": ["array", "null"], "minItems": 1, "maxItems": 100, "items": text()},
            "connectionSpecId": {"type": ["string", "null"], "description": "Of the destination, without a flow."},
            "occurrence": {"type": ["integer", "null"], "description": "Epoch seconds; now when absent."}
        },
        "additionalProperties": false,
        "examples": [{"dataSetIds": ["5ef3e3259ad2a1191ab7dd7d"], "foldernameTemplate": "%DATASET_ID%/%EXPORT_TIME%"}]
    })
});

pub(crate) const NEW_SOURCE: Body = Body::json_of("SourceConnectionRequest", || {
    json!({
        "type": "object",
        "description": "The datasets to export.",
        "required": ["name", "connectionSpec", "params"],
        "properties": {
            "name": name(), "description": description(), "connectionSpec": spec(),
            "params": {
                "type": "object",
                "required": ["datasets"],
                "properties": {"datasets": {"type": "array", "minItems": 1, "items": {
                    "type": "object",
                    "required": ["dataSetId"],
                    "properties": {"dataSetId": text(), "name": {"type": ["string", "null"]}},
                    "additionalProperties": false
                }}},
                "additionalProperties": false
            },
            "data": {"type": ["object", "null"], "description": "Kept, and without effect."},
            "baseConnectionId": {"type": ["string", "null"], "description": "Kept, and without effect."}
        },
        "additionalProperties": false,
        "examples": [{
            "name": "Orders", "connectionSpec": {"id": DATA_LAKE, "version": "1.0"},
            "params": {"datasets": [{"dataSetId": "5ef3e3259ad2a1191ab7dd7d", "name": "Orders"}]}
        }]
    })
});

pub(crate) const NEW_TARGET: Body = Body::json_of("TargetConnectionRequest", || {
    json!({
        "type": "object",
        "description": "Where the files go and how they are written.",
        "required": ["name", "baseConnectionId", "connectionSpec", "params"],
        "properties": {
            "name": name(), "description": description(), "connectionSpec": spec(),
            "baseConnectionId": text(),
            "params": {"type": "object", "description": "As the connection spec's `targetSpec` says."}
        },
        "additionalProperties": false,
        "examples": [{
            "name": "Orders", "baseConnectionId": SOME_ID, "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"},
            "params": {"path": "exports", "compression": "GZIP", "datasetFileType": "JSON"}
        }]
    })
});

pub(crate) const NEW_FLOW: Body = Body::json_of("FlowRequest", || {
    json!({
        "type": "object",
        "required": ["name", "flowSpec", "sourceConnectionIds", "targetConnectionIds", "scheduleParams"],
        "properties": {
            "name": name(), "description": description(), "flowSpec": spec(),
            "sourceConnectionIds": one_id(), "targetConnectionIds": one_id(),
            "transformations": {"type": "array", "maxItems": 0},
            "scheduleParams": schedule()
        },
        "additionalProperties": false,
        "examples": [{
            "name": "Orders, every three hours", "flowSpec": {"id": LANDING_ZONE_FLOW, "version": "1.0"},
            "sourceConnectionIds": [SOME_ID], "targetConnectionIds": [SOME_ID], "transformations": [],
            "scheduleParams": {"interval": 3, "timeUnit": "hour", "startTime": 1_790_000_000}
        }]
    })
});

pub(crate) const NEW_RUN: Body = Body::json_of("RunRequest", || {
    json!({
        "type": "object",
        "required": ["flowId"],
        "properties": {
            "flowId": text(),
            "params": {
                "type": ["object", "null"],
                "description": "Extensions.",
                "properties": {
                    "full": {"type": ["boolean", "null"], "description": "Everything again."},
                    "replayOf": {"type": ["string", "null"], "description": "The run to repeat."}
                },
                "additionalProperties": false
            },
            "status": {"description": "Without effect."}
        },
        "additionalProperties": false,
        "examples": [{"flowId": SOME_ID}]
    })
});

pub(crate) const ADHOC: Body = Body::json_of("AdhocRequest", || {
    json!({
        "type": "object",
        "required": ["activationInfo"],
        "properties": {"activationInfo": {
            "type": "object",
            "required": ["destinations"],
            "properties": {"destinations": {"type": "array", "minItems": 1, "items": {
                "type": "object",
                "required": ["flowId", "datasets"],
                "properties": {
                    "flowId": text(),
                    "datasets": {"type": "array", "minItems": 1, "items": {
                        "type": "object", "required": ["id"], "properties": {"id": text()}
                    }}
                }
            }}}
        }},
        "examples": [{"activationInfo": {"destinations": [
            {"flowId": SOME_ID, "datasets": [{"id": "5ef3e3259ad2a1191ab7dd7d"}]}
        ]}}]
    })
});

pub(crate) const SEARCH: Body = Body::json_of("SearchRequest", || {
    json!({
        "type": "object",
        "properties": {
            "queryString": {"type": ["string", "null"], "description": "Filters, as they would stand in a query."},
            "limit": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000},
            "orderby": {"type": ["string", "null"]},
            "count": {"type": ["boolean", "null"]},
            "projectionFields": {"type": ["string", "null"], "description": "Fields to answer, separated by commas."}
        },
        "additionalProperties": false,
        "examples": [{"queryString": "property=name==Orders", "limit": 100, "projectionFields": "id,name"}]
    })
});

pub(crate) const PATCH: Body = Body::json_of("PatchRequest", || {
    json!({
        "type": "array",
        "minItems": 1,
        "items": patch_operation(),
        "examples": [[{"op": "replace", "path": "/name", "value": "Orders"}]]
    })
});

pub(crate) const NEW_DATASET: Body = Body::json_of("DatasetRequest", || {
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": name(),
            "location": {
                "type": ["string", "null"],
                "description": "Extension: where the table lies, `lake://<root>/<path>`. Without it, batches bring \
                    the rows."
            }
        },
        "additionalProperties": true,
        "examples": [{"name": "Orders", "location": "lake://default/sales/orders"}]
    })
});

pub(crate) const DATASET_CHANGE: Body = Body::json_of("DatasetChangeRequest", || {
    json!({
        "anyOf": [
            {"type": "object", "description": "Merged into the dataset; null removes a field."},
            {"type": "array", "items": patch_operation()}
        ],
        "examples": [{"description": "All orders since 2020"}]
    })
});

pub(crate) const NEW_BATCH: Body = Body::json_of("BatchRequest", || {
    json!({
        "type": "object",
        "required": ["datasetId", "inputFormat"],
        "properties": {
            "datasetId": text(),
            "inputFormat": {
                "type": "object",
                "required": ["format"],
                "properties": {
                    "format": {"type": "string", "enum": ["json", "parquet", "csv"]},
                    "isMultiLineJson": {"type": ["boolean", "null"]},
                    "delimiter": {"type": ["string", "null"]}, "quote": {"type": ["string", "null"]},
                    "escape": {"type": ["string", "null"]}, "charset": {"type": ["string", "null"]},
                    "header": {}
                }
            },
            "externalId": {"type": ["string", "null"]},
            "tags": {"type": ["object", "null"]}
        },
        "examples": [{"datasetId": "5ef3e3259ad2a1191ab7dd7d", "inputFormat": {"format": "json"}}]
    })
});

pub(crate) const FILE: Body = Body {
    name: "FileBytes",
    kind: "application/octet-stream",
    optional: false,
    schema: || json!({"type": "string", "description": "The bytes of the file or of its part."}),
};

pub(crate) const TOKEN: Body = Body {
    name: "TokenRequest",
    kind: "application/x-www-form-urlencoded",
    optional: false,
    schema: || {
        json!({
            "type": "object",
            "required": ["grant_type", "client_id", "client_secret"],
            "properties": {
                "grant_type": {"type": "string", "const": "client_credentials"},
                "client_id": text(), "client_secret": text(), "scope": text()
            }
        })
    },
};

pub(crate) const NEW_SANDBOX: Body = Body::json_of("SandboxRequest", || {
    json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"},
            "title": {"type": ["string", "null"]},
            "type": {"description": "Without effect."}
        },
        "additionalProperties": false,
        "examples": [{"name": "dev", "title": "Development"}]
    })
});

pub(crate) const NEW_ORGANISATION: Body = Body::json_of("OrganisationRequest", || {
    json!({
        "type": "object", "required": ["name"], "properties": {"name": name()}, "additionalProperties": false,
        "examples": [{"name": "Subsidiary"}]
    })
});

pub(crate) const ORGANISATION_CHANGE: Body = Body::json_of("OrganisationChangeRequest", || {
    let quota = json!({"type": ["integer", "null"], "minimum": 0});
    json!({
        "type": "object",
        "properties": {
            "name": name(),
            "quotas": {
                "type": "object",
                "description": "Null lifts a quota.",
                "properties": {"flows": quota, "concurrentRuns": quota, "bytesPerDay": quota},
                "additionalProperties": false
            }
        },
        "additionalProperties": false,
        "examples": [{"quotas": {"flows": 100, "bytesPerDay": null}}]
    })
});

pub(crate) const NEW_CLIENT: Body = Body::json_of("ClientRequest", || {
    json!({
        "type": "object",
        "required": ["name", "roles"],
        "properties": {"name": name(), "roles": roles(), "subject": subject()},
        "additionalProperties": false,
        "examples": [{"name": "Partner", "roles": [{"role": "viewer", "sandbox": "prod"}]}]
    })
});

pub(crate) const CLIENT_CHANGE: Body = Body::json_of("ClientChangeRequest", || {
    json!({
        "type": "object",
        "properties": {
            "name": name(), "roles": roles(), "enabled": {"type": "boolean"}, "subject": subject()
        },
        "additionalProperties": false,
        "examples": [{"enabled": false}]
    })
});

pub(crate) const NEW_SECRET: Body = Body::json_of("NewSecretRequest", || {
    json!({
        "type": "object",
        "description": "May be left out: the old secret ends at once.",
        "properties": {"graceSeconds": {
            "type": "integer", "minimum": 0, "maximum": 2_592_000,
            "description": "For how long the old secret is accepted, too."
        }},
        "additionalProperties": false,
        "examples": [{"graceSeconds": 3600}]
    })
})
.or_none();

const DATA_LAKE: &str = "23598e46-f560-407b-88d5-ea6207e49db0";
const LANDING_ZONE: &str = "10440537-2a7b-4583-ac39-ed38d4b848e8";
const LANDING_ZONE_FLOW: &str = "cd2fc47e-e838-4f38-a581-8fff2f99b63a";
const SOME_ID: &str = "7a6e2c4f-0a0c-4f5f-9d5e-2f3b5b8a9c01";

fn text() -> Value {
    json!({"type": "string"})
}

fn name() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn description() -> Value {
    json!({"type": ["string", "null"]})
}

fn spec() -> Value {
    json!({
        "type": "object",
        "required": ["id", "version"],
        "properties": {"id": text(), "version": {"type": "string", "const": "1.0"}},
        "additionalProperties": false
    })
}

fn one_id() -> Value {
    json!({"type": "array", "minItems": 1, "maxItems": 1, "items": text()})
}

fn schedule() -> Value {
    json!({
        "type": "object",
        "required": ["interval", "timeUnit", "startTime"],
        "properties": {
            "interval": {
                "type": ["integer", "string"],
                "description": "3, 6, 8, 9, 12 or 24 hours, 1 day, or 0 for once."
            },
            "timeUnit": {"type": "string", "enum": ["hour", "day"]},
            "startTime": {"type": ["integer", "string"], "description": "Epoch seconds."},
            "endTime": {"type": ["integer", "string", "null"], "description": "Epoch seconds."},
            "exportMode": {
                "type": ["string", "null"],
                "enum": ["FIRST_FULL_THEN_INCREMENTAL", "DAILY_FULL_EXPORT", null]
            },
            "foldernameTemplate": {"type": ["string", "null"]}
        }
    })
}

fn roles() -> Value {
    let roles = offtake_model::Role::ALL.iter().map(|role| role.name());
    json!({"type": "array", "minItems": 1, "items": {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": {"type": "string", "enum": roles.collect::<Vec<_>>()},
            "sandbox": {"type": ["string", "null"]}
        },
        "additionalProperties": false
    }})
}

fn subject() -> Value {
    json!({
        "type": ["string", "null"], "minLength": 1, "maxLength": 256,
        "description": "The client's name at the issuer outside."
    })
}

fn patch_operation() -> Value {
    json!({
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "description": "`add`, `replace` or `remove`, in either case."},
            "path": text(),
            "value": {}
        }
    })
}
