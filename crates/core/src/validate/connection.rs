//! Base connections: credentials for one destination platform (contract, 4.7 and D6).

use std::fmt;

use offtake_model::resource::{Object, SpecRef};
use offtake_model::{DestinationKind, ErrorCode, Fault};
use serde_json::Value;

use super::body::{Body, invalid, quoted, refuse_unknown, spec_not_valid};
use crate::specs::{self, ConnectionSpec};

/// Stands for a secret in reads; a patch that repeats it keeps the stored value (contract, D7).
pub const MASK: &str = "****";

const FIELDS: [&str; 4] = ["name", "description", "auth", "connectionSpec"];

/// A legal base connection.
#[derive(Debug, PartialEq)]
pub struct ConnectionDraft {
    /// Name.
    pub name: String,
    /// Description.
    pub description: Option<String>,
    /// The platform's spec; the landing zone's for a body of only a name.
    pub spec: SpecRef,
    /// The platform.
    pub kind: DestinationKind,
    /// How it authenticates; none for the landing zone.
    pub auth: Option<AuthDraft>,
}

/// Checked credentials, split into what may be shown and what must be sealed.
#[derive(PartialEq)]
pub struct AuthDraft {
    /// Name of the auth spec.
    pub spec_name: String,
    /// All parameters, secret ones as [`MASK`].
    pub shown: Object,
    /// The secret parameters in the clear, to be sealed at once.
    pub secrets: Object,
}

impl fmt::Debug for AuthDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthDraft")
            .field("spec_name", &self.spec_name)
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

/// Checks the body of a create call.
pub fn connection(body: &Value) -> Result<ConnectionDraft, Fault> {
    let body = Body::new(body, &FIELDS)?;
    let name = body.name()?;
    let description = body.description()?;
    let spec = connection_spec(&body)?;
    let kind = destination_of(spec)?;
    let auth = auth(spec, body.object("auth")?)?;
    Ok(ConnectionDraft {
        name,
        description,
        spec: spec.reference(),
        kind,
        auth,
    })
}

/// Checks the body of a create call for a draft, whose credentials may be given later.
pub fn connection_draft(body: &Value) -> Result<ConnectionDraft, Fault> {
    let given = Body::new(body, &FIELDS)?;
    if given.object("auth")?.is_some() {
        return connection(body);
    }
    let spec = connection_spec(&given)?;
    let kind = destination_of(spec)?;
    Ok(ConnectionDraft {
        name: given.name()?,
        description: given.description()?,
        spec: spec.reference(),
        kind,
        auth: None,
    })
}

fn destination_of(spec: &ConnectionSpec) -> Result<DestinationKind, Fault> {
    spec.kind().ok_or_else(|| {
        spec_not_valid(
            "connectionSpec",
            "the data lake's, which needs no connection",
        )
    })
}

/// A body without spec and credentials means the landing zone: it is the documented call for it.
fn connection_spec(body: &Body<'_>) -> Result<&'static ConnectionSpec, Fault> {
    if body.get("connectionSpec").is_none() && body.get("auth").is_none() {
        return Ok(specs::destination(DestinationKind::LandingZone));
    }
    body.connection_spec()
}

fn auth(spec: &ConnectionSpec, given: Option<&Object>) -> Result<Option<AuthDraft>, Fault> {
    let names: Vec<&str> = spec
        .auth_specs()
        .iter()
        .map(specs::AuthSpec::name)
        .collect();
    let Some(given) = given else {
        if names.is_empty() {
            return Ok(None);
        }
        return Err(invalid(format!(
            "`auth` is required for {}: specName {} with its params",
            spec.name(),
            names.join(" or ")
        )));
    };
    refuse_unknown("auth", given, &["specName", "params"])?;
    let Some(Value::String(name)) = given.get("specName") else {
        return Err(invalid("`auth.specName` is required: a text"));
    };
    let auth_spec = spec
        .auth_spec(name)
        .ok_or_else(|| unknown_auth(spec, name, &names))?;
    let Some(Value::Object(params)) = given.get("params") else {
        return Err(invalid("`auth.params` is required: an object"));
    };
    let params = with_domain(spec, without_nulls(params))?;
    auth_spec.check("auth.params", &params)?;
    Ok(Some(split_secrets(auth_spec, params)))
}

fn unknown_auth(spec: &ConnectionSpec, name: &str, names: &[&str]) -> Fault {
    let known = if names.is_empty() {
        "has no authentication".to_owned()
    } else {
        format!("has {}", names.join(", "))
    };
    Fault::new(
        ErrorCode::AuthSpecUnknown,
        format!(
            "`auth.specName` is {}; {} {known}",
            quoted(name),
            spec.name()
        ),
    )
}

fn without_nulls(params: &Object) -> Object {
    let present = params.iter().filter(|(_, value)| !value.is_null());
    present
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// `host` is the older name of an SFTP server's `domain` (contract, 5.2).
fn with_domain(spec: &ConnectionSpec, mut params: Object) -> Result<Object, Fault> {
    if spec.kind() != Some(DestinationKind::Sftp) {
        return Ok(params);
    }
    let Some(host) = params.remove("host") else {
        return Ok(params);
    };
    match params.get("domain") {
        Some(domain) if *domain != host => Err(invalid(
            "`auth.params.host` and `auth.params.domain` differ; send `domain` only",
        )),
        Some(_) => Ok(params),
        None => {
            params.insert("domain".to_owned(), host);
            Ok(params)
        }
    }
}

fn split_secrets(spec: &specs::AuthSpec, params: Object) -> AuthDraft {
    let mut shown = Object::new();
    let mut secrets = Object::new();
    for (key, value) in params {
        if spec.secret(&key) {
            shown.insert(key.clone(), Value::from(MASK));
            secrets.insert(key, value);
        } else {
            shown.insert(key, value);
        }
    }
    AuthDraft {
        spec_name: spec.name().to_owned(),
        shown,
        secrets,
    }
}
