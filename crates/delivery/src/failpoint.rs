//! Named places at which a test can kill, delay or fail this process. Without the feature `failpoints` the
//! macro below expands to nothing and none of this is compiled.
//!
//! Configured by the environment variable `OFFTAKE_FAILPOINTS` when the first place is passed:
//! `after-freeze=kill`, or several separated by `;`: `after-record=2*off->kill;mid-part=delay(50)`.
//! Actions: `kill` (SIGKILL to this very process), `delay(<milliseconds>)`, `error` (the journal fails here),
//! `off`; `<n>*` before an action lets it happen n times, `->` names the one after it.
//!
//! | row of the crash matrix | place |
//! |---|---|
//! | 1 run inserted | `after-run-insert` |
//! | 2 claimed | `after-claim`, `before-plan-save` |
//! | 3 plan saved | `after-plan-save` |
//! | 4 attempt row, no upload | `after-attempt-row` |
//! | 5 upload, handle not saved | `after-upload-create`, `before-handle-save` |
//! | 6 some parts staged | `mid-part` |
//! | 7 sealed, not recorded | `after-seal`, `before-record` |
//! | 8 recorded, others missing | `after-record`, `before-freeze` |
//! | 9 frozen | `after-freeze`, `before-publish-send` |
//! | 10 published, reply lost | `after-publish-send`, `between-publishes` |
//! | 11 all published | `before-point-of-no-return` |
//! | 12 past the point of no return | `after-point-of-no-return`, `before-manifest-put` |
//! | 13, 14 manifest put | `after-manifest-put`, `before-commit-tx` |
//! | 15 committed, reply lost | `commit-tx-sent` |
//! | 17 aborting | `after-abort-start`, `during-abort`, `during-final-delete` |
//! | – waiting or leaving | `during-lease-release` |
//! | – retention | `after-manifest-withdrawn`, which no delivery passes |
//!
//! Places inside a task (`last-part`, `before-seal-proof`) belong to the engine and its worker; row 16 has no
//! place as long as nothing is sent after a commit.

#[cfg(feature = "failpoints")]
macro_rules! failpoint {
    ($site:expr) => {{ $crate::failpoint::hit($site).await? }};
}

#[cfg(not(feature = "failpoints"))]
macro_rules! failpoint {
    ($site:expr) => {{}};
}

pub(crate) use failpoint;

