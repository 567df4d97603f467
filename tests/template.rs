//! The firmware for one's own board, outside the workspace: what `docs/boards.md` tells its reader to copy builds, and
//! draws the host's images.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nickeldime_link::Client;
use nickeldime_testkit::boards::{all_rows, preview, seed};
use nickeldime_testkit::packs::{random_pack, tiny};

const TARGET: &str = "thumbv7em-none-eabihf";

/// QEMU, which ends with the test.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Builds the template and returns its program.
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = root.join("target").join("template");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--release", "--target", TARGET, "--manifest-path"]);
    cargo.arg(root.join("firmware/template/Cargo.toml")).arg("--target-dir").arg(&target);
    // Flags meant for this computer do not fit the board.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    let output = cargo.output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    target.join(TARGET).join("release").join("my-board")
}

#[test]
fn the_template_outside_the_workspace_draws_the_hosts_image() {
    if Command::new("qemu-system-arm").arg("--version").output().is_err() {
        eprintln!("not tested: qemu-system-arm is not installed");
        return;
    }
    let mut qemu = Command::new("qemu-system-arm");
    qemu.args(["-machine", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "pty", "-kernel"]);
    let qemu = qemu.arg(build()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut qemu = Qemu(qemu.spawn().expect("QEMU starts"));
    let said = BufReader::new(qemu.0.stdout.take().expect("it is piped"));
    let line = said.lines().map_while(Result::ok).find(|line| line.contains("redirected to "));
    let line = line.expect("QEMU says where its serial line is");
    let port = line.split("redirected to ").nth(1).and_then(|rest| rest.split(" (label").next()).expect("a path");

    let pack = random_pack(&tiny(), 0);
    let mut client = Client::open(port).expect("the template answers");
    client.upload(pack.bytes(), &mut |_, _| {}).expect("the pack fits");
    for number in 0..4 {
        let image = client.sample(&seed(number), &mut all_rows).expect("makes an image");
        assert!(image.pixels == preview(pack.bytes(), &seed(number)), "seed {number}");
    }
}
