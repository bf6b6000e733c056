//! memtrace's eBPF programs: probe -> filter -> emit -> ring buffer.
//!
//! Built for its own target by `cargo xtask build-ebpf`; for the host it only type-checks, so that
//! `cargo check --workspace`, clippy and rust-analyzer see it.

#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]
#![cfg_attr(not(target_arch = "bpf"), allow(dead_code, reason = "on the host the programs have no caller"))]

mod census;
mod cgroup;
mod config;
mod context;
mod cpu_ring;
mod emit;
mod filter;
mod held;
mod kernel;
mod maps;
mod peek;
mod pid;
mod probe;
mod swap;
mod generation;
mod task;
mod this_cpu;
mod tree;
mod backup;

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[cfg(not(target_arch = "bpf"))]
fn main() {}

// bpf_probe_read_kernel and bpf_get_current_task are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
