//! What several test modules share.

pub mod cells;
pub mod emulator;
pub mod tools;
pub mod wire;
