//! The tutorial's own requests (contract, D1): bodies as printed, comments removed, placeholders from one table.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::world::{Answer, LANDING_ZONE, World};

const REQUESTS: &str = include_str!("tutorial/requests.json");

/// What a reader of the tutorial fills in by hand.
const FILLED_IN: [(&str, &str); 13] = [
    ("<Add access key>", "AKIAIOSFODNN7EXAMPLE"),
    (
        "<Add secret key>",
        "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY12",
    ),
    (
        "<Add Azure Blob connection string>",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=bm90IGEga2V5;EndpointSuffix=core.windows.net",
    ),
    (
        "<Add url>",
        "abfss://container@account.dfs.core.windows.net",
    ),
    ("<Add tenant>", "example.onmicrosoft.com"),
    (
        "<Add servicePrincipalId>",
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    ),
    ("<Add servicePrincipalKey>", "principal-key"),
    (
        "<Add accessKeyId>",
        "GOOG1EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
    ),
    (
        "<Add secret Access Key>",
        "bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ",
    ),
    ("<Add domain>", "sftp.example.com"),
    ("<Add username>", "user"),
    ("<Add password>", "a password"),
    (
        "<Add SSH key>",
        "LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVEUgS0VZLS0tLS0=",
    ),
];

/// The six destinations by connection spec: the flow spec, and how many base connections the tutorial makes.
const DESTINATIONS: [(&str, &str, usize); 6] = [
    (
        "4fce964d-3f37-408f-9778-e597338a21ee",
        "269ba276-16fc-47db-92b0-c1049a3c131f",
        1,
    ),
    (
        "6d6b59bf-fb58-4107-9064-4d246c0e5bb2",
        "95bd8965-fc8a-4119-b9c3-944c2c2df6d2",
        1,
    ),
    (
        "be2c3209-53bc-47e7-ab25-145db8b873e1",
        "17be2013-2549-41ce-96e7-a70363bec293",
        1,
    ),
    (
        "10440537-2a7b-4583-ac39-ed38d4b848e8",
        "cd2fc47e-e838-4f38-a581-8fff2f99b63a",
        1,
    ),
    (
        "c5d93acb-ea8b-4b14-8f53-02138444ae99",
        "585c15c4-6cbf-4126-8f87-e26bff78b657",
        1,
    ),
    (
        "36965a81-b1c6-401b-99f8-22508f1e6a26",
        "354d6aad-4754-46e4-a576-1b384561c440",
        2,
    ),
];

/// A reader at work: the table grows with the ids of earlier steps.
struct Reader {
    world: World,
    requests: Vec<Value>,
    table: Vec<(String, String)>,
}

impl Reader {
    async fn new() -> Self {
        let world = World::new().await;
        let dataset = world.dataset("devices").await;
        let mut table: Vec<(String, String)> = vec![
            ("{ACCESS_TOKEN}".to_owned(), world.token.clone()),
            ("5ef3e3259ad2a1191ab7dd7d".to_owned(), dataset),
        ];
        for name in ["{API_KEY}", "<API-KEY>"] {
            table.push((name.to_owned(), world.first.client.to_string()));
        }
        for name in ["{ORG_ID}", "<IMS-ORG-ID>"] {
            table.push((name.to_owned(), world.first.org.to_string()));
        }
        for name in ["{SANDBOX_NAME}", "<SANDBOX-NAME>"] {
            table.push((name.to_owned(), world.first.sandbox.to_string()));
        }
        for (name, value) in FILLED_IN {
            table.push((name.to_owned(), value.to_owned()));
        }
        Self {
            world,
            requests: serde_json::from_str(REQUESTS).unwrap(),
            table,
        }
    }

    fn remember(&mut self, placeholder: &str, value: String) {
        self.table.retain(|(name, _)| name != placeholder);
        self.table.push((placeholder.to_owned(), value));
    }

