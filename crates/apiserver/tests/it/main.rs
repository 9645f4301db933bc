//! The server over the embedded store, asked in this process and over its own sockets.

mod cluster;
mod concurrency;
mod lists;
mod rights;
mod sockets;
mod watches;
