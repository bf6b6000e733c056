//! Memory is high: what uses it? Two samples of the host make a window, in which [`judge`](suspect::judge) finds what is unusually
//! big and what grows. If it is the slab, a tracing session shows who fills it.

pub mod sum;
pub mod sample;
pub mod window;
pub mod suspect;
pub mod tracing;
pub mod advice;
pub mod page;

#[cfg(test)]
mod tests;
