//! Planning: the plan is asked for once and taken over as it is.
//!
//! The one law: nothing was staged yet, so giving up costs nothing.

use offtake_model::{DeliveryRecord, ErrorCode, ExportPlan, Fault};

use super::table::Finding;
use super::{Commands, DeliveryCommand, Next, Outlook};

/// Progress of planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planning {
    asked: bool,
    answer: Option<Result<Box<ExportPlan>, Fault>>,
}

impl Planning {
    pub(super) const fn new() -> Self {
        Self {
            asked: false,
            answer: None,
        }
    }

    pub(super) fn planned(&mut self, answer: Result<Box<ExportPlan>, Fault>) {
        self.answer = Some(answer);
    }

    pub(super) fn advance(&mut self, outlook: &Outlook<'_>, out: &mut Commands) -> Next {
        if outlook.cancel {
            return Next::Found(Finding::Cancel);
        }
        if outlook.leaving {
            return Next::Leave;
        }
        if !self.asked {
            self.asked = true;
            out.push(DeliveryCommand::Plan);
            return Next::Wait;
        }
        match self.answer.take() {
            None => Next::Wait,
            Some(Err(fault)) => Next::Trouble(fault),
            Some(Ok(plan)) => match unfit(outlook.record, &plan) {
                Some(what) => Next::Trouble(Fault::new(ErrorCode::Internal, what)),
                None => Next::Found(Finding::PlanReady(plan)),
            },
        }
    }
}

/// Why the plan is not one for this delivery, if it is not.
fn unfit(record: &DeliveryRecord, plan: &ExportPlan) -> Option<String> {
    if plan.delivery != record.id || plan.dataset != record.dataset {
        return Some(format!(
            "planned delivery {}, got a plan for {}",
            record.id, plan.delivery
        ));
    }
    let numbered = (0_u32..)
        .zip(&plan.tasks)
        .all(|(index, task)| task.index == index);
    (!numbered).then(|| {
        format!(
            "planned delivery {}: tasks are not numbered from 0",
            record.id
        )
    })
}
