//! Organisations, sandboxes and clients, kept by administrators. An extension: the documented APIs have no such calls
//! but the sandboxes'.
//!
//! The one law: nobody hands out more than they have, and nobody changes what they themselves may do.

use offtake_core::calendar;
use offtake_core::validate::{self, quoted, shown};
use offtake_model::resource::Object;
use offtake_model::{ErrorCode, Fault, OrgId, Quotas, Role, RoleBinding, SandboxName};
use offtake_ports::{Organisation, Sandbox};
use serde_json::Value;

use crate::identity::{Caller, DEFAULT_SANDBOX, FirstClient, SandboxView};
use crate::once::{Once, reused};
use crate::service::Service;

mod clients;

pub use clients::{ClientMade, NewSecret};

/// Longest name of a sandbox, in characters.
const SANDBOX_NAME_CHARS_MAX: usize = 64;

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
        let id = self.id_once(caller, "organisations", once, fresh).await?;
        let org = Organisation {
            id: OrgId(id),
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
        self.refuse_made(&org.id, once).await?;
        let by = caller.actor();
        let added = self
            .identity
            .add_organisation(&org, &sandbox, &made.client, &by)
            .await;
        if let Err(fault) = added {
            // A request with the same key may have been faster.
            self.refuse_made(&org.id, once).await?;
            return Err(fault);
        }
        Ok(FirstClient {
            org: org.id,
            sandbox: sandbox.name,
            client: made.client.id,
            secret: made.secret,
        })
    }

    /// Refuses to answer for an organisation that an earlier request with the same key made: the secret of its client
    /// was in that answer, and nobody but its client can give it another.
    async fn refuse_made(&self, id: &OrgId, once: Once<'_>) -> Result<(), Fault> {
        if once.key.is_none() || self.identity.organisation(id).await?.is_none() {
            return Ok(());
        }
        Err(reused(format!(
            "this Idempotency-Key made organisations [{id}] already, and the secret of its client was shown once"
        )))
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
