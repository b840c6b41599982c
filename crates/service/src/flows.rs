//! Flows: create, read, enable and disable (contract, 4.10). Edits are in [`patch`].
//!
//! The one law: a flow that is stored can run. Whatever a delivery would stumble over at once is refused here.

use offtake_core::export_spec::{base_of, export_spec};
use offtake_core::{bounds, schedule, specs, validate};
use offtake_model::resource::{Flow, FlowState, LastOperation};
use offtake_model::{
    ErrorCode, ExportSpec, Fault, Millis, Resource, ResourceBody, ResourceId, ResourceKind,
    Revision, Schedule,
};
use offtake_ports::{Page, PageRequest, ResourceQuery};
use serde::Serialize;
use serde_json::Value;

use crate::drafts::Start;
use crate::entity::{self, Entity};
use crate::etag;
use crate::identity::Caller;
use crate::inherit::{ConnectionHead, Heads, TargetHead};
use crate::listing::{Listed, Listing, Placed};
use crate::once::{Once, Slot};
use crate::runs::RunDetails;
use crate::service::{Changed, Service};

mod patch;

/// A flow with what it shows of its connections and runs.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowView {
    /// The flow.
    pub flow: Entity<Flow>,
    /// Its source connections, unless they were deleted.
    pub sources: Vec<ConnectionHead>,
    /// Its target connections, unless they were deleted.
    pub targets: Vec<TargetHead>,
    /// Its newest run.
    pub last_run: Option<RunDetails>,
}

impl FlowView {
    /// The etag, quotes included.
    pub fn etag(&self) -> &str {
        &self.flow.etag
    }
}

impl Placed for FlowView {
    fn place(&self) -> (i64, String) {
        self.flow.place()
    }
}

/// What can be done to a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowAction {
    /// Let it run when due.
    Enable,
    /// Stop it from being due.
    Disable,
    /// Turn a draft into a flow.
    Publish,
}

impl FlowAction {
    /// Reads `op`; the documentation writes it in both cases.
    pub fn parse(op: Option<&str>) -> Result<Self, Fault> {
        let Some(op) = op.filter(|op| !op.is_empty()) else {
            return Err(Fault::new(
                ErrorCode::QueryParameterMissing,
                "query parameter op is missing",
            ));
        };
        match op.to_ascii_lowercase().as_str() {
            "enable" => Ok(Self::Enable),
            "disable" => Ok(Self::Disable),
            "publish" => Ok(Self::Publish),
            _ => Err(Fault::new(
                ErrorCode::ActionUnknown,
                format!("op must be enable, disable or publish, not [{op}]"),
            )),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Publish => "publish",
        }
    }

    /// The state that a flow must be in.
    const fn comes_from(self) -> FlowState {
        match self {
            Self::Enable => FlowState::Disabled,
            Self::Disable => FlowState::Enabled,
            Self::Publish => FlowState::Draft,
        }
    }

    const fn leads_to(self) -> FlowState {
        match self {
            Self::Enable | Self::Publish => FlowState::Enabled,
            Self::Disable => FlowState::Disabled,
        }
    }
}

