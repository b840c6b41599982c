//! Base, source and target connections.

use offtake_api_types::entity::{DatasetRef, InheritedBase, SourceParams};
use offtake_api_types::{
    Auth, Connection, ConnectionTest, ExploredObject, SourceConnection, TargetConnection,
    TestFailure,
};
use offtake_service::{
    AUTHORIZED_DATE, Caller, ConnectionHead, ConnectionView, Explored, FolderEntry, SourceView,
    TargetView, Trial,
};
use serde_json::Value;

use super::{common, head, spec};

/// A base connection; secret parameters stand in the store's visible part as masks already.
pub(crate) fn connection(caller: &Caller, view: &ConnectionView) -> Connection {
    let auth = view.body.auth.as_ref().map(|auth| {
        let mut params = auth.shown.clone();
        let date = Value::from(auth.authorized_date.clone());
        params.insert(AUTHORIZED_DATE.to_owned(), date);
        Auth {
            spec_name: auth.spec_name.clone(),
            params,
        }
    });
    Connection {
        common: common(caller, view),
        name: view.body.name.clone(),
        description: view.body.description.clone(),
        connection_spec: spec(&view.body.spec),
        state: view.body.state.name().to_owned(),
        auth,
        version: view.etag.clone(),
        etag: view.etag.clone(),
    }
}

/// What trying a base connection out showed.
pub(crate) fn test(trial: Trial) -> ConnectionTest {
    match trial {
        Trial::Passed => ConnectionTest {
            result: true,
            failure: None,
        },
        Trial::Failed { container, fault } => ConnectionTest {
            result: false,
            failure: Some(TestFailure {
                container,
                code: fault.code.name().to_owned(),
                advice: fault.code.advice().to_owned(),
                page: format!("docs/errors/{}.md", fault.code.name()),
                message: fault.message,
            }),
        },
    }
}

/// What lies in a folder of a destination.
pub(crate) fn explored(found: Vec<Explored>) -> Vec<ExploredObject> {
    let object = |it: Explored| {
        let (kind, name) = match it.entry {
            FolderEntry::Folder(name) => ("folder", name),
            FolderEntry::File(name) => ("file", name),
        };
        ExploredObject {
            kind: kind.to_owned(),
            name,
            path: it.path,
            can_preview: false,
            can_fetch_schema: false,
        }
    };
    found.into_iter().map(object).collect()
}

/// A source connection.
pub(crate) fn source(caller: &Caller, view: &SourceView) -> SourceConnection {
    let body = &view.source.body;
    let datasets = body.datasets.iter().map(|dataset| DatasetRef {
        id: dataset.id.to_string(),
        name: dataset.name.clone(),
    });
    SourceConnection {
        common: common(caller, &view.source),
        name: body.name.clone(),
        description: body.description.clone(),
        base_connection_id: body.base_connection_id.clone(),
        connection_spec: spec(&body.spec),
        state: body.state.name().to_owned(),
        data: body.data.clone(),
        params: SourceParams {
            datasets: datasets.collect(),
        },
        inherited_attributes: inherited(view.base.as_ref()),
        version: view.source.etag.clone(),
        etag: view.source.etag.clone(),
    }
}

/// A target connection.
pub(crate) fn target(caller: &Caller, view: &TargetView) -> TargetConnection {
    let body = &view.target.body;
    TargetConnection {
        common: common(caller, &view.target),
        name: body.name.clone(),
        description: body.description.clone(),
        base_connection_id: body.base_connection_id.to_string(),
        connection_spec: spec(&body.spec),
        state: body.state.name().to_owned(),
        params: body.params.clone(),
        inherited_attributes: inherited(view.base.as_ref()),
        version: view.target.etag.clone(),
        etag: view.target.etag.clone(),
    }
}

fn inherited(base: Option<&ConnectionHead>) -> InheritedBase {
    InheritedBase {
        base_connection: base.map(head),
    }
}
