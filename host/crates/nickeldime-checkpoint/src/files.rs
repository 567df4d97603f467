//! Replaces files atomically: a file is written beside its final place and then moved there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::Builder;

/// Writes a file so that a reader, a crash or a full disk never sees half of it: `path` keeps its old content until
/// the new one is complete and on the disk. Folders that are missing above it are made. What is no file (a device, a pipe)
/// is written to, and stays what it is.
///
/// # Errors
/// The error that `write` returns, or one of the file system; `path` is untouched then.
pub fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        let device = File::options().write(true).open(path)?;
        let mut buffered = BufWriter::with_capacity(1 << 16, &device);
        write(&mut buffered)?;
        return buffered.flush();
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let mut builder = Builder::new();
    builder.prefix(".nickeldime-");
    #[cfg(unix)]
    {
        // Temporary files are private by default; a result is as readable as any file of its user (the umask applies).
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let temporary = builder.tempfile_in(folder)?;
    let mut buffered = BufWriter::with_capacity(1 << 16, temporary.as_file());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|e| e.error)?;
    // The rename itself survives a power cut only when the folder is written too; not every file system can.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        replace(&path, |w| w.write_all(b"old")).unwrap();
        let failed = replace(&path, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("cut"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_stays_a_device() {
        use std::os::unix::fs::FileTypeExt;
        let full = Path::new("/dev/full");
        let failed = replace(full, |w| w.write_all(b"more than there is room for"));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        replace(Path::new("/dev/null"), |w| w.write_all(b"gone")).unwrap();
        for device in ["/dev/full", "/dev/null"] {
            assert!(fs::metadata(device).unwrap().file_type().is_char_device(), "{device}");
        }
    }
}
