use memtrace::kernel::{
    census::{self, sample::*},
    discover::Kernel,
};
fn main() {
    let kernel = Kernel::discover(&[]).unwrap();
    let seed = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    let sample =
        census::take(&kernel, &census::Options { seed, ..Default::default() }, &mut || true).unwrap();
    println!(
        "frames {} drawn {} changed {} given up {} strange {} cost {:?} charges {:?} cut {}",
        sample.frames,
        sample.drawn,
        sample.changed,
        sample.given_up,
        sample.strange,
        sample.cost,
        sample.charges_unavailable,
        sample.is_cut
    );
    let slabinfo = std::fs::read_to_string("/proc/slabinfo").unwrap();
    let mut caches: Vec<_> = sample.caches.iter().filter(|c| c.pages.len() > 20).collect();
    caches.sort_by_key(|c| std::cmp::Reverse(c.pages.len()));
    for c in caches {
        let pages = c.pages.len() as f64 * sample.frames as f64 / sample.drawn as f64;
        let line = slabinfo.lines().find(|l| l.split_whitespace().next() == Some(&c.name[..])).unwrap_or("");
        let f: Vec<u64> = line.split_whitespace().filter_map(|x| x.parse().ok()).collect();
        let truth = f.get(13).or(f.last()).map_or(0, |_| f[f.len() - 2] * f[4]);
        let slots = || c.pages.iter().flat_map(|p| &p.slots);
        let n = slots().count();
        let count = |s: State| slots().filter(|x| x.state == s).count();
        let charged = slots().filter(|x| matches!(x.charge, Charge::Cgroup(_))).count();
        let removed = slots().filter(|x| matches!(x.charge, Charge::Removed { .. })).count();
        let nobody =
            slots().filter(|x| x.state == State::Allocated && matches!(x.charge, Charge::Nobody)).count();
        let contradiction =
            slots().filter(|x| x.state != State::Allocated && x.charge != Charge::Nobody).count();
        let inspected = slots().filter(|x| x.inspection.is_some()).count();
        let asked = slots().filter(|x| x.signs.asked_once == Some(true)).count();
        println!(
            "{:24} pages {:6} est {:8.0} slabinfo {:8} | slots {n} alloc {} free {} dying {} | charged {charged} removed {removed} nobody {nobody} contra {contradiction} | inspected {inspected} once {asked} | active {:.3} alloc {:.3}",
            c.name,
            c.pages.len(),
            pages,
            truth,
            count(State::Allocated),
            count(State::Free),
            count(State::BeingFreed),
            f.first().map_or(0.0, |a| *a as f64 / f[1].max(1) as f64),
            count(State::Allocated) as f64 / n as f64
        );
    }
}
