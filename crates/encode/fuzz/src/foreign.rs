//! Panics of libraries about damaged files. The engine catches them, so they are no finding; ours are.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// Sources of libraries have it in their paths.
const FOREIGN: &str = "/registry/src/";

static HOOK: Once = Once::new();

thread_local! {
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs something; none where a library panicked.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    // libFuzzer's own hook ends the process at any panic.
    HOOK.call_once(|| {
        let every = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let place = panic.location().map_or("", |place| place.file());
            if !(CAUGHT.get() && place.contains(FOREIGN)) {
                every(panic);
            }
        }));
    });
    CAUGHT.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(run)).ok();
    CAUGHT.set(false);
    outcome
}