#[cfg(feature = "failpoints")]
pub use armed::{SITES, after, arm, before, hit};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use fail_parallel::{FailPointRegistry, fail_point};
    use offtake_model::{ErrorCode, Fault, Transition};
    use rustix::process::{Signal, getpid, kill_process};

    /// The environment variable.
    const VARIABLE: &str = "OFFTAKE_FAILPOINTS";

    /// Every place of this crate.
    pub const SITES: [&str; 27] = [
        "after-run-insert",
        "after-claim",
        "before-plan-save",
        "after-plan-save",
        "after-attempt-row",
        "after-upload-create",
        "before-handle-save",
        "mid-part",
        "after-seal",
        "before-record",
        "after-record",
        "before-freeze",
        "after-freeze",
        "before-publish-send",
        "after-publish-send",
        "between-publishes",
        "before-point-of-no-return",
        "after-point-of-no-return",
        "before-manifest-put",
        "after-manifest-put",
        "before-commit-tx",
        "commit-tx-sent",
        "after-abort-start",
        "during-abort",
        "during-final-delete",
        "during-lease-release",
        "after-manifest-withdrawn",
    ];

    fn registry() -> &'static Arc<FailPointRegistry> {
        static REGISTRY: OnceLock<Arc<FailPointRegistry>> = OnceLock::new();
        REGISTRY.get_or_init(|| {
            let registry = Arc::new(FailPointRegistry::new());
            if let Ok(text) = std::env::var(VARIABLE)
                && let Err(what) = configure(&registry, &text)
            {
                tracing::error!(variable = VARIABLE, what, "failpoints cannot be read");
            }
            registry
        })
    }

    /// Configures places from text in the form of the environment variable.
    pub fn arm(text: &str) -> Result<(), String> {
        configure(registry(), text)
    }

    fn configure(registry: &Arc<FailPointRegistry>, text: &str) -> Result<(), String> {
        for entry in text
            .split(';')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let (site, actions) = entry.split_once('=').ok_or("a place needs `=action`")?;
            let actions: Vec<String> = actions.split("->").map(translate).collect();
            fail_parallel::cfg(Arc::clone(registry), site.trim(), &actions.join("->"))?;
        }
        Ok(())
    }

    /// Our words in those of the library: everything of ours is a `return` with an argument.
    fn translate(action: &str) -> String {
        let action = action.trim();
        let (times, word) = action.split_once('*').unwrap_or(("", action));
        let star = if times.is_empty() { "" } else { "*" };
        if word == "off" {
            return format!("{times}{star}off");
        }
        let word = word.replace(['(', ')'], " ");
        format!("{times}{star}return({})", word.trim())
    }

    fn asked(site: &'static str) -> Option<String> {
        fail_point!(Arc::clone(registry()), site, |word: Option<String>| Some(
            word.unwrap_or_default()
        ));
        None
    }

    /// The place before a transition is written; an empty name is no place.
    pub const fn before(transition: &Transition) -> &'static str {
        match transition {
            Transition::SavePlan(_) => "before-plan-save",
            Transition::Freeze => "before-freeze",
            Transition::PointOfNoReturn { .. } => "before-point-of-no-return",
            Transition::Commit { .. } => "before-commit-tx",
            Transition::Restage { .. }
            | Transition::Wait { .. }
            | Transition::StartAbort { .. }
            | Transition::FinishAbort
            | Transition::Quarantine { .. } => "",
        }
    }

    /// The place after a transition was written; an empty name is no place.
    pub const fn after(transition: &Transition) -> &'static str {
        match transition {
            Transition::SavePlan(_) => "after-plan-save",
            Transition::Freeze => "after-freeze",
            Transition::PointOfNoReturn { .. } => "after-point-of-no-return",
            Transition::Commit { .. } => "commit-tx-sent",
            Transition::StartAbort { .. } => "after-abort-start",
            Transition::Restage { .. }
            | Transition::Wait { .. }
            | Transition::FinishAbort
            | Transition::Quarantine { .. } => "",
        }
    }

    /// Passes a place.
    pub async fn hit(site: &'static str) -> Result<(), Fault> {
        let Some(word) = asked(site) else {
            return Ok(());
        };
        let mut words = word.split_whitespace();
        match (words.next(), words.next()) {
            (Some("kill"), _) => {
                let _ = kill_process(getpid(), Signal::KILL);
                std::process::abort()
            }
            (Some("delay"), Some(millis)) => {
                let millis = millis.parse().unwrap_or_default();
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            }
            _ => Err(Fault::new(
                ErrorCode::StoreUnavailable,
                format!("passed failpoint {site}, which was told to fail"),
            )),
        }
    }

    #[cfg(test)]
    mod tests {
        use std::os::unix::process::ExitStatusExt;
        use std::process::Command;

        use super::{VARIABLE, hit, translate};

        /// Killed at its second pass, when started by the test below.
        #[tokio::test]
        async fn victim() {
            if std::env::var_os(VARIABLE).is_some() {
                hit("after-claim").await.unwrap();
                hit("after-freeze").await.unwrap_err();
                hit("after-claim").await.unwrap();
                std::process::exit(3);
            }
        }

        #[test]
        fn a_process_is_killed_at_the_named_place_and_pass() {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "failpoint::armed::tests::victim"])
                .env(VARIABLE, "after-claim=1*off->kill; after-freeze=error")
                .status()
                .unwrap();
            assert_eq!(status.signal(), Some(9));
        }

        #[test]
        fn our_words_become_the_librarys() {
            assert_eq!(translate("kill"), "return(kill)");
            assert_eq!(translate("2*off"), "2*off");
            assert_eq!(translate("1*delay(50)"), "1*return(delay 50)");
        }
    }
}
