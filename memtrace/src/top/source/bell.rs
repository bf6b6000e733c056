//! Wakes who waits for what a source tells, so that nobody needs to look again and again.

use std::sync::{Arc, OnceLock};

type Wake = Box<dyn Fn() + Send + Sync>;

/// Of a source. It is there before anybody waits.
#[derive(Clone, Default)]
pub struct Bell(Arc<OnceLock<Wake>>);

impl Bell {
    /// Does this whenever there is something from now on. What was told before has to be looked for.
    pub fn wakes(&self, wake: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(wake));
    }

    pub fn ring(&self) {
        if let Some(wake) = self.0.get() {
            wake();
        }
    }
}

/// Whoever tells something has it behind its channel: the end of that is told as well.
pub struct RingsAtEnd(pub Bell);

impl Drop for RingsAtEnd {
    fn drop(&mut self) {
        self.0.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn it_wakes_whoever_waits_and_at_the_end() {
        let bell = Bell::default();
        bell.ring();
        let (wake, woken) = channel();
        bell.wakes(move || wake.send(()).unwrap());
        assert!(woken.try_recv().is_err());
        bell.ring();
        drop(RingsAtEnd(bell));
        assert_eq!(woken.try_iter().count(), 2);
    }
}
