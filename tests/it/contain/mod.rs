//! Every property of `conformance` and `killed` holds for every action of `ACTIONS`, alone and together, for free. `saga` has the engine's own
//! rules on fake actions; `actions` and `surface` what is particular to one action.

mod actions;
mod conformance;
mod killed;
mod rig;
mod saga;
mod sources;
mod surface;
