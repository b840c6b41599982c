//! What was done, how long it took and how it ended: the table and the one line at the end.

use std::borrow::Cow;
use std::time::Duration;

/// The steps so far.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

struct Row {
    name: Cow<'static, str>,
    took: Duration,
    outcome: Outcome,
}

/// How a step ended.
pub(crate) enum Outcome {
    /// It counts as one test, passed or failed.
    Check(bool),
    /// It ran tests and counted them.
    Tests(Tally),
    /// It prepares something; only its failure counts.
    Work(bool),
    /// It was left out, for this reason.
    NotRun(Cow<'static, str>),
}

/// Tests counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Those that passed.
    pub(crate) passed: u64,
    /// Those that failed.
    pub(crate) failed: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Outcome {
    fn tally(&self) -> Tally {
        match *self {
            Self::Tests(tally) => tally,
            Self::Check(true) => Tally {
                passed: 1,
                failed: 0,
            },
            Self::Check(false) | Self::Work(false) => Tally {
                passed: 0,
                failed: 1,
            },
            Self::Work(true) | Self::NotRun(_) => Tally::default(),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Tests(tally) => format!("{} passed, {} failed", tally.passed, tally.failed),
            Self::Check(true) | Self::Work(true) => String::from("ok"),
            Self::Check(false) | Self::Work(false) => String::from("FAILED"),
            Self::NotRun(why) => format!("not run: {why}"),
        }
    }
}

impl Report {
    /// Adds a step.
    pub(crate) fn add(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        took: Duration,
        outcome: Outcome,
    ) {
        self.rows.push(Row {
            name: name.into(),
            took,
            outcome,
        });
    }

    /// Whether nothing failed.
    pub(crate) fn green(&self) -> bool {
        self.tally().failed == 0
    }

    fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for row in &self.rows {
            sum += row.outcome.tally();
        }
        sum
    }

    /// Prints the table, and as the very last line the sum.
    pub(crate) fn print(&self) {
        println!("\n{:<22} {:>9}  outcome", "step", "seconds");
        for row in &self.rows {
            let seconds = row.took.as_secs_f64();
            println!("{:<22} {seconds:>9.1}  {}", row.name, row.outcome.words());
        }
        let total: Duration = self.rows.iter().map(|row| row.took).sum();
        println!("{:<22} {:>9.1}\n", "total", total.as_secs_f64());
        let tally = self.tally();
        println!("{} passed, {} failed", tally.passed, tally.failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_preparation_turns_the_report_red() {
        let mut report = Report::default();
        report.add("build", Duration::ZERO, Outcome::Work(true));
        assert!(report.green());
        report.add("python", Duration::ZERO, Outcome::Work(false));
        assert!(!report.green());
    }

    #[test]
    fn a_step_left_out_counts_neither_way() {
        let mut report = Report::default();
        report.add("deny", Duration::ZERO, Outcome::NotRun("absent".into()));
        assert_eq!(report.tally(), Tally::default());
    }

    #[test]
    fn checks_and_tests_are_summed() {
        let mut report = Report::default();
        let tests = Tally {
            passed: 4,
            failed: 2,
        };
        report.add("format", Duration::ZERO, Outcome::Check(true));
        report.add("crates", Duration::ZERO, Outcome::Tests(tests));
        assert_eq!(
            report.tally(),
            Tally {
                passed: 5,
                failed: 2
            }
        );
    }
}
