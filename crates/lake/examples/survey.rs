//! Lists a Delta table's files as a delivery does before it plans: `survey <root> <table> [version]`.
//!
//! Without a version the whole table; with one, what came after it. Says files, seconds and the process's peak memory,
//! as JSON.

use std::env;
use std::fs;
use std::time::Instant;

use offtake_lake::{LakeRoot, Lakes};
use offtake_model::resource::TableFormat;
use offtake_model::{Changes, Fault, OrgId, Position, SourceRef};
use offtake_ports::{Lake, LakeRoots};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
#[expect(
    clippy::print_stdout,
    reason = "a program for measuring prints its figure"
)]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [root, table, rest @ ..] = args.as_slice() else {
        return Err("usage: survey <root> <table> [version]".into());
    };
    let lakes = Lakes::new(vec![LakeRoot::folder("main", root)])?;
    let org = OrgId("0123456789ABCDEF01234567@AdobeOrg".to_owned());
    let source = lakes.resolve(&org, &format!("lake://main/{table}"))?;
    let from = match rest.first() {
        None => None,
        Some(version) => Some(position(&lakes, &source, version.parse()?).await?),
    };
    let start = Instant::now();
    let files = count(&lakes, &source, from.as_ref()).await?;
    let seconds = start.elapsed().as_secs_f64();
    let peak = peak_bytes()?;
    println!(r#"{{"files": {files}, "seconds": {seconds:.3}, "peak_bytes": {peak}}}"#);
    Ok(())
}

async fn count(
    lakes: &Lakes,
    source: &SourceRef,
    from: Option<&Position>,
) -> Result<usize, Failure> {
    let Some(from) = from else {
        let set = lakes.snapshot(source, TableFormat::Delta, None).await?;
        return Ok(set.slices.len());
    };
    match lakes
        .changes(source, TableFormat::Delta, from, None)
        .await?
    {
        Changes::Appended(set) => Ok(set.slices.len()),
        Changes::Rewritten { at, .. } => Err(format!("rows were rewritten at {at}").into()),
    }
}

/// The table's position at that version.
async fn position(lakes: &Lakes, source: &SourceRef, version: u64) -> Result<Position, Fault> {
    let latest = lakes.snapshot(source, TableFormat::Delta, None).await?.to;
    Ok(match latest {
        Position::Delta { table, .. } => Position::Delta { table, version },
        other @ Position::Folder { .. } => other,
    })
}

/// The most memory that the process has held, as the kernel counts it.
fn peak_bytes() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    let kibibytes: u64 = kibibytes
        .ok_or("the kernel does not tell the peak")?
        .parse()?;
    Ok(kibibytes * 1024)
}