impl Service {
    /// Makes a flow. One that begins enabled is due at once when its start has passed.
    pub async fn create_flow(
        &self,
        caller: &Caller,
        once: Once<'_>,
        start: Start,
    ) -> Result<Changed, Fault> {
        bounds::check(once.body)?;
        let draft = validate::flow(once.body)?;
        let now = self.clock.now();
        let (state, enabled_at, next_due_at) = match start {
            Start::Enabled => (
                FlowState::Enabled,
                Some(now),
                due_at_once(&draft.schedule.schedule, now),
            ),
            Start::Draft => (FlowState::Draft, None, None),
        };
        let flow = Flow {
            name: draft.name,
            description: draft.description,
            spec: draft.spec,
            source_connection_ids: vec![draft.source_connection_id],
            target_connection_ids: vec![draft.target_connection_id],
            next_due_at,
            schedule: draft.schedule.schedule,
            schedule_params: draft.schedule.echo,
            transformations: draft.transformations,
            state,
            generation: 1,
            enabled_at,
            last_operation: LastOperation {
                operation: "create".to_owned(),
                at: now,
                ops: Value::Array(Vec::new()),
            },
        };
        let fresh = self.new_uuid().to_string();
        let slot = self.slot(caller, ResourceKind::Flow, once, fresh);
        let id = match slot.await? {
            Slot::Free(id) => id,
            Slot::Taken(made) => return Ok(made),
        };
        let resource = Resource {
            id: ResourceId(id),
            tenant: caller.tenant.clone(),
            revision: Revision(1),
            audit: Self::audit(caller, now),
            body: ResourceBody::Flow(Box::new(flow)),
        };
        if start == Start::Enabled {
            self.checked_spec(caller, &resource).await?;
        }
        let made = self.insert(caller, &resource).await?;
        self.nudge();
        Ok(made)
    }

    /// The flow of that id.
    pub async fn flow(&self, caller: &Caller, id: &str) -> Result<FlowView, Fault> {
        let found = self.must_find(caller, ResourceKind::Flow, id).await?;
        let mut views = self.flow_views(caller, vec![found]).await?;
        views
            .pop()
            .ok_or_else(|| Fault::new(ErrorCode::Internal, format!("flow [{id}] got lost")))
    }

    /// A list of flows.
    pub async fn list_flows<T: Serialize>(
        &self,
        caller: &Caller,
        listing: &Listing,
        render: impl Fn(&FlowView) -> T,
    ) -> Result<Listed<T>, Fault> {
        let query = listing.flows();
        if let Some(count) = self
            .plain_count(caller, ResourceKind::Flow, &query, listing)
            .await?
        {
            return Ok(Listed::Count(count));
        }
        let fetch = |request| self.flows_page(caller, &query, request);
        listing.answer(fetch, render).await
    }

    /// Enables, disables or publishes a flow. `if_match` is honoured when it is sent.
    pub async fn act_on_flow(
        &self,
        caller: &Caller,
        id: &str,
        action: FlowAction,
        if_match: Option<&str>,
    ) -> Result<Changed, Fault> {
        let before = self.find(caller, ResourceKind::Flow, id).await?;
        let before = before.ok_or_else(|| {
            Fault::new(
                ErrorCode::ActionFlowUnknown,
                format!("flows not found with id = [{id}]"),
            )
        })?;
        if let Some(given) = if_match {
            etag::check(&before, given)?;
        }
        let now = self.clock.now();
        let mut after = Self::touched(caller, &before, now);
        let mut flow = entity::flow(before.clone())?.body;
        apply(&mut flow, action, id, now)?;
        after.body = ResourceBody::Flow(Box::new(flow));
        if action.leads_to() == FlowState::Enabled {
            self.checked_spec(caller, &after).await?;
        }
        let changed = self.replace(caller, &before, &after).await?;
        self.nudge();
        Ok(changed)
    }

    /// Deletes a flow. Unfinished deliveries are asked to cancel.
    pub async fn delete_flow(&self, caller: &Caller, id: &str) -> Result<(), Fault> {
        let found = self.must_find(caller, ResourceKind::Flow, id).await?;
        self.resources
            .delete(
                &caller.tenant,
                ResourceKind::Flow,
                &found.id,
                &caller.actor(),
            )
            .await
            .map(drop)
    }

    /// What the flow's runs would freeze, with everything that would keep them from working refused.
    pub(crate) async fn checked_spec(
        &self,
        caller: &Caller,
        flow: &Resource,
    ) -> Result<ExportSpec, Fault> {
        let wishes = entity::flow(flow.clone())?.body;
        let spec = self.export_spec_of(caller, flow).await?;
        let target = specs::destination(spec.sink.kind);
        validate::check_flow_target(&wishes.spec, &target.reference())?;
        if !self.destinations.contains(&spec.sink.kind) {
            return Err(Fault::new(
                ErrorCode::DestinationNotAvailable,
                format!("this build cannot deliver to {}", target.name()),
            ));
        }
        Ok(spec)
    }

