//! Organisations, sandboxes and clients.

use offtake_api_types::access::{
    Client, NewOrganisation, Organisation, OrganisationDetails, Quotas, RoleBinding, SandboxPage,
    Sandboxes, Usage,
};
use offtake_api_types::{Object, Sandbox};
use offtake_service::{
    ClientMade, ClientRecord, FirstClient, NewSecret, OrganisationView, SandboxView,
};
use secrecy::ExposeSecret;

/// A sandbox (contract, 10.5).
pub(crate) fn sandbox(view: &SandboxView) -> Sandbox {
    let kind = if view.sandbox.is_default {
        "production"
    } else {
        "development"
    };
    Sandbox {
        id: view.sandbox.id.clone(),
        name: view.sandbox.name.to_string(),
        title: view.sandbox.title.clone(),
        state: "active".to_owned(),
        kind: kind.to_owned(),
        region: "local".to_owned(),
        is_default: view.sandbox.is_default,
        etag: 1,
        created_date: view.created_at.clone(),
        last_modified_date: view.created_at.clone(),
        created_by: "offtake".to_owned(),
        modified_by: "offtake".to_owned(),
    }
}

/// All sandboxes of an organisation.
pub(crate) fn sandboxes(views: &[SandboxView]) -> Sandboxes {
    Sandboxes {
        sandboxes: views.iter().map(sandbox).collect(),
        page: SandboxPage {
            limit: views.len(),
            count: views.len(),
        },
        links: Object::new(),
    }
}

/// An organisation.
pub(crate) fn organisation(it: &offtake_service::Organisation) -> Organisation {
    Organisation {
        id: it.id.to_string(),
        name: it.name.clone(),
        created_at: it.created_at.0,
        quotas: Quotas {
            flows: it.quotas.flows,
            concurrent_runs: it.quotas.concurrent_runs,
            bytes_per_day: it.quotas.bytes_per_day,
        },
    }
}

/// An organisation with what it uses.
pub(crate) fn organisation_details(view: &OrganisationView) -> OrganisationDetails {
    OrganisationDetails {
        organisation: organisation(&view.organisation),
        usage: Usage {
            flows: view.usage.flows,
            running: view.usage.running,
            bytes_today: view.usage.bytes_today,
        },
    }
}

/// A new organisation, with its first client's secret.
pub(crate) fn new_organisation(made: &FirstClient) -> NewOrganisation {
    NewOrganisation {
        id: made.org.to_string(),
        sandbox: made.sandbox.to_string(),
        client_id: made.client.to_string(),
        client_secret: made.secret.expose_secret().to_owned(),
    }
}

/// A client, without its secret.
pub(crate) fn client(record: &ClientRecord) -> Client {
    let roles = record.roles.iter().map(|binding| RoleBinding {
        role: binding.role.name().to_owned(),
        sandbox: binding.sandbox.as_ref().map(ToString::to_string),
    });
    Client {
        id: record.id.to_string(),
        name: record.name.clone(),
        org: record.org.to_string(),
        enabled: record.enabled,
        subject: record.subject.clone(),
        roles: roles.collect(),
        created_at: record.created_at.0,
        secret: None,
    }
}

/// A client with its new secret.
pub(crate) fn with_secret(made: &NewSecret) -> Client {
    Client {
        secret: Some(made.secret.expose_secret().to_owned()),
        ..client(&made.client)
    }
}

/// A client that was asked for, with its secret when this request made it.
pub(crate) fn client_made(made: &ClientMade) -> Client {
    match made {
        ClientMade::Now(made) => with_secret(made),
        ClientMade::Before(there) => client(there),
    }
}
