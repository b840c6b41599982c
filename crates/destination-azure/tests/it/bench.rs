//! Containers of the test bed as benches of the conformance suite, seen by a reader through plain requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, Response};
use offtake_destination_azure::{AzureSinks, ContainerSas};
use offtake_model::plan::DestinationKind;
use offtake_model::resource::Object;
use offtake_model::{AttemptId, AttemptTag, ConnectionId, DeliveryId, Fault, OrgId};
use offtake_model::{SandboxName, SinkRef, StageToken, Tenant};
use offtake_ports::testing::SinkBench;
use offtake_ports::{Access, Credentials, EndOfStream, Published, Sinks, StagedSink};
use offtake_storage::{AzureSigner, Network, NetworkSettings, Retries};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

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

pub(crate) fn access(kind: DestinationKind, params: Object, secret: (&str, &str)) -> Access {
    let (name, value) = secret;
    Access {
        kind,
        auth: None,
        params,
        secrets: BTreeMap::from([(name.to_owned(), SecretString::from(value))]),
    }
}

/// The network as the tests see it: loopback, and the bed's own authority.
pub(crate) fn network() -> Network {
    let settings = NetworkSettings {
        allow: vec!["127.0.0.0/8".to_owned(), "::1".to_owned()],
        ca_file: Some(known("CA").into()),
        // The suite's reader takes its largest file in one piece.
        answer_max: 16 << 20,
        ..NetworkSettings::default()
    };
    Network::new(settings).unwrap()
}

pub(crate) fn sink_ref(kind: DestinationKind, container: Option<&str>) -> SinkRef {
    SinkRef {
        kind,
        tenant: Tenant {
            org: OrgId("ABCDEF0123456789ABCDEF01@AdobeOrg".to_owned()),
            sandbox: SandboxName("prod".to_owned()),
        },
        connection: ConnectionId(Uuid::nil()),
        container: container.map(str::to_owned),
    }
}

/// Whether the bed has this server; it must run.
pub(crate) fn has(name: &str) -> bool {
    let known = |name: &str| std::env::var_os(format!("OFFTAKE_TESTBED_{name}")).is_some();
    assert!(
        known("S3_MOTO"),
        "this test needs the test bed: run `cargo xtask testbed up`, then `eval \"$(cargo xtask testbed env)\"`"
    );
    known(name)
}

pub(crate) fn known(name: &str) -> String {
    std::env::var(format!("OFFTAKE_TESTBED_{name}")).unwrap()
}

pub(crate) fn escaped(key: &str) -> String {
    utf8_percent_encode(key, PATH).to_string()
}

/// How a connection to the test's container gets in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Entry<'a> {
    /// With the account's key.
    Key,
    /// With a shared access signature of these rights.
    Sas(&'a str),
}

/// A fresh container of Azurite.
pub(crate) struct Container {
    pub(crate) name: String,
    network: Network,
    access: Access,
}

impl Container {
    pub(crate) async fn make(entry: Entry<'_>) -> Self {
        let name = format!("suite-{}", Uuid::new_v4().simple());
        let text = match entry {
            Entry::Key => key_string(&known("AZURE_KEY")),
            Entry::Sas(rights) => sas_string(&name, rights, Duration::from_hours(1)),
        };
        let container = Self {
            access: access_of(&text),
            name,
            network: network(),
        };
        let made = container.call(Method::PUT, "?restype=container").await;
        assert!(made.status().is_success(), "make a container: {made:?}");
        container
    }

    /// Puts an empty blob under a tag.
    pub(crate) async fn plant(&self, key: &str, tag: &str) {
        let tag = ("x-ms-meta-offtake_tag", HeaderValue::from_str(tag).unwrap());
        let below = format!("/{}", escaped(key));
        let planted = self.request(Method::PUT, &below, Some(tag)).await;
        assert_eq!(planted.status().as_u16(), 201);
    }

    /// A request of the account's owner to something below the container.
    pub(crate) async fn call(&self, method: Method, below: &str) -> Response<Bytes> {
        self.request(method, below, None).await
    }

