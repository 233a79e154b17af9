//! Floor 1: the door to AWS, and the only folder that may construct an SDK client.
//!
//! A [`Connector`] knows credentials, Region and endpoint. For each unit it makes an [`Aws`]: clients whose every attempt is recorded
//! ([`tape`]) and which refuse, before anything is sent, what the unit did not declare ([`fence`]).
//!
//! What it never does: decide what to ask, interpret an answer beyond the class of its failure ([`fault`]), print.

pub mod archive_client;
pub mod cbor;
pub mod connect;
pub mod fault;
pub mod fence;
pub mod fetch;
pub mod pace;
pub mod plain;
pub mod post;
pub mod raw;
pub mod record;
pub mod tape;
pub mod unit;
pub mod vouch;
pub mod xml;

pub use connect::{ConnectError, ConnectOptions, Connector};
pub use unit::Aws;
