//! The emulated Cortex-M4 makes the host's bytes, in the RAM and with the order of rows that were promised.
//!
//! Needs `qemu-system-arm` and the target `thumbv7em-none-eabihf`; without them it says so and passes.

#[path = "../core-nostd/tests/support/packs.rs"]
mod packs;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nickeldime_core::generator::{Latent, Noise, Sample};
use nickeldime_core::pack::{Pack, WeightWidth};
use packs::{Shape, draw, random_pack, tiny};
use sha2::{Digest, Sha256};

const TARGET: &str = "thumbv7em-none-eabihf";

/// What the emulated core says.
#[derive(Debug)]
struct Told {
    sha256: String,
    /// Timer ticks of 40 instructions to the first row of the last image, and to the end of all.
    first: u64,
    all: u64,
    stack: usize,
    workspace: usize,
}

/// The program, built once; none where the target is missing.
fn program() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let emulator = Command::new("qemu-system-arm").arg("--version").stdout(Stdio::null()).status();
        if !emulator.is_ok_and(|status| status.success()) {
            eprintln!("skipped: install qemu-system-arm");
            return None;
        }
        let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output().unwrap();
        if !Path::new(String::from_utf8_lossy(&libraries.stdout).trim()).is_dir() {
            eprintln!("skipped: rustup target add {TARGET}");
            return None;
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("on-target");
        let mut build = Command::new(env!("CARGO"));
        build.current_dir(root).env("CARGO_TARGET_DIR", &target);
        build.args(["build", "--quiet", "-p", "nickeldime-firmware", "--bin", "on-target", "--profile", "firmware"]);
        build.args(["--target", TARGET, "--features", "qemu-m4"]);
        assert!(build.status().unwrap().success(), "the program builds");
        Some(target.join(TARGET).join("firmware/on-target"))
    };
    PROGRAM.get_or_init(build).as_deref()
}

/// Images of the seeds `0 .. seeds` on the emulated core; none where there is no emulator.
fn emulate(name: &str, pack: &[u8], seeds: u32) -> Option<Told> {
    let program = program()?;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.ndm"));
    std::fs::write(&file, pack).unwrap();
    let output = Command::new("qemu-system-arm")
        .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "null", "-icount", "shift=0"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(program)
        .args(["-device", &format!("loader,file={},addr=0x21000000,force-raw=on", file.display())])
        .args(["-device", &format!("loader,addr=0x21f00000,data={seeds},data-len=4")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{name}: {} {text}", output.status);
    let mut fields = text.split_whitespace();
    let sha256 = fields.next().unwrap().to_string();
    let mut number = || fields.next().unwrap().parse::<u64>().unwrap();
    let (first, all) = (number(), number());
    Some(Told { sha256, first, all, stack: number() as usize, workspace: number() as usize })
}

fn host(pack: &Pack<'_>, seeds: u32) -> String {
    let mut hash = Sha256::new();
    for seed in (0..seeds).map(u64::from) {
        let sample = Sample { latent: Latent::Seed(seed), psi: 1 << 14, noise: Noise::Random(seed) };
        hash.update(draw(pack, &sample).unwrap());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn sixty_four_seeds_of_five_shapes_are_the_hosts() {
    let shapes: [(&str, &[u16], u32); 5] = [
        ("8", &[6, 3], 64),
        ("32", &[9, 7, 6, 5], 64),
        ("64", &[5, 7, 3, 4, 3], 64),
        ("128", &[4, 3, 5, 2, 2, 3], 64),
        ("256", &[4, 3, 3, 2, 2, 1, 2], 64),
    ];
    for (index, (name, channels, seeds)) in shapes.into_iter().enumerate() {
        let width = [WeightWidth::I8, WeightWidth::I16][index % 2];
        let shape = Shape { z_dim: 7, w_dim: 9, mapping_layers: 2, channels: channels.to_vec(), width, ..tiny() };
        let bytes = random_pack(&shape, index as u32);
        let Some(told) = emulate(name, bytes.bytes(), seeds) else { return };
        assert_eq!(told.sha256, host(&Pack::open(bytes.bytes()).unwrap(), seeds), "{shape:?}");
    }
}

/// `paper256` with 95 and 90 % of its channels removed.
#[test]
fn faces_of_256_pixels_keep_their_budgets_of_ram() {
    for (name, keep, kilobytes) in [("r95", [26, 26, 26, 26, 13, 7, 4], 96), ("r90", [52, 52, 52, 52, 26, 13, 7], 160)]
    {
        let channels = keep.to_vec();
        let shape = Shape { z_dim: 512, w_dim: 512, mapping_layers: 8, channels, ..tiny() };
        let bytes = random_pack(&shape, 1);
        let Some(told) = emulate(name, bytes.bytes(), 1) else { return };
        let share = told.first as f64 / told.all as f64;
        println!(
            "{name}: {:.1} M instructions, first row after {:.1} %, RAM {} + stack {} = {} bytes",
            told.all as f64 * 40e-6,
            100.0 * share,
            told.workspace,
            told.stack,
            told.workspace + told.stack
        );
        assert_eq!(told.sha256, host(&Pack::open(bytes.bytes()).unwrap(), 1));
        assert!(told.workspace + told.stack <= kilobytes << 10);
        assert!(share <= 0.15);
    }
}
