use memtrace::kernel::{
    census::{self, sample::*},
    discover::Kernel,
};
use std::time::Instant;
fn main() {
    let t = Instant::now();
    let kernel = Kernel::discover(&[]).unwrap();
    println!("discover {:?}", t.elapsed());
    let dentry = kernel.caches.iter().find(|c| c.name == "dentry").unwrap().address;
    for caches in [vec![], vec![dentry]] {
        for pass in [0, 1] {
            let t = Instant::now();
            let s = census::take(
                &kernel,
                &census::Options { seed: pass, caches: caches.clone(), ..Default::default() },
                &mut || true,
            )
            .unwrap();
            let pages: usize = s.caches.iter().map(|c| c.pages.len()).sum();
            println!("take {:?} drawn {} pages {} {:?}", t.elapsed(), s.drawn, pages, s.cost);
        }
    }
    let mut stop = Instant::now();
    let _ = census::take(&kernel, &census::Options::default(), &mut || {
        println!("  pass {:?}", stop.elapsed());
        stop = Instant::now();
        true
    });
    println!("after {:?}", stop.elapsed());
}
