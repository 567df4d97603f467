//! `nickeldime.h` is what the sources make; with `NICKELDIME_HEADER=write` this test writes it.

use std::path::Path;
use std::{env, fs};

#[test]
fn the_header_is_what_the_sources_make() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).expect("cbindgen.toml is read");
    let sources = cbindgen::Builder::new().with_config(config).with_src(folder.join("src/lib.rs"));
    let mut made = Vec::new();
    sources.generate().expect("a header can be made").write(&mut made);
    let made = String::from_utf8(made).expect("a header is text").replace("# Safety", "The caller promises:");
    let path = folder.join("nickeldime.h");
    if env::var_os("NICKELDIME_HEADER").is_some_and(|wish| wish == "write") {
        fs::write(&path, &made).expect("the header is written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "{} is not what the sources make: run this test with NICKELDIME_HEADER=write",
        path.display()
    );
}
