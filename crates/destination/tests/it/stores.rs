//! Object stores as benches of the conformance suite, seen by a reader through plain requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use offtake_destination::S3Sinks;
use offtake_model::plan::DestinationKind;
use offtake_model::resource::Object;
use offtake_model::{ConnectionId, ErrorCode, Fault, SinkRef, Tenant};
use offtake_ports::testing::SinkBench;
use offtake_ports::testing::explore_suite::shows;
use offtake_ports::testing::sink_suite::{conforms, reads_back};
use offtake_ports::{Access, Credentials, Sinks};
use offtake_storage::{AwsKeys, AwsSigner, Network, NetworkSettings, Retries};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bench::tenant;

/// What a path's characters need no escape for.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// What one connection says, told to whoever asks.
pub(crate) struct Told(pub(crate) Access);

#[async_trait]
impl Credentials for Told {
    async fn access(&self, _tenant: &Tenant, _connection: &ConnectionId) -> Result<Access, Fault> {
        Ok(self.0.clone())
    }
}

pub(crate) fn s3_access(endpoint: &str, access_key: &str, secret: &str) -> Access {
    access(
        DestinationKind::S3,
        &json!({"s3AccessKey": access_key, "endpoint": endpoint, "region": "us-east-1"}),
        ("s3SecretKey", secret),
    )
}

pub(crate) fn access(kind: DestinationKind, shown: &Value, secret: (&str, &str)) -> Access {
    let params: Object = shown.as_object().unwrap().clone();
    let (name, value) = secret;
    Access {
        kind,
        auth: None,
        params,
        secrets: BTreeMap::from([(name.to_owned(), SecretString::from(value))]),
    }
}

pub(crate) fn loopback() -> Network {
    let settings = NetworkSettings {
        allow: vec!["127.0.0.0/8".to_owned()],
        // The suite's reader takes its largest file in one piece.
        answer_max: 16 << 20,
        ..NetworkSettings::default()
    };
    Network::new(settings).unwrap()
}

pub(crate) fn bucket_sink(kind: DestinationKind, bucket: &str) -> SinkRef {
    SinkRef {
        kind,
        tenant: tenant(),
        connection: ConnectionId(Uuid::nil()),
        container: Some(bucket.to_owned()),
    }
}

/// A fresh bucket of a server of the test bed.
pub(crate) struct Bucket {
    endpoint: String,
    access: Access,
    keys: AwsKeys,
    sink: SinkRef,
    network: Network,
}

impl Bucket {
    pub(crate) async fn make(endpoint: String, access: Access) -> Self {
        let name = format!("suite-{}", Uuid::new_v4().simple());
        let access_key = ["s3AccessKey", "accessKeyId"].map(|name| access.params.get(name));
        let access_key = access_key.into_iter().flatten().next().unwrap();
        let bucket = Self {
            keys: AwsKeys {
                access_key: access_key.as_str().unwrap().to_owned(),
                secret_key: access.secrets.values().next().unwrap().clone(),
                session_token: None,
            },
            sink: bucket_sink(access.kind, &name),
            endpoint,
            access,
            network: loopback(),
        };
        let made = bucket.call(Method::PUT, "").await;
        assert!(made.status().is_success(), "make a bucket: {made:?}");
        bucket
    }

    /// Another one, at the same server.
    async fn another(&self) -> Self {
        Self::make(self.endpoint.clone(), self.access.clone()).await
    }

    pub(crate) async fn call(&self, method: Method, below: &str) -> Response<Bytes> {
        let bucket = self.sink.container.as_deref().unwrap();
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        *request.uri_mut() = format!("{}/{bucket}{below}", self.endpoint)
            .parse()
            .unwrap();
        AwsSigner::new(self.keys.clone(), "us-east-1")
            .sign(&mut request)
            .unwrap();
        self.network.door().send(request).await.unwrap()
    }

    fn s3_sinks(&self) -> S3Sinks {
        let told = Arc::new(Told(self.access.clone()));
        let retries = Retries {
            // One of the servers breaks where others say that an upload is gone.
            calls_max: 3,
            ..Retries::default()
        };
        S3Sinks::new(&self.network, told, retries)
    }
}

#[async_trait]
impl SinkBench for Bucket {
    fn sinks(&self) -> Arc<dyn Sinks> {
        Arc::new(self.s3_sinks())
    }

