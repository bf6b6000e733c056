//! A session that answers over HTTP: metrics for Prometheus, profiles for pprof and whoever collects them.
//!
//! The session goes on as ever and puts each report on the [`board`]. A thread of its own, the [`server`], answers from there: a flood of
//! requests keeps nobody from draining the rings. [`route`] reads a request, [`answer`] makes the response.

pub mod address;
pub mod file;
pub mod listen;
pub mod board;
pub mod web;
mod route;
mod page;
mod answer;
pub mod server;
