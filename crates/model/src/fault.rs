//! Failures as the outside sees them: one code each, with its status, documented number, retry rule and advice.
//!
//! Every code has a page of its own name in `docs/errors/`; a test holds the two lists together.
//!
//! budget: one row for each code.

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
    ($($(#[doc = $doc:literal])* $variant:ident, $name:literal, $ordinal:literal, $status:literal, $number:expr, $title:literal, $retry:ident, $advice:literal;)*) => {
        /// The name of a failure that a user can meet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code in `SCREAMING_SNAKE`, also the name of its page.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The code's own number, for ever: it is part of run codes, which clients keep.
            pub const fn ordinal(self) -> u16 {
                match self { $(Self::$variant => $ordinal,)* }
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

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),*).trim_ascii(),)* }
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
    TokenMissing, "TOKEN_MISSING", 1000, 403, Some("403010"), "Oauth token is missing.", Permanent, "Send `Authorization: Bearer <token>`; get a token from /ims/token/v3.";
    /// Token forged, expired or revoked.
    TokenInvalid, "TOKEN_INVALID", 1001, 401, Some("401013"), "Oauth token is not valid", Permanent, "Get a new token from /ims/token/v3.";
    /// No `x-api-key`.
    ApiKeyMissing, "API_KEY_MISSING", 1002, 403, Some("403000"), "Api Key is required", Permanent, "Send the client id as `x-api-key`.";
    /// Unknown client, or not the token's.
    ApiKeyInvalid, "API_KEY_INVALID", 1003, 403, Some("403003"), "Api Key is invalid", Permanent, "Send the client id that the token was issued to.";
    /// No `x-gw-ims-org-id`.
    OrgMissing, "ORG_MISSING", 1004, 400, Some("400003"), "Missing header", Permanent, "Send the organisation's id as `x-gw-ims-org-id`.";
    /// The token is for another organisation.
    OrgNotEntitled, "ORG_NOT_ENTITLED", 1005, 403, Some("403025"), "Profile is not valid", Permanent, "Use the organisation that the client belongs to.";
    /// A token request that cannot be granted.
    ClientAuthInvalid, "CLIENT_AUTH_INVALID", 1006, 400, None, "invalid_client", Permanent, "Check client id and secret; `offtake` prints them once, on first start.";
    /// A token request for another grant.
    GrantTypeInvalid, "GRANT_TYPE_INVALID", 1007, 400, None, "unsupported_grant_type", Permanent, "Use grant_type=client_credentials.";
    /// A body without `Content-Type: application/json`.
    ContentTypeMissing, "CONTENT_TYPE_MISSING", 1008, 400, None, "BadRequestError", Permanent, "Send `Content-Type: application/json`.";

    // Flow Service (contract, 3.1).
    /// No resource of that id in this sandbox.
    ResourceNotFound, "RESOURCE_NOT_FOUND", 1009, 404, Some("1101"), "Resource not found", Permanent, "Check the id, the organisation and the sandbox.";
    /// No such path.
    RouteNotFound, "ROUTE_NOT_FOUND", 1010, 404, None, "Not found", Permanent, "Check the path against the API reference.";
    /// The path exists, the method does not.
    MethodNotAllowed, "METHOD_NOT_ALLOWED", 1011, 405, None, "Method not allowed", Permanent, "Check the method against the API reference.";
    /// `If-Match` is missing.
    IfMatchMissing, "IF_MATCH_MISSING", 1012, 400, Some("1403"), "Header is missing", Permanent, "Send the etag of a fresh GET as `If-Match`.";
    /// Stale etag.
    VersionConflict, "VERSION_CONFLICT", 1013, 412, Some("1404"), "Version not matching", Permanent, "Read the resource again and repeat the change with its new etag.";
    /// Empty body.
    BodyEmpty, "BODY_EMPTY", 1014, 400, Some("1405"), "Invalid request", Permanent, "Send a JSON body.";
    /// The body is not JSON.
    BodyNotJson, "BODY_NOT_JSON", 1015, 400, None, "Invalid request", Permanent, "Send plain JSON; comments and trailing commas are not part of it.";
    /// The body, the headers or the address are larger than the limit.
    BodyTooLarge, "BODY_TOO_LARGE", 1016, 413, None, "Request too large", Permanent, "Send a body of at most 1 MiB, path and query of at most 8 KiB, headers of at most 16 KiB.";
    /// A field has the wrong type, is missing or breaks a rule.
    FieldInvalid, "FIELD_INVALID", 1017, 400, None, "Invalid request", Permanent, "Correct the named field.";
    /// `state` on create.
    StateNotAllowed, "STATE_NOT_ALLOWED", 1018, 400, Some("1410"), "Invalid request", Permanent, "Leave `state` out; use the action endpoint to enable or disable a flow.";
    /// Unknown connection or flow spec.
    SpecNotValid, "SPEC_NOT_VALID", 1019, 400, Some("1413"), "Invalid request", Permanent, "Use one of the ids listed by /connectionSpecs or /flowSpecs.";
    /// `version` of a spec is missing.
    SpecVersionMissing, "SPEC_VERSION_MISSING", 1020, 422, None, "Unprocessable entity", Permanent, "Send `version: \"1.0\"` beside the spec id.";
    /// Specs cannot be written.
    SpecReadOnly, "SPEC_READ_ONLY", 1021, 400, Some("1426"), "Invalid request", Permanent, "Specs are part of offtake; they cannot be created or changed.";
    /// Unknown authentication name.
    AuthSpecUnknown, "AUTH_SPEC_UNKNOWN", 1022, 400, Some("1415"), "Invalid request", Permanent, "Use one of the names in the connection spec's `authSpec`.";
    /// The base, source or target connection named does not exist or does not fit.
    ConnectionNotUsable, "CONNECTION_NOT_USABLE", 1023, 400, None, "Invalid request", Permanent, "Name an existing connection of the same spec and sandbox.";
    /// A dataset named in a request does not exist in this sandbox.
    DatasetUnknown, "DATASET_UNKNOWN", 1024, 400, Some("2200"), "External service request error", Permanent, "List the exportable datasets and use one of their ids.";
    /// A schedule outside the documented set.
    ScheduleInvalid, "SCHEDULE_INVALID", 1025, 400, None, "Invalid request", Permanent, "Use hour 3, 6, 8, 9, 12 or 24, day 1, or once: day 0 with DAILY_FULL_EXPORT.";
    /// Encryption was asked for.
    EncryptionNotAvailable, "ENCRYPTION_NOT_AVAILABLE", 1026, 422, None, "Unprocessable entity", Permanent, "Leave `encryption` out: files are delivered unencrypted by this version.";
    /// A flow to a destination that this build cannot deliver to.
    DestinationNotAvailable, "DESTINATION_NOT_AVAILABLE", 1027, 422, None, "Unprocessable entity", Permanent, "This build cannot deliver to this destination; use another one, or a build that has it.";
    /// A dataset location under no lake root.
    LocationNotAllowed, "LOCATION_NOT_ALLOWED", 1028, 400, None, "Invalid request", Permanent, "Place the table below a lake root, or add a root under `[lake.roots.NAME]` in the configuration.";
    /// Unknown flow in POST /runs.
    FlowUnknown, "FLOW_UNKNOWN", 1029, 400, Some("1430"), "Invalid request", Permanent, "Check the flow id.";
    /// Action on an unknown flow.
    ActionFlowUnknown, "ACTION_FLOW_UNKNOWN", 1030, 400, Some("1439"), "Resource not found", Permanent, "Check the flow id.";
    /// Enable or disable when it already is.
    ActionNotAllowed, "ACTION_NOT_ALLOWED", 1031, 400, Some("1422"), "Invalid request", Permanent, "Read the flow's state first.";
    /// Unknown action.
    ActionUnknown, "ACTION_UNKNOWN", 1032, 400, Some("1435"), "Invalid request", Permanent, "Use op=enable, op=disable or op=publish.";
    /// The flow's state does not allow a run.
    FlowStateInvalid, "FLOW_STATE_INVALID", 1033, 400, Some("1444"), "Invalid request", Permanent, "Enable the flow first.";
    /// A resource in use cannot be deleted.
    ResourceInUse, "RESOURCE_IN_USE", 1034, 400, Some("1447"), "Invalid request", Permanent, "Delete the flows that use it first.";
    /// Unknown field in a filter.
    FilterFieldInvalid, "FILTER_FIELD_INVALID", 1035, 400, Some("1449"), "Invalid request", Permanent, "Filter by a field that the resource has.";
    /// Operator that does not exist.
    FilterOperatorInvalid, "FILTER_OPERATOR_INVALID", 1036, 400, Some("1450"), "Invalid request", Permanent, "Use ==, !=, >, >=, < or <=.";
    /// Filter with a value of the wrong type.
    FilterValueInvalid, "FILTER_VALUE_INVALID", 1037, 400, Some("1452"), "Invalid request", Permanent, "Give a value of the field's type.";
    /// A patch operation that is not supported.
    PatchOperationInvalid, "PATCH_OPERATION_INVALID", 1070, 400, Some("1434"), "Invalid request", Permanent, "Use add, replace or remove, with a value where one is set.";
    /// A patch path that names no field that may be changed.
    PatchPathInvalid, "PATCH_PATH_INVALID", 1071, 400, Some("1455"), "Invalid request", Permanent, "Patch only the fields listed for the resource in the API reference.";
    /// A sort sign other than + and -.
    SortSignInvalid, "SORT_SIGN_INVALID", 1072, 400, Some("1432"), "Invalid request", Permanent, "Put - before a field for descending order, + or nothing for ascending.";
    /// A field that lists cannot be sorted by.
    SortFieldInvalid, "SORT_FIELD_INVALID", 1073, 400, Some("1433"), "Invalid request", Permanent, "Order by a field that the message names.";
    /// An operator that takes one value was given a list.
    FilterListInvalid, "FILTER_LIST_INVALID", 1074, 400, Some("1443"), "Invalid request", Permanent, "Give one value; only == and != take a list.";
    /// An operator that does not fit the field.
    FilterOperatorMismatch, "FILTER_OPERATOR_MISMATCH", 1075, 400, Some("1448"), "Invalid request", Permanent, "Compare text and true or false with == or !=.";
    /// A filter without a value.
    FilterValueEmpty, "FILTER_VALUE_EMPTY", 1076, 400, Some("1453"), "Invalid request", Permanent, "Give a value after the operator, or only the field to ask whether it is there.";
    /// Runs cannot be written by clients.
    RunReadOnly, "RUN_READ_ONLY", 1077, 400, Some("1427"), "Invalid request", Permanent, "Start a run with POST /runs; what became of it is written by offtake alone.";
    /// `limit`, `start` or a continuation token that cannot be used.
    PageInvalid, "PAGE_INVALID", 1038, 400, None, "Invalid request", Permanent, "Use limit 1 to 100 and the continuation token of the previous page.";
    /// A required query parameter is missing.
    QueryParameterMissing, "QUERY_PARAMETER_MISSING", 1039, 400, Some("2119"), "Query parameter missing", Permanent, "Add the named parameter.";
    /// No such sandbox.
    SandboxNotFound, "SANDBOX_NOT_FOUND", 1040, 404, Some("2100"), "Sandbox not found", Permanent, "Check `x-sandbox-name`, or leave it out for the default sandbox.";
    /// Too much at once.
    ServiceBusy, "SERVICE_BUSY", 1041, 503, Some("1103"), "Service Unavailable", Transient, "Try again after a pause.";
    /// The metadata database failed.
    StoreUnavailable, "STORE_UNAVAILABLE", 1042, 503, Some("1103"), "Service Unavailable", Transient, "Check disk space and permissions of the data directory.";
    /// Something that should not be possible.
    Internal, "INTERNAL", 1043, 500, Some("1400"), "Internal Error", Permanent, "Report this with the log lines around it.";

    // Edits and deletions.
    /// A base connection that flows use cannot be deleted.
    ConnectionInUse, "CONNECTION_IN_USE", 1210, 400, Some("1418"), "Invalid request", Permanent, "Delete the flows that use the connection first.";
    /// The platform of a connection cannot be changed.
    ConnectionSpecFixed, "CONNECTION_SPEC_FIXED", 1211, 400, Some("1414"), "Invalid request", Permanent, "Make a new connection of the other spec.";

    // The landing zone.
    /// A landing zone's address without a signature that is good for it.
    SignatureInvalid, "SIGNATURE_INVALID", 1200, 403, None, "Signature not valid", Permanent, "Use the whole SASUri, unchanged; get a new one from /data/foundation/connectors/landingzone/credentials.";
    /// A landing zone's signature whose time is over.
    SignatureExpired, "SIGNATURE_EXPIRED", 1201, 403, None, "Signature expired", Permanent, "Get a new SASUri from /data/foundation/connectors/landingzone/credentials.";
    /// A landing zone for which no credentials can be given out.
    ZoneCredentialsNotAvailable, "ZONE_CREDENTIALS_NOT_AVAILABLE", 1202, 422, None, "Zone credentials not available", Permanent, "Let the operator set `landing_zone.role` in the configuration, or hand out keys of the bucket by other means.";

    // Access.
    /// The caller's roles do not allow the request.
    PermissionMissing, "PERMISSION_MISSING", 1220, 403, Some("2118"), "Missing permission", Permanent, "Ask an administrator for a role that has the permission named in the message.";

    /// A name that something else has.
    NameTaken, "NAME_TAKEN", 1221, 409, None, "Name taken", Permanent, "Choose another name.";

    // Requests sent again.
    /// An `Idempotency-Key` that stands for another request.
    IdempotencyKeyReused, "IDEMPOTENCY_KEY_REUSED", 1240, 422, None, "Idempotency key reused", Permanent, "Take a new key for each thing to make; repeat a key only with the same request.";

    // Runs on request.
    /// A run that cannot be repeated.
    ReplayUnknown, "REPLAY_UNKNOWN", 1212, 404, None, "Nothing to replay", Permanent, "Name a run of this flow that delivered something, and whose records are still kept.";
    /// A dataset that is not the flow's.
    DatasetNotInFlow, "DATASET_NOT_IN_FLOW", 1213, 400, None, "Invalid request", Permanent, "Name datasets of the flow's source connection.";
    /// A dataset of the flow is being delivered.
    RunActive, "RUN_ACTIVE", 1214, 400, None, "Invalid request", Permanent, "Wait until the run that is under way has ended.";
    /// An on-demand export of audiences.
    MediaTypeNotDataset, "MEDIA_TYPE_NOT_DATASET", 1215, 400, None, "Invalid request", Permanent, "Send the dataset form of the request, with `Accept: application/vnd.adobe.adhoc.dataset.activation+json; version=1`.";
    /// An action on a run that its state does not allow.
    RunActionNotAllowed, "RUN_ACTION_NOT_ALLOWED", 1216, 400, Some("1422"), "Invalid request", Permanent, "Only a run that failed can be triggered again, and only quarantined deliveries be resolved.";

    // A restored store.
    /// Delivered before the store was restored, by a delivery that the store had forgotten.
    DeliveredBeforeRestore, "DELIVERED_BEFORE_RESTORE", 1217, 409, None, "Delivered before the restore", Permanent, "Nothing is to be done: the rows are at the destination, in the files that the named manifest lists.";
    /// What a destination holds contradicts what the restored store knows.
    DeliveriesContradict, "DELIVERIES_CONTRADICT", 1218, 409, None, "Deliveries contradict the store", Permanent, "Restore a backup of the same store; or delete the flow and make a new one, which sends the whole dataset.";
    /// A destination does not tell what was delivered after the backup.
    DeliveriesUnproven, "DELIVERIES_UNPROVEN", 1219, 409, None, "Deliveries cannot be told", Permanent, "Bring back what the message misses and reconcile again; or take the risk that rows are delivered twice, with `offtake reconcile FLOW --accept`.";

    // Batch ingestion and data access.
    /// An action or upload that the batch's state does not allow.
    BatchStateInvalid, "BATCH_STATE_INVALID", 1140, 400, None, "Batch state", Permanent, "Read the batch's status first; only a loading batch takes files, only a successful one is reverted.";
    /// A part that is no part of the file, or overlaps another.
    UploadRangeInvalid, "UPLOAD_RANGE_INVALID", 1141, 416, None, "Upload range", Permanent, "Ask with HEAD how much is there, and send the parts that are missing.";
    /// A file or batch was finished while bytes are missing.
    UploadIncomplete, "UPLOAD_INCOMPLETE", 1142, 400, None, "Upload incomplete", Permanent, "Send the missing parts and complete the file, then the batch.";
    /// A part, a file or a batch beyond its limit.
    UploadTooLarge, "UPLOAD_TOO_LARGE", 1143, 413, None, "Upload too large", Permanent, "Send parts of at most 512 MiB, and at most 1,500 files and 100 GB per batch.";
    /// An uploaded file without a byte.
    FileEmpty, "FILE_EMPTY", 1144, 400, Some("106"), "Empty file", Permanent, "Upload a file that has rows.";
    /// A CSV file whose first line names no columns.
    CsvHeaderEmpty, "CSV_HEADER_EMPTY", 1145, 400, Some("118"), "CSV header empty", Permanent, "Begin the file with a line of column names, or list them in `inputFormat.header`.";
    /// A body that is neither bytes nor a kind of file that batches take.
    MediaTypeUnsupported, "MEDIA_TYPE_UNSUPPORTED", 1146, 415, None, "Unsupported media type", Permanent, "Send `Content-Type: application/octet-stream`.";
    /// A batch for a dataset that others write.
    DatasetNotManaged, "DATASET_NOT_MANAGED", 1147, 400, None, "Dataset not managed", Permanent, "Make a dataset without `location`; one with a location is written by whoever keeps the table.";
    /// A batch with rows that cannot be read or don't fit its dataset.
    BatchRowsInvalid, "BATCH_ROWS_INVALID", 1148, 422, None, "Batch rows invalid", Permanent, "Correct the rows that the batch's errors name, and send the files in a new batch.";
    /// An `inputFormat` that cannot be used.
    InputFormatInvalid, "INPUT_FORMAT_INVALID", 1149, 400, None, "Input format", Permanent, "Use json, parquet or csv, with the options of the API reference.";
    /// A path of the import service beyond its limit.
    UriTooLong, "URI_TOO_LONG", 1150, 414, None, "URI too long", Permanent, "Use shorter file names: path and query may have 2,000 characters.";
    /// A download range outside the file.
    RangeNotSatisfiable, "RANGE_NOT_SATISFIABLE", 1151, 416, None, "Range not satisfiable", Permanent, "Ask for one range of bytes that the file has.";
    /// Bytes that stopped arriving.
    UploadInterrupted, "UPLOAD_INTERRUPTED", 1152, 400, None, "Upload interrupted", Permanent, "Send the part again.";

    // The lake.
    /// No table at the location.
    SourceNotFound, "SOURCE_NOT_FOUND", 1044, 404, None, "Source not found", Permanent, "Check that the table exists at the dataset's location.";
    /// The dataset was deleted after the flow was made.
    DatasetDeleted, "DATASET_DELETED", 1045, 404, None, "Dataset deleted", Permanent, "Point the flow at a source connection without this dataset.";
    /// History needed for the increment is gone.
    SourceHistoryLost, "SOURCE_HISTORY_LOST", 1046, 409, None, "Source history lost", Permanent, "Start a full re-sync: POST /runs with params.full = true, or `offtake flows run FLOW --full`; keep table history longer than the flow's interval.";
    /// A planned file is gone.
    SourceVanished, "SOURCE_VANISHED", 1047, 409, None, "Source file vanished", Permanent, "The table was vacuumed while it was read; the next run plans again from the same position.";
    /// A planned file has other bytes now.
    SourceChanged, "SOURCE_CHANGED", 1048, 409, None, "Source file changed", Permanent, "Something rewrites files in place; the next run plans again from the same position.";
    /// A data or log file cannot be decoded.
    SourceCorrupt, "SOURCE_CORRUPT", 1049, 422, None, "Source file corrupt", Permanent, "Restore the named file; nothing of this delivery was made visible.";
    /// Rows were deleted, updated or rewritten in an incremental range.
    SourceRewritten, "SOURCE_REWRITTEN", 1050, 409, None, "Source rewritten", Permanent, "Start a full re-sync: POST /runs with params.full = true, or `offtake flows run FLOW --full`; or point the flow at a target connection made with `onRewrite: full`.";
    /// The table uses a feature this build does not read.
    SourceFeatureUnsupported, "SOURCE_FEATURE_UNSUPPORTED", 1051, 422, None, "Table feature not supported", Permanent, "The named table feature cannot be read by this build; write the table without it.";
    /// The lake does not answer.
    SourceUnreachable, "SOURCE_UNREACHABLE", 1052, 503, None, "Source unreachable", Transient, "Check the lake root's storage and network; the delivery tries again.";
    /// A path of the table's own log leaves its root.
    SourceOutsideRoot, "SOURCE_OUTSIDE_ROOT", 1053, 422, None, "Source outside its root", Permanent, "The table refers to files outside its lake root; copy them in.";

    // Places of the lake.
    /// Files of one folder have types that cannot be brought together.
    SourceSchemaConflict, "SOURCE_SCHEMA_CONFLICT", 1130, 422, None, "Source schemas conflict", Permanent, "Write the named file again with the type that the others have, or move it to a dataset of its own.";
    /// The lake refuses us.
    SourceDenied, "SOURCE_DENIED", 1131, 403, None, "Source denied", Credentials, "Renew the lake root's credentials or its rights to list and read; the delivery goes on from where it stands.";

    // Destinations.
    /// The destination does not answer.
    DestinationUnreachable, "DESTINATION_UNREACHABLE", 1054, 503, None, "Destination unreachable", Transient, "Check the destination's address and network; the delivery tries again.";
    /// No room at the destination.
    DestinationFull, "DESTINATION_FULL", 1055, 507, None, "Destination full", Transient, "Free space at the destination; the delivery tries again.";
    /// Credentials refused.
    DestinationDenied, "DESTINATION_DENIED", 1056, 403, None, "Destination denied", Credentials, "Renew the connection's credentials or rights; the delivery goes on from where it stands.";
    /// Something else lies at a file's final name.
    DestinationConflict, "DESTINATION_CONFLICT", 1057, 409, None, "Destination conflict", Permanent, "Another writer put a file at our name; remove it and run again.";
    /// It cannot be told whether a file was published.
    DestinationAmbiguous, "DESTINATION_AMBIGUOUS", 1058, 409, None, "Destination ambiguous", Permanent, "Check the named file by hand; then export with a new flow, which starts from the whole dataset.";
    /// The destination answered against its protocol.
    DestinationProtocol, "DESTINATION_PROTOCOL", 1059, 502, None, "Destination protocol", Transient, "The destination answered unexpectedly; the delivery tries again.";

    // Object stores.
    /// No such bucket, container or file system.
    DestinationBucketMissing, "DESTINATION_BUCKET_MISSING", 1110, 404, None, "Bucket missing", Credentials, "Create the bucket or container, or name the right one in the target connection; the delivery goes on from where it stands.";
    /// Access key or secret is wrong.
    DestinationKeysInvalid, "DESTINATION_KEYS_INVALID", 1111, 403, None, "Keys not valid", Credentials, "Put the right access key and secret into the base connection; the delivery goes on from where it stands.";
    /// The credentials expired.
    DestinationKeysExpired, "DESTINATION_KEYS_EXPIRED", 1112, 403, None, "Keys expired", Credentials, "Renew the base connection's credentials; the delivery goes on from where it stands.";
    /// The bucket is in another region than the connection says.
    DestinationRegionWrong, "DESTINATION_REGION_WRONG", 1113, 400, None, "Wrong region", Credentials, "Set `region` in the base connection to the region that the message names, or leave it out.";
    /// The store's clock and ours differ.
    DestinationClockSkewed, "DESTINATION_CLOCK_SKEWED", 1114, 403, None, "Clock skewed", Transient, "Set the clock of the machine that runs offtake; signatures are good for some minutes only.";
    /// The store asks for fewer requests.
    DestinationBusy, "DESTINATION_BUSY", 1115, 503, None, "Destination busy", Transient, "The delivery tries again; if it stays so, run fewer flows to the bucket at a time.";
    /// Bytes were damaged on the way.
    DestinationDamaged, "DESTINATION_DAMAGED", 1116, 502, None, "Bytes damaged on the way", Transient, "The file is sent again; if it happens again, look at proxies and network cards on the way.";
    /// A file is larger than an upload can hold.
    DestinationFileTooLarge, "DESTINATION_FILE_TOO_LARGE", 1117, 422, None, "File too large", Permanent, "Set `maxRowsPerFile` or `targetFileBytes` on the target connection, so that the export is split into more files.";

    // Deliveries.
    /// A value cannot be written in the asked format.
    TypeNotSupported, "TYPE_NOT_SUPPORTED", 1060, 422, None, "Type not supported", Permanent, "Leave the named column out of the table or choose the other file type.";
    /// Rows read and written differ.
    RowsMismatch, "ROWS_MISMATCH", 1061, 500, None, "Row count mismatch", Permanent, "Report this; nothing of this delivery was made visible.";
    /// The worker process ended.
    WorkerLost, "WORKER_LOST", 1062, 503, None, "Worker lost", Transient, "The worker process ended, often for lack of memory; the delivery tries again.";
    /// The memory budget was used up.
    MemoryExceeded, "MEMORY_EXCEEDED", 1063, 507, None, "Memory exceeded", Permanent, "Raise `worker.memory_max_mib` or write the table with smaller row groups.";
    /// Tried too often.
    RetriesExhausted, "RETRIES_EXHAUSTED", 1064, 503, None, "Retries exhausted", Permanent, "The next run starts from the same position; look at the cause first.";
    /// Cancelled by a person or by deletion of the flow.
    Cancelled, "CANCELLED", 1065, 409, None, "Cancelled", Permanent, "Nothing of this delivery remains; the next run starts from the same position.";
    /// An invariant broke; a person decides.
    Quarantined, "QUARANTINED", 1066, 500, None, "Quarantined", Permanent, "The delivery stopped because going on could lose or repeat rows: look at the cause and the destination, then settle it with `offtake runs resolve RUN --retry` or `--give-up`.";
    /// A manifest is not what offtake wrote.
    ManifestInvalid, "MANIFEST_INVALID", 1067, 422, None, "Manifest invalid", Permanent, "Get the manifest again from the place it was delivered to; `offtake verify` reads only unchanged ones.";
    /// Skipped because another run of the flow was still waiting.
    Overlapped, "OVERLAPPED", 1068, 409, None, "Overlapped", Permanent, "Nothing is lost: the run before it covers the same rows.";
    /// A staged file vanished before it was published.
    StagedLost, "STAGED_LOST", 1069, 503, None, "Staged file lost", Transient, "The file is written again.";

    // SFTP.
    /// The server shows a host key that nobody has confirmed.
    HostKeyUnknown, "HOST_KEY_UNKNOWN", 1170, 422, None, "Host key unknown", Credentials, "Compare the fingerprint in the message with the server's own, then add the key to the connection's `hostKeys` or to the operator's known hosts.";
    /// The server shows another host key than the known one.
    HostKeyChanged, "HOST_KEY_CHANGED", 1171, 502, None, "Host key changed", Permanent, "Ask the server's owner whether the key was changed; only then replace it where it is pinned.";
    /// A private key that cannot be used.
    SshKeyUnusable, "SSH_KEY_UNUSABLE", 1172, 422, None, "SSH key unusable", Credentials, "Give an Ed25519, ECDSA or RSA private key without a passphrase, OpenSSH or PEM, as base64.";

    // Azure.
    /// A connection string that cannot be used.
    ConnectionStringInvalid, "CONNECTION_STRING_INVALID", 1180, 422, None, "Connection string not valid", Credentials, "Copy the whole connection string from the storage account's access keys or shared access signature into the base connection.";
    /// A shared access signature that files cannot be written with.
    SasTooNarrow, "SAS_TOO_NARROW", 1181, 403, None, "Signature too narrow", Credentials, "Issue a shared access signature for the container with the rights `rcwd` and put it into the base connection.";
    /// The account has no hierarchical namespace.
    NamespaceNotHierarchical, "NAMESPACE_NOT_HIERARCHICAL", 1182, 422, None, "Namespace not hierarchical", Credentials, "Name an account with hierarchical namespace enabled, or deliver to this one as Azure Blob Storage.";

    // The data directory and what a person decides.
    /// The data directory is held by another process.
    DataDirInUse, "DATA_DIR_IN_USE", 1160, 503, Some("1103"), "Service Unavailable", Transient, "Stop the other process, wait for its end, or use another data directory.";
    /// A backup is incomplete or changed, or stands where a data directory is expected.
    BackupUnusable, "BACKUP_UNUSABLE", 1161, 422, None, "Backup unusable", Permanent, "Restore a complete backup with `offtake restore` into a directory that is empty or does not exist.";

    // Limits and quotas.
    /// The client asks more often than it may.
    RateLimited, "RATE_LIMITED", 1225, 429, None, "Too many requests", Transient, "Wait as many seconds as `Retry-After` says; an operator can raise `limits.requests_per_second`.";
    /// The answer took longer than requests may take.
    RequestTimedOut, "REQUEST_TIMED_OUT", 1226, 504, Some("1104"), "Gateway Timeout", Transient, "Read what became of the request before repeating it; an operator can raise `limits.request_timeout_secs`.";
    /// JSON that is nested too deeply.
    BodyTooDeep, "BODY_TOO_DEEP", 1222, 400, None, "Invalid request", Permanent, "Send JSON with at most 64 levels of arrays and objects.";
    /// A resource would grow beyond the limit.
    DocumentTooLarge, "DOCUMENT_TOO_LARGE", 1223, 413, None, "Document too large", Permanent, "Keep a resource below 256 KiB, 20,000 values and 64 levels; use several resources instead.";

    /// An organisation has used up what it may use.
    QuotaExceeded, "QUOTA_EXCEEDED", 1224, 400, Some("1100"), "Invalid request", Permanent, "Delete what is no longer needed, wait for the next day, or ask the operator for a higher quota (`offtake org quota`).";

    // The network.
    /// A connection that the operator's policy does not allow.
    NetworkRefused, "NETWORK_REFUSED", 1100, 422, None, "Network refused", Permanent, "Use an address that may be reached, or let the operator add its network to `network.allow` (port to `network.ports`, plain HTTP by `network.allow_http`).";
    /// The other side's certificate is not trusted.
    TlsNotTrusted, "TLS_NOT_TRUSTED", 1101, 502, None, "TLS not trusted", Credentials, "Renew the certificate, or add its authority to `network.ca_file`; the delivery goes on from where it stands.";
}

