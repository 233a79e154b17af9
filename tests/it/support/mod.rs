//! What several test modules share.

pub mod tools;
pub mod wire;
