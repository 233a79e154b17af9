//! What the integration tests share.

pub mod responder_zip;
pub mod wire;
