//! Object stores for reading lake roots, through the guarded client.
//!
//! Credentials are always given: a builder that would look for ambient ones, in the environment or at a metadata
//! service, never gets the chance.
//!
//! The one law: a store made here speaks through the guard, or not at all.

mod connector;

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, RetryConfig, StaticCredentialProvider};
use offtake_model::{ErrorCode, Fault};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::network::Network;
use crate::sign::AwsKeys;
use connector::Guarded;

const RETRIES: usize = 5;
const RETRY_FOR: Duration = Duration::from_mins(1);

/// Google's S3-compatible API, and the region that it wants to be called by.
const GOOGLE_XML: &str = "https://storage.googleapis.com";
const GOOGLE_REGION: &str = "auto";

/// Where a lake root lies in an object store.
#[derive(Clone, Debug, Default)]
pub struct RootAddress {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
    /// `abfss://container@account.dfs.core.windows.net/prefix`.
    pub url: String,
    /// Address of the store's API, when it is not the platform's own.
    pub endpoint: Option<String>,
    /// Region, for S3; `us-east-1` when absent.
    pub region: Option<String>,
    /// Whether the bucket stands in the path (or in the host name). By default in the path where there is an endpoint.
    pub path_style: Option<bool>,
    /// Account, for `az://`; otherwise it is part of the URL.
    pub account: Option<String>,
}

/// How a lake root lets us in.
#[derive(Clone, Debug)]
pub enum RootCredentials {
    /// It is open to everybody.
    Anonymous,
    /// Access key and secret: S3, and Google's HMAC keys.
    Keys(AwsKeys),
    /// Key of an Azure account.
    AccountKey(SecretString),
    /// Shared access signature of Azure, with or without a leading `?`.
    Sas(SecretString),
    /// Service principal of Entra ID.
    Principal {
        /// Tenant: its id or domain.
        tenant: String,
        /// Application id.
        client_id: String,
        /// Its secret.
        client_secret: SecretString,
        /// Where tokens come from, when it is not the public cloud's authority.
        authority: Option<String>,
    },
    /// Google's service account, as the JSON of its key file.
    ServiceAccount(SecretString),
}

/// A store for reading the root, and the prefix that the root has in it. Nothing is sent yet.
///
/// # Errors
/// `FIELD_INVALID` when address or credentials have not the form of their platform.
pub fn read_store(
    address: &RootAddress,
    credentials: &RootCredentials,
    network: &Network,
) -> Result<(Arc<dyn ObjectStore>, Path), Fault> {
    let url = Url::parse(&address.url).map_err(|_| wrong("its url is none"))?;
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("its url must have no password, query or fragment"));
    }
    let prefix = Path::from_url_path(url.path()).map_err(|_| wrong("its url has no plain path"))?;
    let guarded = Guarded::new(network);
    let store: Arc<dyn ObjectStore> = match url.scheme() {
        "s3" | "s3a" => s3(address, host(&url)?, credentials, guarded)?,
        "gs" => gcs(address, host(&url)?, credentials, guarded)?,
        "az" | "abfss" => azure(address, &url, credentials, guarded)?,
        _ => return Err(wrong("its url is not s3://, gs://, az:// or abfss://")),
    };
    Ok((store, prefix))
}

fn s3(
    address: &RootAddress,
    bucket: &str,
    credentials: &RootCredentials,
    guarded: Guarded,
) -> Result<Arc<dyn ObjectStore>, Fault> {
    let region = address.region.as_deref().unwrap_or("us-east-1");
    let in_path = address
        .path_style
        .unwrap_or_else(|| address.endpoint.is_some());
    let builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_virtual_hosted_style_request(!in_path)
        .with_retry(retry())
        .with_http_connector(guarded);
    let builder = match &address.endpoint {
        None => builder,
        Some(endpoint) if in_path => builder.with_endpoint(endpoint),
        Some(endpoint) => builder.with_endpoint(with_bucket_in_host(endpoint, bucket)?),
    };
    let builder = match credentials {
        RootCredentials::Anonymous => builder.with_skip_signature(true),
        RootCredentials::Keys(keys) => keyed(builder, keys),
        RootCredentials::AccountKey(_)
        | RootCredentials::Sas(_)
        | RootCredentials::Principal { .. }
        | RootCredentials::ServiceAccount(_) => {
            return Err(wrong("S3 takes an access key and its secret"));
        }
    };
    Ok(Arc::new(builder.build().map_err(|_| malformed())?))
}

