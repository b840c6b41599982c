//! Who asks: the first client, tokens for clients, and the checks that every request passes (contract, 2.2 and 2.3).
//!
//! The one law: the checks come in the documented order, and each refusal says only what the documented one says.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use offtake_core::calendar;
use offtake_model::{
    Actor, ClientId, ErrorCode, Fault, OrgId, Permission, Quotas, Role, RoleBinding, SandboxName,
    Tenant,
};
use offtake_ports::{ClientRecord, Organisation, Sandbox};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::oidc::is_from_outside;
use crate::service::Service;
use crate::token::{TOKEN_TTL_SECS, TokenHolder};

/// The sandbox of a request that names none (contract, D6).
pub(crate) const DEFAULT_SANDBOX: &str = "prod";

/// Somebody who passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant the request is about.
    pub tenant: Tenant,
    /// The client.
    pub client: ClientId,
    /// The tenant's sandbox.
    pub sandbox: Sandbox,
    /// The client's roles in that sandbox.
    pub roles: Vec<Role>,
    /// Its roles in every sandbox of the organisation.
    pub everywhere: Vec<Role>,
    /// Method and path of the operation it asks for.
    pub operation: String,
    /// The address its request came from.
    pub address: Option<String>,
}

impl Caller {
    /// Whether a role of the caller allows it. What concerns the whole organisation needs a role in all of it.
    pub fn may(&self, permission: Permission) -> bool {
        let roles = if permission.of_organisation() {
            &self.everywhere
        } else {
            &self.roles
        };
        let mut roles = roles.iter();
        roles.any(|role| role.permissions().contains(&permission))
    }

    /// The caller as it is written down with what it changes.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            tenant: self.tenant.clone(),
            client: self.client.clone(),
            operation: self.operation.clone(),
            address: self.address.clone(),
        }
    }
}

/// A sandbox with its creation instant as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxView {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// When it was made, in UTC.
    pub created_at: String,
}

/// What a request brings to show who asks. Empty values count as missing.
#[derive(Clone, Copy, Default)]
pub struct Presented<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `x-api-key`.
    pub api_key: Option<&'a str>,
    /// `x-gw-ims-org-id`.
    pub org: Option<&'a str>,
    /// `x-sandbox-name`.
    pub sandbox_name: Option<&'a str>,
    /// `x-sandbox-id`.
    pub sandbox_id: Option<&'a str>,
    /// Method and path of the operation.
    pub operation: &'a str,
    /// The address the request came from.
    pub address: Option<&'a str>,
}

/// The client made on first start. Its secret exists in the clear only here.
pub struct FirstClient {
    /// Its organisation.
    pub org: OrgId,
    /// The organisation's sandbox.
    pub sandbox: SandboxName,
    /// Its id.
    pub client: ClientId,
    /// Its secret, 256 random bits.
    pub secret: SecretString,
}

/// A request for a token (contract, 2.4). The scope is accepted whatever it says.
pub struct Grant {
    /// Must be `client_credentials`.
    pub grant_type: String,
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: SecretString,
}

/// A token.
pub struct IssuedToken {
    /// The token.
    pub token: SecretString,
    /// Seconds until it expires.
    pub expires_in: u64,
}

impl Service {
    /// Makes organisation, default sandbox and client, unless an organisation exists already.
    pub async fn bootstrap(&self) -> Result<Option<FirstClient>, Fault> {
        let now = self.clock.now();
        let organisation = Organisation {
            id: self.new_org_id(),
            name: "Organisation".to_owned(),
            created_at: now,
            quotas: Quotas::default(),
        };
        let org = organisation.id.clone();
        let sandbox = self.default_sandbox(&org, now);
        let first = self.new_client(
            &org,
            "first client".to_owned(),
            vec![RoleBinding::everywhere(Role::Operator)],
        );
        let tenant = Tenant {
            org: org.clone(),
            sandbox: sandbox.name.clone(),
        };
        let by = Actor::service(tenant, "first start");
        let made = self
            .identity
            .bootstrap(&organisation, &sandbox, &first.client, &by)
            .await?;
        Ok(made.then(|| FirstClient {
            org,
            sandbox: sandbox.name,
            client: first.client.id,
            secret: first.secret,
        }))
    }

    /// Gives a client a token for its secret.
    pub async fn issue_token(&self, grant: &Grant) -> Result<IssuedToken, Fault> {
        if grant.grant_type != "client_credentials" {
            return Err(Fault::new(
                ErrorCode::GrantTypeInvalid,
                "grant_type must be client_credentials",
            ));
        }
        let id = ClientId(grant.client_id.clone());
        let record = self.identity.client(&id).await?;
        // An unknown client costs the same comparison as a wrong secret.
        let stored = record
            .as_ref()
            .map_or([0; 32], |record| record.secret_sha256);
        let given = sha256(&grant.client_secret);
        let former = record.as_ref().and_then(|record| record.former_secret);
        let former = former.filter(|former| former.until > self.clock.now());
        let by_former = former.map_or([0; 32], |former| former.sha256).ct_eq(&given);
        let equal: bool = (given.ct_eq(&stored) | by_former).into();
        let granted = record.filter(|record| equal && record.enabled);
        let Some(record) = granted else {
            return Err(Fault::new(
                ErrorCode::ClientAuthInvalid,
                "client id or secret is not valid",
            ));
        };
        let token = self
            .tokens
            .sign(&record.id, &record.org, self.clock.now())?;
        Ok(IssuedToken {
            token: SecretString::from(token),
            expires_in: TOKEN_TTL_SECS.unsigned_abs(),
        })
    }

