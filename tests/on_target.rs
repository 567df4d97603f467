//! Every emulated processor makes the host's bytes, the Cortex-M4 with either kind of kernels, in the RAM and with the
//! instructions that are written down.
//!
//! Needs QEMU and the processors' targets; without them it says so and passes.

use std::process::Command;
use std::sync::LazyLock;

use nickeldime::emulate::BoardKind;
use nickeldime::emulate::on_target::{ImageCost, Kernels, MeasuredLayer, OnTarget};
use nickeldime_core::generator::{Latent, Noise, Sample};
use nickeldime_core::pack::{Pack, WeightWidth};
use nickeldime_testkit::boards::{emulate_with, error, json};
use nickeldime_testkit::command::text;
use nickeldime_testkit::packs::{Shape, draw, random_pack, tiny};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The programs, and the most instructions for each multiply-accumulate of the single layers.
const MEASURED: [(&str, Kernels, Option<[f64; 5]>); 5] = [
    ("qemu-m4", Kernels::Own, Some([1.30, 1.40, 1.20, 1.80, 2.20])),
    ("qemu-m4", Kernels::Portable, None),
    ("qemu-m55", Kernels::Own, Some([0.31, 0.31, 0.23, 0.39, 0.46])),
    ("qemu-m0", Kernels::Own, Some([7.0, 7.5, 6.3, 9.0, 11.0])),
    ("qemu-rv32", Kernels::Own, Some([2.9, 3.0, 2.7, 3.4, 4.3])),
];

/// The programs, built once; empty where something is missing.
static PROGRAMS: LazyLock<Vec<OnTarget>> = LazyLock::new(|| {
    let programs: Result<_, _> = MEASURED.iter().map(|&(board, kernels, _)| OnTarget::build(board, kernels)).collect();
    programs.unwrap_or_else(|error| {
        let error = error.to_string();
        assert!(error.contains("apt-get install") || error.contains("rustup target add"), "{error}");
        eprintln!("skipped: {error}");
        Vec::new()
    })
});

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
    let shapes: [&[u16]; 5] = [&[6, 3], &[9, 7, 6, 5], &[5, 7, 3, 4, 3], &[4, 3, 5, 2, 2, 3], &[4, 3, 3, 2, 2, 1, 2]];
    for (index, channels) in shapes.into_iter().enumerate() {
        let width = [WeightWidth::I8, WeightWidth::I16][index % 2];
        let shape = Shape { z_dim: 7, w_dim: 9, mapping_layers: 2, channels: channels.to_vec(), width, ..tiny() };
        let bytes = random_pack(&shape, index as u32);
        let expected = host(&Pack::open(bytes.bytes()).unwrap(), 64);
        for (program, measured) in PROGRAMS.iter().zip(MEASURED) {
            assert_eq!(program.hash(bytes.bytes(), 64).unwrap(), expected, "{measured:?} {shape:?}");
        }
    }
}

#[test]
fn every_kernel_equals_its_portable_twin() {
    for (program, (board, kernels, _)) in PROGRAMS.iter().zip(MEASURED) {
        if kernels == Kernels::Own {
            let compared = program.twins(64).unwrap();
            println!("{board}: {compared} comparisons");
            assert!(compared > 250_000);
        }
    }
}

#[test]
fn single_layers_are_within_their_budgets() {
    for (program, (board, _, budgets)) in PROGRAMS.iter().zip(MEASURED) {
        let Some(budgets) = budgets else { continue };
        let layers = program.layers().unwrap();
        assert_eq!(layers.len(), budgets.len());
        for (layer, most) in layers.iter().zip(budgets) {
            println!("{board}, {}: {:.2}", layer.name, layer.per_mac);
            assert!(layer.per_mac <= most, "{board}: {layer:?}");
        }
    }
}

/// What `nickeldime bench --json` says.
#[derive(Deserialize)]
struct Bench {
    layers: Vec<MeasuredLayer>,
    images: Vec<Image>,
}

#[derive(Deserialize)]
struct Image {
    name: String,
    #[serde(flatten)]
    cost: ImageCost,
}

