//! What several test modules share.

pub mod cells;
pub mod delay;
pub mod emulator;
pub mod responder_zip;
pub mod stage;
pub mod tools;
pub mod tsa;
pub mod wire;
