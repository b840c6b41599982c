//! The metrics of this process, in the text form that Prometheus scrapes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};

use crate::disk::Disk;

/// Upper bounds of the buckets of answers, in seconds.
const ANSWER_SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0];

/// Upper bounds of the buckets of lateness, in seconds.
const LATENESS_SECONDS: [f64; 6] = [1.0, 5.0, 30.0, 300.0, 3_600.0, 86_400.0];

/// Begins to count. The answer renders what was counted so far.
pub(crate) fn install(
    data_dir: &Path,
    zone: Option<PathBuf>,
) -> Result<offtake_api::RenderMetrics> {
    let mut places = vec![("data", data_dir.to_owned())];
    places.extend(zone.map(|zone| ("landing-zone", zone)));
    let exact = |name: &str| Matcher::Full(name.to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(exact("offtake_http_answer_seconds"), &ANSWER_SECONDS)
        .and_then(|it| {
            it.set_buckets_for_metric(exact("offtake_run_lateness_seconds"), &LATENESS_SECONDS)
        })
        .context("choosing histogram buckets")?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).context("starting to count")?;
    describe();
    gauge!("offtake_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(Arc::new(move || {
        for (name, path) in &places {
            look_at_disk(name, path);
        }
        handle.run_upkeep();
        handle.render()
    }))
}

/// Nothing is shown of a place that cannot be looked at.
fn look_at_disk(place: &'static str, path: &Path) {
    if let Ok(disk) = Disk::of(path) {
        gauge!("offtake_disk_free_bytes", "place" => place).set(as_float(disk.free));
        gauge!("offtake_disk_size_bytes", "place" => place).set(as_float(disk.size));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and a thousandth of a disk does not matter"
)]
const fn as_float(bytes: u64) -> f64 {
    bytes as f64
}

fn describe() {
    describe_gauge!(
        "offtake_disk_free_bytes",
        "Bytes that the service may still write, by place."
    );
    describe_gauge!("offtake_disk_size_bytes", "Size of the disk, by place.");
    describe_gauge!(
        "offtake_clock_skew_seconds",
        "Our clock minus that of the store that answered last."
    );
    describe_gauge!("offtake_build_info", "The version that runs; always 1.");
    describe_gauge!(
        "offtake_flows_held",
        "Flows that wait to be reconciled since the store was restored."
    );
    describe_counter!("offtake_http_requests_total", "Requests answered.");
    describe_histogram!("offtake_http_answer_seconds", "From request to answer.");
    describe_counter!(
        "offtake_deliveries_ended_total",
        "Deliveries that came to an end in this process, by their last state."
    );
    describe_counter!(
        "offtake_delivery_waits_total",
        "Times a delivery was put off after a fault."
    );
    describe_counter!("offtake_delivered_rows_total", "Rows delivered.");
    describe_counter!("offtake_delivered_bytes_total", "Bytes delivered.");
    describe_counter!("offtake_delivered_files_total", "Files delivered.");
    describe_counter!(
        "offtake_source_bytes_read_total",
        "Bytes of the source files behind what was delivered."
    );
    describe_histogram!(
        "offtake_run_lateness_seconds",
        "From a run's occurrence to its place in the queue."
    );
}