    /// Recognises the caller, in the documented order of checks.
    pub async fn authenticate(&self, given: &Presented<'_>) -> Result<Caller, Fault> {
        let authorization = present(given.authorization, ErrorCode::TokenMissing)?;
        let bearer = match bearer_token(authorization) {
            Some(token) => self.bearer(token).await,
            None => None,
        };
        let bearer = bearer.ok_or_else(|| refused(ErrorCode::TokenInvalid))?;

        let api_key = present(given.api_key, ErrorCode::ApiKeyMissing)?;
        let client = ClientId(api_key.to_owned());
        let record = self.identity.client(&client).await?;
        let record = record
            .filter(|record| record.enabled && bearer.speaks_for(record))
            .ok_or_else(|| refused(ErrorCode::ApiKeyInvalid))?;

        let org = present(given.org, ErrorCode::OrgMissing)?;
        if org != record.org.as_str() || !bearer.is_for(&record.org) {
            return Err(refused(ErrorCode::OrgNotEntitled));
        }

        let sandbox = self.sandbox_of(&record.org, given).await?;
        let roles_where = |held: &dyn Fn(&RoleBinding) -> bool| {
            let bindings = record.roles.iter().filter(|binding| held(binding));
            bindings.map(|binding| binding.role).collect()
        };
        Ok(Caller {
            roles: roles_where(&|binding| binding.holds_in(&sandbox.name)),
            everywhere: roles_where(&|binding| binding.sandbox.is_none()),
            operation: given.operation.to_owned(),
            address: given.address.map(str::to_owned),
            tenant: Tenant {
                org: record.org.clone(),
                sandbox: sandbox.name.clone(),
            },
            client,
            sandbox,
        })
    }

    async fn bearer(&self, token: &str) -> Option<Bearer> {
        let now = self.clock.now();
        match &self.oidc {
            Some(oidc) if is_from_outside(token) => {
                oidc.verify(token, now).await.map(Bearer::Outside)
            }
            Some(_) | None => self.tokens.verify(token, now).map(Bearer::Own),
        }
    }

    /// A sandbox of the caller's organisation, by name.
    pub async fn sandbox(&self, caller: &Caller, name: &str) -> Result<SandboxView, Fault> {
        let name = SandboxName(name.to_owned());
        let found = self.identity.sandbox(&caller.tenant.org, &name).await?;
        let found = found.ok_or_else(|| unknown_sandbox(name.as_str()))?;
        Ok(SandboxView {
            created_at: calendar::rfc3339(found.created_at),
            sandbox: found,
        })
    }

    async fn sandbox_of(&self, org: &OrgId, given: &Presented<'_>) -> Result<Sandbox, Fault> {
        let name = given
            .sandbox_name
            .map(str::trim)
            .filter(|it| !it.is_empty());
        let name = SandboxName(name.unwrap_or(DEFAULT_SANDBOX).to_owned());
        let found = self.identity.sandbox(org, &name).await?;
        let found = found.ok_or_else(|| unknown_sandbox(name.as_str()))?;
        let id = given.sandbox_id.map(str::trim).filter(|it| !it.is_empty());
        match id {
            Some(id) if id != found.id => Err(unknown_sandbox(id)),
            Some(_) | None => Ok(found),
        }
    }

    pub(crate) fn random_hex(&self, bytes: usize) -> String {
        hex::encode(self.ids.bytes16().get(..bytes).unwrap_or_default())
    }

    pub(crate) fn new_secret(&self) -> SecretString {
        let bits = [self.ids.bytes16(), self.ids.bytes16()].concat();
        SecretString::from(URL_SAFE_NO_PAD.encode(bits))
    }
}

/// Whom a valid token was issued to.
enum Bearer {
    /// One of ours: a client.
    Own(TokenHolder),
    /// The issuer's outside: a subject.
    Outside(String),
}

impl Bearer {
    fn speaks_for(&self, record: &ClientRecord) -> bool {
        match self {
            Self::Own(holder) => holder.client == record.id,
            Self::Outside(subject) => record.subject.as_ref() == Some(subject),
        }
    }

    /// Our own tokens name the organisation, too; a client does not move.
    fn is_for(&self, org: &OrgId) -> bool {
        match self {
            Self::Own(holder) => holder.org == *org,
            Self::Outside(_) => true,
        }
    }
}

fn present(value: Option<&str>, missing: ErrorCode) -> Result<&str, Fault> {
    value
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| refused(missing))
}

fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The documented texts of the gateway are the codes' titles.
fn refused(code: ErrorCode) -> Fault {
    Fault::new(code, code.title())
}

fn unknown_sandbox(name: &str) -> Fault {
    Fault::new(
        ErrorCode::SandboxNotFound,
        format!("sandbox [{name}] not found in this organisation"),
    )
}

/// What is stored of a secret.
pub(crate) fn sha256(secret: &SecretString) -> [u8; 32] {
    let mut out = [0; 32];
    let bytes = secret.expose_secret().as_bytes();
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}
