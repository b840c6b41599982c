//! The data landing zone (contract, 10.4): where a sandbox's deliveries lie when they go nowhere else, and how
//! receivers get at them.
//!
//! There is one zone per sandbox, whatever type of it is asked for. A zone in a folder of this machine is read over
//! HTTP by signature: see [`signature`]. A zone in a store is read with the store's own short-lived credentials.
//!
//! The one law: what is given out lists and reads the files of one sandbox, and ends by itself.

use std::sync::Arc;
use std::time::Duration;

use offtake_model::{ErrorCode, Fault, Millis, Tenant};
use offtake_ports::{
    Keys, OpenZoneFile, ZoneFiles, ZoneGrants, ZoneIssuer, ZoneKeys, ZonePage, ZonePlace, ZoneQuery,
};
use secrecy::{ExposeSecret, SecretString};

use crate::identity::Caller;
use crate::service::{Service, not_found};

mod signature;

use signature::{Claims, Signer, account};

pub use signature::ShownSignature;

/// Path below which the files of zones in folders are served.
pub const ZONES: &str = "/offtake/v1/landing-zone";

/// The documented name of a sandbox's one container.
const CONTAINER: &str = "dlz-destination";

/// What the keys of addresses are derived for.
const PURPOSE: &str = "landing zone signatures";

/// Documented types of a zone; there is one container for both.
const TYPES: [&str; 2] = ["dlz_destination", "user_drop_zone"];

/// What the operator set about the landing zone.
pub struct LandingZone {
    /// Where it lies.
    pub backend: ZoneBackend,
    /// Keeps what voids signatures.
    pub grants: Arc<dyn ZoneGrants>,
    /// Days after which files are taken away; never when absent.
    pub retention_days: Option<u32>,
    /// How long credentials are good.
    pub credentials_ttl: Duration,
    /// The service's address as receivers reach it; as the request reached it when absent.
    pub public_url: Option<String>,
}

/// Where the landing zone lies.
#[derive(Clone)]
pub enum ZoneBackend {
    /// In a folder of this machine, which is served from here.
    Folder(Arc<dyn ZoneFiles>),
    /// In a store that receivers ask themselves.
    Store(Arc<dyn ZoneIssuer>),
}

/// A sandbox's zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneView {
    /// Where the files lie.
    pub place: ZonePlace,
    /// Days after which files are taken away; never when absent.
    pub retention_days: Option<u32>,
}

/// Credentials for a sandbox's zone.
#[derive(Clone, Debug)]
pub struct ZoneCredentials {
    /// What they are for.
    pub place: ZonePlace,
    /// The credentials.
    pub keys: ZoneKeys,
}

pub(crate) struct Zone {
    backend: ZoneBackend,
    grants: Arc<dyn ZoneGrants>,
    keys: Arc<dyn Keys>,
    retention_days: Option<u32>,
    credentials_ttl: Duration,
    public_url: Option<String>,
}

impl Zone {
    /// Addresses are signed with keys derived from these.
    pub(crate) fn new(zone: LandingZone, keys: Arc<dyn Keys>) -> Self {
        Self {
            backend: zone.backend,
            grants: zone.grants,
            keys,
            retention_days: zone.retention_days,
            credentials_ttl: zone.credentials_ttl,
            public_url: zone.public_url,
        }
    }

    fn signer(&self) -> Signer {
        Signer::new(&self.keys.derive(PURPOSE))
    }

    fn place(&self, tenant: &Tenant) -> ZonePlace {
        match &self.backend {
            ZoneBackend::Folder(_) => ZonePlace::Container {
                account: account(tenant),
                container: CONTAINER.to_owned(),
            },
            ZoneBackend::Store(issuer) => issuer.place(tenant),
        }
    }

    fn sign(
        &self,
        tenant: &Tenant,
        generation: u64,
        now: Millis,
        host: &str,
    ) -> Result<ZoneKeys, Fault> {
        let ttl = i64::try_from(self.credentials_ttl.as_secs()).unwrap_or(i64::MAX);
        let expires_at = Millis::from_secs(now.secs().saturating_add(ttl));
        let claims = Claims {
            account: account(tenant),
            container: CONTAINER.to_owned(),
            expires_at,
            generation,
        };
        let origin = match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{host}"),
        };
        Ok(ZoneKeys::Signature {
            url: format!("{origin}{ZONES}/{}/{CONTAINER}", claims.account),
            token: self.signer().token(&claims)?,
            expires_at,
        })
    }
}

