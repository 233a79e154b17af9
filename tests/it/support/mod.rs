//! What the tests share.

pub mod cells;
