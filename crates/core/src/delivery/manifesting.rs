//! Manifesting: the documented manifest, when it was asked for, then ours, from frozen bytes, until they stand.
//!
//! The one law: only forward.

use offtake_model::Fault;

use super::table::Finding;
use super::{Commands, DeliveryCommand, Next, Outlook, broken};

/// Progress of manifesting under this claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifesting {
    step: Step,
    fault: Option<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Begin,
    DocumentedSent,
    DocumentedStands,
    OursSent,
    OursStands,
}

impl Manifesting {
    pub(super) const fn new() -> Self {
        Self {
            step: Step::Begin,
            fault: None,
        }
    }

    pub(super) fn put(&mut self, answer: Result<(), Fault>) {
        let stands = match self.step {
            Step::DocumentedSent => Step::DocumentedStands,
            Step::OursSent => Step::OursStands,
            Step::Begin | Step::DocumentedStands | Step::OursStands => return,
        };
        match answer {
            Ok(()) => self.step = stands,
            Err(fault) => self.fault = Some(fault),
        }
    }

    pub(super) fn advance(&mut self, outlook: &Outlook<'_>, out: &mut Commands) -> Next {
        if let Some(fault) = self.fault.take() {
            return Next::Trouble(fault);
        }
        let (Some(plan), Some(manifest)) = (&outlook.record.plan, &outlook.record.manifest) else {
            return Next::Found(broken(outlook.record, "it has no plan or no manifest"));
        };
        match (self.step, &plan.file_manifest_key) {
            (Step::Begin, Some(key)) => {
                self.step = Step::DocumentedSent;
                out.push(DeliveryCommand::PutFileManifest { key: key.clone() });
                Next::Wait
            }
            (Step::Begin, None) | (Step::DocumentedStands, _) => {
                self.step = Step::OursSent;
                out.push(DeliveryCommand::PutManifest {
                    key: plan.manifest_key.clone(),
                    bytes: manifest.clone(),
                });
                Next::Wait
            }
            (Step::DocumentedSent | Step::OursSent, _) => Next::Wait,
            (Step::OursStands, _) => Next::Found(Finding::ManifestStands),
        }
    }
}
