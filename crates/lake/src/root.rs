//! Lake roots: the only folders that offtake reads (contract, D10).
//!
//! Turns what a request calls a location into a root and a path, and opens folders below a root.
//! The one law: no handle made here can be used to reach anything outside its root.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use offtake_model::{ErrorCode, Fault, OrgId, SourceRef};
use url::Url;

use crate::fault::{leaves_folder, of_io};
use crate::path;

const SCHEME: &str = "lake://";

/// A folder that datasets may lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LakeRoot {
    /// Its name in locations and in the configuration: letters, digits, `-` and `_`.
    pub name: String,
    /// The folder, absolute. It may appear later, as a mount does.
    pub path: PathBuf,
    /// Who may place datasets in it; everybody when absent.
    pub organisations: Option<Vec<OrgId>>,
}

impl LakeRoot {
    fn open_to(&self, org: &OrgId) -> bool {
        self.organisations
            .as_ref()
            .is_none_or(|allowed| allowed.contains(org))
    }

    /// What remains of an absolute path below this root.
    fn below<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        if let Ok(rest) = path.strip_prefix(&self.path) {
            return Some(rest);
        }
        let real = self.path.canonicalize().ok()?;
        path.strip_prefix(real).ok()
    }
}

/// All roots of the configuration.
#[derive(Debug)]
pub(crate) struct Roots {
    roots: Vec<LakeRoot>,
}

impl Roots {
    /// Checks names and folders for what would make locations ambiguous.
    pub(crate) fn new(roots: Vec<LakeRoot>) -> Result<Self, Fault> {
        for (at, root) in roots.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            if root.name.is_empty() || !root.name.chars().all(plain) {
                return Err(invalid(
                    root,
                    "its name may have letters, digits, `-` and `_` only",
                ));
            }
            if !root.path.is_absolute() {
                return Err(invalid(root, "its folder must be an absolute path"));
            }
            if roots.iter().take(at).any(|other| other.name == root.name) {
                return Err(invalid(root, "it is configured twice"));
            }
        }
        Ok(Self { roots })
    }

    /// Turns a location into a reference, or refuses it.
    pub(crate) fn resolve(&self, org: &OrgId, location: &str) -> Result<SourceRef, Fault> {
        if location.len() > path::PATH_BYTES_MAX {
            return Err(refused("the location", "is too long"));
        }
        let (root, rest) = match location.strip_prefix(SCHEME) {
            Some(named) => self.named(org, location, named)?,
            None => self.containing(org, location)?,
        };
        let path = path::relative(&rest)
            .map_err(|reason| refused(&quoted(location), &reason.to_string()))?;
        let source = SourceRef {
            root: root.name.clone(),
            path,
        };
        Self::refuse_links(root, &source, location)?;
        Ok(source)
    }

    /// Opens the folder of that root; every path through the handle stays below it.
    pub(crate) fn open(&self, name: &str) -> Result<Dir, Fault> {
        let root = self
            .roots
            .iter()
            .find(|root| root.name == name)
            .ok_or_else(|| {
                Fault::new(
                    ErrorCode::LocationNotAllowed,
                    format!("there is no lake root `{name}`; add `[lake.roots.{name}]`"),
                )
            })?;
        open_root(root).map_err(|error| {
            Fault::new(
                ErrorCode::SourceUnreachable,
                format!("the folder of lake root `{name}` could not be opened"),
            )
            .because(&error)
        })
    }

    fn named<'a>(
        &'a self,
        org: &OrgId,
        location: &str,
        named: &str,
    ) -> Result<(&'a LakeRoot, String), Fault> {
        let (name, rest) = named.split_once('/').unwrap_or((named, ""));
        // A root that others use is answered like one that does not exist.
        self.roots
            .iter()
            .find(|root| root.name == name && root.open_to(org))
            .map(|root| (root, rest.to_owned()))
            .ok_or_else(|| unknown(location, name))
    }

    fn containing<'a>(
        &'a self,
        org: &OrgId,
        location: &str,
    ) -> Result<(&'a LakeRoot, String), Fault> {
        let absolute = absolute(location)?;
        if let Err(reason) = path::relative(&absolute) {
            return Err(refused(&quoted(location), &reason.to_string()));
        }
        self.roots
            .iter()
            .filter(|root| root.open_to(org))
            .filter_map(|root| Some((root, root.below(Path::new(&absolute))?)))
            .min_by_key(|(_, rest)| rest.components().count())
            .and_then(|(root, rest)| Some((root, rest.to_str()?.to_owned())))
            .ok_or_else(|| unknown(location, "NAME"))
    }

    fn refuse_links(root: &LakeRoot, source: &SourceRef, location: &str) -> Result<(), Fault> {
        // What isn't there yet can't lead anywhere; opening it later checks again.
        let Ok(dir) = open_root(root) else {
            return Ok(());
        };
        if source.path.is_empty() {
            return Ok(());
        }
        match dir.metadata(&source.path) {
            Err(error) if leaves_folder(&error) => Err(refused(
                &quoted(location),
                "goes through a symbolic link that leaves its lake root",
            )),
            Err(_) | Ok(_) => Ok(()),
        }
    }
}

