//! Who may know whom: the crates' layers and the foreign worlds, as data, held against what crates declare.
//!
//! Only normal dependencies are judged: tests may use what they like. ARCHITECTURE.md shows the same table.

use crate::workspace::{Crate, Workspace};

/// A crate and the crates of ours that it may name.
struct Room {
    name: &'static str,
    may_name: &'static [&'static str],
}

/// The house, from the nouns up to the binary. An import may only follow an arrow of this table.
const HOUSE: &[Room] = &[
    Room {
        name: "offtake-model",
        may_name: &[],
    },
    Room {
        name: "offtake-core",
        may_name: &["offtake-model"],
    },
    Room {
        name: "offtake-ports",
        may_name: &["offtake-model"],
    },
    Room {
        name: "offtake-encode",
        may_name: &["offtake-model"],
    },
    Room {
        name: "offtake-storage",
        may_name: &["offtake-model", "offtake-ports"],
    },
    Room {
        name: "offtake-lake",
        may_name: &[
            "offtake-model",
            "offtake-ports",
            "offtake-encode",
            "offtake-storage",
        ],
    },
    Room {
        name: "offtake-engine",
        may_name: &["offtake-model", "offtake-ports", "offtake-encode"],
    },
    Room {
        name: "offtake-destination",
        may_name: &["offtake-model", "offtake-ports", "offtake-storage"],
    },
    Room {
        name: "offtake-destination-azure",
        may_name: &["offtake-model", "offtake-ports", "offtake-storage"],
    },
    Room {
        name: "offtake-destination-sftp",
        may_name: &["offtake-model", "offtake-ports", "offtake-storage"],
    },
    Room {
        name: "offtake-store",
        may_name: &["offtake-model", "offtake-ports"],
    },
    Room {
        name: "offtake-delivery",
        may_name: &["offtake-model", "offtake-core", "offtake-ports"],
    },
    Room {
        name: "offtake-service",
        may_name: &["offtake-model", "offtake-core", "offtake-ports"],
    },
    Room {
        name: "offtake-api-types",
        may_name: &[],
    },
    Room {
        name: "offtake-api",
        may_name: &["offtake-model", "offtake-service", "offtake-api-types"],
    },
    Room {
        name: "offtake",
        may_name: &[
            "offtake-api",
            "offtake-api-types",
            "offtake-core",
            "offtake-delivery",
            "offtake-destination",
            "offtake-destination-azure",
            "offtake-destination-sftp",
            "offtake-encode",
            "offtake-engine",
            "offtake-lake",
            "offtake-model",
            "offtake-ports",
            "offtake-service",
            "offtake-storage",
            "offtake-store",
        ],
    },
    Room {
        name: "xtask",
        may_name: &[],
    },
];

/// A foreign crate and the only crates that may name it.
struct World {
    name: &'static str,
    known_to: &'static [&'static str],
}

/// One foreign world per crate. A foreign crate that is not listed is small change that any crate may use.
const WORLDS: &[World] = &[
    World {
        name: "sqlx",
        known_to: &["offtake-store"],
    },
    World {
        name: "libsqlite3-sys",
        known_to: &["offtake-store"],
    },
    World {
        name: "axum",
        known_to: &["offtake-api"],
    },
    World {
        name: "hyper",
        known_to: &["offtake-api"],
    },
    World {
        name: "hyper-util",
        known_to: &["offtake-api"],
    },
    World {
        name: "tower",
        known_to: &["offtake-api"],
    },
    World {
        name: "tower-http",
        known_to: &["offtake-api"],
    },
    World {
        name: "delta_kernel",
        known_to: &["offtake-lake"],
    },
    World {
        name: "delta_kernel_default_engine",
        known_to: &["offtake-lake"],
    },
    World {
        name: "object_store",
        known_to: &["offtake-lake", "offtake-storage"],
    },
    World {
        name: "arrow",
        known_to: &["offtake-encode", "offtake-lake", "offtake-engine"],
    },
    World {
        name: "parquet",
        known_to: &["offtake-encode", "offtake-lake", "offtake-engine"],
    },
    World {
        name: "libdeflater",
        known_to: &["offtake-encode"],
    },
    World {
        name: "cap-std",
        known_to: &["offtake-lake", "offtake-destination"],
    },
    World {
        name: "jsonschema",
        known_to: &["offtake-core"],
    },
    World {
        name: "jsonwebtoken",
        known_to: &["offtake-service"],
    },
    World {
        name: "clap",
        known_to: &["offtake", "xtask"],
    },
    World {
        name: "anyhow",
        known_to: &["offtake", "xtask"],
    },
    World {
        name: "reqwest",
        known_to: &["offtake", "offtake-storage"],
    },
    World {
        name: "rustls",
        known_to: &["offtake-storage"],
    },
    World {
        name: "rustls-native-certs",
        known_to: &["offtake-storage"],
    },
    World {
        name: "ipnet",
        known_to: &["offtake-storage"],
    },
    World {
        name: "quick-xml",
        known_to: &[
            "offtake-storage",
            "offtake-destination",
            "offtake-destination-azure",
        ],
    },
    World {
        name: "metrics-exporter-prometheus",
        known_to: &["offtake"],
    },
    World {
        name: "russh",
        known_to: &["offtake-destination-sftp"],
    },
    World {
        name: "russh-sftp",
        known_to: &["offtake-destination-sftp"],
    },
    World {
        name: "tracing-subscriber",
        known_to: &["offtake"],
    },
    World {
        name: "tokio",
        known_to: &[
            "offtake-storage",
            "offtake-lake",
            "offtake-engine",
            "offtake-destination",
            "offtake-destination-azure",
            "offtake-destination-sftp",
            "offtake-store",
            "offtake-delivery",
            "offtake-api",
            "offtake",
        ],
    },
    // The nouns, the rules and the encoders stay synchronous: whatever makes code async is kept out.
    World {
        name: "async-trait",
        known_to: ASYNC,
    },
    World {
        name: "futures-util",
        known_to: ASYNC,
    },
];

