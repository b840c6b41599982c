//! What an organisation may use of a shared server, and what it uses.

/// Limits of one organisation; no limit where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Flows in all of its sandboxes, whatever their state.
    pub flows: Option<u64>,
    /// Runs worked on at the same time; further ones wait.
    pub concurrent_runs: Option<u64>,
    /// Bytes delivered in a day of UTC, after which no further delivery begins.
    pub bytes_per_day: Option<u64>,
}

/// What an organisation uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Flows.
    pub flows: u64,
    /// Runs that are worked on.
    pub running: u64,
    /// Bytes delivered since midnight UTC.
    pub bytes_today: u64,
}
