//! The sound files and the music, which are no part of FreeSWITCH's own installation.

use std::path::{Path, PathBuf};

use super::Facts;
use crate::finding::{Finding, Fix, Kind};

/// Files of one kind: what is missing without them, and what installs them.
struct Sounds {
    files: &'static str,
    heard: &'static str,
    /// The target of FreeSWITCH's Makefile.
    target: &'static str,
    /// The package for Debian.
    package: &'static str,
}

const ANNOUNCEMENTS: Sounds = Sounds {
    files: "sound files",
    heard: "tones instead of announcements",
    target: "sounds-install",
    package: "freeswitch-sounds-en-us-callie",
};
const MUSIC: Sounds = Sounds {
    files: "music files",
    heard: "two short notes every few seconds instead of music",
    target: "moh-install",
    package: "freeswitch-music-default",
};

/// Advice for folders without files.
pub(super) fn installed(facts: &Facts) -> Vec<Finding> {
    let Some(folder) = folder(facts) else { return Vec::new() };
    let music = folder.join("music");
    let is_music = |file: &Path| file.starts_with(&music);
    let has = |wanted: bool| files(&folder).any(|file| is_music(&file) == wanted);
    let mut found = Vec::new();
    if !has(false) {
        found.push(lacks(&folder, &ANNOUNCEMENTS));
    }
    if !has(true) {
        found.push(lacks(&music, &MUSIC));
    }
    found
}

/// The folder with the sound files, if it can be looked into. Only the running FreeSWITCH knows it for sure.
fn folder(facts: &Facts) -> Option<PathBuf> {
    let conf = &facts.files.conf;
    let of_running = facts.running.as_ref().map(|running| PathBuf::from(&running.sounds_dir));
    let usual = || {
        ["../sounds", "../../usr/share/freeswitch/sounds", "../../share/freeswitch/sounds"]
            .map(|folder| conf.join(folder))
    };
    let candidates = of_running.map_or_else(|| usual().to_vec(), |folder| vec![folder]);
    // One that another computer or another user has cannot be read here.
    candidates.into_iter().filter(|folder| folder.read_dir().is_ok()).find_map(|folder| folder.canonicalize().ok())
}

fn files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let pattern = folder.join("**/*.*");
    let found = glob::glob(&pattern.to_string_lossy()).into_iter().flatten().flatten();
    found.filter(|path| path.is_file())
}

fn lacks(folder: &Path, sounds: &Sounds) -> Finding {
    let Sounds { files, heard, target, package } = sounds;
    let what = format!("there are no {files} in {}, so callers hear {heard}", folder.display());
    // A FreeSWITCH that was built with --prefix has its configuration in etc/freeswitch too, but does not look where the packages put their files.
    let is_packaged =
        folder.ends_with("usr/share/freeswitch/sounds") || folder.ends_with("usr/share/freeswitch/sounds/music");
    let install = if is_packaged {
        Fix::Run(format!("apt-get install {package}"))
    } else {
        Fix::Do(format!("in the folder of FreeSWITCH's source, run: make {target}"))
    };
    Finding::new(Kind::Note, what, [install])
}
