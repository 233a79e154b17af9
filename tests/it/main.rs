//! The one integration binary: each further one would cost a link of the whole SDK.

/// Bundles: good ones, and one broken for each finding.
mod bundle;
/// Every collector against a scripted wire.
mod collect;
/// The actions and the saga, against a small AWS in memory and a saga of fakes.
mod contain;
/// The committed schemas are what the types say.
mod schemas;
mod support;
/// Tape, fence and fetch against real sockets.
mod wire_live;
