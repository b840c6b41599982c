//! Failures as the outside sees them: one code each, with its status, documented number, retry rule and advice.
//!
//! Every code has a page of its own name in `docs/errors/`; a test holds the two lists together.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether trying the same thing again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Yes, after a pause.
    Transient,
    /// Only after somebody has mended credentials or rights; the delivery waits for that.
    Credentials,
    /// No.
    Permanent,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident, $name:literal, $status:literal, $number:expr, $title:literal, $retry:ident, $advice:literal;)*) => {
        /// The name of a failure that a user can meet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code in `SCREAMING_SNAKE`, also the name of its page.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The HTTP status when the failure answers a request.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The documented number (contract, 2.2 and 3.1), where there is one.
            pub const fn number(self) -> Option<&'static str> {
                match self { $(Self::$variant => $number,)* }
            }

            /// The documented title, or ours where there is none.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Whether a delivery that met this may try again.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }

            /// What to do about it, in one sentence.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

error_codes! {
    // The gateway (contract, 2.2): answered as `{"error_code","message"}`.
    /// No bearer token.
    TokenMissing, "TOKEN_MISSING", 403, Some("403010"), "Oauth token is missing.", Permanent, "Send `Authorization: Bearer <token>`; get a token from /ims/token/v3.";
    /// Token forged, expired or revoked.
    TokenInvalid, "TOKEN_INVALID", 401, Some("401013"), "Oauth token is not valid", Permanent, "Get a new token from /ims/token/v3.";
    /// No `x-api-key`.
    ApiKeyMissing, "API_KEY_MISSING", 403, Some("403000"), "Api Key is required", Permanent, "Send the client id as `x-api-key`.";
    /// Unknown client, or not the token's.
    ApiKeyInvalid, "API_KEY_INVALID", 403, Some("403003"), "Api Key is invalid", Permanent, "Send the client id that the token was issued to.";
    /// No `x-gw-ims-org-id`.
    OrgMissing, "ORG_MISSING", 400, Some("400003"), "Missing header", Permanent, "Send the organisation's id as `x-gw-ims-org-id`.";
    /// The token is for another organisation.
    OrgNotEntitled, "ORG_NOT_ENTITLED", 403, Some("403025"), "Profile is not valid", Permanent, "Use the organisation that the client belongs to.";
    /// A token request that cannot be granted.
    ClientAuthInvalid, "CLIENT_AUTH_INVALID", 400, None, "invalid_client", Permanent, "Check client id and secret; `offtake` prints them once, on first start.";
    /// A token request for another grant.
    GrantTypeInvalid, "GRANT_TYPE_INVALID", 400, None, "unsupported_grant_type", Permanent, "Use grant_type=client_credentials.";
    /// A body without `Content-Type: application/json`.
    ContentTypeMissing, "CONTENT_TYPE_MISSING", 400, None, "BadRequestError", Permanent, "Send `Content-Type: application/json`.";

    // Flow Service (contract, 3.1).
    /// No resource of that id in this sandbox.
    ResourceNotFound, "RESOURCE_NOT_FOUND", 404, Some("1101"), "Resource not found", Permanent, "Check the id, the organisation and the sandbox.";
    /// No such path.
    RouteNotFound, "ROUTE_NOT_FOUND", 404, None, "Not found", Permanent, "Check the path against the API reference.";
    /// The path exists, the method does not.
    MethodNotAllowed, "METHOD_NOT_ALLOWED", 405, None, "Method not allowed", Permanent, "Check the method against the API reference.";
    /// `If-Match` is missing.
    IfMatchMissing, "IF_MATCH_MISSING", 400, Some("1403"), "Header is missing", Permanent, "Send the etag of a fresh GET as `If-Match`.";
    /// Stale etag.
    VersionConflict, "VERSION_CONFLICT", 412, Some("1404"), "Version not matching", Permanent, "Read the resource again and repeat the change with its new etag.";
    /// Empty body.
    BodyEmpty, "BODY_EMPTY", 400, Some("1405"), "Invalid request", Permanent, "Send a JSON body.";
    /// The body is not JSON.
    BodyNotJson, "BODY_NOT_JSON", 400, None, "Invalid request", Permanent, "Send plain JSON; comments and trailing commas are not part of it.";
    /// The body is larger than the limit.
    BodyTooLarge, "BODY_TOO_LARGE", 413, None, "Request too large", Permanent, "Send at most 1 MiB.";
    /// A field has the wrong type, is missing or breaks a rule.
    FieldInvalid, "FIELD_INVALID", 400, None, "Invalid request", Permanent, "Correct the named field.";
    /// `state` on create.
    StateNotAllowed, "STATE_NOT_ALLOWED", 400, Some("1410"), "Invalid request", Permanent, "Leave `state` out; use the action endpoint to enable or disable a flow.";
    /// Unknown connection or flow spec.
    SpecNotValid, "SPEC_NOT_VALID", 400, Some("1413"), "Invalid request", Permanent, "Use one of the ids listed by /connectionSpecs or /flowSpecs.";
    /// `version` of a spec is missing.
    SpecVersionMissing, "SPEC_VERSION_MISSING", 422, None, "Unprocessable entity", Permanent, "Send `version: \"1.0\"` beside the spec id.";
    /// Specs cannot be written.
    SpecReadOnly, "SPEC_READ_ONLY", 400, Some("1426"), "Invalid request", Permanent, "Specs are part of offtake; they cannot be created or changed.";
    /// Unknown authentication name.
    AuthSpecUnknown, "AUTH_SPEC_UNKNOWN", 400, Some("1415"), "Invalid request", Permanent, "Use one of the names in the connection spec's `authSpec`.";
    /// The base, source or target connection named does not exist or does not fit.
    ConnectionNotUsable, "CONNECTION_NOT_USABLE", 400, None, "Invalid request", Permanent, "Name an existing connection of the same spec and sandbox.";
    /// A dataset named in a request does not exist in this sandbox.
    DatasetUnknown, "DATASET_UNKNOWN", 400, Some("2200"), "External service request error", Permanent, "List the exportable datasets and use one of their ids.";
    /// A schedule outside the documented set.
    ScheduleInvalid, "SCHEDULE_INVALID", 400, None, "Invalid request", Permanent, "Use hour 3, 6, 8, 9, 12 or 24, day 1, or once: day 0 with DAILY_FULL_EXPORT.";
    /// Encryption was asked for.
    EncryptionNotAvailable, "ENCRYPTION_NOT_AVAILABLE", 422, None, "Unprocessable entity", Permanent, "Leave `encryption` out: files are delivered unencrypted by this version.";
    /// A flow to a destination that this build cannot deliver to.
    DestinationNotAvailable, "DESTINATION_NOT_AVAILABLE", 422, None, "Unprocessable entity", Permanent, "This destination is not available in this build; use the Data Landing Zone.";
    /// A dataset location under no lake root.
    LocationNotAllowed, "LOCATION_NOT_ALLOWED", 400, None, "Invalid request", Permanent, "Place the table below a lake root, or add a root under `[lake.roots.NAME]` in the configuration.";
    /// Unknown flow in POST /runs.
    FlowUnknown, "FLOW_UNKNOWN", 400, Some("1430"), "Invalid request", Permanent, "Check the flow id.";
    /// Action on an unknown flow.
    ActionFlowUnknown, "ACTION_FLOW_UNKNOWN", 400, Some("1439"), "Resource not found", Permanent, "Check the flow id.";
    /// Enable or disable when it already is.
    ActionNotAllowed, "ACTION_NOT_ALLOWED", 400, Some("1422"), "Invalid request", Permanent, "Read the flow's state first.";
    /// Unknown action.
    ActionUnknown, "ACTION_UNKNOWN", 400, Some("1435"), "Invalid request", Permanent, "Use op=enable or op=disable.";
    /// The flow's state does not allow a run.
    FlowStateInvalid, "FLOW_STATE_INVALID", 400, Some("1444"), "Invalid request", Permanent, "Enable the flow first.";
    /// A resource in use cannot be deleted.
    ResourceInUse, "RESOURCE_IN_USE", 400, Some("1447"), "Invalid request", Permanent, "Delete the flows that use it first.";
    /// Unknown field in a filter.
    FilterFieldInvalid, "FILTER_FIELD_INVALID", 400, Some("1449"), "Invalid request", Permanent, "Filter by a field that the resource has.";
    /// Operator that does not exist.
    FilterOperatorInvalid, "FILTER_OPERATOR_INVALID", 400, Some("1450"), "Invalid request", Permanent, "Use ==, !=, >, >=, < or <=.";
    /// Filter without a value, or with one of the wrong type.
    FilterValueInvalid, "FILTER_VALUE_INVALID", 400, Some("1452"), "Invalid request", Permanent, "Give a value of the field's type.";
    /// `limit`, `start` or a continuation token that cannot be used.
    PageInvalid, "PAGE_INVALID", 400, None, "Invalid request", Permanent, "Use limit 1 to 100 and the continuation token of the previous page.";
    /// A required query parameter is missing.
    QueryParameterMissing, "QUERY_PARAMETER_MISSING", 400, Some("2119"), "Query parameter missing", Permanent, "Add the named parameter.";
    /// No such sandbox.
    SandboxNotFound, "SANDBOX_NOT_FOUND", 404, Some("2100"), "Sandbox not found", Permanent, "Check `x-sandbox-name`, or leave it out for the default sandbox.";
    /// Too much at once.
    ServiceBusy, "SERVICE_BUSY", 503, Some("1103"), "Service Unavailable", Transient, "Try again after a pause.";
    /// The metadata database failed.
    StoreUnavailable, "STORE_UNAVAILABLE", 503, Some("1103"), "Service Unavailable", Transient, "Check disk space and permissions of the data directory.";
    /// Something that should not be possible.
    Internal, "INTERNAL", 500, Some("1400"), "Internal Error", Permanent, "Report this with the log lines around it.";

    // The lake.
    /// No table at the location.
    SourceNotFound, "SOURCE_NOT_FOUND", 404, None, "Source not found", Permanent, "Check that the table exists at the dataset's location.";
    /// The dataset was deleted after the flow was made.
    DatasetDeleted, "DATASET_DELETED", 404, None, "Dataset deleted", Permanent, "Point the flow at a source connection without this dataset.";
    /// History needed for the increment is gone.
    SourceHistoryLost, "SOURCE_HISTORY_LOST", 409, None, "Source history lost", Permanent, "Start a full re-sync: POST /runs with params.full = true, or `offtake flows run FLOW --full`; keep table history longer than the flow's interval.";
    /// A planned file is gone.
    SourceVanished, "SOURCE_VANISHED", 409, None, "Source file vanished", Permanent, "The table was vacuumed while it was read; the next run plans again from the same position.";
    /// A planned file has other bytes now.
    SourceChanged, "SOURCE_CHANGED", 409, None, "Source file changed", Permanent, "Something rewrites files in place; the next run plans again from the same position.";
    /// A data or log file cannot be decoded.
    SourceCorrupt, "SOURCE_CORRUPT", 422, None, "Source file corrupt", Permanent, "Restore the named file; nothing of this delivery was made visible.";
    /// Rows were deleted, updated or rewritten in an incremental range.
    SourceRewritten, "SOURCE_REWRITTEN", 409, None, "Source rewritten", Permanent, "Set `onRewrite: full` on the target connection, or start a full re-sync with params.full = true.";
    /// The table uses a feature this build does not read.
    SourceFeatureUnsupported, "SOURCE_FEATURE_UNSUPPORTED", 422, None, "Table feature not supported", Permanent, "The named table feature cannot be read by this build; write the table without it.";
    /// The lake does not answer.
    SourceUnreachable, "SOURCE_UNREACHABLE", 503, None, "Source unreachable", Transient, "Check the lake root's storage and network; the delivery tries again.";
    /// A path of the table's own log leaves its root.
    SourceOutsideRoot, "SOURCE_OUTSIDE_ROOT", 422, None, "Source outside its root", Permanent, "The table refers to files outside its lake root; copy them in.";

    // Destinations.
    /// The destination does not answer.
    DestinationUnreachable, "DESTINATION_UNREACHABLE", 503, None, "Destination unreachable", Transient, "Check the destination's address and network; the delivery tries again.";
    /// No room at the destination.
    DestinationFull, "DESTINATION_FULL", 507, None, "Destination full", Transient, "Free space at the destination; the delivery tries again.";
    /// Credentials refused.
    DestinationDenied, "DESTINATION_DENIED", 403, None, "Destination denied", Credentials, "Renew the connection's credentials or rights; the delivery goes on from where it stands.";
    /// Something else lies at a file's final name.
    DestinationConflict, "DESTINATION_CONFLICT", 409, None, "Destination conflict", Permanent, "Another writer put a file at our name; remove it and run again.";
    /// It cannot be told whether a file was published.
    DestinationAmbiguous, "DESTINATION_AMBIGUOUS", 409, None, "Destination ambiguous", Permanent, "Check the named file by hand and resolve the delivery.";
    /// The destination answered against its protocol.
    DestinationProtocol, "DESTINATION_PROTOCOL", 502, None, "Destination protocol", Transient, "The destination answered unexpectedly; the delivery tries again.";

    // Deliveries.
    /// A value cannot be written in the asked format.
    TypeNotSupported, "TYPE_NOT_SUPPORTED", 422, None, "Type not supported", Permanent, "Leave the named column out of the table or choose the other file type.";
    /// Rows read and written differ.
    RowsMismatch, "ROWS_MISMATCH", 500, None, "Row count mismatch", Permanent, "Report this; nothing of this delivery was made visible.";
    /// The worker process ended.
    WorkerLost, "WORKER_LOST", 503, None, "Worker lost", Transient, "The worker process ended, often for lack of memory; the delivery tries again.";
    /// The memory budget was used up.
    MemoryExceeded, "MEMORY_EXCEEDED", 507, None, "Memory exceeded", Permanent, "Raise `worker.memory_max_mib` or write the table with smaller row groups.";
    /// Tried too often.
    RetriesExhausted, "RETRIES_EXHAUSTED", 503, None, "Retries exhausted", Permanent, "The next run starts from the same position; look at the cause first.";
    /// Cancelled by a person or by deletion of the flow.
    Cancelled, "CANCELLED", 409, None, "Cancelled", Permanent, "Nothing of this delivery remains; the next run starts from the same position.";
    /// An invariant broke; a person decides.
    Quarantined, "QUARANTINED", 500, None, "Quarantined", Permanent, "The delivery stopped because going on could lose or repeat rows; report this.";
    /// A manifest is not what offtake wrote.
    ManifestInvalid, "MANIFEST_INVALID", 422, None, "Manifest invalid", Permanent, "Get the manifest again from the place it was delivered to; `offtake verify` reads only unchanged ones.";
    /// Skipped because another run of the flow was still waiting.
    Overlapped, "OVERLAPPED", 409, None, "Overlapped", Permanent, "Nothing is lost: the run before it covers the same rows.";
    /// A staged file vanished before it was published.
    StagedLost, "STAGED_LOST", 503, None, "Staged file lost", Transient, "The file is written again.";
}

