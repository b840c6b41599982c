//! Stored resources, unwrapped by kind, with their etag.

use offtake_model::resource::{
    Audit, Connection, Dataset, Flow, Resource, ResourceBody, SourceConnection, TargetConnection,
};
use offtake_model::{ErrorCode, Fault, ResourceKind, Revision};

use crate::etag::etag;
use crate::listing::Placed;

/// A resource of a known kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Entity<T> {
    /// Its id.
    pub id: String,
    /// When and by whom.
    pub audit: Audit,
    /// Its revision.
    pub revision: Revision,
    /// Its etag, quotes included.
    pub etag: String,
    /// What it is.
    pub body: T,
}

impl<T> Entity<T> {
    /// The etag, quotes included.
    pub fn etag(&self) -> &str {
        &self.etag
    }
}

impl<T> Placed for Entity<T> {
    fn place(&self) -> (i64, String) {
        (self.audit.created_at.0, self.id.clone())
    }
}

macro_rules! unwrap_kind {
    ($name:ident, $variant:ident, $body:ty, $open:expr) => {
        /// Unwraps a resource that the store gave for this kind.
        pub(crate) fn $name(resource: Resource) -> Result<Entity<$body>, Fault> {
            let etag = etag(&resource);
            let kind = resource.kind();
            let ResourceBody::$variant(body) = resource.body else {
                return Err(other_kind(ResourceKind::$variant, kind, &resource.id.0));
            };
            Ok(Entity {
                id: resource.id.0,
                audit: resource.audit,
                revision: resource.revision,
                etag,
                body: $open(body),
            })
        }
    };
}

unwrap_kind!(connection, Connection, Connection, std::convert::identity);
unwrap_kind!(source, Source, SourceConnection, std::convert::identity);
unwrap_kind!(target, Target, TargetConnection, std::convert::identity);
unwrap_kind!(flow, Flow, Flow, |body: Box<Flow>| *body);
unwrap_kind!(dataset, Dataset, Dataset, std::convert::identity);

fn other_kind(asked: ResourceKind, given: ResourceKind, id: &str) -> Fault {
    Fault::new(
        ErrorCode::Internal,
        format!(
            "the store answered {} [{id}] for {}",
            given.collection(),
            asked.collection()
        ),
    )
}
