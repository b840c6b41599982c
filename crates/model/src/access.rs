//! Who may do what: permissions, the roles that bundle them, and where a client has which role (contract, 11).

use crate::id::SandboxName;

/// Something a request can need. Names are the documented ones where the documentation has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Read connections, flows, runs and specs.
    ViewDestinations,
    /// Make, change and delete base connections.
    ManageDestinations,
    /// Make, change, run and delete dataset exports.
    ManageDatasetDestinations,
    /// Read datasets, batches and their files.
    ViewDatasets,
    /// Make, change and delete datasets, ingest batches.
    ManageDatasets,
    /// Read sandboxes.
    ViewSandboxes,
    /// Make sandboxes and clients, read the audit log.
    ManageAccess,
    /// Make organisations, read the state of the server.
    ManageServer,
}

impl Permission {
    /// The permission's name in messages and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ViewDestinations => "view-destinations",
            Self::ManageDestinations => "manage-destinations",
            Self::ManageDatasetDestinations => "manage-dataset-destinations",
            Self::ViewDatasets => "view-datasets",
            Self::ManageDatasets => "manage-datasets",
            Self::ViewSandboxes => "view-sandboxes",
            Self::ManageAccess => "manage-access",
            Self::ManageServer => "manage-server",
        }
    }

    /// Whether it concerns the whole organisation or server: a role in one sandbox does not give it.
    pub const fn of_organisation(self) -> bool {
        matches!(self, Self::ManageAccess | Self::ManageServer)
    }
}

/// A bundle of permissions that a client can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything, also across organisations. The client made on first start has it.
    Operator,
    /// Everything within the organisation.
    Admin,
    /// Export datasets: what the documented tutorial needs.
    Exporter,
    /// Keep datasets and ingest batches.
    Ingestor,
    /// Look at everything but change nothing.
    Viewer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Operator,
        Self::Admin,
        Self::Exporter,
        Self::Ingestor,
        Self::Viewer,
    ];

    /// The role's name in requests, rows and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Exporter => "exporter",
            Self::Ingestor => "ingestor",
            Self::Viewer => "viewer",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// What it allows.
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission as P;
        match self {
            Self::Operator => &[
                P::ViewDestinations,
                P::ManageDestinations,
                P::ManageDatasetDestinations,
                P::ViewDatasets,
                P::ManageDatasets,
                P::ViewSandboxes,
                P::ManageAccess,
                P::ManageServer,
            ],
            Self::Admin => &[
                P::ViewDestinations,
                P::ManageDestinations,
                P::ManageDatasetDestinations,
                P::ViewDatasets,
                P::ManageDatasets,
                P::ViewSandboxes,
                P::ManageAccess,
            ],
            Self::Exporter => &[
                P::ViewDestinations,
                P::ManageDatasetDestinations,
                P::ViewDatasets,
                P::ViewSandboxes,
            ],
            Self::Ingestor => &[P::ViewDatasets, P::ManageDatasets, P::ViewSandboxes],
            Self::Viewer => &[P::ViewDestinations, P::ViewDatasets, P::ViewSandboxes],
        }
    }
}

/// Where a client has a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleBinding {
    /// The sandbox; every sandbox of the client's organisation when absent.
    pub sandbox: Option<SandboxName>,
    /// The role.
    pub role: Role,
}

impl RoleBinding {
    /// The role everywhere in the organisation.
    pub const fn everywhere(role: Role) -> Self {
        Self {
            sandbox: None,
            role,
        }
    }

    /// Whether it holds in that sandbox.
    pub fn holds_in(&self, sandbox: &SandboxName) -> bool {
        self.sandbox.as_ref().is_none_or(|own| own == sandbox)
    }
}