fn keyed(builder: AmazonS3Builder, keys: &AwsKeys) -> AmazonS3Builder {
    let builder = builder
        .with_access_key_id(&keys.access_key)
        .with_secret_access_key(keys.secret_key.expose_secret());
    match &keys.session_token {
        Some(token) => builder.with_token(token.expose_secret()),
        None => builder,
    }
}

fn gcs(
    address: &RootAddress,
    bucket: &str,
    credentials: &RootCredentials,
    guarded: Guarded,
) -> Result<Arc<dyn ObjectStore>, Fault> {
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_retry(retry())
        .with_http_connector(guarded.clone());
    let builder = match &address.endpoint {
        Some(endpoint) => builder.with_base_url(endpoint),
        None => builder,
    };
    let builder = match credentials {
        RootCredentials::Keys(_) => {
            let over_s3 = RootAddress {
                endpoint: Some(address.endpoint.as_deref().unwrap_or(GOOGLE_XML).to_owned()),
                region: Some(
                    address
                        .region
                        .as_deref()
                        .unwrap_or(GOOGLE_REGION)
                        .to_owned(),
                ),
                path_style: Some(true),
                ..RootAddress::default()
            };
            return s3(&over_s3, bucket, credentials, guarded);
        }
        RootCredentials::ServiceAccount(key) => {
            builder.with_service_account_key(key.expose_secret())
        }
        // Without credentials the builder would look for the machine's own.
        RootCredentials::Anonymous => builder
            .with_credentials(Arc::new(StaticCredentialProvider::new(GcpCredential {
                bearer: String::new(),
            })))
            .with_skip_signature(true),
        RootCredentials::AccountKey(_)
        | RootCredentials::Sas(_)
        | RootCredentials::Principal { .. } => {
            return Err(wrong(
                "Google takes an HMAC key with its secret, or a service account",
            ));
        }
    };
    Ok(Arc::new(builder.build().map_err(|_| malformed())?))
}

fn azure(
    address: &RootAddress,
    url: &Url,
    credentials: &RootCredentials,
    guarded: Guarded,
) -> Result<Arc<dyn ObjectStore>, Fault> {
    let (container, account, endpoint) = azure_place(address, url)?;
    let builder = MicrosoftAzureBuilder::new()
        .with_container_name(container)
        .with_account(account)
        .with_endpoint(endpoint)
        .with_retry(retry())
        .with_http_connector(guarded);
    let builder = match credentials {
        RootCredentials::Anonymous => builder.with_skip_signature(true),
        RootCredentials::AccountKey(key) => builder.with_access_key(key.expose_secret()),
        RootCredentials::Sas(sas) => {
            let text = sas.expose_secret().trim_start_matches('?');
            let pairs = url::form_urlencoded::parse(text.as_bytes());
            builder.with_sas_authorization(pairs.into_owned().collect::<Vec<_>>())
        }
        RootCredentials::Principal {
            tenant,
            client_id,
            client_secret,
            authority,
        } => {
            let builder = builder.with_client_secret_authorization(
                client_id,
                client_secret.expose_secret(),
                tenant,
            );
            match authority {
                Some(authority) => builder.with_authority_host(authority.trim_end_matches('/')),
                None => builder,
            }
        }
        RootCredentials::Keys(_) | RootCredentials::ServiceAccount(_) => {
            return Err(wrong(
                "Azure takes an account key, a shared access signature or a service principal",
            ));
        }
    };
    Ok(Arc::new(builder.build().map_err(|_| malformed())?))
}

/// Container, account and address of the Blob API. A dfs address reads through the Blob API of the same account.
fn azure_place(address: &RootAddress, url: &Url) -> Result<(String, String, String), Fault> {
    let host = host(url)?;
    let (container, host_of_account) = match url.username() {
        "" => (host, None),
        container => (container, Some(host)),
    };
    let in_host = host_of_account.and_then(|it| it.split('.').next());
    let in_endpoint = address.endpoint.as_deref().and_then(account_in_path);
    let account = address
        .account
        .clone()
        .or_else(|| in_host.map(str::to_owned))
        .or(in_endpoint)
        .ok_or_else(|| wrong("it needs an `account`, which an az:// url does not name"))?;
    let endpoint = match (&address.endpoint, host_of_account) {
        (Some(endpoint), _) => endpoint.trim_end_matches('/').to_owned(),
        (None, Some(host)) => format!("https://{}", host.replacen(".dfs.", ".blob.", 1)),
        (None, None) => format!("https://{account}.blob.core.windows.net"),
    };
    Ok((container.to_owned(), account, endpoint))
}

/// Emulators have the account in the path: `http://127.0.0.1:10000/account`.
fn account_in_path(endpoint: &str) -> Option<String> {
    let url = Url::parse(endpoint).ok()?;
    let first = url.path_segments()?.next()?;
    (!first.is_empty()).then(|| first.to_owned())
}

