//! Every property of `conformance` and `killed` holds for every action of `ACTIONS`, alone and together, for free. `saga` has the engine's own
//! rules on fake actions; `actions`, `surface` and `sources` what is particular to one action, `roles` to those on the role, `versions` to
//! the roles of published versions; `touched` has the guardrails look at their cells; `held` is what a restore leaves as it is for others' sake, `feeding` which
//! sources wait for what;
//! `race` lets two responders at it at once; `wire_faults` has the wire fail under the SDK's own repetitions.

mod actions;
mod conformance;
mod feeding;
mod held;
mod killed;
mod overtaken;
mod race;
mod rig;
mod roles;
mod saga;
mod sources;
mod surface;
mod touched;
mod versions;
mod wire_faults;
