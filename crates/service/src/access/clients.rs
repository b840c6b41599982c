//! Clients: who they are, what they may do, and their secrets.
//!
//! The one law: a secret is in the answer that made it and nowhere else.

use offtake_core::validate::{self, quoted, shown};
use offtake_model::resource::Object;
use offtake_model::{
    ClientId, ErrorCode, Fault, OrgId, Permission, Role, RoleBinding, SandboxName,
};
use offtake_ports::{ClientRecord, FormerSecret};
use secrecy::SecretString;
use serde_json::Value;

use super::{invalid, known, text};
use crate::identity::{Caller, sha256};
use crate::once::Once;
use crate::service::{Service, not_found};

/// Most role bindings of one client.
const BINDINGS_MAX: usize = 100;

/// Longest time that a replaced secret is still accepted: 30 days.
const GRACE_SECS_MAX: i64 = 30 * 24 * 60 * 60;

/// A client whose secret exists in the clear only here.
pub struct NewSecret {
    /// The client.
    pub client: ClientRecord,
    /// Its secret.
    pub secret: SecretString,
}

/// What became of the wish for a client.
pub enum ClientMade {
    /// This request made it.
    Now(NewSecret),
    /// An earlier request with the same key did, and its answer had the secret.
    Before(ClientRecord),
}

impl Service {
    /// The clients of the caller's organisation.
    pub async fn clients(&self, caller: &Caller) -> Result<Vec<ClientRecord>, Fault> {
        self.identity.clients(&caller.tenant.org).await
    }

    /// Makes a client in the caller's organisation. Asked again with the same key, it shows the one that is there: only
    /// the digest of its secret is kept, so whoever lost the first answer has to [change](Self::rotate_secret) it.
    pub async fn create_client(
        &self,
        caller: &Caller,
        once: Once<'_>,
    ) -> Result<ClientMade, Fault> {
        let fields = known("the body", once.body, &["name", "roles", "subject"])?;
        let name = validate::name(once.body)?;
        let roles = self.bindings(caller, fields.get("roles")).await?;
        let mut made = self.new_client(&caller.tenant.org, name, roles);
        made.client.subject = subject(fields)?;
        let fresh = made.client.id.0.clone();
        let id = self.id_once(caller, "clients", once, fresh).await?;
        made.client.id = ClientId(id);
        if once.key.is_some()
            && let Some(there) = self.identity.client(&made.client.id).await?
        {
            return Ok(ClientMade::Before(there));
        }
        let by = caller.actor();
        let Err(fault) = self.identity.add_client(&made.client, &by).await else {
            return Ok(ClientMade::Now(made));
        };
        // A request with the same key may have been faster.
        let there = self.identity.client(&made.client.id).await?;
        there.map(ClientMade::Before).ok_or(fault)
    }

    /// Changes a client's name, roles or whether it is enabled.
    pub async fn change_client(
        &self,
        caller: &Caller,
        id: &str,
        body: &Value,
    ) -> Result<ClientRecord, Fault> {
        let fields = known("the body", body, &["name", "roles", "enabled", "subject"])?;
        let mut client = self.client_to_change(caller, id).await?;
        if fields.contains_key("name") {
            client.name = validate::name(body)?;
        }
        if let Some(roles) = fields.get("roles") {
            client.roles = self.bindings(caller, Some(roles)).await?;
        }
        if fields.contains_key("subject") {
            client.subject = subject(fields)?;
        }
        match fields.get("enabled") {
            None => {}
            Some(Value::Bool(enabled)) => client.enabled = *enabled,
            Some(other) => {
                return Err(invalid(format!(
                    "`enabled` must be true or false, got {}",
                    shown(other)
                )));
            }
        }
        if client.id == caller.client {
            return Err(invalid(
                "a client cannot change itself; ask another administrator".to_owned(),
            ));
        }
        self.identity
            .replace_client(&client, &caller.actor())
            .await?;
        Ok(client)
    }

