//! freezeframe: incident-response forensics for AWS Lambda.

pub mod aws;
pub mod bundle;
pub mod clock;
pub mod model;
pub mod collect;
pub mod contain;
pub mod store;
pub mod engine;
pub mod handler;
pub mod intake;
