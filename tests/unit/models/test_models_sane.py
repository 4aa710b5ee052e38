"""The autoencoder keeps sequences apart, never reads padding, and learns with all its weights."""

import pytest
import torch
from hydra import compose, initialize_config_dir

from mzsane.config import CONF_DIR, build
from mzsane.models import Sane
from mzsane.schemas import register_schemas

SIZES = {"d_token": 6, "d_model": 16, "heads": 2, "layers": 2, "latent": 4, "window": 5}
KINDS = {
    "learned": {"max_positions": [20, 4, 6]},
    "sinusoidal": {"positions": "sinusoidal"},
    "relative": {"positions": "relative"},
    "relative with kinds": {"positions": "relative", "layer_kind": True},
    "learned with kinds": {"max_positions": [20, 4, 6], "layer_kind": True},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def model(request):
    torch.manual_seed(0)
    model = Sane(**SIZES, **request.param)
    # Larger than at initialisation, so that attention moves a lot from token to token.
    for p in model.encoder.parameters():
        p.data.mul_(10) if p.dim() > 1 else None
    return model


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(3, 5, 6, generator=generator)
    index = [torch.randint(0, n, (3, 5), generator=generator) for n in (20, 4, 6)]
    extents = [torch.full((3, 5), n) for n in (20, 4, 6)]
    kind = torch.randint(0, 5, (3, 5), generator=generator)
    positions = torch.stack([*index, *extents, kind], dim=-1)
    segment = torch.tensor([[0] * 5, [0] * 3 + [-1] * 2, [0] + [-1] * 4])
    return values, positions, segment


def outputs(model, values, positions, segment):
    latents, decoded = model(values, positions, segment)
    return latents, decoded, model.project(latents, segment)


def test_a_token_influences_its_own_sequence_and_no_other(model, batch):
    values, positions, _ = batch
    before = outputs(model, values, positions, None)
    values = values.clone()
    values[1, 2] += 1
    for old, new in zip(before, outputs(model, values, positions, None), strict=True):
        assert torch.equal(old[0], new[0])
        assert torch.equal(old[2], new[2])
        changed = (old[1] != new[1]).flatten(1) if old.dim() == 3 else (old[1:2] != new[1:2])
        assert changed.any(dim=-1).all()


def test_positions_matter_to_encoder_and_decoder(model, batch):
    values, positions, _ = batch
    latents = model.encode(values, positions)
    for axis in range(3):
        moved = positions.clone()
        moved[..., axis] = (moved[..., axis] + 1) % 4
        assert not torch.allclose(model.encode(values, moved), latents)
        assert not torch.allclose(model.decode(latents, moved), model.decode(latents, positions))


@pytest.mark.parametrize("content", [0.0, 1e6, float("nan"), float("inf")])
def test_what_stands_in_padding_is_never_read(model, batch, content):
    values, positions, segment = batch
    expected = outputs(model, values, positions, segment)
    other = values.masked_fill(segment[..., None] < 0, content)
    elsewhere = positions.masked_fill(segment[..., None] < 0, 10**6)
    found = outputs(model, other, elsewhere, segment)
    for a, b in zip(expected[:2], found[:2], strict=True):
        assert torch.equal(a[segment >= 0], b[segment >= 0])
    assert torch.equal(expected[2], found[2])


def test_a_padded_window_gives_what_the_short_one_gives(model, batch):
    values, positions, segment = batch
    padded = model(values, positions, segment)
    short = model(values[1:2, :3], positions[1:2, :3])
    for a, b in zip(padded, short, strict=True):
        torch.testing.assert_close(a[1:2, :3], b, atol=1e-5, rtol=1e-5)


def test_segments_of_one_number_are_no_segments(model, batch):
    values, positions, _ = batch
    whole = outputs(model, values, positions, torch.zeros(3, 5, dtype=torch.int64))
    for a, b in zip(whole, outputs(model, values, positions, None), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_models_that_share_a_window_are_apart(model, batch):
    values, positions, _ = batch
    together = model(values, positions, torch.tensor([[0, 0, 1, 1, 1]] * 3))
    for place in (slice(0, 2), slice(2, 5)):
        for a, b in zip(together, model(values[:, place], positions[:, place]), strict=True):
            torch.testing.assert_close(a[:, place], b, atol=1e-5, rtol=1e-5)


def test_the_mean_of_a_window_counts_real_tokens_wherever_they_stand(batch):
    torch.manual_seed(0)
    model = Sane(**SIZES, positions="sinusoidal", pooling="mean")
    latents = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(2))
    expected = model.project(latents[1:2, :3])
    assert torch.allclose(model.project(latents, batch[2])[1:2], expected)
    turned = model.project(latents[1:2].roll(2, 1), batch[2][1:2].roll(2, 1))
    assert torch.allclose(turned, expected)


def test_gradients_reach_every_parameter(model, batch):
    _, decoded, projected = outputs(model, *batch)
    weights = torch.randn(projected.shape, generator=torch.Generator().manual_seed(2))
    (decoded[batch[2] >= 0].square().mean() + (projected * weights).mean()).backward()
    unreached = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unreached


@every_kind
def test_the_seed_decides_the_initial_weights(kind):
    models = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        models.append(Sane(**SIZES, **kind).state_dict())
    assert all(torch.equal(models[0][n], models[1][n]) for n in models[0])
    assert not torch.equal(models[0]["embed.weight"], models[2]["embed.weight"])


def test_residual_projections_start_smaller_the_deeper_the_model():
    model = Sane(**{**SIZES, "d_model": 128, "layers": 8}, positions="sinusoidal")
    block = model.decoder.blocks[7]
    assert block.attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for linear in (block.attention.out, block.contract):
        assert linear.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)


