//! The whole program, as a process, against a local AWS that runs the seeded incident. Nothing here knows the program's insides: it types
//! commands, kills them, reads what lies there, and asks AWS with plain clients.

mod contain;
mod gaps;
pub(crate) mod gate;
mod gone;
mod guard;
mod interrupt;
mod kill;
mod network;
mod race;
mod secrets;
mod sources;
mod story;
mod surface;
mod two_persons;
mod watch;
