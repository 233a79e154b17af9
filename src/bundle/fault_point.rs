//! Named places at which a test may hold this process, in order to kill it exactly there: the only way to show what a SIGKILL between two
//! writes leaves behind without hoping for the right millisecond.
//!
//! `FREEZEFRAME_HOLD_AT=<point>:<n>:<file>` makes a *debug* build create `<file>` when it comes to the point for the n-th time, and stay there
//! for ever. A release build has none of this: the function is empty. It never changes what is written, and never lets go.

#[cfg(debug_assertions)]
pub(crate) fn reached(point: &'static str) {
    use std::path::PathBuf;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    static WANTED: LazyLock<Option<(String, u32, PathBuf)>> = LazyLock::new(|| {
        let told = std::env::var("FREEZEFRAME_HOLD_AT").ok()?;
        let mut parts = told.splitn(3, ':');
        Some((parts.next()?.to_string(), parts.next()?.parse().ok()?, parts.next()?.into()))
    });
    static COME_BY: AtomicU32 = AtomicU32::new(0);
    let Some((name, nth, mark)) = &*WANTED else { return };
    if name != point || COME_BY.fetch_add(1, Ordering::SeqCst) + 1 != *nth || std::fs::File::create_new(mark).is_err() {
        return;
    }
    loop {
        std::thread::park();
    }
}

#[cfg(not(debug_assertions))]
pub(crate) fn reached(_: &'static str) {}
