//! What triage saw, with tokens for names.

use super::Redactor;
use crate::triage::{page::About, sample::Sample, window::Window};

impl Redactor {
    pub fn about(&self, about: About) -> About {
        About { host: self.host(&about.host), ..about }
    }

    /// Kernel threads are not in it: they have no memory of their own.
    pub fn window(&self, window: Window) -> Window {
        Window { before: self.sample(window.before), after: self.sample(window.after), ..window }
    }

    fn sample(&self, mut sample: Sample) -> Sample {
        for process in sample.processes.list.values_mut() {
            process.comm = self.whole(&process.comm);
        }
        let cgroups = std::mem::take(&mut sample.cgroups.list).into_iter();
        sample.cgroups.list = cgroups.map(|(path, cgroup)| (self.text(&path), cgroup)).collect();
        for tmpfs in &mut sample.tmpfs {
            tmpfs.at = self.text(&tmpfs.at);
        }
        sample
    }
}