def configured(override):
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose("train", [override])
    with torch.device("meta"):
        return build(cfg.model, d_token=cfg.tokens.size, window=cfg.data.window)


def test_the_published_run_has_the_published_model():
    model = configured("experiment=mz_sane")
    assert model.num_parameters == 870_272_412
    sizes = [sum(p.numel() for p in part.parameters()) for part in (model.encoder, model.decoder)]
    assert sizes == [402_685_952] * 2
    model.check_positions([59_999, 149, 599])


def test_sizes_have_the_parameters_that_their_files_say():
    names = ("tiny", "small", "base", "large")
    sizes = [configured(f"model=sane_{name}").num_parameters for name in names]
    assert [round(size / 1e6) for size in sizes] == [1, 38, 807, 1890]


def test_published_initial_weights_are_those_of_gpt2():
    torch.manual_seed(0)
    sizes = {**SIZES, "d_token": 64, "d_model": 128, "latent": 64}
    model = Sane(**sizes, max_positions=[64, 64, 64], init="published")
    for layer in (model.embed, model.compress, model.expand, model.unembed, *model.head.layers):
        if isinstance(layer, torch.nn.Linear):
            assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
            assert layer.bias is None or not layer.bias.any()
    assert model.positions.token.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_dropout_acts_in_training_only(batch):
    model = Sane(**SIZES, positions="sinusoidal", dropout=0.5)
    assert not torch.equal(model.encode(*batch), model.encode(*batch))
    model.eval()
    assert torch.equal(model.encode(*batch), model.encode(*batch))


@every_kind
def test_a_model_cast_to_bfloat16_stays_near_the_original(kind, batch):
    torch.manual_seed(0)
    model = Sane(**SIZES, **kind)
    values, positions, segment = batch
    expected = model(values, positions, segment)[1][segment >= 0]
    found = model.bfloat16()(values.bfloat16(), positions, segment)[1][segment >= 0]
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)


def neighbours(kind, tokens):
    """Vectors of the middle of a model of so many tokens, as far as three tokens."""
    positions = torch.zeros(1, 4, 7, dtype=torch.int64)
    positions[..., 0] = tokens // 2 + torch.arange(4)
    positions[..., 3:6] = torch.tensor([tokens, 60, 500])
    return Sane(**{**SIZES, "d_model": 128}, positions=kind).positions(positions)[0]


