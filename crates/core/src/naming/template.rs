//! Folder templates with macros (contract, 7.1).
//!
//! A template is parsed once, when the flow is made, so that an unknown macro is refused there; it is expanded at
//! plan time from the occurrence. It never yields an empty, `.` or `..` segment from a name.

use std::fmt::Write as _;

use offtake_model::{ErrorCode, Fault, Millis};

use super::{check_key, join, normalise_path};
use crate::calendar::{self, Civil};

/// Most characters of a template.
const TEMPLATE_CHARS_MAX: usize = 1_024;

const MACROS: &str = "%DATASET_ID%, %DATASET_NAME%, %DESTINATION%, %DESTINATION_NAME%, %DESTINATION_INSTANCE_ID%, \
    %DESTINATION_INSTANCE_NAME%, %SANDBOX_NAME%, %ORGANIZATION_NAME%, %DATETIME(format)% and %EXPORT_TIME%";

/// A parsed folder template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderTemplate {
    parts: Vec<Part>,
}

/// What the macros stand for.
#[derive(Clone, Copy, Debug)]
pub struct TemplateValues<'a> {
    /// The dataset's id.
    pub dataset_id: &'a str,
    /// The dataset's name.
    pub dataset_name: &'a str,
    /// The destination's catalogue name, such as `Amazon S3`.
    pub destination: &'a str,
    /// The flow's id.
    pub flow_id: &'a str,
    /// The flow's name.
    pub flow_name: &'a str,
    /// The sandbox's name.
    pub sandbox: &'a str,
    /// The organisation's name.
    pub organisation: &'a str,
    /// The occurrence.
    pub occurrence: Millis,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    DatasetId,
    DatasetName,
    Destination,
    FlowId,
    FlowName,
    Sandbox,
    Organisation,
    ExportTime,
    DateTime(Vec<DatePart>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DatePart {
    Literal(String),
    Field { letter: char, width: usize },
}

impl FolderTemplate {
    /// Parses a template. An unknown macro or date letter, a lone `%` or a path that leaves its folder is a fault.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.chars().count() > TEMPLATE_CHARS_MAX {
            return Err(refused("the template is longer than 1,024 characters"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('%') {
            push_literal(&mut parts, literal);
            let (part, tail) = parse_macro(after)?;
            parts.push(part);
            rest = tail;
        }
        push_literal(&mut parts, rest);
        let template = Self { parts };
        template.check_shape()?;
        Ok(template)
    }

    /// Whether folders of different datasets always differ.
    pub fn separates_datasets(&self) -> bool {
        self.parts.contains(&Part::DatasetId)
    }

    /// The folder below the target's path: names made harmless, slashes tidied.
    pub fn expand(&self, path: &str, values: &TemplateValues<'_>) -> Result<String, Fault> {
        let mut folder = String::new();
        for part in &self.parts {
            part.expand(values, &mut folder);
        }
        let folder = join(&[path, &normalise_path(&folder)?]);
        if !folder.is_empty() {
            check_key(&folder)?;
        }
        Ok(folder)
    }

    /// Expands with harmless values, to find at create what would fail at plan time.
    fn check_shape(&self) -> Result<(), Fault> {
        let folder = self.expand(
            "",
            &TemplateValues {
                dataset_id: "d",
                dataset_name: "d",
                destination: "d",
                flow_id: "f",
                flow_name: "f",
                sandbox: "s",
                organisation: "o",
                occurrence: Millis(0),
            },
        )?;
        if folder.is_empty() {
            return Err(refused("the template names no folder"));
        }
        Ok(())
    }
}

impl Part {
    fn expand(&self, values: &TemplateValues<'_>, out: &mut String) {
        match self {
            Self::Literal(text) => out.push_str(text),
            Self::DatasetId => out.push_str(&harmless(values.dataset_id)),
            Self::DatasetName => out.push_str(&harmless(values.dataset_name)),
            Self::Destination => out.push_str(&harmless(values.destination)),
            Self::FlowId => out.push_str(&harmless(values.flow_id)),
            Self::FlowName => out.push_str(&harmless(values.flow_name)),
            Self::Sandbox => out.push_str(&harmless(values.sandbox)),
            Self::Organisation => out.push_str(&harmless(values.organisation)),
            Self::ExportTime => {
                out.push_str("exportTime=");
                out.push_str(&calendar::export_time(values.occurrence));
            }
            Self::DateTime(parts) => {
                let civil = Civil::at(values.occurrence);
                for part in parts {
                    part.expand(&civil, out);
                }
            }
        }
    }
}

impl DatePart {
    fn expand(&self, civil: &Civil, out: &mut String) {
        let (letter, width) = match self {
            Self::Literal(text) => return out.push_str(text),
            Self::Field { letter, width } => (*letter, *width),
        };
        let number = match letter {
            'y' if width == 2 => civil.year.rem_euclid(100),
            'y' => civil.year,
            'M' => i64::from(civil.month),
            'd' => i64::from(civil.day),
            'H' => i64::from(civil.hour),
            'm' => i64::from(civil.minute),
            's' => i64::from(civil.second),
            _ => return expand_fraction(civil, width, out),
        };
        // Writing to a string can't fail.
        let _ = write!(out, "{number:0width$}");
    }
}

/// The first digits of the fraction of a second.
fn expand_fraction(civil: &Civil, width: usize, out: &mut String) {
    let digits = format!("{:03}000000", civil.milli);
    out.extend(digits.chars().take(width));
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
}

/// Parses what follows a `%`, up to and with the closing one.
fn parse_macro(after: &str) -> Result<(Part, &str), Fault> {
    if let Some(format) = after.strip_prefix("DATETIME(") {
        return parse_date_time(format);
    }
    let Some((name, tail)) = after.split_once('%') else {
        return Err(refused(format!(
            "a `%` opens a macro that is not closed; known are {MACROS}"
        )));
    };
    let part = match name {
        "DATASET_ID" => Part::DatasetId,
        "DATASET_NAME" => Part::DatasetName,
        "DESTINATION" | "DESTINATION_NAME" => Part::Destination,
        "DESTINATION_INSTANCE_ID" => Part::FlowId,
        "DESTINATION_INSTANCE_NAME" => Part::FlowName,
        "SANDBOX_NAME" => Part::Sandbox,
        "ORGANIZATION_NAME" => Part::Organisation,
        "EXPORT_TIME" => Part::ExportTime,
        _ => {
            return Err(refused(format!(
                "unknown macro {}; known are {MACROS}",
                crate::validate::quoted(&format!("%{name}%"))
            )));
        }
    };
    Ok((part, tail))
}

/// Parses a date format up to `)%`. Quotes enclose literal text, two quotes are one.
fn parse_date_time(format: &str) -> Result<(Part, &str), Fault> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut quoted = false;
    let mut chars = format.char_indices().peekable();
    while let Some((at, letter)) = chars.next() {
        if letter == '\'' {
            if chars.next_if(|(_, next)| *next == '\'').is_some() {
                literal.push('\'');
            } else {
                quoted = !quoted;
            }
            continue;
        }
        if quoted || !(letter.is_ascii_alphabetic() || letter == ')') {
            literal.push(letter);
            continue;
        }
        if letter == ')' {
            if let Some(tail) = format.get(at..).and_then(|it| it.strip_prefix(")%")) {
                push_date_literal(&mut parts, &mut literal);
                return Ok((Part::DateTime(parts), tail));
            }
            literal.push(letter);
            continue;
        }
        let mut width = 1;
        while chars.next_if(|(_, next)| *next == letter).is_some() {
            width += 1;
        }
        push_date_literal(&mut parts, &mut literal);
        parts.push(date_field(letter, width)?);
    }
    Err(refused("%DATETIME( is not closed with )%"))
}

fn push_date_literal(parts: &mut Vec<DatePart>, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(DatePart::Literal(std::mem::take(literal)));
    }
}

