//! The files beside the images.

use std::collections::BTreeMap;
use std::fmt;

/// Files of formats that are not read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotRead {
    /// The number of files by their extension, in lower case; those without an extension have an empty one.
    by_extension: BTreeMap<String, usize>,
}

impl NotRead {
    /// The number of files.
    pub fn count(&self) -> usize {
        self.by_extension.values().sum()
    }

    pub(super) fn add(&mut self, extension: &str) {
        *self.by_extension.entry(extension.to_lowercase()).or_default() += 1;
    }

    /// The sentence about them, after `before`; nothing where there are none.
    pub(super) fn after(&self, before: &str) -> String {
        if self.count() == 0 { String::new() } else { format!("{before}{self}") }
    }
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More kinds than a line should have.
        const SHOWN: usize = 8;
        let kind = |extension: &String| match &extension[..] {
            "" => "without an extension".into(),
            _ => format!(".{}", extension.replace(char::is_control, " ")),
        };
        let mut kinds: Vec<String> = self.by_extension.keys().take(SHOWN).map(kind).collect();
        if self.by_extension.len() > SHOWN {
            kinds.push("...".into());
        }
        let (files, were) = if self.count() == 1 { ("file", "was") } else { ("files", "were") };
        write!(f, "{} {files} of other formats ({}) {were} not read", self.count(), kinds.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_read_is_one_sentence() {
        let mut files = NotRead::default();
        files.add("HEIC");
        assert_eq!(files.to_string(), "1 file of other formats (.heic) was not read");
        files.add("avif");
        files.add("heic");
        files.add("");
        assert_eq!(files.to_string(), "4 files of other formats (without an extension, .avif, .heic) were not read");
    }
}
