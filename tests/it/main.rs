mod collect;
mod support;
mod wire_live;
