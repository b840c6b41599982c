//! Catching up after a restore.

use offtake_api_types::recovery::{HeldFlow, Reason, Reconciled, ReconciledDataset};
use offtake_model::Fault;
use offtake_service::{DatasetVerdict, HeldFlowView, ReconcileVerdict};

/// A held flow.
pub(crate) fn held(view: HeldFlowView) -> HeldFlow {
    HeldFlow {
        id: view.held.flow.to_string(),
        name: view.name,
        ims_org_id: view.held.tenant.org.to_string(),
        sandbox_name: view.held.tenant.sandbox.to_string(),
        refusal: view.held.refusal.as_ref().map(reason),
    }
}

/// What became of a flow.
pub(crate) fn reconciled(verdict: &ReconcileVerdict, dry_run: bool) -> Reconciled {
    Reconciled {
        flow_id: verdict.flow.to_string(),
        released: verdict.released,
        dry_run,
        datasets: verdict.datasets.iter().map(dataset).collect(),
        refusal: verdict.refusal.as_ref().map(reason),
    }
}

fn dataset(verdict: &DatasetVerdict) -> ReconciledDataset {
    let mut shown = ReconciledDataset {
        data_set_id: verdict.dataset.to_string(),
        outcome: "refused".to_owned(),
        seq_before: 0,
        seq_after: 0,
        deliveries: 0,
        rows: 0,
        superseded: 0,
        refusal: None,
    };
    let step = match &verdict.outcome {
        Ok(step) => step,
        Err(fault) => {
            shown.refusal = Some(reason(fault));
            return shown;
        }
    };
    let quiet = step.delivered.is_empty() && step.superseded.is_empty();
    if quiet { "current" } else { "caughtUp" }.clone_into(&mut shown.outcome);
    shown.seq_before = step.stood;
    shown.seq_after = step.cursor.as_ref().map_or(step.stood, |cursor| cursor.seq);
    shown.deliveries = step.delivered.len() as u64;
    shown.rows = step.delivered.iter().map(|it| it.manifest.total_rows).sum();
    shown.superseded = step.superseded.len() as u64;
    shown
}

/// Why something was refused, or would be.
pub(super) fn reason(fault: &Fault) -> Reason {
    Reason {
        code: fault.code.name().to_owned(),
        message: fault.message.clone(),
        advice: fault.code.advice().to_owned(),
        page: format!("docs/errors/{}.md", fault.code.name()),
    }
}
