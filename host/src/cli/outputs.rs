//! The places where results will be written, checked before the work that makes them.

use std::path::Path;

use anyhow::{Context, bail, ensure};

/// What a file will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Pictures, for which one extension is possible.
    Png,
    /// Tensors.
    Safetensors,
    /// A pack for a device.
    Pack,
    /// A page.
    Html,
    /// A key that signs packs.
    Key,
    /// A moving picture.
    Animation,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Png => "a PNG file",
            Self::Safetensors => "a safetensors file",
            Self::Pack => "a pack",
            Self::Html => "an HTML page",
            Self::Key => "a key",
            Self::Animation => "a GIF, WebP or APNG file",
        }
    }

    /// The extensions of this format; the first is the usual one.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Png => &["png"],
            Self::Safetensors => &["safetensors"],
            Self::Pack => &["ndm"],
            Self::Html => &["html", "htm"],
            Self::Key => &["key", "pem"],
            Self::Animation => &["gif", "webp", "apng", "png"],
        }
    }

    /// Whether viewers choose by the extension, so that a file without it is of no use.
    fn needs_its_extension(self) -> bool {
        matches!(self, Self::Png | Self::Animation)
    }
}

/// Extensions that promise a format.
const KNOWN: [&str; 24] = [
    "apng",
    "avif",
    "bmp",
    "ckpt",
    "csv",
    "gif",
    "htm",
    "html",
    "jpeg",
    "jpg",
    "json",
    "ndm",
    "npy",
    "npz",
    "onnx",
    "pdf",
    "pkl",
    "png",
    "pt",
    "pth",
    "safetensors",
    "svg",
    "tiff",
    "webp",
];

/// Checks that a file of this format can be written here. Missing folders are no fault: they are made with the file.
///
/// # Errors
/// The name has another format's extension, is a folder's, or lies where nothing can be written.
pub fn file(path: &Path, format: Format) -> anyhow::Result<()> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(about) if about.is_dir() => bail!("{shown}: is a folder; name a file in it"),
        // A device or a pipe has no format.
        Ok(about) if !about.is_file() => return Ok(()),
        _ => {}
    }
    let text = path.to_string_lossy();
    ensure!(path.file_name().is_some() && !text.ends_with(['/', '\\']), "{shown}: names no file");
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let own = format.extensions();
    let foreign = format.needs_its_extension() || KNOWN.contains(&&extension[..]);
    if foreign && !own.contains(&&extension[..]) {
        let (first, what) = (path.with_extension(own[0]), format.name());
        bail!("{shown}: this writes {what}; name it {}", first.display());
    }
    writable(path, path.parent().unwrap_or(Path::new("")))
}

/// Checks that a folder is there, or can be made, and that files can be written into it.
///
/// # Errors
/// A file has this name, or nothing can be written here.
pub fn folder(path: &Path) -> anyhow::Result<()> {
    writable(path, path)
}

/// Checks that files can be written below `folder`, which may be missing.
fn writable(path: &Path, folder: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    for place in folder.ancestors() {
        let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
        let about = match std::fs::metadata(place) {
            Ok(about) => about,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e).with_context(|| format!("{shown}: cannot be written: {}", place.display())),
        };
        ensure!(about.is_dir(), "{shown}: cannot be written: {} is no folder", place.display());
        // Rights, quotas and read-only file systems are known by trying only.
        let probe = tempfile::Builder::new().prefix(".nickeldime-").tempfile_in(place).map_err(|e| e.kind());
        return match probe {
            Ok(_) => Ok(()),
            Err(kind) => bail!("{shown}: cannot be written: {}: {kind}", place.display()),
        };
    }
    bail!("{shown}: cannot be written: no folder above it exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_promises_another_format_is_refused_with_a_better_one() {
        let here = tempfile::tempdir().unwrap();
        let said = |name: &str, format| file(&here.path().join(name), format).map_err(|e| e.to_string());
        for (name, format) in [
            ("g.png", Format::Png),
            ("G.PNG", Format::Png),
            ("missing/folder/g.png", Format::Png),
            ("student", Format::Safetensors),
            ("ratio-0.9", Format::Safetensors),
            ("m.ndm", Format::Pack),
            ("walk.webp", Format::Animation),
        ] {
            assert_eq!(said(name, format), Ok(()), "{name}");
        }
        for (name, format, better) in [
            ("g.jpg", Format::Png, "g.png"),
            ("g", Format::Png, "g.png"),
            ("t.pkl", Format::Safetensors, "t.safetensors"),
            ("walk.mp4", Format::Animation, "walk.gif"),
            ("r.pdf", Format::Html, "r.html"),
            ("m.safetensors", Format::Pack, "m.ndm"),
        ] {
            assert!(said(name, format).unwrap_err().ends_with(better), "{name}");
        }
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0, "a check leaves nothing");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_refused() {
        let here = tempfile::tempdir().unwrap();
        let plain = here.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        for path in [plain.join("g.png"), plain.join("a/b/g.png"), here.path().join("g.png/")] {
            assert!(file(&path, Format::Png).is_err(), "{}", path.display());
        }
        assert!(file(here.path(), Format::Pack).unwrap_err().to_string().contains("is a folder"));
        assert!(folder(&plain).is_err() && folder(&plain.join("a")).is_err());
        assert!(folder(&here.path().join("a/b")).is_ok() && folder(here.path()).is_ok());
        assert!(file(Path::new("g.png"), Format::Png).is_ok(), "a name without a folder");
    }
}
