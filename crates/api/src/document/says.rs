//! What the document says of one operation, written beside its route.
//!
//! Answers are named by the types of the wire, so that the document cannot say a field that no answer has.

use offtake_api_types::{CountOf, Created, ItemsOf};
use offtake_model::ErrorCode as E;
use serde_json::{Value, json};

use super::bodies::Body;
use super::schemas::Schemas;

/// Makes the schema of a type of the wire.
pub(super) type MakeSchema = fn(&Schemas) -> Value;

/// What there is to say of an operation.
#[derive(Clone, Debug)]
pub(crate) struct Says {
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) note: &'static str,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) codes: Vec<E>,
    pub(super) xml_from: Option<u16>,
}

/// A query parameter or a header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: &'static str,
    pub(super) about: &'static str,
    pub(super) required: bool,
    pub(super) kind: Kind,
}

/// The values of a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A whole number between these.
    Number(u32, u32),
    /// Texts, one parameter each.
    Texts,
}

/// A good answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    pub(super) content: Content,
}

/// What a good answer carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Nothing,
    Json(MakeSchema),
    Bytes(&'static str),
}

/// What makes a request safe to repeat.
pub(crate) const IDEMPOTENCY_KEY: Parameter = header(
    "Idempotency-Key",
    "Sent again with the same key, the request makes nothing more. 1 to 128 printable ASCII characters.",
);

const PROPERTY: Parameter = Parameter {
    name: "property",
    place: "query",
    about: "A filter: a path, `==`, `!=`, `>`, `>=`, `<` or `<=`, and a value; `a,b` for either. Repeated for AND.",
    required: false,
    kind: Kind::Texts,
};

const TOKEN: Parameter = query(
    "continuationToken",
    "From `_links.next.href` of the page before. It carries the filters and the order.",
);

const LIST: [Parameter; 4] = [
    query("limit", "Items on a page, 20 when absent.").number(1, 100),
    query(
        "orderby",
        "`createdAt`, `updatedAt`, `name`, `id`, separated by commas; `-` before a field for descending order.",
    ),
    query("count", "`true`: only how many there are.").words(&["true", "false"]),
    TOKEN,
];

const LIST_CODES: [E; 3] = [E::PageInvalid, E::SortFieldInvalid, E::SortSignInvalid];

const FILTER_CODES: [E; 6] = [
    E::FilterFieldInvalid,
    E::FilterOperatorInvalid,
    E::FilterOperatorMismatch,
    E::FilterListInvalid,
    E::FilterValueInvalid,
    E::FilterValueEmpty,
];

/// Begins to describe an operation.
pub(crate) const fn says(id: &'static str, summary: &'static str) -> Says {
    Says {
        id,
        summary,
        note: "",
        parameters: Vec::new(),
        body: None,
        answers: Vec::new(),
        codes: Vec::new(),
        xml_from: None,
    }
}

/// An optional query parameter.
pub(crate) const fn query(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        place: "query",
        about,
        required: false,
        kind: Kind::Text,
    }
}

/// An optional header.
pub(crate) const fn header(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        place: "header",
        ..query(name, about)
    }
}

impl Parameter {
    pub(crate) const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    pub(crate) const fn words(self, words: &'static [&'static str]) -> Self {
        Self {
            kind: Kind::Words(words),
            ..self
        }
    }

    pub(crate) const fn number(self, least: u32, most: u32) -> Self {
        Self {
            kind: Kind::Number(least, most),
            ..self
        }
    }
}

impl Says {
    /// Answers of this status and above may come as XML.
    pub(crate) fn or_xml_from(self, status: u16) -> Self {
        Self {
            xml_from: Some(status),
            ..self
        }
    }

    /// More than fits into the summary.
    pub(crate) fn note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    pub(crate) fn with(mut self, parameters: &[Parameter]) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// A request body, and what a missing or unreadable one gives.
    pub(crate) fn takes(mut self, body: Body) -> Self {
        if body.json() {
            self.codes.extend([E::ContentTypeMissing, E::BodyNotJson]);
            self.codes.extend([E::BodyTooDeep, E::DocumentTooLarge]);
            self.codes.extend([E::BodyEmpty, E::FieldInvalid]);
        }
        self.body = Some(body);
        self
    }

    /// That it may be repeated under a key.
    pub(crate) fn once(self) -> Self {
        self.with(&[IDEMPOTENCY_KEY])
            .fails(&[E::IdempotencyKeyReused])
    }

    /// Failures of this operation beyond those that its other words bring with them.
    pub(crate) fn fails(mut self, codes: &[E]) -> Self {
        self.codes.extend(codes);
        self
    }

    fn answer(mut self, status: u16, about: &'static str, content: Content) -> Self {
        self.answers.push(Answer {
            status,
            about,
            content,
        });
        self
    }

    /// An answer of that type.
    pub(crate) fn gives<T>(self, status: u16, about: &'static str) -> Self {
        self.answer(status, about, Content::Json(schema::<T>))
    }

    /// An answer without a body.
    pub(crate) fn gives_nothing(self, status: u16, about: &'static str) -> Self {
        self.answer(status, about, Content::Nothing)
    }

    /// An answer of bytes.
    pub(crate) fn gives_bytes(self, status: u16, about: &'static str, kind: &'static str) -> Self {
        self.answer(status, about, Content::Bytes(kind))
    }

    /// Filters by `property`.
    pub(crate) fn filters(self) -> Self {
        self.with(&[PROPERTY]).fails(&FILTER_CODES)
    }

    /// A filtered, ordered, paged list.
    pub(crate) fn lists<T>(self) -> Self {
        self.filters().with(&LIST).fails(&LIST_CODES).answer(
            200,
            "A page, or the count.",
            Content::Json(page::<T>),
        )
    }

    /// A list asked for by a body.
    pub(crate) fn searches(self, body: Body) -> Self {
        self.with(&[TOKEN])
            .takes(body)
            .fails(&LIST_CODES)
            .fails(&FILTER_CODES)
            .answer(
                200,
                "A page of what the body asks for, or the count.",
                Content::Json(page::<Value>),
            )
    }

    /// One entity by id, wrapped like a list.
    pub(crate) fn reads<T>(self) -> Self {
        self.gives::<ItemsOf<T>>(
            200,
            "The one item; its etag stands in the header `ETag`, too.",
        )
        .fails(&[E::ResourceNotFound])
    }

    /// All of the specs.
    pub(crate) fn gives_specs(self) -> Self {
        self.gives::<ItemsOf<Value>>(200, "All of them.")
    }

    /// A new entity.
    pub(crate) fn creates(self, body: Body) -> Self {
        self.takes(body).once().gives::<Created>(201, "Made.")
    }

    /// A change by patch operations at a version.
    pub(crate) fn changes(self, body: Body) -> Self {
        self.with(&[header(
            "If-Match",
            "The etag of a fresh read, in quotes; `*` for any.",
        )
        .required()])
            .takes(body)
            .gives::<Created>(200, "Changed.")
            .fails(&[E::IfMatchMissing, E::VersionConflict, E::ResourceNotFound])
            .fails(&[E::PatchOperationInvalid, E::PatchPathInvalid])
    }

    /// An end.
    pub(crate) fn deletes(self) -> Self {
        self.gives_nothing(202, "Deleted.")
            .fails(&[E::ResourceNotFound])
    }
}

fn schema<T>(schemas: &Schemas) -> Value {
    schemas.of::<T>()
}

fn page<T>(schemas: &Schemas) -> Value {
    json!({"anyOf": [schemas.of::<ItemsOf<T>>(), schemas.of::<CountOf>()]})
}