    fn sink(&self) -> SinkRef {
        self.sink.clone()
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let escaped = percent_encoding::utf8_percent_encode(key, PATH);
        let answer = self.call(Method::GET, &format!("/{escaped}")).await;
        match answer.status().as_u16() {
            200 => Ok(Some(answer.into_body())),
            404 => Ok(None),
            other => panic!("read {key}: {other}"),
        }
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        let answer = self.call(Method::GET, "?list-type=2&max-keys=1000").await;
        assert_eq!(answer.status().as_u16(), 200);
        let body = String::from_utf8(answer.into_body().to_vec()).unwrap();
        assert!(!body.contains("<IsTruncated>true"));
        let keys = body.split("<Key>").skip(1).map(|rest| {
            let (key, _) = rest.split_once("</Key>").unwrap();
            quick_xml::escape::unescape(key).unwrap().into_owned()
        });
        Ok(keys
            .filter(|key| !key.split('/').any(|part| part.starts_with('.')))
            .collect())
    }
}

/// A server of the test bed. `None` when the bed runs and said that this one cannot be had here.
pub(crate) fn server(name: &str) -> Option<String> {
    let known = |name: &str| std::env::var(format!("OFFTAKE_TESTBED_{name}")).ok();
    assert!(
        known("S3_MOTO").is_some(),
        "this test needs the test bed: run `cargo xtask testbed up`, then `eval \"$(cargo xtask testbed env)\"`"
    );
    known(name)
}

pub(crate) fn known(name: &str) -> String {
    std::env::var(format!("OFFTAKE_TESTBED_{name}")).unwrap()
}

async fn conforms_at(server_name: &str, checksum: &str) {
    let Some(endpoint) = server(server_name) else {
        return;
    };
    let mut access = s3_access(&endpoint, &known("S3_ACCESS_KEY"), &known("S3_SECRET_KEY"));
    access.params.insert("checksum".to_owned(), json!(checksum));
    let bucket = Bucket::make(endpoint, access).await;
    assert_eq!(conforms(&bucket).await, Ok(()));
    assert_eq!(reads_back(&bucket).await, Ok(()));
    let fresh = bucket.another().await;
    assert_eq!(shows(&fresh, &fresh.s3_sinks()).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_moto_conforms() {
    conforms_at("S3_MOTO", "CRC64NVME").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_moto_conforms_with_the_older_checksum() {
    conforms_at("S3_MOTO", "CRC32C").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_ceph_conforms() {
    conforms_at("S3_RADOSGW", "CRC64NVME").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_of_ceph_conforms_without_checksums() {
    conforms_at("S3_RADOSGW", "NONE").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_behind_googles_manners_conforms() {
    let Some(endpoint) = server("GCS_ENDPOINT") else {
        return;
    };
    let access = access(
        DestinationKind::Gcs,
        &json!({"accessKeyId": known("GCS_ACCESS_ID"), "endpoint": endpoint}),
        ("secretAccessKey", &known("GCS_SECRET")),
    );
    let bucket = Bucket::make(endpoint, access).await;
    assert_eq!(conforms(&bucket).await, Ok(()));
    assert_eq!(reads_back(&bucket).await, Ok(()));
    let fresh = bucket.another().await;
    assert_eq!(shows(&fresh, &fresh.s3_sinks()).await, Ok(()));
}

#[tokio::test]
async fn each_wrong_setting_has_its_own_code() {
    let Some(endpoint) = server("S3_RADOSGW") else {
        return;
    };
    let (access_key, secret) = (known("S3_ACCESS_KEY"), known("S3_SECRET_KEY"));
    let bucket = known("S3_BUCKET");
    let wrong = "w".repeat(40);
    let (guest, guest_secret) = (known("S3_GUEST_ACCESS_KEY"), known("S3_GUEST_SECRET_KEY"));
    let table = [
        (
            s3_access(&endpoint, &access_key, &wrong),
            bucket.as_str(),
            ErrorCode::DestinationKeysInvalid,
        ),
        (
            s3_access(&endpoint, "AKIAUNKNOWNKEY234567", &secret),
            &bucket,
            ErrorCode::DestinationKeysInvalid,
        ),
        (
            s3_access(&endpoint, &access_key, &secret),
            "no-such-bucket",
            ErrorCode::DestinationBucketMissing,
        ),
        (
            s3_access(&endpoint, &guest, &guest_secret),
            &bucket,
            ErrorCode::DestinationDenied,
        ),
    ];
    for (access, bucket, expected) in table {
        let sinks = S3Sinks::new(&loopback(), Arc::new(Told(access)), Retries::default());
        let sink = sinks
            .open(&bucket_sink(DestinationKind::S3, bucket))
            .await
            .unwrap();
        let fault = sink.probe().await.err().unwrap();
        assert_eq!(fault.code, expected, "{fault}");
        let shown = format!("{fault:?}");
        for hidden in [secret.as_str(), &wrong, &guest_secret] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