/// What `nickeldime bench --board B --json` said, and the most instructions of a request and bytes of RAM of its images.
const WRITTEN: [(&str, &str, [(u64, u64); 2]); 4] = [
    ("qemu-m4", include_str!("bench.json"), [(108_000_000, 96 << 10), (290_000_000, 160 << 10)]),
    ("qemu-m55", include_str!("bench-qemu-m55.json"), [(48_500_000, 100 << 10), (98_000_000, 164 << 10)]),
    ("qemu-m0", include_str!("bench-qemu-m0.json"), [(590_000_000, 96 << 10), (1_370_000_000, 160 << 10)]),
    ("qemu-rv32", include_str!("bench-qemu-rv32.json"), [(310_000_000, 96 << 10), (690_000_000, 160 << 10)]),
];

/// After a change that costs or saves: `nickeldime bench --board BOARD --json` into the file of that board.
#[test]
fn costs_are_within_their_budgets_and_within_two_percent_of_what_is_written_down() {
    if PROGRAMS.is_empty() {
        return;
    }
    for (board, written, budgets) in WRITTEN {
        let written: Bench = serde_json::from_str(written).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_nickeldime"));
        let output = { command }.args(["bench", "--board", board, "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let now: Bench = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((now.layers.len(), now.images.len()), (written.layers.len(), budgets.len()));
        for (before, now) in written.layers.iter().zip(&now.layers) {
            assert_eq!(before.shape, now.shape);
            grown(board, &now.name, before.instructions, now.instructions);
        }
        for ((before, Image { name, cost }), (instructions, ram)) in written.images.iter().zip(&now.images).zip(budgets)
        {
            assert_eq!(&before.name, name);
            let used = cost.ram_bytes + cost.stack_bytes;
            assert!(cost.request_instructions <= instructions && used <= ram, "{board}, {name}: {cost:?}");
            let first = cost.request_first_row_instructions;
            assert!(100 * first <= 13 * cost.request_instructions, "{board}, {name}: {cost:?}");
            let before = before.cost;
            grown(board, name, before.request_instructions, cost.request_instructions);
            grown(board, "its first row", before.request_first_row_instructions, first);
            grown(board, "its hash", before.hash_instructions, cost.hash_instructions);
            grown(board, "its mapping", before.mapping_instructions, cost.mapping_instructions);
            grown(board, "its verification", before.verification_instructions, cost.verification_instructions);
            grown(board, "its RAM", before.ram_bytes, cost.ram_bytes);
            grown(board, "its stack", before.stack_bytes, cost.stack_bytes);
        }
    }
}

/// The firmware's clock counts what the measuring program counts, on every processor, but for the bytes of the request.
#[test]
#[cfg(unix)]
fn an_emulator_that_counts_says_what_an_image_took() {
    let shape = Shape { channels: vec![9, 7, 6, 5], ..tiny() };
    let pack = random_pack(&shape, 3);
    let file = tempfile::NamedTempFile::with_suffix(".ndm").unwrap();
    std::fs::write(file.path(), pack.bytes()).unwrap();
    for (program, (board, kernels, _)) in PROGRAMS.iter().zip(MEASURED) {
        if kernels == Kernels::Portable {
            continue;
        }
        let kind: BoardKind = board.parse().unwrap();
        let counting = emulate_with(kind, &["--count"]);
        let port = &counting.port[..];
        json(&["send", text(file.path()), "--port", port]);
        let sampled = json(&["sample", "--port", port, "--seed", "0,0,0", "--noise", "random"]);
        let counted: Vec<u64> = serde_json::from_value(sampled["instructions"].clone()).unwrap();
        let expected = program.image(pack.bytes()).unwrap().request_instructions;
        println!("{board}: {counted:?}, the measuring program {expected}");
        assert_eq!(counted.len(), 3);
        assert!(
            counted.iter().all(|&count| count.abs_diff(expected) * 10 <= expected),
            "{board}: {counted:?}, {expected}"
        );
    }
    if !PROGRAMS.is_empty() {
        let timed = emulate_with(BoardKind::roomy(), &[]);
        json(&["send", text(file.path()), "--port", &timed.port]);
        let sampled = json(&["sample", "--port", &timed.port, "--seed", "0"]);
        assert!(sampled.get("instructions").is_none(), "time is not counted: {sampled}");
    }
    let refused = error(&["emulate", "--board", "host", "--count"]);
    assert!(refused.contains("emulate --board qemu-m4 --count"), "{refused}");
}

fn grown(board: &str, what: &str, before: u64, now: u64) {
    println!("{board}, {what}: {now}, written down {before}");
    assert!(50 * now <= 51 * before, "{board}: {what} has grown from {before} to {now}");
}