    /// Gives a client a new secret. The old one ends at once, or after the grace that the body asks for; tokens issued
    /// for it live on until they expire.
    pub async fn rotate_secret(
        &self,
        caller: &Caller,
        id: &str,
        body: Option<&Value>,
    ) -> Result<NewSecret, Fault> {
        let grace = match body {
            Some(body) => grace(known("the body", body, &["graceSeconds"])?)?,
            None => 0,
        };
        let mut client = self.client_to_change(caller, id).await?;
        let secret = self.new_secret();
        client.former_secret = (grace > 0).then(|| FormerSecret {
            sha256: client.secret_sha256,
            until: self.clock.now().plus_millis(grace * 1_000),
        });
        client.secret_sha256 = sha256(&secret);
        self.identity
            .replace_client(&client, &caller.actor())
            .await?;
        Ok(NewSecret { client, secret })
    }

    /// A client of the caller's organisation that has no more rights than the caller.
    async fn client_to_change(&self, caller: &Caller, id: &str) -> Result<ClientRecord, Fault> {
        let found = self.identity.client(&ClientId(id.to_owned())).await?;
        let found = found
            .filter(|client| client.org == caller.tenant.org)
            .ok_or_else(|| not_found("clients", id))?;
        let higher = found
            .roles
            .iter()
            .any(|binding| binding.role == Role::Operator);
        if higher && !caller.may(Permission::ManageServer) {
            return Err(Fault::new(
                ErrorCode::PermissionMissing,
                format!("client [{id}] is an operator; only operators change it"),
            ));
        }
        Ok(found)
    }

    async fn bindings(
        &self,
        caller: &Caller,
        given: Option<&Value>,
    ) -> Result<Vec<RoleBinding>, Fault> {
        let given = given.and_then(Value::as_array).filter(|it| !it.is_empty());
        let given = given.filter(|it| it.len() <= BINDINGS_MAX).ok_or_else(|| {
            invalid(format!(
                "`roles` is required: 1 to {BINDINGS_MAX} objects with `role` and, unless it holds everywhere, `sandbox`"
            ))
        })?;
        let mut bindings = Vec::with_capacity(given.len());
        for entry in given {
            let entry = known("a role", entry, &["role", "sandbox"])?;
            let binding = RoleBinding {
                role: role(text(entry, "role")?.unwrap_or_default())?,
                sandbox: text(entry, "sandbox")?.map(|name| SandboxName(name.to_owned())),
            };
            if binding.role == Role::Operator && !caller.may(Permission::ManageServer) {
                return Err(Fault::new(
                    ErrorCode::PermissionMissing,
                    "only operators make operators",
                ));
            }
            if let Some(name) = &binding.sandbox {
                self.sandbox(caller, name.as_str()).await?;
            }
            bindings.push(binding);
        }
        Ok(bindings)
    }

    /// A client with a fresh secret, not stored yet.
    pub(crate) fn new_client(
        &self,
        org: &OrgId,
        name: String,
        roles: Vec<RoleBinding>,
    ) -> NewSecret {
        let secret = self.new_secret();
        NewSecret {
            client: ClientRecord {
                id: ClientId(self.random_hex(16)),
                org: org.clone(),
                name,
                secret_sha256: sha256(&secret),
                former_secret: None,
                subject: None,
                created_at: self.clock.now(),
                enabled: true,
                roles,
            },
            secret,
        }
    }
}

/// The client's name at the issuer outside.
fn subject(fields: &Object) -> Result<Option<String>, Fault> {
    let subject = text(fields, "subject")?;
    match subject.map(|text| text.chars().count()) {
        Some(0 | 257..) => Err(invalid(
            "`subject` must be 1 to 256 characters, or null for none".to_owned(),
        )),
        Some(_) | None => Ok(subject.map(str::to_owned)),
    }
}

fn grace(fields: &Object) -> Result<i64, Fault> {
    match fields.get("graceSeconds") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => {
            let secs = value
                .as_i64()
                .filter(|it| (0..=GRACE_SECS_MAX).contains(it));
            secs.ok_or_else(|| {
                invalid(format!(
                    "`graceSeconds` must be a whole number from 0 to {GRACE_SECS_MAX}, got {}",
                    shown(value)
                ))
            })
        }
    }
}

fn role(name: &str) -> Result<Role, Fault> {
    Role::parse(name).ok_or_else(|| {
        let names: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
        invalid(format!(
            "`role` must be one of {}, got {}",
            names.join(", "),
            quoted(name)
        ))
    })
}