@pytest.mark.parametrize("tokens", [48, 50_000, 1_000_000])
def test_relative_positions_tell_neighbours_of_long_models_apart(tokens):
    vectors = neighbours("relative", tokens)
    assert (vectors[0] - vectors[1]).norm() > 1e-3 * vectors[0].norm()
    # and what tells them apart is no rounding: in float64 they differ by as much
    places = (tokens // 2 + torch.arange(2).double()) / tokens
    angles = places[:, None] * 10_000 ** (1 - torch.arange(32) / 32)
    waves = 0.1 * torch.cat([angles.sin(), angles.cos()], dim=-1)
    torch.testing.assert_close(
        (vectors[0] - vectors[1])[:64].double(), waves[0] - waves[1], atol=2e-4, rtol=0
    )


def test_relative_positions_are_those_of_the_same_share_of_any_model(batch):
    model = Sane(**SIZES, positions="relative")
    larger = batch[1].clone()
    larger[..., :6] *= 5
    torch.testing.assert_close(model.positions(larger), model.positions(batch[1]))
    larger[..., 3] += 1
    assert not torch.allclose(model.positions(larger), model.positions(batch[1]))


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "relative"])
def test_the_kind_of_a_layer_matters_where_it_is_asked_for(batch, positions):
    values, places, _ = batch
    changed = places.clone()
    changed[..., 6] = (changed[..., 6] + 1) % 5
    for layer_kind in (False, True):
        model = Sane(**SIZES, positions=positions, max_positions=[20, 4, 6], layer_kind=layer_kind)
        same = torch.equal(model.encode(values, places), model.encode(values, changed))
        assert same != layer_kind


@pytest.mark.parametrize("settings", [{"positions": "relative"}, {"layer_kind": True}])
def test_positions_without_extents_and_kinds_are_refused_where_they_are_needed(batch, settings):
    values, positions, _ = batch
    model = Sane(**SIZES, **{"positions": "sinusoidal"} | settings)
    with pytest.raises(ValueError, match="positions of 3 columns: relative positions and"):
        model.encode(values, positions[..., :3])
    model.check_positions(positions.flatten(0, 1).amax(0).tolist())


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_other_positions_need_the_published_columns_only(batch, kind):
    values, positions, segment = batch
    model = Sane(**SIZES, positions=kind, max_positions=[20, 4, 6])
    found = outputs(model, values, positions[..., :3], segment)
    for a, b in zip(found, outputs(model, *batch), strict=True):
        assert torch.equal(a, b)


def test_a_vector_per_kind_changes_no_other_initial_weight():
    models = []
    for layer_kind in (False, True):
        torch.manual_seed(0)
        models.append(Sane(**SIZES, positions="sinusoidal", layer_kind=layer_kind).state_dict())
    assert models[1].keys() - models[0].keys() == {"kind.table.weight"}
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_sinusoidal_positions_tell_a_million_tokens_apart():
    model = Sane(**SIZES, positions="sinusoidal")
    tokens = torch.tensor([0, 1, 2, 60_000, 999_999, 1_000_000])
    vectors = model.positions(torch.stack([tokens, tokens * 0, tokens * 0], dim=-1)[None])[0]
    distances = torch.cdist(vectors, vectors) + 10 * torch.eye(6)
    assert distances.min() > 0.01
    model.check_positions([10**9] * 3)


def test_positions_beyond_a_table_are_refused_by_name():
    model = Sane(**SIZES, max_positions=[20, 4, 6])
    model.check_positions([19, 3, 5])
    with pytest.raises(ValueError, match="layer index 4 is beyond the table of 4"):
        model.check_positions([19, 4, 5])


def test_a_window_of_another_length_is_refused_by_the_head(batch):
    model = Sane(**SIZES, positions="sinusoidal")
    latents = model.encode(batch[0][:, :3], batch[1][:, :3])
    with pytest.raises(ValueError, match="3 tokens, the projection head takes 5"):
        model.project(latents)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "max_positions is needed"),
        ({"max_positions": [3, 4]}, "three positive numbers"),
        ({"max_positions": [3, 4, 0]}, "three positive numbers"),
        ({"positions": "sinusoidal", "pooling": "max"}, "choose from concatenate, mean"),
        ({"positions": "sinusoidal", "init": "zeros"}, "choose from torch, published"),
        ({"positions": "rotary"}, "choose from learned, sinusoidal, relative"),
        ({"positions": "sinusoidal", "d_model": 18}, "multiple of 4"),
        ({"positions": "relative", "d_model": 18}, "multiple of 4"),
        ({"max_positions": [3, 4, 5], "d_model": 15}, "even width"),
        ({"positions": "sinusoidal", "heads": 3}, "not a multiple of heads 3"),
    ],
)
def test_impossible_sizes_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Sane(**{**SIZES, **change})
