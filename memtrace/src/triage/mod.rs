//! Memory is high: what is it? Two samples of the host make a window, from which [`judge`](suspect::judge) finds what is
//! unusually big and what grows. If it is the slab, a session says who fills it.

pub mod sum;
pub mod sample;
pub mod window;
pub mod suspect;
pub mod tracing;
pub mod advice;
pub mod page;

#[cfg(test)]
mod tests;