fn with_bucket_in_host(endpoint: &str, bucket: &str) -> Result<String, Fault> {
    let mut url = Url::parse(endpoint).map_err(|_| wrong("its endpoint is no URL"))?;
    let host = url.host_str().map(|host| format!("{bucket}.{host}"));
    url.set_host(host.as_deref())
        .map_err(|_| wrong("its bucket cannot stand in the endpoint's host name"))?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn host(url: &Url) -> Result<&str, Fault> {
    url.host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(|| wrong("its url names no bucket or container"))
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES,
        retry_timeout: RETRY_FOR,
    }
}

fn wrong(reason: &str) -> Fault {
    Fault::new(
        ErrorCode::FieldInvalid,
        format!("open a lake root in an object store: {reason}"),
    )
}

/// The builder's own text could repeat a key that it could not read.
fn malformed() -> Fault {
    wrong("address or credentials have not the form that its platform wants")
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::{RootAddress, RootCredentials, azure_place, read_store, with_bucket_in_host};
    use crate::{AwsKeys, Network, NetworkSettings};

    fn at(url: &str) -> RootAddress {
        RootAddress {
            url: url.to_owned(),
            ..RootAddress::default()
        }
    }

    fn keys() -> RootCredentials {
        RootCredentials::Keys(AwsKeys {
            access_key: "AK".to_owned(),
            secret_key: SecretString::from("SK"),
            session_token: None,
        })
    }

    #[test]
    fn the_prefix_is_the_path_of_the_url() {
        let network = Network::new(NetworkSettings::default()).unwrap();
        let check = |url: &str, credentials: &RootCredentials, prefix: &str| {
            let (_, found) = read_store(&at(url), credentials, &network).unwrap();
            assert_eq!(found.as_ref(), prefix, "{url}");
        };
        check("s3://bucket", &keys(), "");
        check("s3://bucket/a/b%20c/", &keys(), "a/b c");
        check("gs://bucket/lake", &keys(), "lake");
        check("gs://bucket/lake", &RootCredentials::Anonymous, "lake");
        let key = RootCredentials::AccountKey(SecretString::from("a2V5"));
        check("abfss://c@acct.dfs.core.windows.net/lake", &key, "lake");
        let principal = RootCredentials::Principal {
            tenant: "t".to_owned(),
            client_id: "c".to_owned(),
            client_secret: SecretString::from("s"),
            authority: None,
        };
        check(
            "abfss://c@acct.dfs.core.windows.net/lake",
            &principal,
            "lake",
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_without_repeating_it() {
        let network = Network::new(NetworkSettings::default()).unwrap();
        let bad_key = RootCredentials::AccountKey(SecretString::from("c4nary!"));
        let bad_account = RootCredentials::ServiceAccount(SecretString::from("{\"c4nary\": 1"));
        for (url, credentials) in [
            ("file:///etc", keys()),
            ("s3:///no-bucket", keys()),
            ("s3://b?x=c4nary", keys()),
            ("s3://b", bad_key.clone()),
            ("az://container/x", bad_key.clone()),
            ("abfss://c@acct.dfs.core.windows.net/", bad_key),
            ("gs://b", bad_account),
            ("az://container/x", keys()),
        ] {
            let fault = read_store(&at(url), &credentials, &network).unwrap_err();
            assert!(!format!("{fault:?}").contains("c4nary"), "{fault:?}");
        }
    }

    #[test]
    fn azure_accounts_are_found_in_every_form_of_address() {
        let place =
            |address: &RootAddress| azure_place(address, &address.url.parse().unwrap()).unwrap();
        let three = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(
            place(&at("abfss://c@acct.dfs.core.chinacloudapi.cn/x")),
            three("c", "acct", "https://acct.blob.core.chinacloudapi.cn")
        );
        assert_eq!(
            place(&RootAddress {
                account: Some("acct".to_owned()),
                ..at("az://c/x")
            }),
            three("c", "acct", "https://acct.blob.core.windows.net")
        );
        assert_eq!(
            place(&RootAddress {
                endpoint: Some("http://127.0.0.1:10000/dev/".to_owned()),
                ..at("az://c/x")
            }),
            three("c", "dev", "http://127.0.0.1:10000/dev")
        );
    }

    #[test]
    fn a_bucket_can_stand_in_the_endpoints_host() {
        assert_eq!(
            with_bucket_in_host("https://s3.example:9000/", "b").unwrap(),
            "https://b.s3.example:9000"
        );
    }
}
