//! A small world: the router over a fresh store, a clock and ids that are the same in every test.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request};
use offtake_api::{ApiSettings, router};
use offtake_destination::FolderSinks;
use offtake_lake::{Lakes, LocalIntake, UploadFolder};
use offtake_model::resource::TableFormat;
use offtake_model::{
    ClientId, DestinationKind, ErrorCode, Fault, Millis, OrgId, Position, ResourceKind, Role,
    RoleBinding, Schema, SourceRef, Tenant,
};
use offtake_ports::testing::MemorySinks;
use offtake_ports::{
    Catalog, ClientRecord, Clock, IdentityStore, Ids, LakeRoots, ResourceQuery, ResourceStore,
    RunLog, RunQuery, TableInfo,
};
use offtake_service::{Deps, FirstClient, LandingZone, Service, ZoneBackend, secrets_place};
use offtake_store::{KeyFileSecrets, Store, StoredKeys};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::document;

pub(crate) const FLOW_SERVICE: &str = "/data/foundation/flowservice";
pub(crate) const DATASETS: &str = "/data/foundation/catalog/dataSets";
pub(crate) const NOW: i64 = 1_790_000_000_000;
pub(crate) const DATA_LAKE: &str = "23598e46-f560-407b-88d5-ea6207e49db0";
pub(crate) const S3: &str = "4fce964d-3f37-408f-9778-e597338a21ee";
pub(crate) const LANDING_ZONE: &str = "10440537-2a7b-4583-ac39-ed38d4b848e8";
pub(crate) const LANDING_ZONE_FLOW: &str = "cd2fc47e-e838-4f38-a581-8fff2f99b63a";
pub(crate) const S3_FLOW: &str = "269ba276-16fc-47db-92b0-c1049a3c131f";

const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
const ALL_KINDS: [ResourceKind; 5] = [
    ResourceKind::Connection,
    ResourceKind::Source,
    ResourceKind::Target,
    ResourceKind::Flow,
    ResourceKind::Dataset,
];

pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) service: Arc<Service>,
    pub(crate) store: Store,
    pub(crate) clock: Arc<SteppedClock>,
    pub(crate) first: FirstClient,
    pub(crate) token: String,
    pub(crate) dir: TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn id(&self) -> String {
        assert_eq!(self.status, 201, "{}", self.text);
        self.body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn etag(&self) -> String {
        self.body["etag"].as_str().unwrap().to_owned()
    }

    pub(crate) fn item(&self) -> &Value {
        assert_eq!(self.status, 200, "{}", self.text);
        &self.body["items"][0]
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        assert_eq!(self.status, 200, "{}", self.text);
        let items = self.body["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SteppedClock(AtomicI64::new(NOW)));
        let store = Store::open(dir.path(), Arc::<SteppedClock>::clone(&clock))
            .await
            .unwrap();
        let secrets = KeyFileSecrets::open(dir.path()).unwrap();
        let shared = Arc::new(store.clone());
        let uploads = UploadFolder::new(dir.path().join("uploads"));
        let lake = Lakes::new(vec![LocalIntake::root(dir.path().join("managed"))]).unwrap();
        std::fs::create_dir(dir.path().join("managed")).unwrap();
        let zone = FolderSinks::new(dir.path().join("landing-zone")).unwrap();
        let service = Service::new(Deps {
            resources: Arc::<Store>::clone(&shared),
            identity: Arc::<Store>::clone(&shared),
            audit: Arc::<Store>::clone(&shared),
            keys: Arc::<Store>::clone(&shared),
            runs: Arc::<Store>::clone(&shared),
            queue: Arc::<Store>::clone(&shared),
            recovery: Arc::<Store>::clone(&shared),
            batches: shared,
            uploads: Arc::new(uploads.clone()),
            intake: Arc::new(LocalIntake::new(dir.path().join("managed"), &lake, uploads)),
            sources: Arc::new(lake.clone()),
            lake: Arc::new(lake),
            archive: Arc::new(MemorySinks::new()),
            landing_zone: LandingZone {
                backend: ZoneBackend::Folder(Arc::new(zone.clone())),
                grants: Arc::new(store.clone()),
                retention_days: None,
                credentials_ttl: Duration::from_hours(1),
                public_url: None,
            },
            secrets: Arc::new(secrets.clone()),
            key_ring: Arc::new(StoredKeys::new(store.clone(), secrets, secrets_place)),
            catalog: Arc::new(OneTable),
            roots: Arc::new(OneTable),
            sinks: Arc::new(MemorySinks::new()),
            explorer: Arc::new(zone),
            destinations: vec![DestinationKind::LandingZone],
            clock: Arc::<SteppedClock>::clone(&clock),
            ids: Arc::new(CountedIds(AtomicU64::new(0))),
            oidc: None,
            nudge: Arc::new(|| ()),
            nudge_promoter: Arc::new(|| ()),
        });
        let first = service.bootstrap().await.unwrap().unwrap();
        assert!(service.bootstrap().await.unwrap().is_none());
        let service = Arc::new(service);
        let router = router(Arc::clone(&service), &ApiSettings::default());
        let mut world = Self {
            router,
            service,
            store,
            clock,
            first,
            token: String::new(),
            dir,
        };
        world.token = world.new_token().await;
        world
    }

    pub(crate) async fn new_token(&self) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=openid",
            self.first.client,
            self.first.secret.expose_secret()
        );
        let answer = self.post_form("/ims/token/v3", &form).await;
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn post_form(&self, path: &str, form: &str) -> Answer {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        self.send(request).await
    }

    /// The headers of a well-formed request.
    pub(crate) fn headers(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("authorization", format!("Bearer {}", self.token)),
            ("x-api-key", self.first.client.to_string()),
            ("x-gw-ims-org-id", self.first.org.to_string()),
            ("x-sandbox-name", self.first.sandbox.to_string()),
        ])
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &BTreeMap<&'static str, String>,
        body: Body,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, BODY_BYTES_MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        document::check(&method, &path, parts.status.as_u16(), &body);
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
            text,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let path = path.replace(' ', "%20").replace('"', "%22");
        let path = path.replace('<', "%3C").replace('>', "%3E");
        self.call("GET", &absolute(&path), &self.headers(), Body::empty())
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", &absolute(path), &self.headers(), Body::empty())
            .await
    }

    /// A call without body and content type, as for actions.
    pub(crate) async fn act(&self, path: &str) -> Answer {
        self.call("POST", &absolute(path), &self.headers(), Body::empty())
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.with_body("POST", path, &[], body.to_string()).await
    }

    pub(crate) async fn with_body(
        &self,
        method: &str,
        path: &str,
        more: &[(&'static str, &str)],
        body: impl Into<String>,
    ) -> Answer {
        let mut headers = self.headers();
        headers.insert("content-type", "application/json".to_owned());
        for (name, value) in more {
            headers.insert(name, (*value).to_owned());
        }
        self.call(method, &absolute(path), &headers, Body::from(body.into()))
            .await
    }

    /// Posts what must be refused, and proves that nothing was stored. Gives the problem's text.
    pub(crate) async fn refused(
        &self,
        path: &str,
        body: &Value,
        status: u16,
        code: &str,
    ) -> String {
        let before = self.rows().await;
        let answer = self.post(path, body).await;
        assert_eq!(self.rows().await, before, "a refused request left rows");
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        let context = &answer.body["report"]["additionalContext"];
        assert_eq!(context["code"], code, "{body}: {}", answer.text);
        answer.body["detail"].as_str().unwrap().to_owned()
    }

    /// How many rows of each kind there are, runs last.
    pub(crate) async fn rows(&self) -> Vec<u64> {
        let tenant = self.tenant();
        let mut counts = Vec::new();
        for kind in ALL_KINDS {
            counts.push(
                ResourceStore::count(&self.store, &tenant, kind, &ResourceQuery::default())
                    .await
                    .unwrap(),
            );
        }
        let query = RunQuery::default();
        counts.push(RunLog::count(&self.store, &tenant, &query).await.unwrap());
        counts
    }

    pub(crate) fn tenant(&self) -> Tenant {
        Tenant {
            org: self.first.org.clone(),
            sandbox: self.first.sandbox.clone(),
        }
    }

    pub(crate) async fn client(&self) -> ClientRecord {
        self.store
            .client(&self.first.client)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn dataset(&self, name: &str) -> String {
        let body = json!({"name": name, "location": format!("lake://default/{name}")});
        let answer = self.post(DATASETS, &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let reference = answer.body[0].as_str().unwrap();
        reference.rsplit('/').next().unwrap().to_owned()
    }

    pub(crate) async fn source(&self) -> String {
        let dataset = self.dataset("orders").await;
        let body = json!({
            "name": "source", "connectionSpec": {"id": DATA_LAKE, "version": "1.0"},
            "params": {"datasets": [{"dataSetId": dataset}]}
        });
        self.post("/sourceConnections", &body).await.id()
    }

    pub(crate) async fn landing_zone(&self) -> String {
        self.post("/connections", &json!({"name": "zone"}))
            .await
            .id()
    }

    pub(crate) async fn landing_target(&self) -> String {
        let base = self.landing_zone().await;
        let body = json!({
            "name": "target", "baseConnectionId": base,
            "connectionSpec": {"id": LANDING_ZONE, "version": "1.0"},
            "params": {"mode": "Server-to-server", "path": "out", "compression": "gzip", "datasetFileType": "parquet"}
        });
        self.post("/targetConnections", &body).await.id()
    }

    /// The body of a legal flow to the landing zone, due three hourly since long ago.
    pub(crate) async fn flow_body(&self) -> Value {
        json!({
            "name": "flow",
            "flowSpec": {"id": LANDING_ZONE_FLOW, "version": "1.0"},
            "sourceConnectionIds": [self.source().await],
            "targetConnectionIds": [self.landing_target().await],
            "transformations": [],
            "scheduleParams": {"interval": 3, "timeUnit": "hour", "startTime": 1_675_901_210}
        })
    }

    pub(crate) async fn flow(&self) -> String {
        let body = self.flow_body().await;
        self.post("/flows", &body).await.id()
    }
}

/// Short paths are below the Flow Service's prefix.
fn absolute(path: &str) -> String {
    if path.starts_with("/data")
        || path.starts_with("/offtake")
        || path.starts_with("/ims")
        || path.starts_with("/health")
        || path.starts_with("/openapi")
    {
        return path.to_owned();
    }
    format!("{FLOW_SERVICE}{path}")
}

/// Stands still until it is moved.
pub(crate) struct SteppedClock(AtomicI64);

impl SteppedClock {
    pub(crate) fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for SteppedClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _duration: Duration) {}
}

struct CountedIds(AtomicU64);

impl Ids for CountedIds {
    fn bytes16(&self) -> [u8; 16] {
        let ordinal = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        let mut bytes = [0xab; 16];
        bytes[..8].copy_from_slice(&ordinal.to_be_bytes());
        bytes
    }
}

/// A lake with one root, `default`, and a table wherever the path doesn't say `missing`.
struct OneTable;

impl LakeRoots for OneTable {
    fn resolve(&self, _org: &OrgId, location: &str) -> Result<SourceRef, Fault> {
        let path = location.strip_prefix("lake://default/");
        let path = path.filter(|path| !path.contains(".."));
        path.map(|path| SourceRef {
            root: "default".to_owned(),
            path: path.to_owned(),
        })
        .ok_or_else(|| {
            Fault::new(
                ErrorCode::LocationNotAllowed,
                format!("location [{location}] lies under no lake root"),
            )
        })
    }
}

#[async_trait]
impl Catalog for OneTable {
    async fn describe(&self, location: &SourceRef) -> Result<TableInfo, Fault> {
        if location.path.contains("missing") {
            return Err(Fault::new(
                ErrorCode::SourceNotFound,
                format!("no table at [{}]", location.path),
            ));
        }
        assert_ne!(location.path, "panic", "asked to panic");
        if location.path == "never" {
            std::future::pending::<()>().await;
        }
        Ok(TableInfo {
            format: TableFormat::Delta,
            schema: Schema::default(),
            position: Position::Delta {
                table: "t".to_owned(),
                version: 0,
            },
        })
    }
}

pub(crate) fn other_client(id: &str, org: &OrgId) -> ClientRecord {
    ClientRecord {
        id: ClientId(id.to_owned()),
        org: org.clone(),
        name: id.to_owned(),
        secret_sha256: [1; 32],
        former_secret: None,
        subject: None,
        created_at: Millis(NOW),
        enabled: true,
        roles: vec![RoleBinding::everywhere(Role::Admin)],
    }
}
