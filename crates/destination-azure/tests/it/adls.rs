//! The Data Lake sink: its promises, what it leaves, and what wrong settings say.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use offtake_destination_azure::AzureSinks;
use offtake_model::plan::DestinationKind;
use offtake_model::resource::Object;
use offtake_model::{ErrorCode, Fault, SinkRef};
use offtake_ports::testing::SinkBench;
use offtake_ports::testing::explore_suite::shows;
use offtake_ports::testing::sink_suite::{conforms, reads_back};
use offtake_ports::{Access, Discarded, Published, Sinks, StagedSink};
use offtake_storage::Retries;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bench::{Told, access, done, has, known, network, sink_ref, stage, tag, visible};

/// A fresh file system of the bed's account, seen by a reader through the folder that it is kept in.
struct FileSystem {
    folder: PathBuf,
    params: Object,
    sinks: AzureSinks,
}

fn access_of(params: &Object, secret: &str) -> Access {
    let kind = DestinationKind::AdlsGen2;
    access(kind, params.clone(), ("servicePrincipalKey", secret))
}

fn sinks_of(access: Access) -> AzureSinks {
    AzureSinks::new(&network(), Arc::new(Told(access)), Retries::default())
}

impl FileSystem {
    fn make() -> Self {
        let name = format!("suite-{}", Uuid::new_v4().simple());
        let folder = Path::new(&known("ADLS_FOLDER")).with_file_name(&name);
        fs::create_dir(&folder).unwrap();
        let params = json!({
            "url": format!("{}/{name}", known("ADLS_ENDPOINT")),
            "tenant": known("ENTRA_TENANT"),
            "servicePrincipalId": known("ENTRA_WRITER_ID"),
            "authority": known("ENTRA_AUTHORITY"),
        });
        let params = params.as_object().unwrap().clone();
        Self {
            sinks: sinks_of(access_of(&params, &known("ENTRA_WRITER_SECRET"))),
            folder,
            params,
        }
    }

    /// The same, of whose folder the connection speaks.
    fn below(mut self, folder: &str) -> Self {
        let url = format!("{}/{folder}", self.params["url"].as_str().unwrap());
        self.params.insert("url".to_owned(), Value::from(url));
        self.folder = self.folder.join(folder);
        fs::create_dir_all(&self.folder).unwrap();
        self
    }

    async fn open(&self) -> Arc<dyn StagedSink> {
        self.sinks.open(&self.sink()).await.unwrap()
    }

    fn everything(&self) -> Vec<String> {
        walk(&self.folder, "")
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.folder);
    }
}

#[async_trait]
impl SinkBench for FileSystem {
    fn sinks(&self) -> Arc<dyn Sinks> {
        let secret = known("ENTRA_WRITER_SECRET");
        Arc::new(sinks_of(access_of(&self.params, &secret)))
    }

    fn sink(&self) -> SinkRef {
        sink_ref(DestinationKind::AdlsGen2, None)
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        match fs::read(self.folder.join(key)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => panic!("read {key}: {error}"),
        }
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        let mut files = visible(self.everything());
        files.retain(|name| !name.ends_with('/') && !name.starts_with("_staging/"));
        Ok(files)
    }
}

