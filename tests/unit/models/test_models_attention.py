"""Attention takes the fast way where it may, and compiled or in bfloat16 says the same."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from mzsane.models import Sane

SIZES = {"d_token": 6, "d_model": 32, "heads": 2, "layers": 2, "latent": 8, "window": 8}
MIXED = torch.tensor([[0] * 8, [0] * 5 + [1] * 3, [0] * 4 + [-1] * 4])
SEGMENTS = pytest.mark.parametrize("segment", [None, MIXED], ids=["whole", "mixed"])


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Sane(**SIZES, positions="sinusoidal")


@pytest.fixture
def window():
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(3, 8, 6, generator=generator),
        torch.randint(0, 50, (3, 8, 3), generator=generator),
    )


def losses_and_gradients(model, window, segment):
    model.zero_grad()
    latents, decoded = model(*window, segment)
    real = decoded if segment is None else decoded[segment >= 0]
    loss = real.float().square().mean() + model.project(latents, segment).float().mean()
    loss.backward()
    return {name: p.grad for name, p in model.named_parameters()} | {"loss": loss.detach()}


def assert_near(found, expected, tolerance):
    for name, value in expected.items():
        assert (found[name] - value).norm() <= tolerance * value.norm() + 1e-7, name


@SEGMENTS
def test_a_mask_is_made_for_mixed_windows_only(model, window, segment, monkeypatch):
    masks = []
    inner = F.scaled_dot_product_attention

    def spy(q, k, v, attn_mask=None, **settings):
        masks.append(attn_mask)
        return inner(q, k, v, attn_mask=attn_mask, **settings)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    model(*window, segment)
    assert len(masks) == 4  # two layers in each half
    assert all((mask is None) == (segment is None) for mask in masks)


COMPILED = """
import torch
from torch._dynamo.utils import counters
from mzsane.models import Sane

torch.set_num_threads(1)
torch.manual_seed(0)
model = Sane(6, 32, 2, 2, 8, 8, positions="relative", layer_kind=True)
values, positions = torch.randn(2, 8, 6), torch.randint(0, 5, (2, 8, 7))
segments = None, torch.tensor([[0] * 5 + [1] * 3, [0] * 4 + [-1] * 4])
expected = [model(values, positions, segment) for segment in segments]
names = list(model.state_dict())
for part in model.children():
    part.compile(backend="aot_eager")
for segment, pair in zip(segments, expected):
    real = slice(None) if segment is None else segment >= 0
    for found, value in zip(model(values, positions, segment), pair):
        torch.testing.assert_close(found[real], value[real], atol=1e-6, rtol=1e-5)
assert list(model.state_dict()) == names
assert counters["stats"]["unique_graphs"] > 0 and not counters["graph_break"]
"""


def test_compiled_parts_are_one_graph_each_and_say_the_same():
    # in a process of its own: torch cannot compile the type checks that tests run with
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@SEGMENTS
def test_autocast_to_bfloat16_stays_near_float32(model, window, segment):
    expected = losses_and_gradients(model, window, segment)
    with torch.autocast("cpu", torch.bfloat16):
        latents, decoded = model(*window, segment)
        found = losses_and_gradients(model, window, segment)
    assert latents.dtype == decoded.dtype == torch.bfloat16
    assert_near(found, expected, 0.1)


def test_padding_is_never_read_in_bfloat16_either(model, window):
    values, positions = window
    with torch.autocast("cpu", torch.bfloat16):
        expected = model(values, positions, MIXED)[1]
        dirty = values.masked_fill(MIXED[..., None] < 0, float("nan"))
        found = model(dirty, positions, MIXED)[1]
    assert torch.equal(found[MIXED >= 0], expected[MIXED >= 0])


class Kept:
    """Counts the bytes that a forward pass keeps for its gradient."""

    def __init__(self):
        self.storages = {}

    def __enter__(self):
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self.note, lambda tensor: tensor)
        self.hooks.__enter__()
        return self

    def __exit__(self, *error):
        self.hooks.__exit__(*error)

    def note(self, tensor):
        storage = tensor.untyped_storage()
        self.storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def bytes(self):
        return sum(self.storages.values())


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@SEGMENTS
def test_checkpointing_gives_the_same_gradients(window, segment, dropout):
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = Sane(**SIZES, positions="sinusoidal", dropout=dropout)
        model.encoder.checkpointing = model.decoder.checkpointing = checkpointing
        torch.manual_seed(1)
        found.append(losses_and_gradients(model, window, segment))
    assert_near(found[1], found[0], 0.0)


def test_blocks_keep_what_goes_into_them_when_checkpointing(model, window):
    kept = []
    for checkpointing in (False, True):
        model.encoder.checkpointing = model.decoder.checkpointing = checkpointing
        with Kept() as counted:
            outputs = model(*window)
        kept.append(counted.bytes)
        del outputs
    assert kept[1] < kept[0]
    stream = 4 * 3 * 8 * 32  # bytes of float32
    blocks = len(model.encoder.blocks) + len(model.decoder.blocks)
    assert kept[0] - kept[1] >= blocks * 10 * stream  # of twelve that a block keeps otherwise


def test_a_block_does_not_keep_the_output_of_gelu(model, window):
    block, x = model.encoder.blocks[0], torch.randn(3, 8, 32)
    with Kept() as counted:
        block(x, None)
    weights = sum(4 * parameter.numel() for parameter in block.parameters())
    # Two of the stream, two normalised, queries, keys, values, attention, GELU's input.
    assert counted.bytes - weights <= 4 * x.numel() * (2 + 2 + 3 + 1 + 4 + 1)


def test_attention_on_a_cpu_is_in_float32_where_the_rest_is_in_bfloat16(model, window, monkeypatch):
    dtypes = set()
    inner = F.scaled_dot_product_attention

    def spy(q, k, v, **settings):
        dtypes.update((q.dtype, k.dtype, v.dtype))
        return inner(q, k, v, **settings)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    with torch.autocast("cpu", torch.bfloat16):
        _, decoded = model(*window)
    assert dtypes == {torch.float32}
    assert decoded.dtype == torch.bfloat16
