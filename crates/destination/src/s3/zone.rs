//! The landing zone in a bucket: a folder per organisation and sandbox, below the operator's prefix.
//!
//! What offtake writes with is the operator's own key pair and is never given out: it opens every sandbox. Receivers get
//! short-lived keys of a role, cut down by a policy to the folder of their sandbox.
//!
//! The one law: a tenant's folder is reached through its tenant, and its keys reach no other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use offtake_model::{DestinationKind, ErrorCode, Fault, OrgId, SandboxName, SinkRef, Tenant};
use offtake_ports::{
    Access, Clock, Explorer, FolderEntry, RetainedSink, Sinks, StagedSink, ZoneIssuer, ZoneKeys,
    ZonePlace, Zones,
};
use offtake_storage::{Door, Network, Retries, Roles};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::client::{Client, Region};
use super::settings::Settings;
use super::sink::S3Sink;

/// Shortest session that the token service gives.
const SESSION_MIN: Duration = Duration::from_mins(15);

/// Longest session that every role allows.
const SESSION_MAX: Duration = Duration::from_hours(1);

/// Where the zones lie and who may write there.
#[derive(Clone, Debug)]
pub struct BucketZoneSettings {
    /// The bucket.
    pub bucket: String,
    /// Folder of the bucket that holds the zones, without slashes around it; may be empty.
    pub folder: String,
    /// Address of the store, when it is not Amazon's.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// Whether the bucket stands in the path.
    pub path_style: Option<bool>,
    /// The operator's access key.
    pub access_key: String,
    /// Its secret.
    pub secret_key: SecretString,
}

/// The landing zones in a bucket.
pub struct BucketZones {
    door: Door,
    retries: Retries,
    settings: BucketZoneSettings,
    region: Region,
    receivers: Option<Receivers>,
    clock: Arc<dyn Clock>,
}

/// Who receivers become, and where they are told so.
#[derive(Clone, Debug)]
pub struct Receivers {
    /// Asks for sessions with the operator's keys.
    pub roles: Roles,
    /// The role whose sessions are given out.
    pub role: String,
}

impl BucketZones {
    /// Zones that are spoken to through this network. Without receivers no credentials are given out.
    pub fn new(
        network: &Network,
        settings: BucketZoneSettings,
        receivers: Option<Receivers>,
        retries: Retries,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        let region = settings.region.clone();
        let zones = Self {
            door: network.door(),
            retries,
            region: Arc::new(Mutex::new(region.unwrap_or_else(|| "us-east-1".to_owned()))),
            settings,
            receivers,
            clock,
        };
        // A setting that can't be used is told at the start.
        zones.read(&Tenant {
            org: OrgId(String::new()),
            sandbox: SandboxName(String::new()),
        })?;
        Ok(zones)
    }

    fn folder(&self, tenant: &Tenant) -> String {
        let below = format!("{}/{}", tenant.org, tenant.sandbox);
        match self.settings.folder.as_str() {
            "" => below,
            folder => format!("{folder}/{below}"),
        }
    }

    fn read(&self, tenant: &Tenant) -> Result<Settings, Fault> {
        let given = &self.settings;
        let optional = |value: &Option<String>| value.clone().map(Value::String);
        let params = [
            ("s3AccessKey", Some(Value::String(given.access_key.clone()))),
            ("endpoint", optional(&given.endpoint)),
            ("region", optional(&given.region)),
            ("pathStyle", given.path_style.map(Value::Bool)),
        ];
        let params = params
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let secret = ("s3SecretKey".to_owned(), given.secret_key.clone());
        let access = Access {
            kind: DestinationKind::S3,
            auth: None,
            params: params.collect(),
            secrets: std::iter::once(secret).collect(),
        };
        let mut settings = Settings::read(&access, &given.bucket, &tenant.org, None)?;
        settings.location = settings.location.below(&self.folder(tenant));
        Ok(settings)
    }

    fn sink(&self, tenant: &Tenant) -> Result<S3Sink, Fault> {
        let region = Arc::clone(&self.region);
        let client = Client::new(self.door.clone(), self.retries, self.read(tenant)?, region);
        Ok(S3Sink::new(client))
    }

    /// What a receiver's keys allow.
    fn policy(&self, tenant: &Tenant) -> String {
        let region = self.settings.region.as_deref().unwrap_or_default();
        let partition = if region.starts_with("cn-") {
            "aws-cn"
        } else if region.starts_with("us-gov-") {
            "aws-us-gov"
        } else {
            "aws"
        };
        let (bucket, folder) = (&self.settings.bucket, self.folder(tenant));
        json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "s3:GetObject",
                    "Resource": format!("arn:{partition}:s3:::{bucket}/{folder}/*")
                },
                {
                    "Effect": "Allow",
                    "Action": "s3:ListBucket",
                    "Resource": format!("arn:{partition}:s3:::{bucket}"),
                    "Condition": {"StringLike": {"s3:prefix": [format!("{folder}/*")]}}
                }
            ]
        })
        .to_string()
    }
}

