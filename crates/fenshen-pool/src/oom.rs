//! How many processes of a cgroup the kernel has killed for want of memory.

use std::fs;
use std::path::{Path, PathBuf};

/// The counter of one cgroup: `oom_kill` of `memory.events` (version 2) or of `memory.oom_control` (version 1).
///
/// Kernels count the kill where the victim is. Version 2 adds it to every group above too, version 1 does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OomCounter(PathBuf);

impl OomCounter {
    /// That of the group which the calling process is in; its children are in it unless somebody moves them. None where
    /// no memory controller counts.
    #[must_use]
    pub fn of_this_process() -> Option<OomCounter> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let counter = OomCounter(file(&groups, &mounts)?);
        counter.read().map(|_| counter)
    }

    #[cfg(test)]
    pub(crate) fn at(file: PathBuf) -> OomCounter {
        OomCounter(file)
    }

    /// How many there have been so far; None if the group has gone.
    #[must_use]
    pub fn read(&self) -> Option<u64> {
        count(&fs::read_to_string(&self.0).ok()?)
    }
}

fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")).and_then(|number| number.trim().parse().ok())
}

/// The file with the counter, from the texts of `/proc/self/cgroup` and `/proc/self/mountinfo`. A memory controller
/// of version 1 goes before: where both are mounted, version 2 does not control the memory.
fn file(groups: &str, mounts: &str) -> Option<PathBuf> {
    let group = |wanted: &dyn Fn(&str) -> bool| {
        groups.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            wanted(controllers).then_some(path)
        })
    };
    if let Some(path) = group(&|controllers| controllers.split(',').any(|name| name == "memory")) {
        return Some(place(mounts, "cgroup", Some("memory"), path)?.join("memory.oom_control"));
    }
    let path = group(&str::is_empty)?;
    Some(place(mounts, "cgroup2", None, path)?.join("memory.events"))
}

/// Where a group is found in the file system: a mount shows the part of the hierarchy below its root.
fn place(mounts: &str, kind: &str, option: Option<&str>, group: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let (found, options) = (system.next()?, system.nth(1)?);
        if found != kind || option.is_some_and(|option| options.split(',').all(|name| name != option)) {
            return None;
        }
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        // In a container that shares the host's view of groups, the root of the mount is the group itself.
        let below = Path::new(group).strip_prefix(root).or_else(|_| Path::new(group).strip_prefix("/")).ok()?;
        let whole = Path::new(point).join(below);
        Some(if whole.exists() || cfg!(test) { whole } else { PathBuf::from(point) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_found_by_its_controller() {
        let groups = "3:cpu,cpuacct:/a\n2:memory:/jobs/one\n0::/\n";
        let mounts = "30 20 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      31 20 0:27 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n";
        assert_eq!(file(groups, mounts), Some("/sys/fs/cgroup/memory/jobs/one/memory.oom_control".into()));
    }

    #[test]
    fn version_2_is_found_without_one() {
        let mounts = "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            file("0::/user.slice/a.scope\n", mounts),
            Some("/sys/fs/cgroup/user.slice/a.scope/memory.events".into())
        );
    }

    #[test]
    fn a_mount_shows_what_is_below_its_root() {
        let mounts = "30 20 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        assert_eq!(
            file("2:memory:/docker/abc/in\n", mounts),
            Some("/sys/fs/cgroup/memory/in/memory.oom_control".into())
        );
    }

    #[test]
    fn the_count_is_read_from_either_format() {
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(count("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\n"), None);
    }

    #[test]
    fn no_controller_has_no_counter() {
        assert_eq!(file("1:name=systemd:/\n", ""), None);
        assert_eq!(file("", ""), None);
    }
}
