//! Who stands in the way of a port, where the system tells.

use std::fmt;

/// Another program that has a port open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub name: String,
    /// Its process.
    pub process: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.process)
    }
}

/// Who has locked `port`, or has it open; a process of another user may be hidden.
#[cfg(target_os = "linux")]
pub(super) fn holder(port: &str) -> Option<Holder> {
    let process = locked_by(port).or_else(|| opened_by(port))?;
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(Holder { name: name.trim().to_owned(), process })
}

/// The process with a lock on the file, as serial programs take one.
#[cfg(target_os = "linux")]
fn locked_by(port: &str) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let file = std::fs::metadata(port).ok()?;
    let (major, minor) = (rustix::fs::major(file.dev()), rustix::fs::minor(file.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", file.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        // 1: FLOCK  ADVISORY  WRITE 1234 00:18:5 0 EOF
        let fields: Vec<&str> = line.split_whitespace().collect();
        let at = fields.iter().position(|field| *field == place)?;
        fields.get(at.checked_sub(1)?)?.parse().ok()
    })
}

/// A process that has the file open.
#[cfg(target_os = "linux")]
fn opened_by(port: &str) -> Option<u32> {
    let path = std::fs::canonicalize(port).ok()?;
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| *id != std::process::id()).find(|id: &u32| {
        let files = std::fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
        files.map(|file| std::fs::read_link(file.path())).any(|target| target.is_ok_and(|target| target == path))
    })
}

/// The group that may open `port`.
#[cfg(unix)]
pub(super) fn group(port: &str) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let id = std::fs::metadata(port).ok()?.gid();
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn holder(_: &str) -> Option<Holder> {
    None
}

#[cfg(not(unix))]
pub(super) fn group(_: &str) -> Option<String> {
    None
}
