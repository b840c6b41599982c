//! Organisations, sandboxes and clients, kept by administrators. An extension: the documented APIs have no such calls
//! but the sandboxes'.
//!
//! The one law: nobody hands out more than they have, and nobody changes what they themselves may do.

use offtake_core::calendar;
use offtake_core::validate::{self, quoted, shown};
use offtake_model::resource::Object;
use offtake_model::{
    ClientId, ErrorCode, Fault, OrgId, Permission, Quotas, Role, RoleBinding, SandboxName,
};
use offtake_ports::{ClientRecord, FormerSecret, Organisation, Sandbox};
use secrecy::SecretString;
use serde_json::Value;

use crate::identity::{Caller, DEFAULT_SANDBOX, FirstClient, SandboxView, sha256};
use crate::once::{Once, reused};
use crate::service::{Service, not_found};

/// Most role bindings of one client.
const BINDINGS_MAX: usize = 100;

/// Longest time that a replaced secret is still accepted: 30 days.
const GRACE_SECS_MAX: i64 = 30 * 24 * 60 * 60;

/// Longest name of a sandbox, in characters.
const SANDBOX_NAME_CHARS_MAX: usize = 64;

/// A client whose secret exists in the clear only here.
pub struct NewSecret {
    /// The client.
    pub client: ClientRecord,
    /// Its secret.
    pub secret: SecretString,
}

impl Service {
    /// Every organisation of the server.
    pub async fn organisations(&self) -> Result<Vec<Organisation>, Fault> {
        self.identity.organisations().await
    }

    /// Makes an organisation with the sandbox `prod` and a client that may do everything in it.
    pub async fn create_organisation(
        &self,
        caller: &Caller,
        once: Once<'_>,
    ) -> Result<FirstClient, Fault> {
        known("the body", once.body, &["name"])?;
        let name = validate::name(once.body)?;
        let now = self.clock.now();
        let fresh = self.new_org_id().0;
        let id = self.secret_once(caller, "organisations", once, fresh);
        let org = Organisation {
            id: OrgId(id.await?),
            name,
            created_at: now,
            quotas: Quotas::default(),
        };
        let sandbox = self.default_sandbox(&org.id, now);
        let made = self.new_client(
            &org.id,
            "first client".to_owned(),
            vec![RoleBinding::everywhere(Role::Admin)],
        );
        self.identity
            .add_organisation(&org, &sandbox, &made.client, &caller.actor())
            .await?;
        Ok(FirstClient {
            org: org.id,
            sandbox: sandbox.name,
            client: made.client.id,
            secret: made.secret,
        })
    }

    /// The sandboxes of the caller's organisation.
    pub async fn sandboxes(&self, caller: &Caller) -> Result<Vec<SandboxView>, Fault> {
        let found = self.identity.sandboxes(&caller.tenant.org).await?;
        Ok(found.into_iter().map(view).collect())
    }

    /// Makes a sandbox in the caller's organisation.
    pub async fn create_sandbox(
        &self,
        caller: &Caller,
        once: Once<'_>,
    ) -> Result<SandboxView, Fault> {
        let body = known("the body", once.body, &["name", "title", "type"])?;
        let name = text(body, "name")?.unwrap_or_default();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !name.chars().all(plain) || name.len() > SANDBOX_NAME_CHARS_MAX {
            return Err(invalid(format!(
                "`name` must be 1 to {SANDBOX_NAME_CHARS_MAX} characters of a-z, 0-9 and -, beginning with a letter, \
                 got {}",
                quoted(name)
            )));
        }
        let fresh = self.new_uuid().to_string();
        let id = self.id_once(caller, "sandboxes", once, fresh).await?;
        let sandbox = Sandbox {
            id,
            org: caller.tenant.org.clone(),
            title: text(body, "title")?.unwrap_or(name).to_owned(),
            name: SandboxName(name.to_owned()),
            is_default: false,
            created_at: self.clock.now(),
        };
        let by = caller.actor();
        if !self.identity.add_sandbox(&sandbox, &by).await? {
            let there = self.sandbox(caller, name).await?;
            if there.sandbox.id == sandbox.id {
                return Ok(there);
            }
            return Err(Fault::new(
                ErrorCode::NameTaken,
                format!("the organisation has a sandbox [{name}] already"),
            ));
        }
        Ok(view(sandbox))
    }

    /// The clients of the caller's organisation.
    pub async fn clients(&self, caller: &Caller) -> Result<Vec<ClientRecord>, Fault> {
        self.identity.clients(&caller.tenant.org).await
    }

    /// Makes a client in the caller's organisation.
    pub async fn create_client(&self, caller: &Caller, once: Once<'_>) -> Result<NewSecret, Fault> {
        let fields = known("the body", once.body, &["name", "roles", "subject"])?;
        let name = validate::name(once.body)?;
        let roles = self.bindings(caller, fields.get("roles")).await?;
        let mut made = self.new_client(&caller.tenant.org, name, roles);
        let fresh = made.client.id.0.clone();
        let id = self.secret_once(caller, "clients", once, fresh);
        made.client.id = ClientId(id.await?);
        made.client.subject = subject(fields)?;
        self.identity
            .add_client(&made.client, &caller.actor())
            .await?;
        Ok(made)
    }

    /// The id for something with a secret, which no second answer can show.
    async fn secret_once(
        &self,
        caller: &Caller,
        collection: &str,
        once: Once<'_>,
        fresh: String,
    ) -> Result<String, Fault> {
        let id = self
            .id_once(caller, collection, once, fresh.clone())
            .await?;
        if id == fresh {
            return Ok(id);
        }
        Err(reused(format!(
            "this Idempotency-Key made {collection} [{id}] already, whose secret was shown once"
        )))
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

    /// The sandbox of an organisation that requests mean when they name none.
    pub(crate) fn default_sandbox(&self, org: &OrgId, now: offtake_model::Millis) -> Sandbox {
        Sandbox {
            id: self.new_uuid().to_string(),
            org: org.clone(),
            name: SandboxName(DEFAULT_SANDBOX.to_owned()),
            title: "Prod".to_owned(),
            is_default: true,
            created_at: now,
        }
    }

    /// An organisation's id in the documented form.
    pub(crate) fn new_org_id(&self) -> OrgId {
        OrgId(format!("{}@AdobeOrg", self.random_hex(12).to_uppercase()))
    }
}

fn view(sandbox: Sandbox) -> SandboxView {
    SandboxView {
        created_at: calendar::rfc3339(sandbox.created_at),
        sandbox,
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

pub(crate) fn known<'a>(
    what: &str,
    value: &'a Value,
    fields: &[&str],
) -> Result<&'a Object, Fault> {
    let object = value
        .as_object()
        .ok_or_else(|| invalid(format!("{what} must be a JSON object")))?;
    match object.keys().find(|key| !fields.contains(&key.as_str())) {
        Some(key) => Err(invalid(format!(
            "{what} has no field {}; it has {}",
            quoted(key),
            fields.join(", ")
        ))),
        None => Ok(object),
    }
}

fn text<'a>(object: &'a Object, key: &str) -> Result<Option<&'a str>, Fault> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(invalid(format!(
            "`{key}` must be a text, got {}",
            shown(other)
        ))),
    }
}

pub(crate) fn invalid(message: String) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}