/// Everything below a folder, folders too.
fn walk(folder: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            found.push(format!("{name}/"));
            found.extend(walk(&entry.path(), &format!("{name}/")));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_system_conforms() {
    if has("ADLS_ENDPOINT") {
        assert_eq!(conforms(&FileSystem::make()).await, Ok(()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_a_file_system_conforms() {
    if !has("ADLS_ENDPOINT") {
        return;
    }
    let system = FileSystem::make().below("team a/daily");
    assert_eq!(conforms(&system).await, Ok(()));
}

#[tokio::test]
async fn a_file_system_and_a_folder_of_one_are_shown() {
    if !has("ADLS_ENDPOINT") {
        return;
    }
    for system in [FileSystem::make(), FileSystem::make().below("team a/daily")] {
        let sinks = sinks_of(access_of(&system.params, &known("ENTRA_WRITER_SECRET")));
        assert_eq!(shows(&system, &sinks).await, Ok(()));
    }
}

#[tokio::test]
async fn manifests_are_read_back() {
    if !has("ADLS_ENDPOINT") {
        return;
    }
    for system in [FileSystem::make(), FileSystem::make().below("team a/daily")] {
        assert_eq!(reads_back(&system).await, Ok(()));
    }
    let system = FileSystem::make();
    fs::remove_dir(&system.folder).unwrap();
    let gone = system.open().await.list("a").await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::DestinationBucketMissing);
}

#[tokio::test]
async fn a_probe_a_delivery_and_a_discard_leave_nothing_staged() {
    if !has("ADLS_ENDPOINT") {
        return;
    }
    let system = FileSystem::make();
    let sink = system.open().await;
    sink.probe().await.unwrap();
    assert_eq!(system.everything(), [""; 0]);
    let one = stage(&*sink, "a/one.json", 1, b"1").await;
    let two = stage(&*sink, "a/two.json", 2, b"2").await;
    assert!(done(&sink.publish(&one).await.unwrap()));
    assert_eq!(sink.discard(&two.handle).await, Ok(Discarded::Gone));
    sink.put("a/m", Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(system.everything(), ["a/", "a/m", "a/one.json"]);
}

#[tokio::test]
async fn an_attempt_begins_once_and_a_dropped_upload_goes_with_its_discard() {
    if !has("ADLS_ENDPOINT") {
        return;
    }
    let system = FileSystem::make();
    let sink = system.open().await;
    let token = stage(&*sink, "a/file.json", 1, b"rows").await;
    let twice = sink.begin("a/file.json", &tag(1)).await.err().unwrap();
    assert_eq!(twice.code, ErrorCode::DestinationConflict);
    let mut handle = token.handle.clone();
    // As journaled before anything was heard of the upload.
    handle.detail.clear();
    assert_eq!(sink.discard(&handle).await, Ok(Discarded::Gone));
    assert_eq!(sink.publish(&token).await, Ok(Published::Lost));
    assert_eq!(system.everything(), [""; 0]);
}

#[tokio::test]
async fn a_staged_file_that_somebody_changed_is_lost_and_never_shown() {
    if !has("ADLS_ENDPOINT") {
        return;
    }
    let system = FileSystem::make();
    let sink = system.open().await;
    let mut token = stage(&*sink, "a/file.json", 1, b"rows").await;
    token.detail = token.detail.replace("0x", "0x1");
    assert_eq!(sink.publish(&token).await, Ok(Published::Lost));
    assert_eq!(system.list().await.unwrap(), [""; 0]);
}

/// Parameters with one thing wrong, the secret, and the code that tells it.
fn wrong_settings(right: &Object) -> Vec<(Object, String, ErrorCode)> {
    let secret = known("ENTRA_WRITER_SECRET");
    let with = |changed: Value, secret: &str, code| {
        let mut params = right.clone();
        params.extend(changed.as_object().unwrap().clone());
        (params, secret.to_owned(), code)
    };
    let elsewhere = format!("{}/no-such-system", known("ADLS_ENDPOINT"));
    let (reader, nobody) = (known("ENTRA_READER_ID"), known("ENTRA_NOBODY_ID"));
    let invalid = ErrorCode::DestinationKeysInvalid;
    let unusable = ErrorCode::ConnectionNotUsable;
    let denied = ErrorCode::DestinationDenied;
    vec![
        with(json!({}), "hunter2", invalid),
        with(json!({"servicePrincipalId": "unknown"}), &secret, invalid),
        with(json!({"tenant": "unknown.example.com"}), &secret, invalid),
        with(
            json!({"url": elsewhere}),
            &secret,
            ErrorCode::DestinationBucketMissing,
        ),
        with(json!({"url": "exports"}), &secret, unusable),
        with(json!({"tenant": "a/b"}), &secret, unusable),
        with(
            json!({"servicePrincipalId": reader}),
            &known("ENTRA_READER_SECRET"),
            denied,
        ),
        with(
            json!({"servicePrincipalId": nobody}),
            &known("ENTRA_NOBODY_SECRET"),
            denied,
        ),
        with(
            json!({"authority": "https://127.0.0.1:1"}),
            &secret,
            ErrorCode::DestinationUnreachable,
        ),
        with(
            json!({"authority": "https://10.0.0.1"}),
            &secret,
            ErrorCode::NetworkRefused,
        ),
    ]
}

#[tokio::test]
async fn each_wrong_setting_has_its_own_code() {
    if !has("ADLS_ENDPOINT") {
        return;
    }
    let system = FileSystem::make();
    for (params, secret, expected) in wrong_settings(&system.params) {
        let fewer = Retries {
            calls_max: 2,
            ..Retries::default()
        };
        let told = Arc::new(Told(access_of(&params, &secret)));
        let sinks = AzureSinks::new(&network(), told, fewer);
        let fault = match sinks.open(&system.sink()).await {
            Ok(sink) => sink.probe().await.unwrap_err(),
            Err(fault) => fault,
        };
        assert_eq!(fault.code, expected, "{fault}");
        assert!(!format!("{fault:?}").contains(&secret), "{fault:?}");
    }
    assert_eq!(system.everything(), [""; 0]);
}
