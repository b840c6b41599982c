//! Looking into the destination of a base connection (contract, 4.7): the names in a folder, for people who choose where
//! files shall go.
//!
//! Platforms with buckets or containers have them as their topmost folders; which there are is told by the target
//! connections, for the right to list buckets is asked of nobody.
//!
//! The one law: names are shown, bytes are not.

use offtake_core::specs;
use offtake_model::{ConnectionId, DestinationKind, ErrorCode, Fault, ResourceKind, SinkRef};
use offtake_ports::FolderEntry;
use uuid::Uuid;

use crate::identity::Caller;
use crate::service::{Service, not_found};
use crate::trial::{container_parameter, kind_of};

/// Most entries of one answer.
const ENTRIES_MAX: usize = 1_000;

/// Id of the landing zone as a source, by which documented clients ask for its content.
const ZONE_AS_SOURCE: &str = "26f526f2-58f4-4712-961d-e41bf1ccc0e8";

/// What is to be looked into, as a request says it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExploreQuery<'a> {
    /// `objectType`: `ROOT` or `FOLDER`, in any case.
    pub object_type: Option<&'a str>,
    /// `object`: the folder's path.
    pub object: Option<&'a str>,
}

/// Something at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    /// What it is, by its name.
    pub entry: FolderEntry,
    /// Its path from the top, by which it can be asked for; a folder's ends with a slash.
    pub path: String,
}

impl Service {
    /// What lies in a folder of the base connection's destination.
    pub async fn explore_connection(
        &self,
        caller: &Caller,
        id: &str,
        query: &ExploreQuery<'_>,
    ) -> Result<Vec<Explored>, Fault> {
        let found = self.must_find(caller, ResourceKind::Connection, id).await?;
        let parts = folder_parts(query)?;
        let connection: ConnectionId = found.id.as_str().parse().map_err(|_| {
            let attempted = format!("look into connection {id}: its id is no UUID");
            Fault::new(ErrorCode::Internal, attempted)
        })?;
        let kind = kind_of(found)?;
        let mut sink = SinkRef {
            kind,
            tenant: caller.tenant.clone(),
            connection,
            container: None,
        };
        let Some(parameter) = container_parameter(kind) else {
            return self.list(&sink, "", &parts).await;
        };
        let Some((container, parts)) = parts.split_first() else {
            let used = self.containers_used(caller, connection, parameter).await?;
            return Ok(used
                .into_iter()
                .map(|name| explored("", FolderEntry::Folder(name)))
                .collect());
        };
        sink.container = Some((*container).to_owned());
        self.list(&sink, container, parts).await
    }

    /// What lies in a folder of the caller's landing zone, asked for by its spec.
    pub async fn explore_zone(
        &self,
        caller: &Caller,
        spec: &str,
        query: &ExploreQuery<'_>,
    ) -> Result<Vec<Explored>, Fault> {
        let zone = specs::destination(DestinationKind::LandingZone).id();
        if spec != zone && spec != ZONE_AS_SOURCE {
            return Err(not_found("connectionSpecs", spec));
        }
        let sink = SinkRef {
            kind: DestinationKind::LandingZone,
            tenant: caller.tenant.clone(),
            connection: ConnectionId(Uuid::nil()),
            container: None,
        };
        self.list(&sink, "", &folder_parts(query)?).await
    }

    async fn list(
        &self,
        sink: &SinkRef,
        container: &str,
        parts: &[&str],
    ) -> Result<Vec<Explored>, Fault> {
        let folder = parts
            .iter()
            .fold(String::new(), |path, part| format!("{path}{part}/"));
        let above = if container.is_empty() {
            folder.clone()
        } else {
            format!("{container}/{folder}")
        };
        let listed = self.explorer.list(sink, &folder, ENTRIES_MAX).await?;
        Ok(listed
            .into_iter()
            .map(|entry| explored(&above, entry))
            .collect())
    }
}

fn explored(above: &str, entry: FolderEntry) -> Explored {
    let path = match &entry {
        FolderEntry::Folder(name) => format!("/{above}{name}/"),
        FolderEntry::File(name) => format!("/{above}{name}"),
    };
    Explored { entry, path }
}

/// The names that lead from the top to the folder.
fn folder_parts<'a>(query: &ExploreQuery<'a>) -> Result<Vec<&'a str>, Fault> {
    let invalid = |message: &str| Err(Fault::new(ErrorCode::FieldInvalid, message));
    let kind = query.object_type.unwrap_or_default();
    if kind.eq_ignore_ascii_case("root") {
        return Ok(Vec::new());
    }
    if !kind.eq_ignore_ascii_case("folder") {
        return invalid("`objectType` must be ROOT or FOLDER: only names are shown");
    }
    let path = query.object.unwrap_or_default().trim_matches('/');
    let parts: Vec<&str> = path.split('/').filter(|_| !path.is_empty()).collect();
    let plain =
        |part: &&str| !matches!(*part, "" | "." | "..") && !part.chars().any(char::is_control);
    if !parts.iter().all(plain) {
        return invalid("`object` must be the path of a folder, such as /exports/2026/");
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::{ExploreQuery, folder_parts};

    #[test]
    fn a_folder_is_named_by_plain_parts() {
        let parts = |object_type, object| {
            folder_parts(&ExploreQuery {
                object_type: Some(object_type),
                object: Some(object),
            })
            .ok()
        };
        assert_eq!(parts("root", "/ignored"), Some(vec![]));
        assert_eq!(parts("FOLDER", "/a/b c/"), Some(vec!["a", "b c"]));
        assert_eq!(parts("folder", "a"), Some(vec!["a"]));
        assert_eq!(parts("folder", "/"), Some(vec![]));
        for (object_type, object) in [
            ("folder", "a//b"),
            ("folder", "../a"),
            ("folder", "/a/./b"),
            ("folder", "a\n"),
            ("file", "/a"),
            ("TABLE", ""),
            ("", ""),
        ] {
            assert_eq!(parts(object_type, object), None, "{object_type} {object}");
        }
    }
}