/// `Y` is the calendar year here: the documented samples use it so (contract, 16).
fn date_field(letter: char, width: usize) -> Result<DatePart, Fault> {
    let letter = if letter == 'Y' { 'y' } else { letter };
    let width_max = match letter {
        'y' => 4,
        'M' | 'd' | 'H' | 'm' | 's' => 2,
        'S' => 9,
        _ => 0,
    };
    if width <= width_max {
        return Ok(DatePart::Field { letter, width });
    }
    Err(refused(format!(
        "{} is not a date field of %DATETIME(format)%; use yyyy, yy, MM, dd, HH, mm, ss or SSS, and quote literal text",
        crate::validate::quoted(&letter.to_string().repeat(width.min(16)))
    )))
}

/// A name that stays one segment of a path.
fn harmless(name: &str) -> String {
    let mut clean: String = name
        .chars()
        .map(|it| match it {
            '/' | '\\' => '_',
            it if it.is_control() => '_',
            it => it,
        })
        .collect();
    while clean.contains("..") {
        clean = clean.replace("..", "_");
    }
    if clean.is_empty() {
        clean.push('_');
    }
    clean
}

fn refused(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::FieldInvalid, message)
}

#[cfg(test)]
mod tests {
    use offtake_model::Millis;
    use proptest::prelude::*;

