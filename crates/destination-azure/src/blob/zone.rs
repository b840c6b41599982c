//! The landing zone in a storage account: a container for each organisation and sandbox.
//!
//! A signature can be limited to a container but not to a folder of one, so that is what keeps tenants apart. What
//! offtake writes with is the account's key and is never given out: it opens every sandbox.
//!
//! The one law: a tenant's container is reached through its tenant, and its signatures open no other.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use async_trait::async_trait;
use aws_lc_rs::digest;
use bytes::Bytes;
use offtake_model::{ErrorCode, Fault, Millis, SinkRef, Tenant};
use offtake_ports::{
    Clock, Explorer, FolderEntry, RetainedSink, Sinks, StagedSink, Withdrawn, ZoneIssuer, ZoneKeys,
    ZonePlace, Zones,
};
use offtake_storage::{AzureSigner, Door, Network, Retries};
use secrecy::SecretString;

use super::calls::Blobs;
use super::sink::BlobSink;
use super::visible::{TURNS_MAX, unsettled};
use crate::client::{Client, Failure};
use crate::connection_string::{SUFFIX, address, is_host_part};
use crate::issue::ContainerSas;
use crate::login::Login;
use crate::place::Place;

/// Longest beginning of the containers' names: with the rest they have at most 63 letters.
const PREFIX_LETTERS_MAX: usize = 15;

/// Letters of the sandbox's name that stand in its container's, for people.
const WORD_LETTERS_MAX: usize = 14;

/// Bytes of the digest in a container's name.
const DIGEST_BYTES: usize = 16;

/// Longest time that a signature is good: nothing takes it back.
const SIGNED_MAX: Duration = Duration::from_hours(7 * 24);

/// How long a container that was there is not asked for again.
const KNOWN_FOR: Duration = Duration::from_mins(5);

/// Containers that are remembered.
const KNOWN_MAX: usize = 1_000;

/// What receivers may do: read and list.
const RIGHTS: &str = "rl";

/// Where the zones lie.
#[derive(Clone, Debug)]
pub struct ContainerZoneSettings {
    /// What the names of the containers begin with: at most 15 lower-case letters, digits and single hyphens.
    pub prefix: String,
    /// The storage account.
    pub account: String,
    /// Its key, in base64.
    pub account_key: SecretString,
    /// Address of its Blob service, when it is not the public cloud's.
    pub endpoint: Option<String>,
}

/// The landing zones in a storage account.
pub struct ContainerZones {
    door: Door,
    retries: Retries,
    settings: ContainerZoneSettings,
    endpoint: String,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<String, Instant>>,
}

impl fmt::Debug for ContainerZones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerZones").finish_non_exhaustive()
    }
}

impl ContainerZones {
    /// Zones that are spoken to through this network.
    ///
    /// # Errors
    /// `CONNECTION_NOT_USABLE` when a setting can't be used, naming it.
    pub fn new(
        network: &Network,
        settings: ContainerZoneSettings,
        retries: Retries,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        if !is_prefix(&settings.prefix) {
            return Err(unusable(
                "its containers' names must begin with a letter or digit, and have at most 15 lower-case letters, digits and single hyphens",
            ));
        }
        if !is_host_part(&settings.account) {
            return Err(unusable("`account` is no account's name"));
        }
        let endpoint = match &settings.endpoint {
            None => format!("https://{}.blob.{SUFFIX}", settings.account),
            Some(given) => {
                let url = address(given).ok_or_else(|| unusable("`endpoint` is no address"))?;
                url.as_str().trim_end_matches('/').to_owned()
            }
        };
        let zones = Self {
            endpoint,
            door: network.door(),
            retries,
            settings,
            clock,
            known: Mutex::default(),
        };
        // A setting that can't be signed with is told at the start.
        zones.token(&zones.settings.prefix, Millis(0))?;
        Ok(zones)
    }