const ASYNC: &[&str] = &[
    "offtake-ports",
    "offtake-storage",
    "offtake-lake",
    "offtake-engine",
    "offtake-destination",
    "offtake-destination-azure",
    "offtake-destination-sftp",
    "offtake-store",
    "offtake-delivery",
    "offtake-service",
    "offtake-api",
    "offtake",
];

/// Every import against the tables, in words.
pub(crate) fn violations(workspace: &Workspace) -> Vec<String> {
    workspace.crates.iter().flat_map(of_crate).collect()
}

fn of_crate(it: &Crate) -> Vec<String> {
    let Some(room) = HOUSE.iter().find(|room| room.name == it.name) else {
        return vec![format!(
            "{} has no place in the table; give it one in xtask/src/layers.rs and ARCHITECTURE.md",
            it.name
        )];
    };
    let normal = it.dependencies.iter().filter(|needed| needed.normal());
    normal
        .filter_map(|needed| judge(room, &needed.name))
        .collect()
}

fn judge(room: &Room, needed: &str) -> Option<String> {
    let ours = HOUSE.iter().any(|other| other.name == needed);
    if ours {
        let allowed = room.may_name.contains(&needed);
        return (!allowed).then(|| format!("{} must not name {needed}", room.name));
    }
    let world = WORLDS.iter().find(|world| world.name == needed)?;
    let allowed = world.known_to.contains(&room.name);
    (!allowed).then(|| {
        format!(
            "{} must not name {needed}: only {} may",
            room.name,
            world.known_to.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> &'static Room {
        HOUSE.iter().find(|room| room.name == name).unwrap()
    }

    #[test]
    fn the_core_names_no_adapter_and_no_runtime() {
        assert!(judge(room("offtake-core"), "offtake-store").is_some());
        assert!(judge(room("offtake-core"), "tokio").is_some());
        assert!(judge(room("offtake-core"), "offtake-model").is_none());
    }

    #[test]
    fn adapters_do_not_know_each_other() {
        let adapters = [
            "offtake-lake",
            "offtake-engine",
            "offtake-destination",
            "offtake-destination-azure",
            "offtake-destination-sftp",
            "offtake-store",
        ];
        for one in adapters {
            for other in adapters {
                if one != other {
                    assert!(judge(room(one), other).is_some(), "{one} → {other}");
                }
            }
        }
    }

    #[test]
    fn a_foreign_world_is_known_to_its_own_crate_only() {
        assert!(judge(room("offtake-store"), "sqlx").is_none());
        assert!(judge(room("offtake-delivery"), "sqlx").is_some());
    }

    #[test]
    fn every_arrow_points_downwards() {
        for (place, room) in HOUSE.iter().enumerate() {
            for below in room.may_name {
                let other = HOUSE.iter().position(|it| it.name == *below).unwrap();
                assert!(other < place, "{} → {below}", room.name);
            }
        }
    }
}