impl ErrorCode {
    /// The code's run-level form (contract, 8.4): `EXPORT-<nnnn>-<status>`.
    pub fn run_code(self) -> String {
        let ordinal = Self::ALL
            .iter()
            .position(|code| *code == self)
            .unwrap_or_default()
            + 1000;
        format!("EXPORT-{ordinal:04}-{}", self.status().clamp(100, 599))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A failure at a port: the code, what was attempted on which object, and the cause as text without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of failure.
    pub code: ErrorCode,
    /// What was attempted, on which object (kind and name). Never a secret, never row data.
    pub message: String,
    /// The chain of causes, outermost first, for logs and operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl Fault {
    /// A fault without a cause.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            cause: None,
        }
    }

    /// Adds the chain of an error's sources as the cause.
    #[must_use]
    pub fn because(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut next = error.source();
        while let Some(source) = next {
            let text = source.to_string();
            if !chain.ends_with(&text) {
                chain.push_str(": ");
                chain.push_str(&text);
            }
            next = source.source();
        }
        self.cause = Some(chain);
        self
    }

    /// Whether trying again can help.
    pub const fn retry(&self) -> Retry {
        self.code.retry()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
        let mut pages: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
        pages.sort();
        let mut codes: Vec<String> = ErrorCode::ALL
            .iter()
            .map(|code| format!("{}.md", code.name()))
            .collect();
        codes.sort();
        assert_eq!(pages, codes);
    }
}
