//! Base connections as stored, and what all connections have in common.

use offtake_model::resource::{Auth, Connection, ConnectionState, Object, SealedSecret};
use serde::{Deserialize, Serialize};

use super::SpecRow;

/// Written for drafts only: connections were there before drafts of them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum StateRow {
    Draft,
}

pub(super) fn state_row(state: ConnectionState) -> Option<StateRow> {
    (state == ConnectionState::Draft).then_some(StateRow::Draft)
}

pub(super) fn state_of(row: Option<StateRow>) -> ConnectionState {
    row.map_or(ConnectionState::Enabled, |StateRow::Draft| {
        ConnectionState::Draft
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectionRow {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    spec: SpecRow,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auth: Option<AuthRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<StateRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthRow {
    spec_name: String,
    shown: Object,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
    authorized_date: String,
}

impl From<&Connection> for ConnectionRow {
    fn from(it: &Connection) -> Self {
        Self {
            name: it.name.clone(),
            description: it.description.clone(),
            spec: (&it.spec).into(),
            auth: it.auth.as_ref().map(AuthRow::from),
            state: state_row(it.state),
        }
    }
}

impl From<ConnectionRow> for Connection {
    fn from(row: ConnectionRow) -> Self {
        Self {
            name: row.name,
            description: row.description,
            spec: row.spec.into(),
            auth: row.auth.map(Auth::from),
            state: state_of(row.state),
        }
    }
}

impl From<&Auth> for AuthRow {
    fn from(it: &Auth) -> Self {
        Self {
            spec_name: it.spec_name.clone(),
            shown: it.shown.clone(),
            sealed: it.sealed.as_ref().map(|sealed| sealed.text.clone()),
            authorized_date: it.authorized_date.clone(),
        }
    }
}

impl From<AuthRow> for Auth {
    fn from(row: AuthRow) -> Self {
        Self {
            spec_name: row.spec_name,
            shown: row.shown,
            sealed: row.sealed.map(|text| SealedSecret { text }),
            authorized_date: row.authorized_date,
        }
    }
}
