//! What deliveries have come to since the process began, for whoever listens to the metrics facade.
//!
//! Labels have few values: no flow, dataset or tenant is ever one.

use std::time::Duration;

use metrics::{counter, histogram};
use offtake_model::{DeliveryState, RunMetrics};

/// A claim of a delivery ended with the delivery itself.
pub(crate) fn ended(state: DeliveryState) {
    counter!("offtake_deliveries_ended_total", "state" => state.name()).increment(1);
}

/// A delivery was put off after a fault.
pub(crate) fn waits() {
    counter!("offtake_delivery_waits_total").increment(1);
}

/// A delivery's commit was recorded.
pub(crate) fn delivered(metrics: &RunMetrics) {
    counter!("offtake_delivered_rows_total").increment(metrics.output_rows);
    counter!("offtake_delivered_bytes_total").increment(metrics.output_bytes);
    counter!("offtake_delivered_files_total").increment(metrics.output_files);
    counter!("offtake_source_bytes_read_total").increment(metrics.input_bytes);
}

/// A run of the schedule was enqueued, so long after its occurrence.
pub(crate) fn enqueued(late: Duration) {
    histogram!("offtake_run_lateness_seconds").record(late.as_secs_f64());
}
