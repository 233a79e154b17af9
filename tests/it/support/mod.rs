//! What several test modules share.

pub mod cells;
pub mod responder_zip;
pub mod emulator;
pub mod tools;
pub mod wire;
