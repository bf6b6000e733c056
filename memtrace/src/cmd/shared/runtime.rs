//! The event loop that sessions run on: one thread.

use std::{future::Future, io};

/// Runs this to its end.
pub fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}
