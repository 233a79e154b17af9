//! Practise: a local AWS emulator, a compromised function with a life behind it, and the principals to respond with.
//!
//! [`story`] is the play; the rest is the stage. [`emulator`] prepares and runs the emulator (MiniStack with its infidelities
//! closed, and our own CloudTrail event history). [`incident`] seeds the compromised function and says exactly what it
//! seeded, so that a test can compare. [`incident::operator`] makes the responder's own principals, because a drill under
//! root credentials proves nothing about permissions.
//!
//! It never constructs an SDK client (that is `aws/`), never prints (progress goes to a callback), never listens on
//! anything but loopback, and never touches a real account: every client it is given points at the emulator.
//! Start reading at [`emulator::Emulator`], then [`incident::seed`].

pub mod clients;
pub mod command;
pub mod emulator;
pub mod incident;
pub mod keys;
mod stolen;
pub mod story;
pub mod world;

pub use keys::Keys;
