//! Who floods: names that are looked up once and do not exist.

use std::{
    fs::{self, File},
    path::Path,
};

use super::{Scene, leaks::child, stage::Stage};

pub const SCENES: &[Scene] = &[
    Scene::flood("missing", |stage| stage.each(5_000.0, |number| look_up(&stage.directory, number))),
    Scene::flood("missing-slow", |stage| stage.each(200.0, |number| look_up(&stage.directory, number))),
    Scene::flood("temporary", |stage| stage.each(500.0, |number| make_and_remove(&stage.directory, number))),
    // No directory of its own: names that another run asked for would be there already.
    Scene::flood("sysfs", |stage| {
        let first = u64::from(std::process::id()) << 32;
        stage.each(500.0, |number| look_up(Path::new("/sys/class/net"), first + number));
    }),
    Scene::flood("search-path", search_path),
    Scene::flood("curls", curls),
    Scene::flood("beside-files", beside_files),
];

fn look_up(directory: &Path, number: u64) {
    let _ = directory.join(format!(".{number}_dOeSnotExist_.db")).symlink_metadata();
}

/// What is removed is known as a name that does not exist.
fn make_and_remove(directory: &Path, number: u64) {
    let path = directory.join(format!("tmp.{number:08}"));
    drop(File::create(&path).expect("the directory is ours"));
    fs::remove_file(path).expect("it was made just now");
}

/// The same name is looked for in ten directories, but it is never the same.
fn search_path(stage: &Stage) {
    let directory = |number: u64| stage.directory.join(number.to_string());
    (0..10).for_each(|number| fs::create_dir(directory(number)).expect("the directory is ours"));
    stage.each(100.0, |number| (0..10).for_each(|at| look_up(&directory(at), number)));
}

/// A process for each twenty names.
fn curls(stage: &Stage) {
    stage.each(50.0, |number| {
        let child = child(|| (0..20).for_each(|name| look_up(&stage.directory, number * 20 + name)));
        // SAFETY: nobody asks for its status.
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    });
}

/// One process that also uses files that exist.
fn beside_files(stage: &Stage) {
    let path = |number: u64| stage.directory.join(format!("file-{number}"));
    (0..200).for_each(|number| fs::write(path(number), "x").expect("the directory is ours"));
    stage.each(1_000.0, |number| {
        let _ = fs::read(path(number % 200));
        look_up(&stage.directory, number);
    });
}