    use super::{FolderTemplate, TemplateValues};
    use crate::naming::check_key;

    fn values<'a>() -> TemplateValues<'a> {
        TemplateValues {
            dataset_id: "5ef3e3259ad2a1191ab7dd7d",
            dataset_name: "Orders / EU..",
            destination: "Amazon S3",
            flow_id: "7a6e0d3a-6b7e-4b47-8a4e-4b5d1f6a7c11",
            flow_name: "Orders",
            sandbox: "prod",
            organisation: "Acme",
            occurrence: Millis(1_675_901_210_042),
        }
    }

    fn expand(template: &str) -> String {
        FolderTemplate::parse(template)
            .unwrap()
            .expand("base", &values())
            .unwrap()
    }

    #[test]
    fn every_macro_expands() {
        for (template, folder) in [
            (
                "%DESTINATION%_%DATASET_ID%_%DATETIME(YYYYMMdd_HHmmss)%",
                "base/Amazon S3_5ef3e3259ad2a1191ab7dd7d_20230209_000650",
            ),
            (
                "%DESTINATION_NAME%/%EXPORT_TIME%",
                "base/Amazon S3/exportTime=202302090006",
            ),
            (
                "%DESTINATION_INSTANCE_ID%",
                "base/7a6e0d3a-6b7e-4b47-8a4e-4b5d1f6a7c11",
            ),
            (
                "%DESTINATION_INSTANCE_NAME%-%SANDBOX_NAME%-%ORGANIZATION_NAME%",
                "base/Orders-prod-Acme",
            ),
            ("%DATASET_NAME%", "base/Orders _ EU_"),
            ("%DATETIME(yy-M-d'T'H:m:s.SSS)%", "base/23-2-9T0:6:50.042"),
            ("%DATETIME('%(day)%'' 'dd)%", "base/%(day)%' 09"),
            ("/a//b/", "base/a/b"),
        ] {
            assert_eq!(expand(template), folder, "{template}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_refused_at_once() {
        for template in [
            "",
            "/",
            "%",
            "a%b",
            "%dataset_id%",
            "%UNKNOWN%",
            "%DATETIME(yyyy",
            "%DATETIME(DD)%",
            "%DATETIME(MMM)%",
            "%DATETIME(yyyyy)%",
            "%DATETIME('yyyy)%",
            "a/../b",
            "a\nb",
        ] {
            assert!(FolderTemplate::parse(template).is_err(), "{template:?}");
        }
    }

    #[test]
    fn only_the_dataset_id_keeps_datasets_apart() {
        assert!(
            FolderTemplate::parse("%DATASET_ID%")
                .unwrap()
                .separates_datasets()
        );
        assert!(
            !FolderTemplate::parse("%DATASET_NAME%")
                .unwrap()
                .separates_datasets()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_name_leaves_its_folder(name in "[a./\\\\\u{1}]{0,8}") {
            let mut values = values();
            values.dataset_name = &name;
            let template = FolderTemplate::parse("x/%DATASET_NAME%/%DATASET_ID%").unwrap();
            let folder = template.expand("base", &values).unwrap();
            prop_assert!(check_key(&folder).is_ok());
            prop_assert!(folder.starts_with("base/x/"));
        }

        #[test]
        fn any_text_gives_an_answer(text in "(%|DATETIME\\(|\\)|'|y|DATASET_ID|/|\\.|\u{e9}){0,12}") {
            let _ = FolderTemplate::parse(&text);
        }
    }
}