    async fn request(
        &self,
        method: Method,
        below: &str,
        header: Option<(&'static str, HeaderValue)>,
    ) -> Response<Bytes> {
        let mut request = Request::new(Bytes::new());
        request
            .headers_mut()
            .extend(header.map(|(name, value)| (http::HeaderName::from_static(name), value)));
        if method == Method::PUT {
            let none = HeaderValue::from_static("0");
            request.headers_mut().insert(CONTENT_LENGTH, none);
            let kind = HeaderValue::from_static("BlockBlob");
            request.headers_mut().insert("x-ms-blob-type", kind);
        }
        *request.method_mut() = method;
        let address = format!("{}/{}{below}", known("AZURE_ENDPOINT"), self.name);
        *request.uri_mut() = address.parse().unwrap();
        let owner = AzureSigner::SharedKey {
            account: known("AZURE_ACCOUNT"),
            key: SecretString::from(known("AZURE_KEY")),
        };
        owner.sign(&mut request).unwrap();
        self.network.door().send(request).await.unwrap()
    }

    pub(crate) fn azure_sinks(&self) -> AzureSinks {
        let told = Arc::new(Told(self.access.clone()));
        AzureSinks::new(&self.network, told, Retries::default())
    }
}

#[async_trait]
impl SinkBench for Container {
    fn sinks(&self) -> Arc<dyn Sinks> {
        Arc::new(self.azure_sinks())
    }

    fn sink(&self) -> SinkRef {
        sink_ref(DestinationKind::AzureBlob, Some(&self.name))
    }

    async fn read(&self, key: &str) -> Result<Option<Bytes>, Fault> {
        let answer = self.call(Method::GET, &format!("/{}", escaped(key))).await;
        match answer.status().as_u16() {
            200 => Ok(Some(answer.into_body())),
            404 => Ok(None),
            other => panic!("read {key}: {other}"),
        }
    }

    async fn list(&self) -> Result<Vec<String>, Fault> {
        Ok(visible(self.everything().await))
    }
}

impl Container {
    /// Every name in the container, hidden ones too.
    pub(crate) async fn everything(&self) -> Vec<String> {
        let answer = self.call(Method::GET, "?restype=container&comp=list").await;
        assert_eq!(answer.status().as_u16(), 200);
        let body = String::from_utf8(answer.into_body().to_vec()).unwrap();
        let names = body.split("<Blob><Name>").skip(1).map(|rest| {
            let (name, _) = rest.split_once("</Name>").unwrap();
            quick_xml::escape::unescape(name).unwrap().into_owned()
        });
        names.collect()
    }
}

/// The names that readers see: those that do not begin with a dot anywhere.
pub(crate) fn visible(mut keys: Vec<String>) -> Vec<String> {
    keys.retain(|key| !key.split('/').any(|part| part.starts_with('.')));
    keys
}

pub(crate) fn access_of(connection_string: &str) -> Access {
    let secret = ("connectionString", connection_string);
    access(DestinationKind::AzureBlob, Object::new(), secret)
}

pub(crate) fn key_string(key: &str) -> String {
    let (endpoint, account) = (known("AZURE_ENDPOINT"), known("AZURE_ACCOUNT"));
    format!("BlobEndpoint={endpoint};AccountName={account};AccountKey={key}")
}

pub(crate) fn sas_string(container: &str, rights: &str, lasts: Duration) -> String {
    let sas = ContainerSas {
        account: &known("AZURE_ACCOUNT"),
        key: &SecretString::from(known("AZURE_KEY")),
        container,
        rights,
        ends: SystemTime::now() + lasts,
        allow_http: false,
    };
    let issued = sas.issue().unwrap();
    format!(
        "BlobEndpoint={};SharedAccessSignature={}",
        known("AZURE_ENDPOINT"),
        issued.expose_secret()
    )
}

pub(crate) fn tag(attempt: u128) -> AttemptTag {
    AttemptTag {
        delivery: DeliveryId(Uuid::from_u128(7)),
        task: 3,
        attempt: AttemptId(Uuid::from_u128(attempt)),
    }
}

pub(crate) async fn stage(
    sink: &dyn StagedSink,
    key: &str,
    attempt: u128,
    bytes: &'static [u8],
) -> StageToken {
    let mut upload = sink.begin(key, &tag(attempt)).await.unwrap();
    upload.write(Bytes::from_static(bytes)).await.unwrap();
    let proof = EndOfStream {
        bytes: bytes.len() as u64,
    };
    upload.seal(proof).await.unwrap()
}

pub(crate) fn done(published: &Published) -> bool {
    matches!(published, Published::Done { .. })
}
