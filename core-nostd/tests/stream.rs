//! The image is made row by row, in the RAM that the plan says, with the integers of the whole-map definition; and two
//! latents join as they should.

use core::ops::ControlFlow;

use nickeldime_core::generator::{GenerateError, Join, Latent, Noise, Sample, generate};
use nickeldime_core::pack::{Pack, WeightWidth};
use nickeldime_testkit::packs::{Random, Shape, any_shape, draw, random_pack, rounds, tiny};
use nickeldime_testkit::whole_map;

const PLAIN: Sample<'static> = Sample { latent: Latent::Seed(1), psi: 16384, noise: Noise::None };

fn shape(w_dim: u16, mapping_layers: usize, channels: &[u16]) -> Shape {
    Shape { z_dim: w_dim, w_dim, mapping_layers, channels: channels.to_vec(), ..tiny() }
}

/// From 8x8 to 256x256, with odd channel counts and with more channels above than below.
fn shapes() -> impl Iterator<Item = Shape> {
    let shapes = [
        shape(2, 1, &[1, 1]),
        shape(5, 2, &[6, 3]),
        shape(4, 1, &[3, 8]),
        shape(8, 2, &[5, 4, 3]),
        shape(7, 1, &[4, 7, 2, 5]),
        shape(9, 1, &[9, 7, 6, 5, 3]),
        shape(6, 1, &[3, 2, 5, 1, 2, 3]),
        shape(6, 1, &[4, 3, 3, 2, 2, 1, 2]),
    ];
    shapes.into_iter().filter(|shape| !cfg!(miri) || shape.channels.len() < 4)
}

#[test]
fn rows_are_those_of_the_whole_maps() {
    let mut random = Random::new(20);
    for (index, mut shape) in shapes().enumerate() {
        shape.width = [WeightWidth::I8, WeightWidth::I16][index % 2];
        let bytes = random_pack(&shape, 30 + index as u32);
        let pack = Pack::open(bytes.bytes()).unwrap();
        let small = shape.channels.len() < 6;
        for noise in if small { &[Noise::None, Noise::Const, Noise::Random(5)][..] } else { &[Noise::Random(6)] } {
            let w: Vec<i32> = (0..pack.w_dim()).map(|_| random.signed(3 << 16)).collect();
            let ours = draw(&pack, &Sample { latent: Latent::W(&w), psi: 0, noise: *noise }).unwrap();
            assert!(ours == whole_map::image(&pack, &w, *noise), "{shape:?} {noise:?}");
        }
    }
}

#[test]
fn the_plan_is_exact() {
    for (index, shape) in shapes().enumerate() {
        let bytes = random_pack(&shape, index as u32);
        let pack = Pack::open(bytes.bytes()).unwrap();
        assert_eq!(pack.ram().total(), 4 * pack.workspace_len());
        let mut workspace = vec![0; pack.workspace_len()];
        let row = &mut |_, _: &[u8]| ControlFlow::Continue(());
        // That no element is left over a debug assertion of the engine says.
        assert_eq!(generate(&pack, &PLAIN, &mut workspace, row), Ok(()));
        let one_less = &mut workspace[1..];
        assert_eq!(generate(&pack, &PLAIN, one_less, row), Err(GenerateError::WorkspaceTooSmall));
    }
}

/// `paper256` with 95 and 90 % of its channels removed.
#[test]
#[cfg_attr(miri, ignore = "large packs are too slow there")]
fn faces_of_256_pixels_fit_their_budgets() {
    for (keep, kilobytes) in [([26, 26, 26, 26, 13, 7, 4], 96), ([52, 52, 52, 52, 26, 13, 7], 160)] {
        let bytes = random_pack(&shape(512, 8, &keep), 1);
        let ram = Pack::open(bytes.bytes()).unwrap().ram();
        println!("{ram:?}, {} in all", ram.total());
        // 16 kB are left for the stack.
        assert!(ram.total() <= (kilobytes - 16) << 10);
    }
}

#[test]
fn an_image_can_be_stopped_after_any_row() {
    let bytes = random_pack(&shape(5, 1, &[3, 2, 3]), 2);
    let pack = Pack::open(bytes.bytes()).unwrap();
    let image = draw(&pack, &PLAIN).unwrap();
    let mut workspace = vec![0; pack.workspace_len()];
    for last in (0..16).step_by(if cfg!(miri) { 7 } else { 1 }) {
        let mut rows = Vec::new();
        let result = generate(&pack, &PLAIN, &mut workspace, &mut |y, row| {
            assert_eq!(rows.len(), 48 * y);
            rows.extend_from_slice(row);
            if y == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(result, Err(GenerateError::Stopped));
        assert!(rows == image[..48 * (last + 1)]);
    }
}

fn pair(first: u64, second: u64, join: Join) -> Sample<'static> {
    Sample { latent: Latent::Pair { seeds: [first, second], join }, psi: 11469, noise: Noise::None }
}

#[test]
fn two_latents_join_at_a_layer_or_by_weight() {
    let bytes = random_pack(&shape(8, 2, if cfg!(miri) { &[5, 4] } else { &[5, 4, 3] }), 3);
    let pack = Pack::open(bytes.bytes()).unwrap();
    let of = |seed| draw(&pack, &Sample { latent: Latent::Seed(seed), ..pair(0, 0, Join::Cut(0)) }).unwrap();
    let (first, second) = (of(1), of(2));
    let join = |join| draw(&pack, &pair(1, 2, join)).unwrap();
    assert!(join(Join::Cut(0)) == second);
    let layers = pack.num_ws() as u8;
    assert!(join(Join::Cut(layers)) == first && join(Join::Cut(255)) == first);
    assert!(join(Join::Weight(0)) == first);
    assert!(join(Join::Weight(16384)) == second);

    let mut images: Vec<_> = (0..=layers).map(|cut| join(Join::Cut(cut))).collect();
    images.extend([8192, -8192, i16::MAX, i16::MIN].map(|weight| join(Join::Weight(weight))));
    for (a, image) in images.iter().enumerate() {
        assert!(images[..a].iter().all(|other| other != image), "{a}");
    }
    // The same latent twice is that latent, whatever the join.
    for join in [Join::Cut(3), Join::Weight(5000)] {
        assert!(draw(&pack, &pair(1, 1, join)).unwrap() == first);
    }
}

#[test]
fn a_thousand_packs_of_any_shape_run_without_a_trap() {
    let mut random = Random::new(40);
    let count = rounds(1000) as u32;
    for round in 0..count {
        let shape = any_shape(&mut random);
        let bytes = random_pack(&shape, 1000 + round);
        let pack = Pack::open(bytes.bytes()).unwrap();
        let [first, second] = [random.word(), random.word()].map(u64::from);
        let latent = match random.below(3) {
            0 => Latent::Seed(first),
            1 => Latent::Pair { seeds: [first, second], join: Join::Cut(random.below(10) as u8) },
            _ => Latent::Pair { seeds: [first, second], join: Join::Weight(random.word() as i16) },
        };
        let noise = [Noise::None, Noise::Const, Noise::Random(second)][random.below(3) as usize];
        draw(&pack, &Sample { latent, psi: random.word() as i16, noise }).unwrap();
    }
    println!("{count} packs drawn");
}
