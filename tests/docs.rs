//! The documentation agrees with the code and with itself.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use nickeldime_core::{link::PROTOCOL_VERSION, pack::FORMAT_VERSION};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is there")
}

/// All files below `folder` with this extension, build outputs and hidden folders left out.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            let name = name.to_string_lossy();
            if !name.starts_with('.') && !["target", "out", "shared"].contains(&&*name) {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

/// A source text without line breaks and comment marks, so that a citation may be wrapped.
fn unwrapped(source: &str) -> String {
    let line = |line: &str| line.trim().trim_start_matches(['/', '!', '#']).trim().to_string();
    source.lines().map(line).collect::<Vec<_>>().join(" ")
}

/// The sections that a text cites: of "`docs/method.md`, sections 1 and 2" these are 1 and 2.
fn cited(text: &str) -> Vec<u32> {
    let mut sections = Vec::new();
    for (at, _) in text.match_indices("method.md") {
        let rest = text[at + "method.md".len()..].trim_start_matches(['`', ',', ' ']);
        let Some(numbers) = rest.strip_prefix("section") else { continue };
        let numbers = numbers.trim_start_matches('s').replace(" and ", ",");
        let end = numbers.find(|c: char| !c.is_ascii_digit() && !", ".contains(c)).unwrap_or(numbers.len());
        sections.extend(numbers[..end].split(',').filter_map(|n| n.trim().parse::<u32>().ok()));
    }
    sections
}

#[test]
fn every_cited_section_of_the_method_exists() {
    let root = root();
    let method = fs::read_to_string(root.join("docs/method.md")).unwrap();
    let heading = |line: &str| line.strip_prefix("## ")?.split_once('.')?.0.parse::<u32>().ok();
    let sections: BTreeSet<u32> = method.lines().filter_map(heading).collect();
    assert_eq!(cited("see `docs/method.md`, sections 1 and 2), and method.md section 7."), [1, 2, 7]);
    let mut citing = 0;
    for file in files(&root, "rs").into_iter().filter(|file| !file.ends_with("tests/docs.rs")) {
        let cited = cited(&unwrapped(&fs::read_to_string(&file).unwrap()));
        citing += usize::from(!cited.is_empty());
        for section in cited {
            assert!(sections.contains(&section), "{}: docs/method.md has no section {section}", file.display());
        }
    }
    assert!(citing >= 10, "only {citing} files cite a section: this test no longer finds them");
}

/// The anchor that code hosts give a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || " -_".contains(*c);
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The lines of a page that are not inside a code block.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut links = 0;
    for page in files(&root(), "md") {
        let text = fs::read_to_string(&page).unwrap();
        for line in prose(&text) {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
                if link.contains("://") || link.contains('`') {
                    continue;
                }
                links += 1;
                let (file, section) = link.split_once('#').unwrap_or((link, ""));
                let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
                assert!(target.exists(), "{}: nothing at {link}", page.display());
                if !section.is_empty() {
                    let target = fs::read_to_string(&target).unwrap();
                    let headings = prose(&target).filter(|line| line.starts_with('#'));
                    let found = headings.map(|line| anchor(line.trim_start_matches('#'))).any(|a| a == section);
                    assert!(found, "{}: no section at {link}", page.display());
                }
            }
        }
    }
    assert!(links >= 20, "only {links} links: this test no longer finds them");
}

#[test]
fn the_changelog_names_the_versions_of_crates_pack_and_link() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let newest = changelog.lines().skip_while(|line| !line.starts_with("| ---")).nth(1).unwrap();
    let cells: Vec<&str> = newest.trim_matches('|').split('|').map(str::trim).collect();
    assert_eq!(cells[0].split(' ').next(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(cells[1..], [FORMAT_VERSION.to_string(), PROTOCOL_VERSION.to_string()]);
    for (kind, version) in [("Pack format", FORMAT_VERSION), ("Link protocol", PROTOCOL_VERSION)] {
        let list = changelog.split_once(&format!("### {kind}\n")).expect(kind).1;
        assert!(list.trim_start().starts_with(&format!("* {version}: ")), "{kind} {version} is not described");
    }
}
