//! The one integration binary.

mod bundle;
mod collect;
mod schemas;
mod support;
mod wire_live;