impl ErrorCode {
    /// The code's run-level form (contract, 8.4): `EXPORT-<nnnn>-<status>`.
    pub fn run_code(self) -> String {
        format!("EXPORT-{:04}-{}", self.ordinal(), self.status())
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
    use std::collections::BTreeSet;

    use super::{ErrorCode, Retry};

    #[test]
    fn no_two_codes_share_a_number() {
        let numbers: BTreeSet<u16> = ErrorCode::ALL.iter().map(|code| code.ordinal()).collect();
        assert_eq!(numbers.len(), ErrorCode::ALL.len());
    }

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");

    /// The table of the overview page, a row for each code.
    fn table() -> String {
        let row = |code: &ErrorCode| {
            let again = match code.retry() {
                Retry::Transient => "yes",
                Retry::Credentials => "after mending",
                Retry::Permanent => "no",
            };
            format!(
                "| [{name}]({name}.md) | {} | {} | {again} | {} | {} |\n",
                code.status(),
                code.number().unwrap_or("–"),
                code.meaning(),
                code.run_code(),
                name = code.name(),
            )
        };
        ErrorCode::ALL.iter().map(row).collect()
    }

    /// `OFFTAKE_WRITE_DOCS=1` writes the page anew instead of failing.
    #[test]
    fn the_overview_page_has_the_row_of_every_code() {
        let path = format!("{FOLDER}/README.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let rule = "|---|---|---|---|---|---|\n";
        let begin = page.find(rule).unwrap() + rule.len();
        let end = page[begin..]
            .find("\n\n")
            .map_or(page.len(), |at| begin + at + 1);
        if std::env::var_os("OFFTAKE_WRITE_DOCS").is_some() {
            let page = format!("{}{}{}", &page[..begin], table(), &page[end..]);
            std::fs::write(&path, page).unwrap();
            return;
        }
        assert!(
            page[begin..end] == table(),
            "docs/errors/README.md is behind; run this test with OFFTAKE_WRITE_DOCS=1"
        );
    }

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let mut pages: Vec<String> = std::fs::read_dir(FOLDER)
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