/// The folder of a table, opened so that nothing outside it can be reached.
#[derive(Clone, Debug)]
pub(crate) struct TableDir {
    /// The root's name.
    pub(crate) root: String,
    /// Path below the root.
    pub(crate) path: String,
    /// The opened folder.
    pub(crate) dir: Arc<Dir>,
}

impl TableDir {
    /// Opens the folder the reference names.
    pub(crate) fn open(roots: &Roots, location: &SourceRef) -> Result<Self, Fault> {
        let path = path::relative(&location.path).map_err(|reason| {
            Fault::new(
                ErrorCode::SourceOutsideRoot,
                format!("table `{}` was refused: its path {reason}", location.path),
            )
        })?;
        let root = roots.open(&location.root)?;
        let dir = if path.is_empty() {
            root
        } else {
            let what = format!("table `{SCHEME}{}/{path}`", location.root);
            root.open_dir(&path)
                .map_err(|error| of_io(ErrorCode::SourceNotFound, &what, &error))?
        };
        Ok(Self {
            root: location.root.clone(),
            path,
            dir: Arc::new(dir),
        })
    }

    /// The table's location, for messages.
    pub(crate) fn name(&self) -> String {
        format!("{SCHEME}{}/{}", self.root, self.path)
    }

    /// A file of the table.
    pub(crate) fn file(&self, path: &str) -> SourceRef {
        let path = if self.path.is_empty() {
            path.to_owned()
        } else {
            format!("{}/{path}", self.path)
        };
        SourceRef {
            root: self.root.clone(),
            path,
        }
    }
}

fn open_root(root: &LakeRoot) -> std::io::Result<Dir> {
    Dir::open_ambient_dir(&root.path, ambient_authority())
}

fn absolute(location: &str) -> Result<String, Fault> {
    if location.starts_with('/') {
        return Ok(location.to_owned());
    }
    let file = Url::parse(location)
        .ok()
        .filter(|url| url.scheme() == "file" && url.host_str().unwrap_or_default().is_empty());
    if file.is_none() {
        return Err(unknown(location, "NAME"));
    }
    // The URL parser has already folded `..` away; the text as given is what is judged.
    let raw = location.split_once(':').map_or("", |(_, rest)| rest);
    let raw = raw.strip_prefix("//").unwrap_or(raw);
    let raw = raw.strip_prefix("localhost").unwrap_or(raw);
    path::percent_decode(raw).map_err(|reason| refused(&quoted(location), &reason.to_string()))
}

fn quoted(location: &str) -> String {
    format!("location {location:?}")
}

fn refused(what: &str, reason: &str) -> Fault {
    Fault::new(
        ErrorCode::LocationNotAllowed,
        format!("{what} was refused because it {reason}"),
    )
}

fn unknown(location: &str, name: &str) -> Fault {
    Fault::new(
        ErrorCode::LocationNotAllowed,
        format!(
            "location {location:?} is below no lake root that this organisation may use; \
             add the root as `[lake.roots.{name}]`, or use `lake://ROOT/PATH` with a configured one"
        ),
    )
}

fn invalid(root: &LakeRoot, reason: &str) -> Fault {
    Fault::new(
        ErrorCode::FieldInvalid,
        format!(
            "lake root `[lake.roots.{}]` cannot be used: {reason}",
            root.name
        ),
    )
}
