//! What a base connection says about a store, checked and typed.
//!
//! The one law: a parameter that cannot be honoured is refused, never dropped.

use std::sync::Arc;

use http::HeaderValue;
use offtake_model::plan::DestinationKind;
use offtake_model::{ErrorCode, Fault, OrgId};
use offtake_ports::Access;
use offtake_storage::{AwsKeys, Roles};
use secrecy::SecretString;

use super::checksum::Algorithm;
use super::dialect::Dialect;
use super::keys::{FixedKeys, KeyProvider, RoleKeys};
use super::location::Location;

/// Region that requests are signed for when none is given.
const REGION: &str = "us-east-1";

/// Where Google's XML interface answers.
const GOOGLE: &str = "https://storage.googleapis.com";

/// The way to authenticate that names a role instead of keys.
const ASSUMED_ROLE: &str = "Assumed Role";

/// How a store is spoken to.
pub(crate) struct Settings {
    pub(crate) dialect: Dialect,
    pub(crate) location: Location,
    pub(crate) region: String,
    /// Whether the region was given by somebody and is not to be corrected.
    pub(crate) region_fixed: bool,
    pub(crate) checksum: Option<Algorithm>,
    pub(crate) encryption: Option<Encryption>,
    pub(crate) keys: Arc<dyn KeyProvider>,
}

/// How the store is asked to encrypt what it keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// With keys of the store.
    Store,
    /// With a key of the key service, the named one or the account's.
    KeyService(Option<HeaderValue>),
}

impl Settings {
    /// Reads what the organisation's connection says, for this bucket of it.
    pub(crate) fn read(
        access: &Access,
        bucket: &str,
        org: &OrgId,
        roles: Option<&Roles>,
    ) -> Result<Self, Fault> {
        let read = Read { access, org, roles };
        match access.kind {
            DestinationKind::S3 => read.s3(bucket),
            DestinationKind::Gcs => read.gcs(bucket),
            DestinationKind::AzureBlob
            | DestinationKind::AdlsGen2
            | DestinationKind::LandingZone
            | DestinationKind::Sftp => Err(Fault::new(
                ErrorCode::Internal,
                "open a bucket: the connection is of another kind",
            )),
        }
    }
}

struct Read<'a> {
    access: &'a Access,
    org: &'a OrgId,
    roles: Option<&'a Roles>,
}

impl Read<'_> {
    fn s3(&self, bucket: &str) -> Result<Settings, Fault> {
        let path_style = match self.access.params.get("pathStyle") {
            None => None,
            Some(value) => Some(value.as_bool().ok_or_else(|| invalid("pathStyle"))?),
        };
        let (dialect, location) = match self.text("endpoint")? {
            Some(endpoint) => (
                Dialect::Compatible,
                Location::at(endpoint, bucket, path_style)?,
            ),
            None => (Dialect::Amazon, Location::amazon(bucket, path_style)),
        };
        let region = self.text("region")?;
        if region.is_some_and(|region| !is_region(region)) {
            return Err(invalid("region"));
        }
        Ok(Settings {
            dialect,
            location,
            region: region.unwrap_or(REGION).to_owned(),
            region_fixed: region.is_some() || dialect != Dialect::Amazon,
            checksum: self.checksum()?,
            encryption: self.encryption()?,
            keys: match self.access.auth.as_deref() {
                Some(ASSUMED_ROLE) => self.role()?,
                Some(_) | None => self.keys("s3AccessKey", "s3SecretKey")?,
            },
        })
    }

    fn gcs(&self, bucket: &str) -> Result<Settings, Fault> {
        let endpoint = self.text("endpoint")?.unwrap_or(GOOGLE);
        Ok(Settings {
            dialect: Dialect::Google,
            location: Location::at(endpoint, bucket, Some(true))?,
            region: "auto".to_owned(),
            region_fixed: true,
            // Sums in requests are refused; the one that the store answers is compared instead.
            checksum: Some(Algorithm::Crc32c),
            encryption: None,
            keys: self.keys("accessKeyId", "secretAccessKey")?,
        })
    }

    fn checksum(&self) -> Result<Option<Algorithm>, Fault> {
        match self.text("checksum")? {
            None | Some("CRC64NVME") => Ok(Some(Algorithm::Crc64Nvme)),
            Some("CRC32C") => Ok(Some(Algorithm::Crc32c)),
            Some("NONE") => Ok(None),
            Some(_) => Err(invalid("checksum")),
        }
    }

    fn encryption(&self) -> Result<Option<Encryption>, Fault> {
        let key = self.text("kmsKeyId")?;
        match (self.text("serverSideEncryption")?, key) {
            (None, None) => Ok(None),
            (Some("AES256"), None) => Ok(Some(Encryption::Store)),
            (Some("aws:kms"), key) => {
                let key = key.map(HeaderValue::from_str).transpose();
                let key = key.map_err(|_| invalid("kmsKeyId"))?;
                Ok(Some(Encryption::KeyService(key)))
            }
            (None | Some("AES256"), Some(_)) => Err(invalid("kmsKeyId")),
            (Some(_), _) => Err(invalid("serverSideEncryption")),
        }
    }

    fn role(&self) -> Result<Arc<dyn KeyProvider>, Fault> {
        let arn = self.text("s3Role")?.ok_or_else(|| invalid("s3Role"))?;
        let external_id = external_id(self.org, self.text("externalId")?)?;
        let roles = self.roles.ok_or_else(|| {
            Fault::new(
                ErrorCode::ConnectionNotUsable,
                "open a bucket: the connection names a role, and the operator has set no keys under `[aws]` to take it on with",
            )
        })?;
        Ok(Arc::new(RoleKeys {
            roles: roles.clone(),
            arn: arn.to_owned(),
            external_id,
        }))
    }

    fn keys(&self, access_key: &str, secret_key: &str) -> Result<Arc<dyn KeyProvider>, Fault> {
        let access = self.text(access_key)?.ok_or_else(|| invalid(access_key))?;
        let secret = self.access.secrets.get(secret_key);
        let secret: &SecretString = secret.ok_or_else(|| invalid(secret_key))?;
        Ok(Arc::new(FixedKeys(AwsKeys {
            access_key: access.to_owned(),
            secret_key: secret.clone(),
            session_token: None,
        })))
    }

    fn text(&self, name: &str) -> Result<Option<&str>, Fault> {
        match self.access.params.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| invalid(name)),
        }
    }
}

/// The external id that a role is taken on with: the organisation's own id unless the connection names another.
/// Another organisation's id is never sent, or one customer could use a role that trusts another.
fn external_id(org: &OrgId, given: Option<&str>) -> Result<String, Fault> {
    match given {
        None => Ok(org.as_str().to_owned()),
        Some(id) if id.ends_with("@AdobeOrg") && id != org.as_str() => Err(invalid("externalId")),
        Some(id) => Ok(id.to_owned()),
    }
}

/// Whether the text can stand in an address and in a signature.
fn is_region(text: &str) -> bool {
    let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

fn invalid(name: &str) -> Fault {
    Fault::new(
        ErrorCode::ConnectionNotUsable,
        format!("open a bucket: the connection's parameter `{name}` is missing or not valid"),
    )
}
