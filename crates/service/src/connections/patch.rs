//! Edits of a base connection (contract, 4.7): its name, and new credentials.
//!
//! The one law: a stored secret is opened only to stand in for its own mask, and sealed again before anything is
//! stored.

use offtake_core::validate::{self, MASK};
use offtake_model::resource::{Auth, Connection, ConnectionState, Object};
use offtake_model::{ErrorCode, Fault, Resource, ResourceBody, ResourceKind};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{AUTHORIZED_DATE, secrets_place};
use crate::entity;
use crate::identity::Caller;
use crate::patch::{Operation, grown, path_invalid};
use crate::service::{Changed, Service};

const PATHS: &str = "/name, /description, /auth/params, /auth/params/<key>";

const DRAFT_PATHS: &str = "/name, /description, /auth: the draft has no credentials yet";

impl Service {
    /// Applies a list of operations, all or none. `if_match` is required. New credentials hold for every flow that
    /// uses the connection, from its next run on.
    pub async fn patch_connection(
        &self,
        caller: &Caller,
        id: &str,
        if_match: Option<&str>,
        operations: &Value,
    ) -> Result<Changed, Fault> {
        let before = self
            .editable(caller, ResourceKind::Connection, id, if_match)
            .await?;
        let connection = entity::connection(before.clone())?.body;
        let mut body = body_of(&connection);
        let operations = Operation::list(operations)?;
        let credentials = operations.iter().any(|it| it.path().starts_with("auth"));
        for operation in &operations {
            apply(&mut body, operation, connection.state)?;
        }
        if credentials {
            let stored = self.revealed(&before, &connection).await?;
            unmask(&mut body, &stored);
        }
        let after = self
            .edited(caller, &before, connection, &grown(body)?, credentials)
            .await?;
        self.replace(caller, &before, &after).await
    }

    async fn edited(
        &self,
        caller: &Caller,
        before: &Resource,
        connection: Connection,
        body: &Value,
        credentials: bool,
    ) -> Result<Resource, Fault> {
        let now = self.clock.now();
        let mut changed = Connection {
            name: validate::name(body)?,
            description: validate::description(body)?,
            ..connection
        };
        if credentials {
            let draft = match changed.state {
                ConnectionState::Draft => validate::connection_draft(body)?,
                ConnectionState::Enabled => validate::connection(body)?,
            };
            self.judge(&draft)?;
            changed.auth = match draft.auth {
                Some(auth) => Some(self.sealed(caller, before.id.as_str(), auth, now).await?),
                None => None,
            };
        }
        let mut after = Self::touched(caller, before, now);
        after.body = ResourceBody::Connection(changed);
        Ok(after)
    }

    async fn revealed(
        &self,
        resource: &Resource,
        connection: &Connection,
    ) -> Result<Object, Fault> {
        let sealed = connection
            .auth
            .as_ref()
            .and_then(|auth| auth.sealed.as_ref());
        let Some(sealed) = sealed else {
            return Ok(Object::new());
        };
        let place = secrets_place(resource.id.as_str());
        let plain = self
            .secrets
            .reveal(&resource.tenant, &place, sealed)
            .await?;
        serde_json::from_str(plain.expose_secret()).map_err(|_| {
            Fault::new(
                ErrorCode::Internal,
                format!(
                    "the credentials of connection [{}] are not an object",
                    resource.id
                ),
            )
        })
    }
}

/// The body that would create the connection as it is, secrets masked.
pub(crate) fn body_of(connection: &Connection) -> Object {
    let mut body = Object::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("name", json!(connection.name));
    set("description", json!(connection.description));
    set(
        "connectionSpec",
        json!({"id": connection.spec.id, "version": connection.spec.version}),
    );
    if let Some(Auth {
        spec_name, shown, ..
    }) = &connection.auth
    {
        set("auth", json!({"specName": spec_name, "params": shown}));
    }
    body
}

fn apply(
    body: &mut Object,
    operation: &Operation<'_>,
    state: ConnectionState,
) -> Result<(), Fault> {
    let path = operation.path();
    let draft = state == ConnectionState::Draft;
    match path {
        key @ ("name" | "description") => {
            operation.put(body, key);
            return Ok(());
        }
        // Credentials as a whole, which a draft may lack.
        "auth" if draft => {
            operation.put(body, "auth");
            return Ok(());
        }
        "encryption" | "encryption/params/publicKey" => {
            return Err(Fault::new(
                ErrorCode::EncryptionNotAvailable,
                "files cannot be encrypted by this version; leave `encryption` out",
            ));
        }
        _ => {}
    }
    if path == "connectionSpec" || path.starts_with("connectionSpec/") {
        return Err(Fault::new(
            ErrorCode::ConnectionSpecFixed,
            "the connection spec of a connection cannot be changed",
        ));
    }
    let Some(Value::Object(auth)) = body.get_mut("auth") else {
        if draft {
            return Err(operation.refused(DRAFT_PATHS));
        }
        return Err(operation.refused("/name, /description: the connection has no credentials"));
    };
    match (
        path,
        operation.key_below("auth/params"),
        auth.get_mut("params"),
    ) {
        ("auth/params", _, Some(Value::Object(params))) => replace_all(params, operation),
        (_, Some(key), Some(Value::Object(params))) => {
            operation.put(params, key);
            Ok(())
        }
        (_, _, _) => Err(operation.refused(PATHS)),
    }
}

/// The whole set is replaced by the one given (contract, 4.4).
fn replace_all(params: &mut Object, operation: &Operation<'_>) -> Result<(), Fault> {
    match operation.sets() {
        Some(Value::Object(given)) => {
            params.clone_from(given);
            // Whoever read the set sends back what a read adds to it.
            params.remove(AUTHORIZED_DATE);
            Ok(())
        }
        Some(_) => Err(Fault::new(
            ErrorCode::FieldInvalid,
            "`/auth/params` must be an object",
        )),
        None => Err(path_invalid(
            "`/auth/params` cannot be removed; replace it, or remove `/auth/params/<key>`",
        )),
    }
}

/// A parameter that is exactly the mask keeps what is stored (contract, D7).
fn unmask(body: &mut Object, stored: &Object) {
    let params = body
        .get_mut("auth")
        .and_then(|auth| auth.get_mut("params"))
        .and_then(Value::as_object_mut);
    for (key, value) in params.into_iter().flatten() {
        if value == MASK
            && let Some(kept) = stored.get(key)
        {
            *value = kept.clone();
        }
    }
}