#[async_trait]
impl Sinks for BucketZones {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        Ok(Arc::new(self.sink(&sink.tenant)?))
    }
}

#[async_trait]
impl Explorer for BucketZones {
    async fn list(
        &self,
        sink: &SinkRef,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        self.sink(&sink.tenant)?.explore(folder, limit).await
    }
}

#[async_trait]
impl Zones for BucketZones {
    async fn zone(&self, tenant: &Tenant) -> Result<Arc<dyn RetainedSink>, Fault> {
        Ok(Arc::new(self.sink(tenant)?))
    }
}

#[async_trait]
impl ZoneIssuer for BucketZones {
    fn place(&self, tenant: &Tenant) -> ZonePlace {
        ZonePlace::Bucket {
            bucket: self.settings.bucket.clone(),
            folder: self.folder(tenant),
        }
    }

    async fn issue(&self, tenant: &Tenant, lifetime: Duration) -> Result<ZoneKeys, Fault> {
        let Some(Receivers { roles, role }) = &self.receivers else {
            return Err(Fault::new(
                ErrorCode::ZoneCredentialsNotAvailable,
                format!(
                    "the landing zone is folder {} of bucket {}, and the operator named no role to give out keys of",
                    self.folder(tenant),
                    self.settings.bucket
                ),
            ));
        };
        let lifetime = lifetime.clamp(SESSION_MIN, SESSION_MAX);
        // Counted from before the request: the service's clock starts later.
        let millis = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        let expires_at = self.clock.now().plus_millis(millis);
        let keys = roles.session(role, &self.policy(tenant), lifetime).await?;
        let session_token = keys.session_token.ok_or_else(|| {
            Fault::new(
                ErrorCode::DestinationProtocol,
                "give out keys of the landing zone: the token service answered keys without a session",
            )
        })?;
        Ok(ZoneKeys::Temporary {
            access_key: keys.access_key,
            secret_key: keys.secret_key,
            session_token,
            expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use offtake_model::{ErrorCode, Millis, OrgId, SandboxName, Tenant};
    use offtake_ports::testing::ManualClock;
    use offtake_ports::{ZoneIssuer, ZonePlace};
    use offtake_storage::{Network, NetworkSettings, Retries};
    use secrecy::SecretString;
    use serde_json::{Value, json};

    use super::{BucketZoneSettings, BucketZones};

    fn zones(change: impl Fn(&mut BucketZoneSettings)) -> Result<BucketZones, ErrorCode> {
        let network = Network::new(NetworkSettings::default()).unwrap();
        let mut settings = BucketZoneSettings {
            bucket: "lake".to_owned(),
            folder: "zones".to_owned(),
            endpoint: None,
            region: Some("eu-west-1".to_owned()),
            path_style: None,
            access_key: "AK".to_owned(),
            secret_key: SecretString::from("SK"),
        };
        change(&mut settings);
        let clock = Arc::new(ManualClock::new(Millis(0)));
        BucketZones::new(&network, settings, None, Retries::default(), clock)
            .map_err(|fault| fault.code)
    }

    fn tenant() -> Tenant {
        Tenant {
            org: OrgId("0A@AdobeOrg".to_owned()),
            sandbox: SandboxName("prod".to_owned()),
        }
    }

    #[test]
    fn a_receivers_policy_names_the_folder_of_the_sandbox_and_nothing_else() {
        let zones = zones(|_| ()).unwrap();
        let policy: Value = serde_json::from_str(&zones.policy(&tenant())).unwrap();
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(
            statements[0]["Resource"],
            "arn:aws:s3:::lake/zones/0A@AdobeOrg/prod/*"
        );
        assert_eq!(statements[0]["Action"], "s3:GetObject");
        assert_eq!(statements[1]["Action"], "s3:ListBucket");
        assert_eq!(
            statements[1]["Condition"],
            json!({"StringLike": {"s3:prefix": ["zones/0A@AdobeOrg/prod/*"]}})
        );
        assert_eq!(statements.len(), 2);
    }

    #[tokio::test]
    async fn without_a_role_the_answer_says_where_the_files_are_and_what_is_missing() {
        let zones = zones(|settings| settings.folder = String::new()).unwrap();
        let folder = "0A@AdobeOrg/prod".to_owned();
        let bucket = "lake".to_owned();
        assert_eq!(zones.place(&tenant()), ZonePlace::Bucket { bucket, folder });
        let fault = zones
            .issue(&tenant(), std::time::Duration::from_hours(1))
            .await
            .unwrap_err();
        assert_eq!(fault.code, ErrorCode::ZoneCredentialsNotAvailable);
        assert!(fault.message.contains("0A@AdobeOrg/prod of bucket lake"));
    }

    #[test]
    fn settings_that_cannot_be_used_are_told_at_the_start() {
        let wrong = zones(|settings| settings.endpoint = Some("no address".to_owned()));
        assert_eq!(wrong.err(), Some(ErrorCode::ConnectionNotUsable));
        let wrong = zones(|settings| settings.region = Some("eu west".to_owned()));
        assert_eq!(wrong.err(), Some(ErrorCode::ConnectionNotUsable));
    }
}