    fn substituted(&self, text: &str) -> String {
        self.table
            .iter()
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(name, value)
            })
    }

    /// The requests to a path's end whose body satisfies the condition.
    fn printed(&self, method: &str, tail: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let found = self.requests.iter().filter(|request| {
            let path = request["path"].as_str().unwrap();
            request["method"] == method && path.contains(tail) && fits(&request["body"])
        });
        found.cloned().collect()
    }

    async fn send(&self, printed: &Value) -> Answer {
        let path = self.substituted(printed["path"].as_str().unwrap());
        let mut request = Request::builder()
            .method(printed["method"].as_str().unwrap())
            .uri(path);
        for header in printed["headers"].as_array().unwrap() {
            let header = self.substituted(header.as_str().unwrap());
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let body = if printed["body"].is_null() {
            Body::empty()
        } else {
            Body::from(self.substituted(&printed["body"].to_string()))
        };
        self.world.send(request.body(body).unwrap()).await
    }

    /// Sends a create request and checks the documented answer: 201 with id and quoted etag, nothing else.
    async fn create(&self, printed: &Value) -> String {
        let answer = self.send(printed).await;
        let id = answer.id();
        assert_eq!(answer.body.as_object().unwrap().len(), 2, "{}", answer.text);
        let etag = answer.etag();
        assert_eq!((etag.len(), etag.matches('"').count()), (38, 2), "{etag}");
        id
    }

    /// Base and target connection for the spec; leaves the target's id in the table.
    async fn connect(&mut self, spec: &str, bases: usize) {
        let of_spec = |body: &Value| {
            body["connectionSpec"]["id"] == spec
                || (spec == LANDING_ZONE && body.get("connectionSpec").is_none())
        };
        let printed = self.printed("POST", "/connections", of_spec);
        assert_eq!(printed.len(), bases);
        for base in &printed {
            let id = self.create(base).await;
            let read = self.world.get(&format!("/connections/{id}")).await;
            assert_eq!(
                read.item()["connectionSpec"],
                json!({"id": spec, "version": "1.0"})
            );
            self.remember("<FROM_STEP_CREATE_TARGET_BASE_CONNECTION>", id);
        }
        let target = self.printed("POST", "/targetConnections", |body| {
            body["connectionSpec"]["id"] == spec
        });
        assert_eq!(target.len(), 1);
        let id = self.create(&target[0]).await;
        self.remember("<FROM_STEP_CREATE_TARGET_CONNECTION>", id);
    }

    async fn source(&mut self) {
        let printed = self.printed("POST", "/sourceConnections", |_| true);
        let id = self.create(&printed[0]).await;
        self.remember("<FROM_STEP_CREATE_SOURCE_CONNECTION>", id);
    }

    fn flow(&self, spec: &str) -> Value {
        let printed = self.printed("POST", "/flows", |body| body["flowSpec"]["id"] == spec);
        assert_eq!(printed.len(), 1);
        printed[0].clone()
    }
}

#[tokio::test]
async fn every_connection_spec_is_retrieved_as_printed() {
    let reader = Reader::new().await;
    let printed = reader.printed("GET", "/connectionSpecs/", |_| true);
    let mut specs = 0;
    for request in printed {
        let path = request["path"].as_str().unwrap();
        if path.contains("/configs") {
            continue;
        }
        let answer = reader.send(&request).await;
        assert_eq!(answer.item()["id"], path.rsplit('/').next().unwrap());
        assert_eq!(
            answer.item()["providerId"],
            "14e34fac-d307-11e9-bb65-2a2ae2dbcce4"
        );
        specs += 1;
    }
    assert_eq!(specs, DESTINATIONS.len());
}

#[tokio::test]
async fn the_eligible_datasets_are_listed_as_printed() {
    let reader = Reader::new().await;
    let printed = reader.printed("GET", "/configs", |_| true);
    let answer = reader.send(&printed[0]).await;
    assert_eq!(answer.item()["name"], "devices");
    assert_eq!(
        answer.body["pageInfo"],
        json!({"start": 0, "end": 0, "total": 1, "hasNext": false})
    );
}

#[tokio::test]
async fn the_whole_pass_works_for_the_landing_zone() {
    let mut reader = Reader::new().await;
    reader.source().await;
    reader.connect(LANDING_ZONE, 1).await;
    let flow = reader
        .create(&reader.flow("cd2fc47e-e838-4f38-a581-8fff2f99b63a"))
        .await;
    reader.remember("eb54b3b3-3949-4f12-89c8-64eafaba858f", flow.clone());
    let runs = reader.printed("GET", "/runs", |_| true);
    assert_eq!(
        reader.send(&runs[0]).await.body,
        json!({"items": [], "_links": {}})
    );
    let started = reader
        .world
        .post("/runs", &json!({"flowId": flow}))
        .await
        .id();
    assert_eq!(reader.send(&runs[0]).await.ids(), [started]);
}

#[tokio::test]
async fn connections_of_every_destination_are_made_as_printed() {
    let mut reader = Reader::new().await;
    for (spec, _, bases) in DESTINATIONS {
        reader.connect(spec, bases).await;
    }
}

#[tokio::test]
async fn flows_to_the_other_five_are_refused_until_they_can_be_delivered() {
    let mut reader = Reader::new().await;
    reader.source().await;
    for (spec, flow_spec, bases) in DESTINATIONS {
        if spec == LANDING_ZONE {
            continue;
        }
        reader.connect(spec, bases).await;
        let before = reader.world.rows().await;
        let answer = reader.send(&reader.flow(flow_spec)).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
        let context = &answer.body["report"]["additionalContext"];
        assert_eq!(context["code"], "DESTINATION_NOT_AVAILABLE");
        assert_eq!(reader.world.rows().await, before);
    }
}

#[test]
fn nothing_printed_is_left_out() {
    let requests: Vec<Value> = serde_json::from_str(REQUESTS).unwrap();
    let count = |method: &str, tail: &str| {
        let found = requests.iter().filter(|request| {
            let path = request["path"].as_str().unwrap();
            request["method"] == method && path.contains(tail)
        });
        found.count()
    };
    assert_eq!(count("GET", "/connectionSpecs/"), 7);
    assert_eq!(count("POST", "/sourceConnections"), 1);
    assert_eq!(count("POST", "/connections"), 7);
    assert_eq!(count("POST", "/targetConnections"), 6);
    assert_eq!(count("POST", "flowservice/flows"), 6);
    assert_eq!(count("GET", "/runs"), 1);
}
