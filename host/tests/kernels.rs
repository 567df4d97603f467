//! The CPU backend's own loops and their gradients equal burn's operations, which nested autodiff falls back on.

use burn::{
    backend::{Autodiff, Flex},
    tensor::{Tensor, TensorData, backend::AutodiffBackend},
};
use nickeldime::nets::{
    dual::Dual,
    ops::{bias_act, correlate, fir, scale_channels, transposed, upsample},
};
use nickeldime_checkpoint::random::Stream;

type Own = Autodiff<Flex>;
type Burn = Autodiff<Autodiff<Flex>>;

#[derive(Debug, Clone, Copy)]
enum Case {
    Correlate { stride: usize, padding: usize },
    Transposed,
    Fir { down: usize, pad: (usize, usize) },
    Upsample,
    BiasAct { limit: Option<f32> },
    Gate { limit: Option<f32> },
    Scale,
}

/// The result, and the gradients of its product with fixed numbers.
fn run<A: AutodiffBackend>(case: Case, shapes: &[[usize; 4]]) -> Vec<Vec<f32>> {
    let device = Default::default();
    let numbers = |index: usize, shape: [usize; 4]| {
        let mut stream = Stream::new(7, "kernels", index as u64);
        let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|_| stream.one_normal()).collect();
        Tensor::<A, 4>::from_data(TensorData::new(values, shape), &device)
    };
    let inputs: Vec<_> = shapes.iter().enumerate().map(|(i, &shape)| numbers(i, shape).require_grad()).collect();
    let input = |i: usize| inputs[i].clone();
    let bias = || input(1).reshape([shapes[1][1]]);
    let noise = || (shapes.len() > 2).then(|| input(2));
    let output = match case {
        Case::Correlate { stride, padding } => correlate(input(0), input(1), stride, padding),
        Case::Transposed => transposed(input(0), input(1)),
        Case::Fir { down, pad } => fir(input(0), down, pad, 1.5),
        Case::Upsample => upsample(input(0)),
        Case::BiasAct { limit } => bias_act(input(0).into(), bias(), noise(), 0.7, limit).primal,
        Case::Gate { limit } => {
            let x = Dual::along(input(0), input(0) * 3.0);
            bias_act(x, bias(), noise(), 0.7, limit).tangent.unwrap()
        }
        Case::Scale => {
            let [n, c, ..] = shapes[1];
            scale_channels(input(0).into(), input(1).reshape([n, c]).into()).primal
        }
    };
    let grads = (output.clone() * numbers(99, output.dims())).sum().backward();
    let data = |data: TensorData| data.iter::<f32>().collect();
    let gradients = inputs.iter().map(|input| input.grad(&grads).map_or(Vec::new(), |grad| data(grad.into_data())));
    std::iter::once(data(output.into_data())).chain(gradients).collect()
}

fn compare(case: Case, shapes: &[[usize; 4]]) -> f32 {
    let (own, burn) = (run::<Own>(case, shapes), run::<Burn>(case, shapes));
    let mut worst = 0f32;
    for (part, (own, burn)) in own.iter().zip(&burn).enumerate() {
        assert_eq!(own.len(), burn.len(), "{case:?} of {shapes:?}: part {part}");
        let scale = burn.iter().fold(1e-6f32, |most, x| most.max(x.abs()));
        let error = own.iter().zip(burn).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / scale;
        assert!(error < 2e-6, "{case:?} of {shapes:?}: part {part}: {error}");
        worst = worst.max(error);
    }
    worst
}

#[test]
fn convolutions_and_their_gradients_are_burns() {
    let mut worst = 0f32;
    for n in [1, 3, 17] {
        for (size, stride, padding, map) in [
            (3, 1, 1, [5, 7]),
            (3, 1, 1, [4, 4]),
            (3, 1, 0, [9, 6]),
            (1, 1, 0, [3, 8]),
            (3, 2, 0, [9, 17]),
            (3, 2, 1, [8, 12]),
            (5, 2, 2, [8, 8]),
            (1, 2, 0, [6, 6]),
        ] {
            let shapes = [[n, 3, map[0], map[1]], [5, 3, size, size]];
            worst = worst.max(compare(Case::Correlate { stride, padding }, &shapes));
        }
        worst = worst.max(compare(Case::Transposed, &[[n, 3, 4, 5], [6, 3, 3, 3]]));
    }
    // More than one tile of windows.
    worst = worst.max(compare(Case::Correlate { stride: 1, padding: 1 }, &[[2, 40, 33, 24], [7, 40, 3, 3]]));
    worst = worst.max(compare(Case::Correlate { stride: 2, padding: 0 }, &[[2, 70, 41, 41], [7, 70, 3, 3]]));
    worst = worst.max(compare(Case::Transposed, &[[2, 7, 40, 20], [70, 7, 3, 3]]));
    println!("convolutions: largest error {worst:.1e}");
}

#[test]
fn filters_and_their_gradients_are_burns() {
    let mut worst = 0f32;
    for size in [2, 4, 6, 32] {
        let shapes = [[2, 3, size, size]];
        for (down, pad) in [(1, (2, 2)), (2, (1, 1)), (1, (2, 1))] {
            worst = worst.max(compare(Case::Fir { down, pad }, &shapes));
        }
        worst = worst.max(compare(Case::Upsample, &shapes));
        worst = worst.max(compare(Case::Fir { down: 1, pad: (1, 1) }, &[[2, 3, size + 1, size + 1]]));
    }
    println!("filters: largest error {worst:.1e}");
}

#[test]
fn activations_and_their_gradients_are_burns() {
    let mut worst = 0f32;
    for limit in [None, Some(0.8)] {
        for (n, c, h, w) in [(1, 1, 1, 1), (3, 5, 4, 7), (2, 9, 48, 40)] {
            let x = [n, c, h, w];
            for shapes in
                [vec![x, [1, c, 1, 1]], vec![x, [1, c, 1, 1], [1, 1, h, w]], vec![x, [1, c, 1, 1], [n, 1, h, w]]]
            {
                worst = worst.max(compare(Case::BiasAct { limit }, &shapes));
                worst = worst.max(compare(Case::Gate { limit }, &shapes[..2]));
            }
            worst = worst.max(compare(Case::Scale, &[x, [n, c, 1, 1]]));
        }
    }
    println!("activations: largest error {worst:.1e}");
}