    /// The tenant's container. The digest tells tenants apart; the word is for people.
    fn container(&self, tenant: &Tenant) -> String {
        let mut name = self.settings.prefix.clone();
        let letters = tenant.sandbox.as_str().chars();
        let word: String = letters
            .filter(char::is_ascii_alphanumeric)
            .map(|it| it.to_ascii_lowercase())
            .take(WORD_LETTERS_MAX)
            .collect();
        if !word.is_empty() {
            name.push('-');
            name.push_str(&word);
        }
        name.push('-');
        // No organisation's name has a zero byte.
        let whose = format!("{}\0{}", tenant.org, tenant.sandbox);
        let digest = digest::digest(&digest::SHA256, whose.as_bytes());
        for byte in digest.as_ref().iter().take(DIGEST_BYTES) {
            // Writing to a text can't fail.
            let _written = write!(name, "{byte:02x}");
        }
        name
    }

    /// The tenant's container as a sink; it is made when it is not there.
    async fn sink(&self, tenant: &Tenant) -> Result<BlobSink, Fault> {
        let name = self.container(tenant);
        let login = Login::Key(AzureSigner::SharedKey {
            account: self.settings.account.clone(),
            key: self.settings.account_key.clone(),
        });
        let place = Place::below(&self.endpoint, &name);
        let blobs = Blobs::new(Client::new(self.door.clone(), self.retries, login, place));
        if !self.is_known(&name) {
            blobs.create_container().await.map_err(|failure| {
                failure.told(&format!("make container {name} of the landing zone"))
            })?;
            self.remember(name);
        }
        Ok(BlobSink::new(blobs))
    }

    fn is_known(&self, name: &str) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(name)
            .is_some_and(|since| since.elapsed() < KNOWN_FOR)
    }

    fn remember(&self, name: String) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(name, Instant::now());
    }

    fn token(&self, container: &str, ends: Millis) -> Result<SecretString, Fault> {
        let secs = u64::try_from(ends.secs()).unwrap_or(0);
        ContainerSas {
            account: &self.settings.account,
            key: &self.settings.account_key,
            container,
            rights: RIGHTS,
            ends: UNIX_EPOCH + Duration::from_secs(secs),
            allow_http: self.endpoint.starts_with("http://"),
        }
        .issue()
    }
}

#[async_trait]
impl Sinks for ContainerZones {
    async fn open(&self, sink: &SinkRef) -> Result<Arc<dyn StagedSink>, Fault> {
        Ok(Arc::new(self.sink(&sink.tenant).await?))
    }
}

#[async_trait]
impl Explorer for ContainerZones {
    async fn list(
        &self,
        sink: &SinkRef,
        folder: &str,
        limit: usize,
    ) -> Result<Vec<FolderEntry>, Fault> {
        self.sink(&sink.tenant).await?.explore(folder, limit).await
    }
}

#[async_trait]
impl Zones for ContainerZones {
    async fn zone(&self, tenant: &Tenant) -> Result<Arc<dyn RetainedSink>, Fault> {
        Ok(Arc::new(self.sink(tenant).await?))
    }
}

#[async_trait]
impl ZoneIssuer for ContainerZones {
    fn place(&self, tenant: &Tenant) -> ZonePlace {
        ZonePlace::Container {
            account: self.settings.account.clone(),
            container: self.container(tenant),
        }
    }

    async fn issue(&self, tenant: &Tenant, lifetime: Duration) -> Result<ZoneKeys, Fault> {
        // A receiver may come before the first delivery.
        self.sink(tenant).await?;
        let container = self.container(tenant);
        let lifetime = i64::try_from(lifetime.min(SIGNED_MAX).as_secs()).unwrap_or(0);
        let expires_at = Millis::from_secs(self.clock.now().secs() + lifetime);
        Ok(ZoneKeys::Signature {
            token: self.token(&container, expires_at)?,
            url: format!("{}/{container}", self.endpoint),
            expires_at,
        })
    }
}

#[async_trait]
impl RetainedSink for BlobSink {
    async fn withdraw(&self, key: &str, bytes: &Bytes) -> Result<Withdrawn, Fault> {
        let withdrawn = withdraw(&self.blobs, key, bytes).await;
        withdrawn.map_err(|failure| self.blobs.fault(failure, "withdraw", key))
    }
}

