//! Organisations, sandboxes and clients. Whoever changes one is written down with the change.

use async_trait::async_trait;
use offtake_model::{
    Actor, ClientId, Fault, Millis, OrgId, Quotas, RoleBinding, SandboxName, Usage,
};

/// Keeps identities.
#[async_trait]
pub trait IdentityStore: Send + Sync {
    /// Makes the first organisation with its sandbox and client, unless an organisation exists. Says whether it did.
    async fn bootstrap(
        &self,
        org: &Organisation,
        sandbox: &Sandbox,
        client: &ClientRecord,
        by: &Actor,
    ) -> Result<bool, Fault>;

    /// The client of that id.
    async fn client(&self, id: &ClientId) -> Result<Option<ClientRecord>, Fault>;

    /// The clients of an organisation, oldest first.
    async fn clients(&self, org: &OrgId) -> Result<Vec<ClientRecord>, Fault>;

    /// Adds a client to an existing organisation.
    async fn add_client(&self, client: &ClientRecord, by: &Actor) -> Result<(), Fault>;

    /// Replaces everything of a client but its id, organisation and creation.
    async fn replace_client(&self, client: &ClientRecord, by: &Actor) -> Result<(), Fault>;

    /// Adds an organisation with its default sandbox and first client.
    async fn add_organisation(
        &self,
        org: &Organisation,
        sandbox: &Sandbox,
        client: &ClientRecord,
        by: &Actor,
    ) -> Result<(), Fault>;

    /// Adds a sandbox to an existing organisation. False when it has one of that name.
    async fn add_sandbox(&self, sandbox: &Sandbox, by: &Actor) -> Result<bool, Fault>;

    /// The sandboxes of an organisation, oldest first.
    async fn sandboxes(&self, org: &OrgId) -> Result<Vec<Sandbox>, Fault>;

    /// The sandbox of that name.
    async fn sandbox(&self, org: &OrgId, name: &SandboxName) -> Result<Option<Sandbox>, Fault>;

    /// The organisation of that id.
    async fn organisation(&self, id: &OrgId) -> Result<Option<Organisation>, Fault>;

    /// Replaces an organisation's name and quotas.
    async fn replace_organisation(&self, org: &Organisation, by: &Actor) -> Result<(), Fault>;

    /// What the organisation uses at this moment.
    async fn usage(&self, org: &OrgId) -> Result<Usage, Fault>;

    /// All organisations.
    async fn organisations(&self) -> Result<Vec<Organisation>, Fault>;
}

/// A tenant of the whole server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// `<24 hex>@AdobeOrg`.
    pub id: OrgId,
    /// Name.
    pub name: String,
    /// When it was made.
    pub created_at: Millis,
    /// What it may use.
    pub quotas: Quotas,
}

/// An isolated part of an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// A UUID.
    pub id: String,
    /// The organisation.
    pub org: OrgId,
    /// Short name.
    pub name: SandboxName,
    /// Title for people.
    pub title: String,
    /// Whether it is used when a request names none.
    pub is_default: bool,
    /// When it was made.
    pub created_at: Millis,
}

/// A secret that another has taken over from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormerSecret {
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// Until when it is accepted.
    pub until: Millis,
}

/// A client that can ask for tokens. Its secret is known only as a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// Sent as `x-api-key`.
    pub id: ClientId,
    /// The organisation it belongs to.
    pub org: OrgId,
    /// Name for people.
    pub name: String,
    /// SHA-256 of the secret. Secrets are 256 random bits, so a fast digest is enough.
    pub secret_sha256: [u8; 32],
    /// The secret before it, and until when it is accepted too.
    pub former_secret: Option<FormerSecret>,
    /// When it was made.
    pub created_at: Millis,
    /// Whether it may still get tokens.
    pub enabled: bool,
    /// Its name at the issuer outside, whose tokens it may use instead of ours.
    pub subject: Option<String>,
    /// What it may do, and where.
    pub roles: Vec<RoleBinding>,
}
