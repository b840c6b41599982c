//! What organisations may use: shown to their administrators, set by operators.

use offtake_core::validate::{self, shown};
use offtake_model::resource::Object;
use offtake_model::{Fault, OrgId, Permission, Quotas, Usage};
use offtake_ports::Organisation;
use serde_json::Value;

use crate::access::{invalid, known};
use crate::identity::Caller;
use crate::service::{Service, not_found};

/// An organisation with what it uses at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganisationView {
    /// The organisation.
    pub organisation: Organisation,
    /// What it uses.
    pub usage: Usage,
}

impl Service {
    /// The caller's own organisation, or any for an operator.
    pub async fn organisation(&self, caller: &Caller, id: &str) -> Result<OrganisationView, Fault> {
        let organisation = self.organisation_of(id).await?;
        if organisation.id != caller.tenant.org && !caller.may(Permission::ManageServer) {
            return Err(not_found("organisations", id));
        }
        let usage = self.identity.usage(&organisation.id).await?;
        Ok(OrganisationView {
            organisation,
            usage,
        })
    }

    /// Changes an organisation's name or quotas. A quota that is not named stays; null lifts it.
    pub async fn change_organisation(
        &self,
        caller: &Caller,
        id: &str,
        body: &Value,
    ) -> Result<OrganisationView, Fault> {
        let fields = known("the body", body, &["name", "quotas"])?;
        let mut organisation = self.organisation_of(id).await?;
        if fields.contains_key("name") {
            organisation.name = validate::name(body)?;
        }
        if let Some(quotas) = fields.get("quotas") {
            let given = known(
                "`quotas`",
                quotas,
                &["flows", "concurrentRuns", "bytesPerDay"],
            )?;
            change(&mut organisation.quotas, given)?;
        }
        self.identity
            .replace_organisation(&organisation, &caller.actor())
            .await?;
        // A delivery that waited for a quota may go now.
        self.nudge();
        self.organisation(caller, id).await
    }

    async fn organisation_of(&self, id: &str) -> Result<Organisation, Fault> {
        let found = self.identity.organisation(&OrgId(id.to_owned())).await?;
        found.ok_or_else(|| not_found("organisations", id))
    }
}

fn change(quotas: &mut Quotas, given: &Object) -> Result<(), Fault> {
    for (key, least, place) in [
        ("flows", 0, &mut quotas.flows),
        // None at all would hold up every run without a word; disabling the flows says it.
        ("concurrentRuns", 1, &mut quotas.concurrent_runs),
        ("bytesPerDay", 0, &mut quotas.bytes_per_day),
    ] {
        match given.get(key) {
            None => {}
            Some(Value::Null) => *place = None,
            Some(value) => {
                let number = value.as_u64();
                let number = number.filter(|it| *it >= least && i64::try_from(*it).is_ok());
                *place = Some(number.ok_or_else(|| {
                    invalid(format!(
                        "`quotas.{key}` must be a whole number from {least}, or null for no limit, got {}",
                        shown(value)
                    ))
                })?);
            }
        }
    }
    Ok(())
}
