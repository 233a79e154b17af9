//! What several test modules share.

pub mod cells;
pub mod stage;
pub mod tools;
pub mod wire;
