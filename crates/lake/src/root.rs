//! Lake roots: the only places that offtake reads (contract, D10).
//!
//! Turns what a request calls a location into a root and a path, and opens folders below a root.
//! The one law: nothing opened here can be used to reach anything outside its root.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use object_store::ObjectStore;
use object_store::path::Path as Prefix;
use offtake_model::{ErrorCode, Fault, OrgId, SourceRef};
use url::Url;

use crate::fault::leaves_folder;
use crate::path;
use crate::place::{DiskPlace, Place, StorePlace, Trouble};

const SCHEME: &str = "lake://";

/// A place that datasets may lie in.
#[derive(Clone, Debug)]
pub struct LakeRoot {
    /// Its name in locations and in the configuration: letters, digits, `-` and `_`.
    pub name: String,
    /// Who may place datasets in it; everybody when absent.
    pub organisations: Option<Vec<OrgId>>,
    at: RootPlace,
}

#[derive(Clone, Debug)]
enum RootPlace {
    Folder(PathBuf),
    Store {
        url: String,
        store: Arc<dyn ObjectStore>,
        prefix: Prefix,
    },
}

impl LakeRoot {
    /// A folder of this machine, absolute. It may appear later, as a mount does.
    pub fn folder(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            organisations: None,
            at: RootPlace::Folder(path.into()),
        }
    }

    /// What lies below a prefix of an object store. `url` is how requests may spell the same place.
    pub fn store(
        name: impl Into<String>,
        url: impl Into<String>,
        store: Arc<dyn ObjectStore>,
        prefix: Prefix,
    ) -> Self {
        Self {
            name: name.into(),
            organisations: None,
            at: RootPlace::Store {
                url: url.into().trim_end_matches('/').to_owned(),
                store,
                prefix,
            },
        }
    }

    /// The same root, for these organisations only; for all of them when none are named.
    #[must_use]
    pub fn for_organisations(mut self, organisations: Option<Vec<OrgId>>) -> Self {
        self.organisations = organisations;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks the root for a listing, and waits for it.
    ///
    /// # Errors
    /// Why it does not answer. A root that holds nothing yet is no failure.
    pub fn probe(&self) -> Result<(), Fault> {
        match self.open().and_then(|place| place.list("", None)) {
            Ok(_) | Err(Trouble::Absent | Trouble::Many) => Ok(()),
            Err(trouble) => {
                let what = format!("lake root `{}`", self.name);
                Err(trouble.fault(ErrorCode::SourceNotFound, &what))
            }
        }
    }

    fn open_to(&self, org: &OrgId) -> bool {
        self.organisations
            .as_ref()
            .is_none_or(|allowed| allowed.contains(org))
    }

    /// What remains of a path of this machine, or of a URL, below this root.
    fn below(&self, location: &Location) -> Option<String> {
        match (&self.at, location) {
            (RootPlace::Folder(folder), Location::Path(path)) => {
                let path = Path::new(path);
                let rest = match path.strip_prefix(folder) {
                    Ok(rest) => rest,
                    Err(_) => path.strip_prefix(folder.canonicalize().ok()?).ok()?,
                };
                rest.to_str().map(str::to_owned)
            }
            (RootPlace::Store { url, .. }, Location::Url(location)) => {
                let rest = location.strip_prefix(url.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
            }
            (RootPlace::Folder(_), Location::Url(_))
            | (RootPlace::Store { .. }, Location::Path(_)) => None,
        }
    }

    fn open(&self) -> Result<Arc<dyn Place>, Trouble> {
        Ok(match &self.at {
            RootPlace::Folder(path) => Arc::new(DiskPlace::new(open_dir(path)?)),
            RootPlace::Store { store, prefix, .. } => {
                Arc::new(StorePlace::new(Arc::clone(store), prefix.clone())?)
            }
        })
    }
}

/// A place as a request spells it without naming a root.
enum Location {
    /// An absolute path of this machine.
    Path(String),
    /// A URL of an object store.
    Url(String),
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
            if matches!(&root.at, RootPlace::Folder(path) if !path.is_absolute()) {
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

    /// Opens that root.
    pub(crate) fn open(&self, name: &str) -> Result<Arc<dyn Place>, Fault> {
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
        root.open().map_err(|trouble| {
            trouble.fault(
                ErrorCode::SourceUnreachable,
                &format!("the folder of lake root `{name}`"),
            )
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
        let place = place_of(location)?;
        let (Location::Path(text) | Location::Url(text)) = &place;
        if let Err(reason) = path::relative(text) {
            return Err(refused(&quoted(location), &reason.to_string()));
        }
        self.roots
            .iter()
            .filter(|root| root.open_to(org))
            .filter_map(|root| Some((root, root.below(&place)?)))
            .min_by_key(|(_, rest)| rest.len())
            .ok_or_else(|| unknown(location, "NAME"))
    }

    fn refuse_links(root: &LakeRoot, source: &SourceRef, location: &str) -> Result<(), Fault> {
        // What isn't there yet can't lead anywhere; opening it later checks again.
        let RootPlace::Folder(folder) = &root.at else {
            return Ok(());
        };
        let Ok(dir) = open_dir(folder) else {
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

/// The place of a table, opened so that nothing outside it can be reached.
#[derive(Clone, Debug)]
pub(crate) struct TableDir {
    /// The root's name.
    pub(crate) root: String,
    /// Path below the root.
    pub(crate) path: String,
    /// The opened folder.
    pub(crate) place: Arc<dyn Place>,
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
        let place = if path.is_empty() {
            root
        } else {
            let what = format!("table `{SCHEME}{}/{path}`", location.root);
            root.folder(&path)
                .map_err(|trouble| trouble.fault(ErrorCode::SourceNotFound, &what))?
        };
        Ok(Self {
            root: location.root.clone(),
            path,
            place,
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

fn open_dir(path: &Path) -> std::io::Result<Dir> {
    Dir::open_ambient_dir(path, ambient_authority())
}

fn place_of(location: &str) -> Result<Location, Fault> {
    if location.starts_with('/') {
        return Ok(Location::Path(location.to_owned()));
    }
    let url = Url::parse(location).map_err(|_| unknown(location, "NAME"))?;
    let hostless = url.host_str().unwrap_or_default().is_empty();
    if url.scheme() != "file" && !hostless {
        return Ok(Location::Url(location.to_owned()));
    }
    if url.scheme() != "file" || !hostless {
        return Err(unknown(location, "NAME"));
    }
    // The URL parser has already folded `..` away; the text as given is what is judged.
    let raw = location.split_once(':').map_or("", |(_, rest)| rest);
    let raw = raw.strip_prefix("//").unwrap_or(raw);
    let raw = raw.strip_prefix("localhost").unwrap_or(raw);
    path::percent_decode(raw)
        .map(Location::Path)
        .map_err(|reason| refused(&quoted(location), &reason.to_string()))
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
