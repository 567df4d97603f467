//! Reads zip files without compression, as PyTorch writes them, from memory.
//!
//! Only the directory at the end is read, and the memory used depends on its length. The `zip` crate reserves memory for
//! as many entries as a damaged file claims, some 40 times the file's size. Sizes and offsets may be 64 bits wide
//! (zip64).

/// A file in a zip.
pub(super) struct Stored<'a> {
    /// The name's bytes.
    pub name: &'a [u8],
    /// The content and its offset in the zip, or what is wrong with it.
    pub content: Result<(usize, &'a [u8]), &'static str>,
}

const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
const ENTRY: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// Length of the fixed part of an end record. The longest comment follows it.
const END_LENGTH: usize = 22;
const LONGEST_COMMENT: usize = u16::MAX as usize;

/// Every file of a zip, in the order of its directory.
///
/// # Errors
/// A text that says what is wrong with the directory. A single entry that cannot be read carries its own error.
pub(super) fn files(bytes: &[u8]) -> Result<Vec<Stored<'_>>, &'static str> {
    const CUT: &str = "no directory at its end: cut short or damaged";
    let last = bytes.len().checked_sub(END_LENGTH).ok_or(CUT)?;
    let is_end = |&at: &usize| bytes[at..].starts_with(END) && number(bytes, at + 20, 2) == Some((last - at) as u64);
    let end = (last.saturating_sub(LONGEST_COMMENT)..=last).rev().find(is_end).ok_or(CUT)?;
    let wide = end.checked_sub(20).filter(|&at| bytes[at..].starts_with(LOCATOR64));
    let (at, length, start) = match wide {
        Some(locator) => {
            let at = number(bytes, locator + 8, 8).and_then(|at| usize::try_from(at).ok());
            let at = at.filter(|&at| bytes.get(at..).is_some_and(|rest| rest.starts_with(END64))).ok_or(CUT)?;
            (at, number(bytes, at + 40, 8), number(bytes, at + 48, 8))
        }
        None => (end, number(bytes, end + 12, 4), number(bytes, end + 16, 4)),
    };
    let start = start.and_then(|start| usize::try_from(start).ok()).filter(|&start| start <= at).ok_or(CUT)?;
    let directory = length.and_then(|length| start.checked_add(usize::try_from(length).ok()?));
    let mut rest = directory.and_then(|end| bytes.get(start..end)).ok_or(CUT)?;
    let mut files = Vec::new();
    while !rest.is_empty() {
        let (file, length) = entry(bytes, rest).ok_or("a damaged directory")?;
        files.push(file);
        rest = &rest[length..];
    }
    Ok(files)
}

/// The first entry of the remaining directory, and its length there.
fn entry<'a>(bytes: &'a [u8], rest: &'a [u8]) -> Option<(Stored<'a>, usize)> {
    const FIXED: usize = 46;
    const WIDE: u64 = u32::MAX as u64;
    if !rest.starts_with(ENTRY) {
        return None;
    }
    let field = |at, size| number(rest, at, size);
    let lengths = [28, 30, 32].map(|at| field(at, 2));
    let [name, extra, comment] = lengths.map(|length| length.unwrap_or(u64::MAX) as usize);
    let length = FIXED.checked_add(name)?.checked_add(extra)?.checked_add(comment)?;
    if rest.len() < length {
        return None;
    }
    let (flags, method) = (field(8, 2)?, field(10, 2)?);
    // Values that do not fit 32 bits are in the extra fields, in this order; those that fit are not.
    let mut wide = rest.get(FIXED + name..FIXED + name + extra).and_then(zip64).unwrap_or_default();
    let mut widened = |value: u64| match (value, wide.split_first_chunk()) {
        (WIDE, Some((number, more))) => {
            wide = more;
            u64::from_le_bytes(*number)
        }
        _ => value,
    };
    let size = widened(field(24, 4)?);
    let packed = widened(field(20, 4)?);
    let header = widened(field(42, 4)?);
    let content = match (flags & 1, method) {
        (0, 0) if size == packed => content(bytes, header, size).ok_or("reaches beyond the file: cut short or damaged"),
        _ => Err("compressed: PyTorch stores it as it is; save the file again with torch.save"),
    };
    Some((Stored { name: &rest[FIXED..FIXED + name], content }, length))
}

/// A file's content, which follows its own header.
fn content(bytes: &[u8], header: u64, size: u64) -> Option<(usize, &[u8])> {
    const FIXED: usize = 30;
    let header = usize::try_from(header).ok()?;
    if !bytes.get(header..)?.starts_with(LOCAL) {
        return None;
    }
    let [name, extra] = [26, 28].map(|at| number(bytes, header + at, 2));
    let start = header + FIXED + name? as usize + extra? as usize;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    Some((start, bytes.get(start..end)?))
}

/// The data of the zip64 extra field of an entry.
fn zip64(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let (kind, length) = (number(extra, 0, 2)?, number(extra, 2, 2)? as usize);
        let data = extra.get(4..4 + length)?;
        if kind == 1 {
            return Some(data);
        }
        extra = &extra[4 + length..];
    }
}

/// Reads a little-endian number of `size` bytes, at most 8.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let digits = bytes.get(at..at.checked_add(size)?)?;
    Some(digits.iter().rev().fold(0, |number, &digit| number << 8 | u64::from(digit)))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn written(options: SimpleFileOptions) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in [("a/data.pkl", &b"pickle"[..]), ("a/data/0", &[7; 300]), ("a/empty", b"")] {
            zip.start_file(name, options).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn every_file_is_found_where_it_lies() {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for bytes in [written(stored), written(stored.large_file(true)), written(stored.with_alignment(64))] {
            let found = files(&bytes).unwrap();
            let names: Vec<_> = found.iter().map(|file| file.name).collect();
            assert_eq!(names, [&b"a/data.pkl"[..], b"a/data/0", b"a/empty"]);
            let contents: Vec<_> = found.iter().map(|file| file.content.unwrap()).collect();
            assert_eq!(contents.iter().map(|(_, content)| content.len()).collect::<Vec<_>>(), [6, 300, 0]);
            assert_eq!((contents[0].1, &bytes[contents[0].0..][..6]), (&b"pickle"[..], &b"pickle"[..]));
        }
        let packed = written(SimpleFileOptions::default().compression_method(CompressionMethod::Deflated));
        assert!(files(&packed).unwrap().iter().any(|file| file.content.is_err()));
    }

    #[test]
    fn any_cut_and_any_wrong_byte_is_an_error_or_files() {
        let whole =
            written(SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true));
        for end in 0..whole.len() {
            assert!(files(&whole[..end]).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            for wrong in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = wrong;
                let _ = files(&bytes);
            }
        }
    }
}
