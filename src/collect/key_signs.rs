//! What speaks for a key's being used by somebody else than the function (`evidence-inventory.md` A8, step 4): address, agent, Region, time.
//! Pure. A sign is a reason to look, no proof; that there is none proves nothing either: whoever runs inside the function leaves none of them.

use super::invocation_times::Ran;
use super::key_ledger::Key;
use std::collections::BTreeSet;

/// What the calls are held against.
pub(super) struct Yardstick<'y> {
    /// Regions that are no surprise: the function's own, and where its partition keeps global services.
    pub home: [&'y str; 2],
    /// Seconds after which Lambda ends an invocation.
    pub timeout: u32,
    pub ran: Option<&'y Ran>,
}

/// How much the function's metric is worth as a measure of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    /// Calls with Lambda's agent about which the metric says something, and those of them while nothing ran.
    pub inside: u64,
    pub inside_idle: u64,
}

impl Measured {
    /// A metric by which most of the function's own calls were made while it did not run measures something else (environments that are
    /// kept warm, an emulator).
    pub fn fits(&self) -> bool {
        self.inside_idle * 2 <= self.inside
    }
}

pub(super) fn measure(keys: &[Key], ran: Option<&Ran>) -> Measured {
    let mut out = Measured { inside: 0, inside_idle: 0 };
    let own = keys.iter().filter(|k| k.of_this_function).flat_map(|k| &k.calls);
    for (at, _) in own.filter(|(_, lambda)| *lambda) {
        if let Some(running) = ran.and_then(|r| r.at(*at)) {
            out.inside += 1;
            out.inside_idle += u64::from(!running);
        }
    }
    out
}

/// Fill in the signs of every key.
pub(super) fn mark(keys: &mut [Key], by: &Yardstick<'_>) {
    let ran = by.ran.filter(|r| measure(keys, Some(r)).fits());
    let own = || keys.iter().filter(|k| k.of_this_function);
    let addresses: BTreeSet<String> = own().flat_map(|k| &k.inside).cloned().collect();
    let mut regions: BTreeSet<String> = own().flat_map(|k| &k.regions_inside).cloned().collect();
    regions.extend(by.home.map(str::to_string));
    for key in keys {
        key.signs = signs(key, &addresses, &regions, by.timeout, ran);
    }
}

fn signs(key: &Key, addresses: &BTreeSet<String>, regions: &BTreeSet<String>, timeout: u32, ran: Option<&Ran>) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    let mut say = |holds: bool, words: String| out.extend(holds.then_some(words));
    say(!key.ips_outside.is_empty(), "called with an agent that is not Lambda's".into());
    say(key.foreign_endpoint, "called through a VPC endpoint of another account".into());
    let dead = key.expires.as_ref().or(key.expires_at_latest.as_ref());
    say(matches!((&key.last_use, dead), (Some(used), Some(dead)) if used > dead), "called after it expired".into());
    // The rest is measured by what the function does; of a neighbour, or of a role that was taken on, we do not know what is usual.
    if !key.of_this_function || key.depth > 0 {
        return out;
    }
    let mut say = |holds: bool, words: String| out.extend(holds.then_some(words));
    let elsewhere = key.ips_outside.iter().any(|ip| !addresses.contains(ip));
    say(elsewhere, "called from an address from which no call with Lambda's agent came".into());
    let foreign: Vec<&str> = key.regions.iter().filter(|r| !regions.contains(*r)).map(String::as_str).take(5).collect();
    say(!foreign.is_empty(), format!("called in a Region that the function itself was not seen to call ({})", foreign.join(", ")));
    let last = |lambda: bool| key.calls.iter().filter(|c| c.1 == lambda).map(|c| c.0).max();
    let late = matches!((last(true), last(false)), (Some(inside), Some(outside)) if outside > inside + i64::from(timeout));
    say(late, format!("called more than the function's timeout ({timeout} s) after the last call with Lambda's agent"));
    let idle = key.calls.iter().filter(|c| ran.and_then(|r| r.at(c.0)) == Some(false)).count();
    say(idle > 0, format!("called while no invocation was running, by the function's metric ({idle} calls)"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const BY: Yardstick<'_> = Yardstick { home: ["us-east-1", "eu-west-1"], timeout: 3, ran: None };

    fn set(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(ToString::to_string).collect()
    }
    /// A key of the function with its own calls from inside only.
    fn quiet() -> Key {
        Key {
            access_key_id: "ASIA1".into(),
            of_this_function: true,
            inside: set(&["54.240.1.1"]),
            regions_inside: set(&["eu-west-1", "eu-north-1"]),
            regions: set(&["eu-west-1", "eu-north-1"]),
            calls: vec![(10_000, true), (20_000, true)],
            ..Key::default()
        }
    }
    fn marked(change: impl FnOnce(&mut Key)) -> Vec<String> {
        let mut keys = [quiet()];
        change(&mut keys[0]);
        mark(&mut keys, &BY);
        let [key] = keys;
        key.signs
    }

    #[test]
    fn each_sign_stands_for_itself() {
        assert!(marked(|_| {}).is_empty());
        let one = |change: fn(&mut Key), words: &str| {
            let signs = marked(change);
            assert!(signs.len() == 1 && signs[0].contains(words), "{words}: {signs:?}");
        };
        one(|k| k.ips_outside = set(&["54.240.1.1"]), "agent that is not Lambda's");
        one(|k| k.foreign_endpoint = true, "VPC endpoint of another account");
        one(|k| k.regions.extend(set(&["sa-east-1"])), "was not seen to call (sa-east-1)");
        one(|k| k.calls.push((20_004, false)), "more than the function's timeout (3 s)");
        one(
            |k| {
                k.expires = Some("2026-11-20T01:00:00.000Z".into());
                k.last_use = Some("2026-11-20T02:00:00.000Z".into());
            },
            "after it expired",
        );
        let signs = marked(|k| k.ips_outside = set(&["203.0.113.9"]));
        assert!(signs.len() == 2 && signs[1].contains("an address from which no call"), "{signs:?}");
        assert!(marked(|k| k.calls.push((20_003, false))).is_empty(), "within the timeout");
    }

    #[test]
    fn a_foreign_agent_inside_the_neighbour_is_all_that_is_said_of_a_neighbour() {
        let signs = marked(|k| {
            k.of_this_function = false;
            k.ips_outside = set(&["203.0.113.9"]);
            k.regions.extend(set(&["sa-east-1"]));
        });
        assert_eq!(signs, ["called with an agent that is not Lambda's"]);
    }

    #[test]
    fn the_metric_measures_only_where_it_fits_the_function_s_own_calls() {
        let with = |ran: &Ran, calls: &[(i64, bool)]| {
            let mut keys = [Key { calls: calls.to_vec(), ..quiet() }];
            mark(&mut keys, &Yardstick { ran: Some(ran), ..BY });
            (measure(&keys, Some(ran)), keys[0].signs.join(";"))
        };
        let ran = Ran::new(vec![(10_000, 60), (20_000, 60)], 3, (0, 100_000));
        let (_, signs) = with(&ran, &[(10_010, true), (20_010, true), (40_000, true)]);
        assert!(signs.contains("while no invocation was running") && signs.contains("(1 calls)"), "a forged agent is found: {signs}");
        let never = Ran::new(vec![], 3, (0, 100_000));
        let (measured, signs) = with(&never, &[(10_010, true), (20_010, true)]);
        assert!(!measured.fits() && signs.is_empty(), "{signs}");
        let (measured, _) = with(&never, &[(200_000, true)]);
        assert_eq!(measured, Measured { inside: 0, inside_idle: 0 }, "beyond what is known");
    }
}