    pub(crate) async fn export_spec_of(
        &self,
        caller: &Caller,
        flow: &Resource,
    ) -> Result<ExportSpec, Fault> {
        let wishes = entity::flow(flow.clone())?.body;
        let source = wishes.source_connection_ids.first();
        let source = self
            .connection_of(caller, ResourceKind::Source, source)
            .await?;
        let target = wishes.target_connection_ids.first();
        let target = self
            .connection_of(caller, ResourceKind::Target, target)
            .await?;
        let base = base_of(&target)?;
        let base = self
            .connection_of(caller, ResourceKind::Connection, Some(&base))
            .await?;
        export_spec(flow, &source, &target, &base)
    }

    async fn connection_of(
        &self,
        caller: &Caller,
        kind: ResourceKind,
        id: Option<&ResourceId>,
    ) -> Result<Resource, Fault> {
        let id = id.map_or("", ResourceId::as_str);
        self.find(caller, kind, id).await?.ok_or_else(|| {
            Fault::new(
                ErrorCode::ConnectionNotUsable,
                format!(
                    "[{id}] is not one of the {} of this sandbox",
                    kind.collection()
                ),
            )
        })
    }

    async fn flows_page(
        &self,
        caller: &Caller,
        query: &ResourceQuery,
        request: PageRequest,
    ) -> Result<Page<FlowView>, Fault> {
        let page = self
            .page(caller, ResourceKind::Flow, query, &request)
            .await?;
        Ok(Page {
            items: self.flow_views(caller, page.items).await?,
            next: page.next,
        })
    }

    async fn flow_views(
        &self,
        caller: &Caller,
        resources: Vec<Resource>,
    ) -> Result<Vec<FlowView>, Fault> {
        let flows: Vec<Entity<Flow>> = resources
            .into_iter()
            .map(entity::flow)
            .collect::<Result<_, _>>()?;
        let mut newest = self.newest_runs(caller, &flows).await?;
        let mut heads = Heads::new(self, caller);
        let mut views = Vec::with_capacity(flows.len());
        for flow in flows {
            let mut sources = Vec::new();
            for id in &flow.body.source_connection_ids {
                sources.extend(heads.source(id.as_str()).await?);
            }
            let mut targets = Vec::new();
            for id in &flow.body.target_connection_ids {
                targets.extend(heads.target(id.as_str()).await?);
            }
            views.push(FlowView {
                last_run: newest.remove(&flow.id),
                flow,
                sources,
                targets,
            });
        }
        Ok(views)
    }
}

/// When a flow that becomes enabled at `now` is due: at once when an occurrence has passed, else at the first one.
fn due_at_once(schedule: &Schedule, now: Millis) -> Option<Millis> {
    schedule::first_occurrence(schedule, now).or_else(|| schedule::next_occurrence(schedule, now))
}

fn apply(flow: &mut Flow, action: FlowAction, id: &str, now: Millis) -> Result<(), Fault> {
    if flow.state != action.comes_from() {
        return Err(Fault::new(
            ErrorCode::ActionNotAllowed,
            format!(
                "action {} is not allowed: flow [{id}] is {}",
                action.name(),
                flow.state.name()
            ),
        ));
    }
    flow.state = action.leads_to();
    flow.generation = flow.generation.saturating_add(1);
    flow.last_operation = LastOperation {
        operation: action.name().to_owned(),
        at: now,
        ops: Value::Array(Vec::new()),
    };
    match action {
        FlowAction::Enable | FlowAction::Publish => {
            flow.enabled_at = Some(now);
            flow.next_due_at = due_at_once(&flow.schedule, now);
        }
        FlowAction::Disable => flow.next_due_at = None,
    }
    Ok(())
}
