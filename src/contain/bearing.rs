//! What an action's cells have to do with whether a call of the function comes to anything: some keep it from that while they are contained, others
//! are what calls once it is back. Restore asks it, so that no source is let go into failures alone, and none is kept off without need: what
//! queues and streams hold for a source that is off ends with their retention.

use super::ActionSpec;

/// Of a cell while it is contained (`Disables`, `Refuses`), or once it is back (`Pushes`, `Polls`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// The function works while it is contained, and is called by nothing once it is back.
    Neither,
    /// The function cannot run, gets no credentials, or may do nothing with them: whatever it is handed fails.
    Disables,
    /// Lambda refuses callers that it judges by a resource policy, and nobody else (`containment.md` C3).
    Refuses,
    /// Services that call as anybody does, by `Invoke`, and are judged by the resource policy.
    Pushes,
    /// Lambda's own pollers, which take with the execution role and are judged by no resource policy (`containment.md` C3, C4).
    Polls,
}

impl ActionSpec {
    /// Whether what it stops calls the function once it is back: not to be let go before that can come to anything.
    pub fn feeds(&self) -> bool {
        matches!(self.bearing, Bearing::Pushes | Bearing::Polls)
    }
    /// Whether what it stops would feed failures alone while a cell of `other` is contained. `None` is an action that this build does not know:
    /// nobody can say what it does to the function.
    pub fn waits_for(&self, other: Option<&ActionSpec>) -> bool {
        match other.map(|o| o.bearing) {
            Some(Bearing::Neither | Bearing::Pushes | Bearing::Polls) => false,
            Some(Bearing::Refuses) => self.bearing == Bearing::Pushes,
            Some(Bearing::Disables) | None => self.feeds(),
        }
    }
    /// Whether any source waits for it.
    pub fn keeps_sources_off(&self) -> bool {
        matches!(self.bearing, Bearing::Disables | Bearing::Refuses)
    }
}

#[cfg(test)]
mod tests {
    use crate::contain::{ACTIONS, find};

    fn waits(source: &str, on: &str) -> bool {
        find(source).unwrap().spec().waits_for(Some(find(on).unwrap().spec()))
    }

    #[test]
    fn a_source_waits_for_what_would_make_its_calls_fail_and_for_nothing_else() {
        let pushed = ["disable-rules", "disable-schedules", "stop-pipes", "stop-subscribers", "pause-durable-executions"];
        for source in pushed.into_iter().chain(["pause-event-source-mappings"]) {
            for on in [
                "freeze-concurrency",
                "scale-to-zero",
                "quarantine-role",
                "revoke-sessions",
                "block-role-assumption",
                "set-permissions-boundary",
                "detach-permissions",
            ] {
                assert!(waits(source, on), "{source} {on}");
            }
            for on in ["enforce-code-signing", "close-function-urls", "capture-async-events", "publish-evidence-version", "repoint-alias"] {
                assert!(!waits(source, on), "{source} {on}");
            }
            assert!(find(source).unwrap().spec().waits_for(None), "what nobody knows");
            // Pollers heed no resource policy.
            assert_eq!(waits(source, "deny-invocation"), source != "pause-event-source-mappings");
        }
        assert!(!find("freeze-concurrency").unwrap().spec().waits_for(None));
    }

    #[test]
    fn sources_come_back_after_all_that_they_could_wait_for() {
        let of = |feeds: bool| ACTIONS.iter().map(|a| a.spec()).filter(move |s| s.feeds() == feeds);
        assert!(of(true).count() >= 6);
        for source in of(true) {
            assert!(of(false).all(|other| other.restore_rank < source.restore_rank), "{}", source.id);
        }
    }
}