/// Deletes what was looked at, or nothing.
async fn withdraw(blobs: &Blobs, key: &str, bytes: &Bytes) -> Result<Withdrawn, Failure> {
    for _ in 0..TURNS_MAX {
        match blobs.get(key).await? {
            None => return Ok(Withdrawn::Gone),
            Some((there, _)) if there != bytes => return Ok(Withdrawn::Foreign),
            Some((_, etag)) if blobs.delete(key, &etag).await? => return Ok(Withdrawn::Gone),
            // It changed after it was read.
            Some(_) => {}
        }
    }
    Err(unsettled(key))
}

fn is_prefix(text: &str) -> bool {
    let plain =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    (1..=PREFIX_LETTERS_MAX).contains(&text.len())
        && text.bytes().all(plain)
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

fn unusable(reason: &str) -> Fault {
    Fault::new(
        ErrorCode::ConnectionNotUsable,
        format!("open the landing zone in Azure: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use offtake_model::{Millis, OrgId, SandboxName, Tenant};
    use offtake_ports::testing::ManualClock;
    use offtake_storage::{Network, NetworkSettings, Retries};
    use secrecy::SecretString;

    use super::{ContainerZoneSettings, ContainerZones};

    type Change = fn(&mut ContainerZoneSettings);

    fn zones(change: impl Fn(&mut ContainerZoneSettings)) -> Result<ContainerZones, String> {
        let mut settings = ContainerZoneSettings {
            prefix: "zones".to_owned(),
            account: "acct".to_owned(),
            account_key: SecretString::from("a2V5"),
            endpoint: None,
        };
        change(&mut settings);
        let network = Network::new(NetworkSettings::default()).unwrap();
        let clock = Arc::new(ManualClock::new(Millis(0)));
        ContainerZones::new(&network, settings, Retries::default(), clock)
            .map_err(|fault| fault.to_string())
    }

    fn tenant(org: &str, sandbox: &str) -> Tenant {
        Tenant {
            org: OrgId(org.to_owned()),
            sandbox: SandboxName(sandbox.to_owned()),
        }
    }

    #[test]
    fn every_tenant_has_a_container_of_its_own_with_a_name_that_containers_can_have() {
        let zones = zones(|settings| settings.prefix = "a-23456789-1234".to_owned()).unwrap();
        let tenants = [
            tenant("0A@AdobeOrg", "prod"),
            tenant("0B@AdobeOrg", "prod"),
            tenant("0A@AdobeOrg", "PROD"),
            tenant("0A@AdobeOrg", "pro-d"),
            tenant("0A@AdobeOrgp", "rod"),
            tenant(
                "0A@AdobeOrg",
                "a-name-that-is-much-longer-than-a-container-s-may-be",
            ),
            tenant("0A@AdobeOrg", "--"),
            tenant("0A@AdobeOrg", "übung"),
        ];
        let names: BTreeSet<_> = tenants.iter().map(|it| zones.container(it)).collect();
        assert_eq!(names.len(), tenants.len());
        for name in &names {
            let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
            assert!(
                name.bytes().all(plain) && (3..=63).contains(&name.len()),
                "{name}"
            );
            assert!(!name.contains("--") && !name.ends_with('-'), "{name}");
        }
        // Changing it would leave every zone where it was, and everybody with an empty one.
        assert_eq!(
            zones.container(&tenants[0]),
            "a-23456789-1234-prod-3c2dab5d8e0976eb26e293be95036042"
        );
    }

    #[test]
    fn settings_that_cannot_be_used_are_told_at_the_start() {
        assert_eq!(
            zones(|_| ()).unwrap().endpoint,
            "https://acct.blob.core.windows.net"
        );
        let wrong: [(Change, &str); 6] = [
            (|it| it.prefix = String::new(), "names must begin"),
            (|it| it.prefix = "Zones".to_owned(), "names must begin"),
            (|it| it.prefix = "a--b".to_owned(), "names must begin"),
            (|it| it.account = "a/b".to_owned(), "`account`"),
            (|it| it.endpoint = Some("x".to_owned()), "`endpoint`"),
            (|it| it.account_key = SecretString::from("!"), "base64"),
        ];
        for (change, says) in wrong {
            let told = zones(change).unwrap_err();
            assert!(told.contains(says), "{told}");
        }
    }
}