impl Service {
    /// The caller's zone of that type.
    pub fn landing_zone(&self, caller: &Caller, kind: Option<&str>) -> Result<ZoneView, Fault> {
        check_type(kind)?;
        Ok(ZoneView {
            place: self.zone.place(&caller.tenant),
            retention_days: self.zone.retention_days,
        })
    }

    /// Credentials for the caller's zone of that type. `host` is how the request reached us.
    pub async fn zone_credentials(
        &self,
        caller: &Caller,
        kind: Option<&str>,
        host: &str,
    ) -> Result<ZoneCredentials, Fault> {
        check_type(kind)?;
        let generation = match &self.zone.backend {
            ZoneBackend::Folder(_) => self.zone.grants.generation(&caller.tenant).await?,
            ZoneBackend::Store(_) => 0,
        };
        self.issue(caller, generation, host).await
    }

    /// The same, after ending every signature given out before. What a store has given out lives to its own end.
    pub async fn refresh_zone_credentials(
        &self,
        caller: &Caller,
        kind: Option<&str>,
        host: &str,
    ) -> Result<ZoneCredentials, Fault> {
        check_type(kind)?;
        let generation = match &self.zone.backend {
            ZoneBackend::Folder(_) => {
                let by = caller.actor();
                self.zone.grants.renew(&caller.tenant, &by).await?
            }
            ZoneBackend::Store(_) => {
                self.write_down(caller, "landingZones", caller.tenant.sandbox.as_str())
                    .await?;
                0
            }
        };
        self.issue(caller, generation, host).await
    }

    async fn issue(
        &self,
        caller: &Caller,
        generation: u64,
        host: &str,
    ) -> Result<ZoneCredentials, Fault> {
        let zone = &self.zone;
        let keys = match &zone.backend {
            ZoneBackend::Folder(_) => {
                zone.sign(&caller.tenant, generation, self.clock.now(), host)?
            }
            ZoneBackend::Store(issuer) => {
                issuer.issue(&caller.tenant, zone.credentials_ttl).await?
            }
        };
        Ok(ZoneCredentials {
            place: zone.place(&caller.tenant),
            keys,
        })
    }

    /// What a signature opens, when it is good for that container now.
    pub async fn open_zone(
        &self,
        account: &str,
        container: &str,
        shown: &ShownSignature<'_>,
    ) -> Result<ZoneReader, Fault> {
        let missing = || not_found("containers", container);
        let ZoneBackend::Folder(files) = &self.zone.backend else {
            return Err(missing());
        };
        let claims = self.zone.signer().verify(account, container, shown)?;
        if claims.expires_at <= self.clock.now() {
            return Err(Fault::new(
                ErrorCode::SignatureExpired,
                "the landing zone's signature has expired",
            ));
        }
        let tenant = claims.tenant().ok_or_else(missing)?;
        if claims.generation != self.zone.grants.generation(&tenant).await? {
            return Err(Fault::new(
                ErrorCode::SignatureInvalid,
                "the landing zone's signature was withdrawn by a refresh",
            ));
        }
        Ok(ZoneReader {
            files: Arc::clone(files),
            tenant,
        })
    }
}

/// Reads one sandbox's zone.
pub struct ZoneReader {
    files: Arc<dyn ZoneFiles>,
    tenant: Tenant,
}

impl ZoneReader {
    /// A page of what lies there.
    pub async fn page(&self, query: &ZoneQuery) -> Result<ZonePage, Fault> {
        self.files.page(&self.tenant, query).await
    }

    /// The file of that key.
    pub async fn file(&self, key: &str) -> Result<OpenZoneFile, Fault> {
        let found = self.files.open(&self.tenant, key).await?;
        found.ok_or_else(|| not_found("files", key))
    }
}

/// The address with the signature in its query.
pub fn signed_url(url: &str, token: &SecretString) -> String {
    format!("{url}?{}", token.expose_secret())
}

fn check_type(kind: Option<&str>) -> Result<(), Fault> {
    match kind {
        None => Ok(()),
        Some(kind) if TYPES.contains(&kind) => Ok(()),
        Some(_) => Err(Fault::new(
            ErrorCode::FieldInvalid,
            format!("`type` must be one of {}", TYPES.join(", ")),
        )),
    }
}
