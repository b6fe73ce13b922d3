"""PVQE: personalised speech enhancement whose own recurrent state is the voice profile.

The network of arXiv 2406.09928, built from the blocks of DeepVQE (arXiv 2306.03177). One definition serves the
offline pass over whole clips (training) and the pass over single frames with explicit state (export, device):
``forward`` takes any number of frames and the state left by the frames before, and gives the state for the next.

Layout of every feature map: ``(batch, channel, frame, bin)``.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.recurrence import run_gru

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES = 160
WINDOW_SAMPLES = 320
BINS = 160  # bins 1..160 of the 320-point transform; the constant component is dropped
COMPRESSION_EXPONENT = 0.3
MASK_FRAMES, MASK_BINS = 3, 3  # reach of the complex convolving mask: two past frames, one bin to each side
MASK_TAPS = MASK_FRAMES * MASK_BINS

# With no profile, the profile's matrix has no say, and nothing that comes after the embedding has.
_NOT_OF_PROFILES = ("profile.weight", "temporal_out.", "modulation.", "decoder")

States = dict[str, Tensor]


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes of one network; channel counts follow the order of the layers.

    ``far_channels`` is None for a network without a far end (noise and other talkers only).
    ``modulated_skips`` lets the profile scale and shift each channel of the skip connections; False is the
    paper's network, in which the profile enters by concatenation before the recurrent layers only. ``decoder_frames``
    is how many frames the decoder's convolutions see, the current one included.
    """

    name: str
    mic_channels: tuple[int, int]
    joint_channels: tuple[int, int]
    recurrent_size: int
    decoder_channels: tuple[int, int, int]
    far_channels: tuple[int, int] | None = None
    align_channels: int = 16
    align_frames: int = 100
    residual_ratio: float = 0.7
    decoder_frames: int = 2
    last_kernel_frames: int = 2
    modulated_skips: bool = True
    profile_size: int | None = None  # of the network that makes the profiles, where that is a larger one

    @property
    def latent_size(self) -> int:
        """Floats of one encoded frame: channels times the 10 bins left after four halvings."""
        return self.joint_channels[1] * (BINS // 16)

    @property
    def embedding_size(self) -> int:
        """Floats of what the network makes of a voice: the size of the recurrent layers, whose state it is."""
        return self.recurrent_size

    @property
    def taken_size(self) -> int:
        """Floats of a voice profile that it takes: its own embedding's, or another network's."""
        return self.recurrent_size if self.profile_size is None else self.profile_size


CONFIGS = {
    config.name: config
    for config in (
        NetworkConfig("pvqe-s", (16, 40), (56, 24), 256, (40, 32, 32)),
        NetworkConfig("pvqe-s-far", (16, 40), (56, 24), 256, (40, 32, 32), far_channels=(8, 24)),
        NetworkConfig(
            "pvqe-s-paper", (16, 40), (56, 24), 256, (40, 32, 32), far_channels=(8, 24), modulated_skips=False
        ),
        NetworkConfig("pvqe-xs", (12, 24), (32, 16), 128, (24, 20, 16), last_kernel_frames=1),
        NetworkConfig(
            "pvqe-xs-far", (12, 24), (32, 16), 128, (24, 20, 16), far_channels=(6, 12), align_channels=8,
            align_frames=64, last_kernel_frames=1,
        ),
    )
}  # fmt: skip


class CausalConv(nn.Module):
    """Convolution over (frame, bin) that sees ``frames`` frames, this one the last; its state are those before it."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int = 1, frames: int = 2, bias: bool = False
    ):
        super().__init__()
        self.past_frames = frames - 1
        self.conv = nn.Conv2d(channels_in, channels_out, (frames, 3), (1, stride), (0, 1), bias=bias)

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if not self.past_frames:
            return self.conv(x), None
        if past is None:
            past = x.new_zeros(x.shape[0], x.shape[1], self.past_frames, x.shape[3])
        seen = torch.cat([past, x], dim=2)
        return self.conv(seen), _last_frames(seen, self.past_frames)


class InvertedResidual(nn.Module):
    """1x1, causal frames x 3, 1x1 around a narrower middle, added to the input (no squeeze-and-excitation)."""

    def __init__(self, channels: int, ratio: float, frames: int = 2):
        super().__init__()
        hidden = round(channels * ratio)
        self.enter = nn.Conv2d(channels, hidden, 1, bias=False)
        self.enter_norm = nn.BatchNorm2d(hidden)
        self.middle = CausalConv(hidden, hidden, frames=frames)
        self.middle_norm = nn.BatchNorm2d(hidden)
        self.leave = nn.Conv2d(hidden, channels, 1, bias=False)
        self.leave_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
        y = F.elu(self.enter_norm(self.enter(x)))
        y, past = self.middle(y, past)
        y = F.elu(self.middle_norm(y))
        return x + self.leave_norm(self.leave(y)), past


class EncoderBlock(nn.Module):
    """Causal 2x3 convolution that halves the bins, then an inverted residual block where asked for."""

    def __init__(self, name: str, channels_in: int, channels_out: int, residual_ratio: float | None = None):
        super().__init__()
        self.name = name
        self.conv = CausalConv(channels_in, channels_out, stride=2)
        self.norm = nn.BatchNorm2d(channels_out)
        self.residual = InvertedResidual(channels_out, residual_ratio) if residual_ratio else None

    def forward(self, x: Tensor, states: States, following: States) -> Tensor:
        x, following[f"{self.name}_past"] = self.conv(x, states.get(f"{self.name}_past"))
        x = F.elu(self.norm(x))
        if self.residual is not None:
            key = f"{self.name}_residual_past"
            x, following[key] = self.residual(x, states.get(key))
        return x


class SubPixelConv(nn.Module):
    """Convolution to twice the channels, whose two halves become the even and the odd bins."""

    def __init__(self, channels_in: int, channels_out: int, frames: int):
        super().__init__()
        self.conv = CausalConv(channels_in, 2 * channels_out, frames=frames, bias=True)

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor | None]:
        x, past = self.conv(x, past)
        return x.unflatten(1, (2, -1)).permute(0, 2, 3, 4, 1).flatten(3), past


class DecoderBlock(nn.Module):
    """Adds the skip connection, refines, doubles the bins; the last block leaves its output unactivated."""

    def __init__(
        self, name: str, skip_channels: int, channels_in: int, channels_out: int,
        residual_ratio: float | None = None, *, frames: int, last: bool = False,
    ):  # fmt: skip
        super().__init__()
        self.name = name
        self.skip = nn.Conv2d(skip_channels, channels_in, 1)
        self.residual = InvertedResidual(channels_in, residual_ratio, frames) if residual_ratio else None
        self.expand = SubPixelConv(channels_in, channels_out, frames)
        self.norm = None if last else nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor, skip: Tensor, states: States, following: States) -> Tensor:
        x = x + self.skip(skip)
        if self.residual is not None:
            key = f"{self.name}_residual_past"
            x, following[key] = self.residual(x, states.get(key))
        key = f"{self.name}_past"
        x, past = self.expand(x, states.get(key))
        if past is not None:
            following[key] = past
        return x if self.norm is None else F.elu(self.norm(x))


class Align(nn.Module):
    """Soft delay estimate between microphone and far end, and the far end delayed accordingly.

    DeepVQE (arXiv 2306.03177): the similarity of the two, projected, for each of ``frames`` delays, smoothed by a
    convolution over (frame, delay), gives by softmax the weights with which the delayed far-end frames are summed.
    """

    def __init__(self, mic_channels: int, far_channels: int, channels: int, frames: int):
        super().__init__()
        self.frames = frames
        self.query = nn.Conv2d(mic_channels, channels, 1)
        self.key = nn.Conv2d(far_channels, channels, 1)
        self.smooth = nn.Conv2d(channels, 1, (5, 3), padding=(0, 1))

    def forward(self, mic: Tensor, far: Tensor, states: States, following: States) -> tuple[Tensor, Tensor]:
        """The aligned far end, shaped as ``far``, and the weights (batch, frame, delay in hops)."""
        query, key = self.query(mic), self._with_history("align_keys", self.key(far), states, following)
        far = self._with_history("align_far", far, states, following)
        similarity = self._band(query @ key.transpose(2, 3))  # (batch, channel, frame, delay)
        similarity = self._with_history("align_similarity", similarity, states, following, past_frames=4)
        weights = self.smooth(similarity).softmax(dim=3)  # (batch, 1, frame, delay)
        batch, channels, rows, bins = far.shape
        flat = far.transpose(1, 2).reshape(batch, rows, channels * bins)
        aligned = self._unband(weights[:, 0], rows) @ flat
        aligned = aligned.reshape(batch, mic.shape[2], channels, bins).transpose(1, 2)
        return aligned, weights[:, 0].flip(2)

    def _with_history(
        self, name: str, x: Tensor, states: States, following: States, past_frames: int | None = None
    ) -> Tensor:
        past_frames = self.frames - 1 if past_frames is None else past_frames
        past = states.get(name)
        if past is None:
            past = x.new_zeros(x.shape[0], x.shape[1], past_frames, x.shape[3])
        x = torch.cat([past, x], dim=2)
        following[name] = _last_frames(x, past_frames)
        return x

    def _band(self, product: Tensor) -> Tensor:
        """Of the products of all pairs of frames, those at 0 .. frames-1 of delay; oldest first."""
        rows = product.shape[2]
        if rows == 1:
            return product
        columns = torch.arange(rows, device=product.device)[:, None] + torch.arange(
            self.frames, device=product.device
        )
        return product.gather(3, columns.expand(*product.shape[:2], -1, -1))

    def _unband(self, weights: Tensor, rows: int) -> Tensor:
        """The inverse of ``_band``: delay weights as a matrix from all far-end frames to microphone frames."""
        frames = weights.shape[1]
        if frames == 1:
            return weights
        columns = torch.arange(frames, device=weights.device)[:, None] + torch.arange(
            self.frames, device=weights.device
        )
        return weights.new_zeros(weights.shape[0], frames, rows).scatter(
            2, columns.expand(weights.shape[0], -1, -1), weights
        )


class CubeRoots(nn.Module):
    """27 real channels to 9 complex taps: each tap is a combination of the three cube roots of one.

    DeepVQE, "complex convolving mask". Real parts of the taps are channels 0..8 of the output, imaginary 9..17.
    """

    def forward(self, x: Tensor) -> Tensor:
        one, plus, minus = x.unflatten(1, (3, MASK_TAPS)).unbind(1)
        return torch.cat([one - 0.5 * (plus + minus), math.sqrt(0.75) * (plus - minus)], dim=1)


class ComplexConvolvingMask(nn.Module):
    """Each output bin is a complex combination of 3 frames x 3 bins of the noisy spectrum around it.

    Written as two convolutions with fixed weights, so that it is a handful of operations in every runtime: one lays
    out each bin's neighbourhood (real, imaginary, then imaginary, real), the other sums the products with the taps.
    """

    neighbours: Tensor
    sums: Tensor

    def __init__(self) -> None:
        super().__init__()
        one_hot = torch.eye(MASK_TAPS).reshape(MASK_TAPS, MASK_FRAMES, MASK_BINS)
        neighbours = torch.zeros(4 * MASK_TAPS, 2, MASK_FRAMES, MASK_BINS)
        for part, channel in enumerate((0, 1, 1, 0)):
            neighbours[part * MASK_TAPS : (part + 1) * MASK_TAPS, channel] = one_hot
        # (a + bi)(x + yi) = (ax - by) + (ay + bx)i, with taps a, b and neighbours x, y
        signs = torch.tensor([[1.0, -1, 0, 0], [0, 0, 1, 1]])
        self.register_buffer("neighbours", neighbours, persistent=False)
        self.register_buffer(
            "sums", signs.repeat_interleave(MASK_TAPS, 1)[:, :, None, None], persistent=False
        )

    def forward(self, taps: Tensor, spectrum: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """``taps`` (batch, 18, frame, bin), ``spectrum`` (batch, 2, frame, bin) -> enhanced spectrum and state."""
        if past is None:
            past = spectrum.new_zeros(spectrum.shape[0], 2, MASK_FRAMES - 1, spectrum.shape[3])
        history = torch.cat([past, spectrum], dim=2)
        neighbours = F.conv2d(history, self.neighbours, padding=(0, 1))
        enhanced = F.conv2d(neighbours * torch.cat([taps, taps], dim=1), self.sums)
        return enhanced, _last_frames(history, MASK_FRAMES - 1)


@dataclass
class Encoded:
    """What the encoder makes of a clip, before any profile has a say: it serves every profile."""

    latent: Tensor  # (batch, frame, latent)
    skips: list[Tensor]  # outputs of the four encoder blocks
    delays: Tensor | None = None  # (batch, frame, delay in hops): where the far end was looked for; see Align

    def repeat(self, index: Tensor) -> Encoded:
        """Rows of the batch picked by ``index``, so that one mixture serves several profiles."""
        return Encoded(self.latent[index], [skip[index] for skip in self.skips])


class Network(nn.Module):
    """The whole network; see the module's docstring."""

    def __init__(self, config: NetworkConfig):
        super().__init__()
        self.config = config
        # Id of the weights with which the profiles that it takes were first made; None: with its own as they are. One
        # enrollment then serves a network, its variant with a far end and a lighter one.
        self.profiles_of: str | None = None
        # Fingerprint of what makes the profiles of ``profiles_of``, where it is a part of this network.
        self.profile_weights: str | None = None
        # (directions, size + 1): where its profiles are compared, by training.discriminant; None: as they are.
        self.voice_space: Tensor | None = None
        (mic1, mic2), (joint1, joint2) = config.mic_channels, config.joint_channels
        ratio, latent, size = config.residual_ratio, config.latent_size, config.recurrent_size
        self.mic1, self.mic2 = EncoderBlock("mic1", 2, mic1), EncoderBlock("mic2", mic1, mic2)
        far2 = 0
        if config.far_channels is not None:
            far1, far2 = config.far_channels
            self.far1, self.far2 = EncoderBlock("far1", 2, far1), EncoderBlock("far2", far1, far2)
            self.align = Align(mic2, far2, config.align_channels, config.align_frames)
        self.joint1 = EncoderBlock("joint1", mic2 + far2, joint1, ratio)
        self.joint2 = EncoderBlock("joint2", joint1, joint2, ratio)
        self.latent_norm = nn.LayerNorm(latent)

        self.profile = nn.Linear(config.taken_size, latent)
        self.profile_norm = nn.LayerNorm(latent)
        self.fuse = nn.Linear(2 * latent, latent)
        self.fuse_norm = nn.LayerNorm(latent)
        self.gru1 = nn.GRU(latent, size, batch_first=True)
        self.gru2 = nn.GRU(size, size, batch_first=True)
        self.embedding_norm = nn.LayerNorm(size)
        self.temporal_out = nn.Linear(size, latent)
        if config.modulated_skips:
            self.skip_channels = [mic1, mic2, joint1, joint2]
            channels = sum(self.skip_channels)
            self.modulation = nn.Linear(latent, 2 * channels)
            with torch.no_grad():  # starts as the paper's network: scales of one, shifts of zero
                self.modulation.weight.zero_()
                self.modulation.bias.copy_((torch.arange(2 * channels) < channels).float())

        out1, out2, out3 = config.decoder_channels
        frames = config.decoder_frames
        self.decoder1 = DecoderBlock("decoder1", joint2, joint2, out1, ratio, frames=frames)
        self.decoder2 = DecoderBlock("decoder2", joint1, out1, out2, ratio, frames=frames)
        self.decoder3 = DecoderBlock("decoder3", mic2, out2, out3, frames=frames)
        self.decoder4 = DecoderBlock(
            "decoder4", mic1, out3, 3 * MASK_TAPS, frames=config.last_kernel_frames, last=True
        )
        self.to_taps = CubeRoots()
        self.mask = ComplexConvolvingMask()

    def encode(
        self,
        spectrum: Tensor,
        far: Tensor | None = None,
        states: States | None = None,
        following: States | None = None,
    ) -> Encoded:
        """Everything before the profile comes in.

        ``spectrum`` and ``far``: uncompressed, (batch, 2, frame, BINS). A network with a far branch takes a missing
        ``far`` as silence; one without must not be given any.
        """
        states = {} if states is None else states
        following = {} if following is None else following
        skip1 = self.mic1(compress(spectrum), states, following)
        skip2 = self.mic2(skip1, states, following)
        joint, delays = skip2, None
        if self.config.far_channels is not None:
            far = torch.zeros_like(spectrum) if far is None else far
            far = self.far2(self.far1(compress(far), states, following), states, following)
            aligned, delays = self.align(skip2, far, states, following)
            joint = torch.cat([skip2, aligned], dim=1)
        elif far is not None:
            raise ValueError(f"{self.config.name} has no far branch: give no far end")
        skip3 = self.joint1(joint, states, following)
        skip4 = self.joint2(skip3, states, following)
        latent = skip4.transpose(1, 2).flatten(2)  # (batch, frame, channel x bin), channel-major
        return Encoded(self.latent_norm(latent), [skip1, skip2, skip3, skip4], delays)

    def condition(self, profile: Tensor) -> Tensor:
        """Profile (batch, taken size) -> speaker vector (batch, latent); zeros become a learned "no speaker"."""
        return self.profile_norm(F.elu(self.profile(profile)))

    def temporal(
        self, latent: Tensor, speaker: Tensor, states: States | None = None, following: States | None = None
    ) -> Tensor:
        """Fusion and the two recurrent layers -> per-frame embedding (batch, frame, embedding)."""
        states = {} if states is None else states
        following = {} if following is None else following
        speaker = speaker[:, None].expand(-1, latent.shape[1], -1)
        x = self.fuse_norm(F.elu(self.fuse(torch.cat([latent, speaker], dim=2))))
        for name, gru in (("gru1", self.gru1), ("gru2", self.gru2)):
            initial = states.get(name)
            x, last = _recur(gru, x, None if initial is None else initial[None])
            following[name] = last[0]
        return self.embedding_norm(x)

    def decode(
        self,
        embedding: Tensor,
        skips: list[Tensor],
        speaker: Tensor,
        spectrum: Tensor,
        states: States | None = None,
        following: States | None = None,
    ) -> Tensor:
        """Per-frame embedding and skip connections -> enhanced spectrum (batch, 2, frame, BINS)."""
        states = {} if states is None else states
        following = {} if following is None else following
        x = self.temporal_out(embedding)
        x = x.unflatten(2, (self.config.joint_channels[1], BINS // 16)).transpose(1, 2)
        if self.config.modulated_skips:
            skips = self._modulate(skips, speaker)
        x = self.decoder1(x, skips[3], states, following)
        x = self.decoder2(x, skips[2], states, following)
        x = self.decoder3(x, skips[1], states, following)
        x = self.decoder4(x, skips[0], states, following)
        # The mask acts on the uncompressed spectrum, whose range bfloat16 can't hold to 16-bit audio's precision.
        with torch.autocast(x.device.type, enabled=False):
            enhanced, following["spectrum_past"] = self.mask(
                self.to_taps(x.float()), spectrum, states.get("spectrum_past")
            )
        return enhanced

    def _modulate(self, skips: list[Tensor], speaker: Tensor) -> list[Tensor]:
        """Scale and shift each channel of the skip connections as the speaker vector says."""
        constants = self.modulation(speaker)[:, :, None, None].split(2 * self.skip_channels, dim=1)
        scales, shifts = constants[: len(skips)], constants[len(skips) :]
        return [skip * scale + shift for skip, scale, shift in zip(skips, scales, shifts, strict=True)]

    def embed(self, spectrum: Tensor) -> Tensor:
        """Voice profile (batch, embedding) of enrollment clips: the mean per-frame embedding, run with no profile."""
        no_profile = spectrum.new_zeros(spectrum.shape[0], self.config.taken_size)
        return self.temporal(self.encode(spectrum).latent, self.condition(no_profile)).mean(1)

    def profiles_learn(self) -> bool:
        """Whether a parameter requires a gradient that profiles depend on."""
        return any(
            p.requires_grad and not name.startswith(_NOT_OF_PROFILES) for name, p in self.named_parameters()
        )

    @property
    def makes_profiles(self) -> bool:
        """Whether it makes the profiles that it takes: with these weights, or as earlier ones did."""
        return self.profiles_of is None or self.profile_weights is not None

    def profile_fingerprint(self) -> str:
        """Of all weights that profiles depend on."""
        return fingerprint(
            {name: x for name, x in self.state_dict().items() if not name.startswith(_NOT_OF_PROFILES)}
        )

    def forward(
        self, spectrum: Tensor, profile: Tensor, states: States | None = None, far: Tensor | None = None
    ) -> tuple[Tensor, Tensor, States]:
        """Any number of frames, from the state that the frames before them left (None: silence before).

        Returns the enhanced spectrum (batch, 2, frame, BINS), the per-frame embedding (batch, frame, embedding) and
        the state by name, in the order of ``state_shapes``.
        """
        following: States = {}
        encoded = self.encode(spectrum, far, states, following)
        speaker = self.condition(profile)
        embedding = self.temporal(encoded.latent, speaker, states, following)
        enhanced = self.decode(embedding, encoded.skips, speaker, spectrum, states, following)
        return enhanced, embedding, following

    @torch.no_grad()
    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes (batch of one) of the state, in the order of every exported file."""
        training = self.training
        self.eval()
        parameter = next(self.parameters())
        frame = parameter.new_zeros(1, 2, 1, BINS)
        far = None if self.config.far_channels is None else frame
        _, _, states = self(frame, parameter.new_zeros(1, self.config.taken_size), far=far)
        self.train(training)
        return {name: tuple(state.shape) for name, state in states.items()}


def fingerprint(weights: dict[str, Tensor]) -> str:
    """A SHA-256 of weights by name, in hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        if not name.endswith("num_batches_tracked"):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def _recur(gru: nn.GRU, x: Tensor, initial: Tensor | None) -> tuple[Tensor, Tensor]:
    if x.is_cuda:
        # Autocast would run it in half precision on a GPU, out of whose range small gradients fall.
        with torch.autocast("cuda", enabled=False):
            return gru(x.float(), initial)
    if gru.training and isinstance(gru, nn.GRU):
        with torch.autocast("cpu", enabled=False):
            return run_gru(gru, x.float(), initial)
    return gru(x, initial)


def _last_frames(x: Tensor, count: int) -> Tensor:
    return x if x.shape[2] == count else x[:, :, -count:]


def compress(spectrum: Tensor) -> Tensor:
    """Power-law compressed spectrum: magnitude to the 0.3, phase kept. (batch, 2, frame, bin)."""
    power = spectrum.square().sum(1, keepdim=True) + 1e-12
    return spectrum * power.pow((COMPRESSION_EXPONENT - 1) / 2)
