"""The NICKEL & DiME iteration as a plain PyTorch loop, to measure `nickeldime doctor` against.

The same networks, phases, losses and optimisers as `host/src/compress/trainer.rs`, on random weights and images; second
order by `create_graph`. `python iteration.py --help`. One JSON object on standard output.
"""

import argparse
import json
import math
import time

import torch
import torch.nn.functional as F
from torch import nn

SQRT2 = math.sqrt(2)


def channel_table(resolution, base, most):
    return [min(base // (4 << i), most) for i in range(int(math.log2(resolution)) - 1)]


ARCHS = {
    # z and w, mapping layers, resolution, channels, minibatch-deviation group
    "digits32": (64, 4, 32, channel_table(32, 1024, 64), 4),
    "paper256": (512, 8, 256, channel_table(256, 16384, 512), 8),
}


class FullyConnected(nn.Module):
    def __init__(self, inputs, outputs, bias=0.0, lr_mult=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_mult)
        self.bias = nn.Parameter(torch.full([outputs], bias))
        self.gain, self.lr_mult = lr_mult / math.sqrt(inputs), lr_mult

    def forward(self, x):
        return F.linear(x, self.weight * self.gain, self.bias * self.lr_mult)


def lrelu(x, gain=SQRT2):
    return F.leaky_relu(x, 0.2) * gain


class Fir(nn.Module):
    """[1, 3, 3, 1] twice, one pass for each axis."""

    def __init__(self):
        super().__init__()
        self.register_buffer("taps", torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8, persistent=False)

    def forward(self, x, pad, down=1, gain=1.0):
        c = x.shape[1]
        taps = self.taps * math.sqrt(gain)
        x = F.pad(x, [pad[0], pad[1], pad[0], pad[1]])
        x = F.conv2d(x, taps.reshape(1, 1, 1, 4).expand(c, 1, 1, 4), stride=(1, down), groups=c)
        return F.conv2d(x, taps.reshape(1, 1, 4, 1).expand(c, 1, 4, 1), stride=(down, 1), groups=c)

    def double(self, image):
        n, c, h, w = image.shape
        spread = F.pad(image.reshape(n, c, h, 1, w, 1), [0, 1, 0, 0, 0, 1]).reshape(n, c, 2 * h, 2 * w)
        return self(spread, (2, 1), gain=4.0)


class Layer(nn.Module):
    def __init__(self, w_dim, inputs, outputs, up):
        super().__init__()
        self.affine = FullyConnected(w_dim, inputs, 1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros([]))
        self.up, self.fir = up, Fir()

    def forward(self, x, w):
        style = self.affine(w)
        demodulation = (style.square() @ self.weight.square().sum([2, 3]).t() + 1e-8).rsqrt()
        x = x * style[:, :, None, None]
        if self.up:
            x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        x = x * demodulation[:, :, None, None]
        if self.up:
            x = self.fir(x, (1, 1), gain=4.0)
        n, _, h, w = x.shape
        x = x + torch.randn(n, 1, h, w, device=x.device) * self.strength
        return lrelu(x + self.bias[:, None, None])


class ToRgb(nn.Module):
    def __init__(self, w_dim, inputs):
        super().__init__()
        self.affine = FullyConnected(w_dim, inputs, 1.0)
        self.weight = nn.Parameter(torch.randn(3, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(3))
        self.gain = 1 / math.sqrt(inputs)

    def forward(self, x, w):
        style = self.affine(w) * self.gain
        return F.conv2d(x * style[:, :, None, None], self.weight, self.bias)


class Generator(nn.Module):
    def __init__(self, z_dim, mapping_layers, channels):
        super().__init__()
        self.mapping = nn.ModuleList(FullyConnected(z_dim, z_dim, 0.0, 0.01) for _ in range(mapping_layers))
        self.const = nn.Parameter(torch.randn(channels[0], 4, 4))
        self.convs, self.rgbs = nn.ModuleList(), nn.ModuleList()
        for i, c in enumerate(channels):
            if i > 0:
                self.convs.append(Layer(z_dim, channels[i - 1], c, True))
            self.convs.append(Layer(z_dim, c, c, False))
            self.rgbs.append(ToRgb(z_dim, c))
        self.fir, self.z_dim, self.num_ws = Fir(), z_dim, 2 * len(channels)
        self.register_buffer("w_avg", torch.zeros(z_dim))

    def w(self, z):
        x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            x = lrelu(layer(x))
        return x

    def ws(self, draw, track=True):
        z, z2, cut = draw
        w = self.w(z)
        if track:
            self.w_avg.copy_(w.detach().mean(0).lerp(self.w_avg, 0.995))
        ws = w[:, None].expand(-1, self.num_ws, -1)
        if cut < self.num_ws:
            second = self.w(z2)[:, None].expand(-1, self.num_ws, -1)
            ws = torch.cat([ws[:, :cut], second[:, cut:]], 1)
        return ws

    def forward(self, ws, catch=None):
        x, image, caught, index = self.const.expand(ws.shape[0], -1, -1, -1), None, None, 0
        for i, rgb in enumerate(self.rgbs):
            for _ in range(1 if i == 0 else 2):
                x = self.convs[index](x, ws[:, index])
                index += 1
            colours = rgb(x, ws[:, index])
            image = colours if image is None else self.fir.double(image) + colours
            if x.shape[-1] == catch:
                caught = x
        return image if catch is None else (image, caught)


class Conv(nn.Module):
    def __init__(self, inputs, outputs, kernel, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = 1 / math.sqrt(inputs * kernel * kernel)

    def forward(self, x, stride=1, padding=0):
        return F.conv2d(x, self.weight * self.gain, self.bias, stride, padding)


class Block(nn.Module):
    def __init__(self, inputs, outputs, first):
        super().__init__()
        self.fromrgb = Conv(3, inputs, 1) if first else None
        self.conv0, self.conv1 = Conv(inputs, inputs, 3), Conv(inputs, outputs, 3)
        self.skip, self.fir = Conv(inputs, outputs, 1, bias=False), Fir()

    def forward(self, x):
        if self.fromrgb is not None:
            x = lrelu(self.fromrgb(x))
        y = self.skip(self.fir(x, (1, 1), down=2)) * (1 / SQRT2)
        x = lrelu(self.conv0(x, padding=1))
        return y + lrelu(self.conv1(self.fir(x, (2, 2)), stride=2), 1.0)


class Critic(nn.Module):
    def __init__(self, channels, group):
        super().__init__()
        sizes = list(reversed(range(1, len(channels))))
        self.blocks = nn.ModuleList(Block(channels[i], channels[i - 1], i == sizes[0]) for i in sizes)
        self.conv = Conv(channels[0] + 1, channels[0], 3)
        self.fc = FullyConnected(16 * channels[0], channels[0])
        self.out, self.group = FullyConnected(channels[0], 1), group

    def features(self, x, resolution):
        for block in self.blocks:
            if x.shape[-1] == resolution:
                break
            x = block(x)
        return x

    def forward(self, x):
        x = self.features(x, 4)
        n, c, h, w = x.shape
        members = min(self.group, n)
        groups = x.reshape(members, n // members, c, h, w)
        deviation = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean([1, 2, 3])
        x = torch.cat([x, deviation.repeat(members).reshape(n, 1, 1, 1).expand(n, 1, h, w)], 1)
        x = lrelu(self.conv(x, padding=1)).flatten(1)
        return self.out(lrelu(self.fc(x)))


class Small(nn.Module):
    """The in-domain embedder."""

    SIZES = [(1, 24, 5, 2, 2), (24, 48, 3, 2, 1), (48, 96, 3, 2, 1), (96, 128, 3, 1, 1)]

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, s, p) for i, o, k, s, p in self.SIZES)
        self.fc = nn.Linear(512, 128)

    def forward(self, x):
        x, maps = x.mean(1, keepdim=True), []
        for conv in self.convs:
            x = F.elu(conv(x))
            maps.append(F.adaptive_avg_pool2d(x, 2).flatten(1))
        return torch.cat([maps[1], maps[2], F.elu(self.fc(maps[3]))], 1)


def high_bands(x):
    for _ in range(4):
        n, c, h, w = x.shape
        x = F.pad(x, [0, w % 2, 0, h % 2])
        a, b, c, d = (x[:, :, i::2, j::2] / 2 for i in (0, 1) for j in (0, 1))
        x = a + b + c + d
        yield torch.stack([a + b - c - d, a - b + c - d, a - b - c + d], 2)


def feature_matching(teacher, student):
    return sum(high.square().mean() for high in high_bands(student - teacher))


def sanitise(parameters):
    for p in parameters:
        if p.grad is not None:
            torch.nan_to_num(p.grad, 0.0, 1e5, -1e5, out=p.grad)


class Loop:
    R1_EVERY, PATH_EVERY, LR = 16, 4, 0.0025

    def __init__(self, arch, ratio, batch, device, gamma=0.1):
        z_dim, layers, resolution, channels, group = ARCHS[arch]
        cut = [c - int(c * ratio) for c in channels]
        self.size, self.batch, self.device, self.gamma = resolution, batch, device, gamma
        self.teacher = Generator(z_dim, layers, channels).to(device).requires_grad_(False)
        self.student, self.average = (Generator(z_dim, layers, cut).to(device) for _ in range(2))
        self.average.requires_grad_(False)
        self.critics = [Critic(channels, group).to(device) for _ in range(2)]
        # The paper's embedders are foundation models; only the small one is part of this measurement.
        self.embedder = Small().to(device).requires_grad_(False) if arch == "digits32" else None
        self.matched = min(max(resolution // 4, 16), resolution // 2)
        self.adam_g = self.adam(self.student, self.PATH_EVERY)
        self.adam_d = [self.adam(critic, self.R1_EVERY) for critic in self.critics]
        self.path_mean = torch.zeros([], device=device)
        if self.embedder is not None:
            with torch.no_grad():
                features = self.embedder(torch.randn(batch, 3, resolution, resolution, device=device))
            self.moments = features.mean(0), features.square().mean(0)

    def adam(self, network, every):
        share = every / (every + 1)
        return torch.optim.Adam(network.parameters(), self.LR * share, (0.0, 0.99**share), 1e-8)

    def draw(self, batch):
        z, z2 = torch.randn(2, batch, self.student.z_dim, device=self.device)
        mixed = torch.rand([]).item() < 0.9
        return z, z2, int(torch.randint(1, self.student.num_ws, [])) if mixed else self.student.num_ws

    def step(self, network, adam, loss):
        adam.zero_grad(set_to_none=True)
        loss.backward()
        sanitise(network.parameters())
        adam.step()

    def generator_main(self):
        for critic in self.critics:
            critic.requires_grad_(False)
        image = self.student(self.student.ws(self.draw(self.batch)))
        loss = sum(F.softplus(-critic(image)).mean() for critic in self.critics)
        if self.embedder is not None:
            features = self.embedder(image)
            moments = features.mean(0), features.square().mean(0)
            loss = loss + 5 * sum((a - b).abs().mean() for a, b in zip(moments, self.moments))
        self.step(self.student, self.adam_g, loss)
        for critic in self.critics:
            critic.requires_grad_(True)

    def generator_path(self):
        batch = max(self.batch // 2, 1)
        ws = self.student.ws(self.draw(batch))
        image = self.student(ws)
        unit = torch.randn_like(image) / self.size
        (slope,) = torch.autograd.grad((image * unit).sum(), ws, create_graph=True)
        lengths = slope.square().sum(2).mean(1).sqrt()
        mean = self.path_mean.lerp(lengths.mean(), 0.01)
        self.path_mean = mean.detach()
        self.step(self.student, self.adam_g, 4 * 2 * (lengths - mean).square().mean())

    def critics_main(self, real):
        draw = self.draw(self.batch)
        with torch.no_grad():
            fake = self.student(self.student.ws(draw))
            taught, features = self.teacher(self.teacher.ws(draw, track=False), catch=self.matched)
        for i, (critic, adam) in enumerate(zip(self.critics, self.adam_d)):
            loss = F.softplus(critic(fake)).mean() + F.softplus(-critic(real)).mean()
            if i == 0:
                loss = loss + 10 * feature_matching(features, critic.features(taught, self.matched))
            self.step(critic, adam, loss)

    def critics_r1(self, real):
        real = real.requires_grad_(True)
        for critic, adam in zip(self.critics, self.adam_d):
            (slope,) = torch.autograd.grad(critic(real).sum(), real, create_graph=True)
            self.step(critic, adam, self.R1_EVERY * self.gamma / 2 * slope.square().sum([1, 2, 3]).mean())
        real.requires_grad_(False)

    @torch.no_grad()
    def average_student(self):
        for average, now in zip(self.average.parameters(), self.student.parameters()):
            average.copy_(now.lerp(average, 0.995))

    def iterate(self, at, timed):
        real = torch.randn(self.batch, 3, self.size, self.size, device=self.device)
        timed("generator", self.generator_main)
        if at % self.PATH_EVERY == 0:
            timed("path", self.generator_path)
        timed("critics", lambda: self.critics_main(real))
        if at % self.R1_EVERY == 0:
            timed("r1", lambda: self.critics_r1(real))
        timed("average", self.average_student)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", choices=ARCHS, default="digits32")
    parser.add_argument("--ratio", type=float, default=0.85)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--iterations", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    if args.device == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    loop = Loop(args.arch, args.ratio, args.batch, args.device)
    phases = {}

    def settle():
        if args.device == "cuda":
            torch.cuda.synchronize()

    def timed(name, phase):
        settle()
        start = time.perf_counter()
        phase()
        settle()
        phases[name] = phases.get(name, 0.0) + time.perf_counter() - start

    # The first iteration has every phase: it warms all of them up.
    loop.iterate(0, timed)
    phases.clear()
    start, cpu = time.perf_counter(), time.process_time()
    for at in range(args.iterations):
        loop.iterate(at, timed)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    milliseconds = {name: 1000 * total / args.iterations for name, total in phases.items()}
    print(
        json.dumps(
            {
                "what": f"torch {torch.__version__}",
                "arch": args.arch,
                "batch": args.batch,
                "iterations": args.iterations,
                "images_per_second": args.batch * args.iterations / seconds,
                "images_per_cpu_second": args.batch * args.iterations / cpu,
                "milliseconds": milliseconds,
            }
        )
    )


if __name__ == "__main__":
    main()
