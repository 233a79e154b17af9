//! Archiving: the program against the emulator's S3, against one that answers badly, and killed in the middle.

mod emulator;
mod kill;
mod memory;
mod parts;
mod reading;
mod run;
mod straight;
mod vault;
mod wire;
