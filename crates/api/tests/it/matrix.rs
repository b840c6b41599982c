//! The tenant matrix: every operation, asked by those whom it is not for.
//!
//! What belongs to another organisation or sandbox is answered with the same bytes as what does not exist, and
//! nothing that a stranger sends changes anything.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use offtake_api::{Needs, Operation, operations};
use serde_json::{Value, json};

use crate::access::as_client;
use crate::world::{DATA_LAKE, DATASETS, LANDING_ZONE, LANDING_ZONE_FLOW, World};

type Headers = BTreeMap<&'static str, String>;

/// An id of the right form that nothing has: what stands for the neighbour's in the request to compare with.
const MISSING: &str = "00000000-0000-4000-8000-000000000000";

/// A world with one of everything.
struct Owned {
    world: World,
    /// By the name of the collection in the path.
    ids: BTreeMap<&'static str, String>,
}

impl Owned {
    async fn new() -> Self {
        let world = World::new().await;
        let flow = world.flow().await;
        let shown = world.get(&format!("/flows/{flow}")).await;
        let id = |pointer: &str| {
            shown
                .item()
                .pointer(pointer)
                .unwrap()
                .as_str()
                .unwrap()
                .to_owned()
        };
        let source = id("/sourceConnectionIds/0");
        let read = world.get(&format!("/sourceConnections/{source}")).await;
        let dataset = read.item()["params"]["datasets"][0]["dataSetId"]
            .as_str()
            .unwrap()
            .to_owned();
        let managed = world.post(DATASETS, &json!({"name": "managed"})).await;
        let managed = managed.body[0]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        let batch = json!({"datasetId": managed, "inputFormat": {"format": "json"}});
        let batch = world
            .post("/data/foundation/import/batches", &batch)
            .await
            .id();
        let run = world.post("/runs", &json!({"flowId": flow})).await.id();
        let client = json!({"name": "partner", "roles": [{"role": "viewer"}]});
        let client = world.post("/offtake/v1/clients", &client).await.id();
        let ids = BTreeMap::from([
            (
                "connections",
                id("/inheritedAttributes/targetConnections/0/baseConnection/id"),
            ),
            ("sourceConnections", source),
            ("targetConnections", id("/targetConnectionIds/0")),
            ("flows", flow),
            ("runs", run),
            ("dataSets", dataset.clone()),
            ("views", dataset.clone()),
            ("datasets", managed),
            ("batches", batch.clone()),
            ("files", format!("{batch}-1")),
            ("clients", client),
        ]);
        Self { world, ids }
    }

    /// The path with ids in the places of its parameters, or with missing ones.
    fn path(&self, operation: &Operation, missing: bool) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        for part in operation.path.split('/') {
            let filled = match part {
                "{*file}" => "part.json".to_owned(),
                _ if part.starts_with('{') => {
                    let org = self.world.first.org.to_string();
                    let id = match parts.last()?.as_str() {
                        "organisations" => &org,
                        collection => self.ids.get(collection)?,
                    };
                    match (missing, parts.last().map(String::as_str)) {
                        (false, _) => id.clone(),
                        (true, Some("files")) => format!("{MISSING}-1"),
                        (true, _) => MISSING.to_owned(),
                    }
                }
                _ => part.to_owned(),
            };
            parts.push(filled);
        }
        Some(parts.join("/"))
    }

    async fn ask(&self, headers: &Headers, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut headers = headers.clone();
        headers.insert("content-type", "application/json".to_owned());
        headers.insert("if-match", "*".to_owned());
        headers.insert("content-range", "bytes 0-1/4".to_owned());
        let (path, question) = path.split_once('?').unwrap_or((path, ""));
        let op = if path.contains("/runs/") {
            "RE_TRIGGER"
        } else {
            "disable"
        };
        let path = if path.ends_with("/audit") {
            path.to_owned()
        } else {
            format!("{path}?{question}&op={op}&action=COMPLETE&dataSetId={MISSING}")
        };
        let answer = self
            .world
            .call(method, &path, &headers, Body::from(body.to_owned()))
            .await;
        (answer.status, answer.text)
    }

    /// What a partner organisation and another sandbox of the same one send along.
    async fn strangers(&self) -> Vec<(&'static str, Headers)> {
        let made = self
            .world
            .post("/offtake/v1/organisations", &json!({"name": "Other"}))
            .await;
        let text = |key: &str| made.body[key].as_str().unwrap().to_owned();
        let mut org = as_client(&self.world, &text("clientId"), &text("clientSecret")).await;
        org.insert("x-gw-ims-org-id", text("id"));
        let sandboxes = "/data/foundation/sandbox-management/sandboxes";
        let made = self.world.post(sandboxes, &json!({"name": "dev"})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let mut sandbox = self.world.headers();
        sandbox.insert("x-sandbox-name", "dev".to_owned());
        vec![("another organisation", org), ("another sandbox", sandbox)]
    }
}

