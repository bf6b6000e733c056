//! Memory is high: what uses it? Two samples of the host make a window, in which [`judge`](suspect::judge) finds what is unusually
//! big and what grows, and whether anybody is to blame. A tracing session meanwhile shows who fills the slab.

pub mod sum;
pub mod sample;
pub mod window;
pub mod tracing;
pub mod shortage;
pub mod signs;
pub mod filling;
pub mod suspect;
pub mod advice;
pub mod page;

#[cfg(test)]
mod tests;
