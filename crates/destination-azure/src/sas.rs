//! Shared access signatures: what one says of itself, read before it is used.
//!
//! The store has the last word: what a signature leaves to a stored policy (`si`) cannot be read here.
//!
//! The one law: only what certainly cannot work is refused.

use std::fmt;
use std::time::{Duration, SystemTime};

use offtake_model::{ErrorCode, Fault};
use offtake_storage::AzureSigner;
use secrecy::SecretString;

use crate::instant;

/// What must be left of a signature's time when something is begun with it.
pub(crate) const LEFT_MIN: Duration = Duration::from_mins(15);

/// Most bytes of a signature's text.
const TEXT_BYTES_MAX: usize = 4_096;

/// A shared access signature.
#[derive(Clone)]
pub(crate) struct Sas {
    pairs: Vec<(String, SecretString)>,
    /// When it ends, where it says so.
    ends: Option<SystemTime>,
    /// Its rights, a letter each, where it says so.
    rights: Option<String>,
    /// Why it cannot be used on files of a container.
    misplaced: Option<&'static str>,
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sas").finish_non_exhaustive()
    }
}

impl Sas {
    /// Reads the query pairs of a signature, with or without a leading question mark. The error completes a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().trim_start_matches('?');
        if text.len() > TEXT_BYTES_MAX {
            return Err("is longer than 4096 bytes");
        }
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect();
        let get = |name: &str| {
            let found = pairs.iter().find(|(known, _)| known == name);
            found
                .map(|(_, value)| value.as_str())
                .filter(|it| !it.is_empty())
        };
        if get("sig").is_none() {
            return Err("has no `sig`");
        }
        let misplaced = match (get("sr"), get("ss"), get("srt")) {
            (Some("c" | "d"), _, _) => None,
            (Some(_), _, _) => Some("it opens a single blob (`sr`), not a container"),
            (None, Some(services), _) if !services.contains('b') => {
                Some("it opens other services than Blob (`ss`)")
            }
            (None, _, Some(types)) if !types.contains('o') => {
                Some("it does not open objects (`srt`)")
            }
            (None, _, _) => None,
        };
        Ok(Self {
            ends: get("se").and_then(instant::read),
            rights: get("sp").map(str::to_owned),
            misplaced,
            pairs: pairs
                .iter()
                .map(|(name, value)| (name.clone(), SecretString::from(value.as_str())))
                .collect(),
        })
    }

    pub(crate) fn signer(&self) -> AzureSigner {
        AzureSigner::Sas(self.pairs.clone())
    }

    /// Whether it has certainly ended.
    pub(crate) fn has_ended(&self, now: SystemTime) -> bool {
        self.ends.is_some_and(|ends| ends <= now)
    }

    /// Refuses a signature that files cannot be written with, or that ends too soon for one to be begun.
    ///
    /// # Errors
    /// `SAS_TOO_NARROW`, `DESTINATION_KEYS_EXPIRED`.
    pub(crate) fn check(&self, now: SystemTime) -> Result<(), Fault> {
        if let Some(reason) = self.misplaced {
            return Err(narrow(reason));
        }
        if let Some(rights) = &self.rights {
            let may = |letter: char| rights.contains(letter);
            if !may('w') && !may('c') {
                return Err(narrow(
                    "it may neither create nor write (`sp` has neither `c` nor `w`)",
                ));
            }
            if !may('w') && !may('r') {
                return Err(narrow(
                    "it may create, but neither read nor write (`sp` has neither `r` nor `w`)",
                ));
            }
        }
        let Some(ends) = self.ends else { return Ok(()) };
        let expired = |what: &str| {
            Err(Fault::new(
                ErrorCode::DestinationKeysExpired,
                format!("use the shared access signature: {what}"),
            ))
        };
        match ends.duration_since(now) {
            Err(_) => expired("it has ended (`se`)"),
            Ok(left) if left < LEFT_MIN => {
                expired("it ends within 15 minutes (`se`), too soon to begin a file")
            }
            Ok(_) => Ok(()),
        }
    }
}

fn narrow(reason: &str) -> Fault {
    Fault::new(
        ErrorCode::SasTooNarrow,
        format!("use the shared access signature: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use offtake_model::ErrorCode;

    use super::Sas;
    use crate::instant;

    fn at(text: &str) -> SystemTime {
        instant::read(text).unwrap()
    }

    #[test]
    fn a_signature_says_when_it_ends() {
        let sas = Sas::parse("sv=2023-11-03&sr=c&sp=rcwd&se=2026-11-26T06%3A30Z&sig=x").unwrap();
        let code = |now: &str| sas.check(at(now)).err().map(|fault| fault.code);
        assert_eq!(code("2026-11-26T06:00Z"), None);
        assert_eq!(
            code("2026-11-26T06:16Z"),
            Some(ErrorCode::DestinationKeysExpired)
        );
        assert_eq!(
            code("2026-11-26T06:31Z"),
            Some(ErrorCode::DestinationKeysExpired)
        );
        assert!(!sas.has_ended(at("2026-11-26T06:29Z")) && sas.has_ended(at("2026-11-26T06:30Z")));
    }

    #[test]
    fn a_signature_that_files_cannot_be_written_with_is_refused() {
        for (text, narrow) in [
            ("sr=c&sp=rcwd", false),
            ("sr=c&sp=cw", false),
            ("sr=c&sp=rc", false),
            ("sr=d&sdd=1&sp=rw", false),
            ("si=policy&sr=c", false),
            ("ss=bf&srt=sco&sp=rwdlac", false),
            ("sr=c&sp=rl", true),
            ("sr=c&sp=c", true),
            ("sr=b&sp=rcw", true),
            ("ss=q&srt=sco&sp=rwdlac", true),
            ("ss=b&srt=sc&sp=rwdlac", true),
        ] {
            let sas = Sas::parse(&format!("{text}&sig=x")).unwrap();
            let code = sas.check(UNIX_EPOCH).err().map(|fault| fault.code);
            assert_eq!(code, narrow.then_some(ErrorCode::SasTooNarrow), "{text}");
        }
    }
}
