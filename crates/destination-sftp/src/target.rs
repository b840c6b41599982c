//! What a base connection says about its server and account.
//!
//! The one law: nothing secret is kept here except in types that do not show it.

use aws_lc_rs::digest::{Context, SHA256};
use offtake_model::{ErrorCode, Fault};
use offtake_ports::Access;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::login::Login;

/// The port when the connection names none.
const PORT: u16 = 22;

/// One account on one server.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) login: Login,
    pub(crate) host_keys: Vec<String>,
}

impl Target {
    /// Reads the connection's parameters, by their documented names and the older `host`.
    pub(crate) fn from_access(access: &Access) -> Result<Self, Fault> {
        let text = |name: &str| access.params.get(name).and_then(Value::as_str);
        let host = text("domain")
            .or_else(|| text("host"))
            .ok_or_else(|| lacks("domain"))?;
        let login = match (access.secrets.get("sshKey"), access.secrets.get("password")) {
            (Some(key), _) => Login::from_key(key)?,
            (None, Some(password)) => Login::Password(SecretString::from(password.expose_secret())),
            (None, None) => return Err(lacks("password` or `sshKey")),
        };
        Ok(Self {
            host: host.trim().to_owned(),
            port: port(access.params.get("port"))?,
            user: text("username")
                .ok_or_else(|| lacks("username"))?
                .to_owned(),
            login,
            host_keys: host_keys(access.params.get("hostKeys")),
        })
    }
}

/// Tells two states of a connection apart without keeping their secrets.
pub(crate) fn print_of(access: &Access) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let shown = serde_json::to_vec(&access.params).unwrap_or_default();
    context.update(&shown);
    for (name, secret) in &access.secrets {
        for text in [name.as_str(), secret.expose_secret()] {
            context.update(&text.len().to_be_bytes());
            context.update(text.as_bytes());
        }
    }
    let mut print = [0; 32];
    print.copy_from_slice(context.finish().as_ref());
    print
}

fn port(value: Option<&Value>) -> Result<u16, Fault> {
    let Some(value) = value else {
        return Ok(PORT);
    };
    let number = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => value.as_u64().and_then(|number| u16::try_from(number).ok()),
    };
    number.filter(|port| *port > 0).ok_or_else(|| lacks("port"))
}

fn host_keys(value: Option<&Value>) -> Vec<String> {
    let Some(value) = value else {
        return Vec::new();
    };
    let listed = value.as_array().into_iter().flatten();
    let lines = listed
        .filter_map(Value::as_str)
        .chain(value.as_str())
        .flat_map(str::lines);
    lines
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect()
}

fn lacks(name: &str) -> Fault {
    Fault::new(
        ErrorCode::ConnectionNotUsable,
        format!("open the SFTP connection: its parameter `{name}` is missing or unusable"),
    )
}