/// A body that is legal in itself.
fn body(operation: &Operation) -> &'static str {
    match operation.method {
        "PATCH" if operation.path.ends_with("/clients/{id}") => r#"{"enabled": false}"#,
        "PATCH" => r#"[{"op": "replace", "path": "/name", "value": "taken over"}]"#,
        "PUT" => r#"{"name": "taken over"}"#,
        _ => "",
    }
}

/// Whether the operation's path names something that belongs to a sandbox. Held flows are whoever's, for those who run
/// the server, and there are none in a store that was never restored.
fn names_one(operation: &Operation) -> bool {
    operation.path.contains('{')
        && !operation.path.contains("/held-flows/")
        && !operation.path.contains("Specs/")
        && !operation.path.contains("/sandboxes/")
}

/// Clients belong to the whole organisation.
fn of_organisation(operation: &Operation) -> bool {
    operation.path.starts_with("/offtake/v1/")
}

fn of_callers() -> Vec<Operation> {
    let all = operations().into_iter();
    all.filter(|it| matches!(it.needs, Needs::AnyOf(_)))
        .collect()
}

#[tokio::test]
async fn what_is_the_neighbours_is_answered_as_what_does_not_exist() {
    let owned = Owned::new().await;
    let strangers = owned.strangers().await;
    let before = owned.world.rows().await;
    let mut compared = 0;
    for operation in of_callers().iter().filter(|it| names_one(it)) {
        let path = owned
            .path(operation, false)
            .unwrap_or_else(|| panic!("no id for {operation:?}"));
        let missing = owned.path(operation, true).unwrap();
        for (who, headers) in &strangers {
            if of_organisation(operation) && *who == "another sandbox" {
                continue;
            }
            let theirs = owned
                .ask(headers, operation.method, &path, body(operation))
                .await;
            let nothing = owned
                .ask(headers, operation.method, &missing, body(operation))
                .await;
            let mut text = theirs.1;
            for id in owned.ids.values().rev() {
                text = text.replace(id.as_str(), MISSING);
            }
            if of_organisation(operation) {
                text = text.replace(owned.world.first.org.as_str(), MISSING);
            }
            assert_eq!(
                (theirs.0, text),
                nothing,
                "{who}: {} {path}",
                operation.method
            );
            // The documentation gives an action on an unknown flow a number and status of its own; what nobody may
            // write is refused whoever's it is.
            let expected = match operation.path.rsplit('/').next() {
                Some("action") if operation.path.contains("/flows/") => 400,
                Some("{id}") if operation.method == "PUT" && operation.path.contains("/runs/") => {
                    400
                }
                // Quotas are the operator's of the whole server.
                Some("{id}")
                    if operation.method == "PATCH"
                        && operation.path.contains("/organisations/") =>
                {
                    403
                }
                Some(_) | None => 404,
            };
            assert_eq!(
                nothing.0, expected,
                "{} {path}: {}",
                operation.method, nothing.1
            );
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared}");
    assert_eq!(
        owned.world.rows().await,
        before,
        "a stranger changed something"
    );
}

#[tokio::test]
async fn the_owner_finds_what_strangers_do_not() {
    let owned = Owned::new().await;
    for operation in of_callers().iter().filter(|it| names_one(it)) {
        // Data files come with promotion, which no part of this world does.
        let never = operation.path.contains("/export/files/");
        if never || operation.method == "DELETE" || operation.method == "HEAD" {
            continue;
        }
        let path = owned.path(operation, false).unwrap();
        let answer = owned
            .ask(
                &owned.world.headers(),
                operation.method,
                &path,
                body(operation),
            )
            .await;
        assert_ne!(answer.0, 404, "{} {path}: {}", operation.method, answer.1);
    }
}

#[tokio::test]
async fn lists_show_a_stranger_nothing() {
    let owned = Owned::new().await;
    for (who, headers) in owned.strangers().await {
        for operation in of_callers()
            .iter()
            .filter(|it| it.method == "GET" && !it.path.contains('{'))
        {
            if of_organisation(operation) && who == "another sandbox" {
                continue;
            }
            let (status, text) = owned.ask(&headers, "GET", &operation.path, "").await;
            assert!(
                [200, 403, 404].contains(&status),
                "{who}: {operation:?}: {text}"
            );
            for id in owned.ids.values() {
                assert!(
                    !text.contains(id.as_str()),
                    "{who}: {operation:?} shows {id}"
                );
            }
        }
    }
}

/// A request's body that names a thing by its id, and a spec.
type Naming = fn(&str, Value) -> Value;

#[tokio::test]
async fn a_body_that_names_the_neighbours_things_is_answered_as_if_they_did_not_exist() {
    let owned = Owned::new().await;
    let before = owned.world.rows().await;
    let spec = |id: &str| json!({"id": id, "version": "1.0"});
    let table: [(&str, Naming, &str, &str); 6] = [
        (
            "/sourceConnections",
            |id, spec| json!({"name": "s", "connectionSpec": spec, "params": {"datasets": [{"dataSetId": id}]}}),
            "dataSets",
            DATA_LAKE,
        ),
        (
            "/targetConnections",
            |id, spec| {
                json!({
                    "name": "t", "baseConnectionId": id, "connectionSpec": spec,
                    "params": {"path": "out", "compression": "NONE", "datasetFileType": "JSON"}
                })
            },
            "connections",
            LANDING_ZONE,
        ),
        (
            "/flows",
            |id, spec| {
                json!({
                    "name": "f", "flowSpec": spec, "sourceConnectionIds": [id], "targetConnectionIds": [id],
                    "scheduleParams": {"interval": 3, "timeUnit": "hour", "startTime": 1_675_901_210}
                })
            },
            "sourceConnections",
            LANDING_ZONE_FLOW,
        ),
        ("/runs", |id, _| json!({"flowId": id}), "flows", ""),
        (
            "/data/core/activation/disflowprovider/adhocrun",
            |id, _| {
                json!({"activationInfo": {"destinations": [
                    {"flowId": id, "datasets": [{"id": "d"}]}
                ]}})
            },
            "flows",
            "",
        ),
        (
            "/data/foundation/import/batches",
            |id, _| json!({"datasetId": id, "inputFormat": {"format": "json"}}),
            "datasets",
            "",
        ),
    ];
    for (who, headers) in owned.strangers().await {
        for (path, make, collection, about) in &table {
            let path = if path.starts_with("/data") {
                (*path).to_owned()
            } else {
                format!("{}{path}", crate::world::FLOW_SERVICE)
            };
            let id = &owned.ids[collection];
            let theirs = owned
                .ask(&headers, "POST", &path, &make(id, spec(about)).to_string())
                .await;
            let nothing = owned
                .ask(
                    &headers,
                    "POST",
                    &path,
                    &make(MISSING, spec(about)).to_string(),
                )
                .await;
            assert!(
                [400, 404].contains(&nothing.0),
                "{who}: {path}: {}",
                nothing.1
            );
            assert_eq!(
                (theirs.0, theirs.1.replace(id, MISSING)),
                nothing,
                "{who}: {path}"
            );
        }
    }
    assert_eq!(
        owned.world.rows().await,
        before,
        "a stranger's words were kept"
    );
}

#[tokio::test]
async fn without_a_token_or_with_one_that_expired_nothing_is_answered() {
    let owned = Owned::new().await;
    let before = owned.world.rows().await;
    let mut bare = owned.world.headers();
    bare.remove("authorization");
    let known = owned.world.headers();
    let mut elsewhere = known.clone();
    elsewhere.insert(
        "x-gw-ims-org-id",
        "FFFFFFFFFFFFFFFFFFFFFFFF@AdobeOrg".to_owned(),
    );
    owned.world.clock.advance(Duration::from_secs(1));
    let cases = |expired: bool| {
        if expired {
            vec![(&known, 401, "401013")]
        } else {
            vec![(&bare, 403, "403010"), (&elsewhere, 403, "403025")]
        }
    };
    for expired in [false, true] {
        if expired {
            owned.world.clock.advance(Duration::from_hours(25));
        }
        for operation in of_callers() {
            let path = owned
                .path(&operation, false)
                .unwrap_or_else(|| operation.path.clone());
            for (headers, status, number) in cases(expired) {
                let (got, text) = owned
                    .ask(headers, operation.method, &path, body(&operation))
                    .await;
                assert_eq!(got, status, "{operation:?}: {text}");
                // An answer to HEAD has no body.
                assert!(
                    operation.method == "HEAD" || text.contains(number),
                    "{operation:?}: {text}"
                );
            }
        }
    }
    assert_eq!(owned.world.rows().await, before);
}
