import numpy as np
import pytest

torch = pytest.importorskip("torch")
from lifelong_nav.perception.sc_clip import loss  # noqa: E402


def unit(n, d, seed=0):
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))
    return torch.nn.functional.normalize(x, dim=1)


def test_pictures_that_share_a_caption_are_no_rivals():
    ids = torch.tensor([0, 0, 0, 1])
    np.testing.assert_allclose(loss.same_caption(ids)[0].numpy(), [1 / 3, 1 / 3, 1 / 3, 0], atol=1e-6)
    x, text = unit(4, 16, 5), unit(4, 16)
    logits = (x @ text.T / 0.5).numpy().astype(float)
    expected = 0.0
    for scores in (logits, logits.T):
        logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        expected += -(logs[:3, :3].mean(1).sum() + logs[3, 3]) / 8
    assert float(loss.contrastive(x, text, ids, 0.5)) == pytest.approx(expected, abs=1e-5)
    assert float(loss.contrastive(x, text, torch.arange(4), 0.5)) != pytest.approx(expected, abs=1e-3)


def test_contrast_is_least_for_the_right_pairing_and_symmetric():
    text = unit(8, 16)
    ids = torch.arange(8)
    right = loss.contrastive(text, text, ids, 0.1)
    wrong = loss.contrastive(text.roll(1, 0), text, ids, 0.1)
    assert right < wrong
    x = unit(8, 16, seed=1)
    assert float(loss.contrastive(x, text, ids, 0.1)) == pytest.approx(
        float(loss.contrastive(text, x, ids, 0.1)), abs=1e-5
    )


def test_a_row_of_weight_zero_does_not_count_by_itself():
    x, text, ids = unit(6, 8, 1), unit(6, 8), torch.arange(6)
    weight = torch.tensor([1.0, 1, 1, 1, 1, 0])
    both = [0.5 * float(v) for v in _rows(x, text)]
    expected = float(np.mean(both[:5]))
    assert float(loss.contrastive(x, text, ids, 0.2, weight)) == pytest.approx(expected, abs=1e-5)


def _rows(x, text):
    logits = x @ text.T / 0.2
    return -(logits.log_softmax(1).diagonal() + logits.T.log_softmax(1).diagonal())


def test_the_basis_finds_the_principal_components():
    rng = np.random.default_rng(0)
    scales = np.array([9.0, 6.0, 4.0] + [0.3] * 9)
    rotation = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    x = torch.from_numpy(((rng.normal(size=(400, 12)) * scales) @ rotation.T + 5.0).astype(np.float32))
    basis = torch.linalg.qr(torch.randn(12, 3, generator=torch.Generator().manual_seed(0)))[0]
    basis = loss.principal_basis(x, basis, rounds=30)
    exact = np.linalg.svd((x - x.mean(0)).numpy(), full_matrices=False)[2][:3]
    np.testing.assert_allclose((basis @ basis.T).numpy(), exact.T @ exact, atol=1e-3)


def test_the_principal_part_keeps_what_lies_in_the_basis_and_drops_the_rest():
    x = unit(50, 6)
    whole = loss.principal_part(x, torch.eye(6))
    np.testing.assert_allclose(whole.numpy(), x.numpy(), atol=1e-5)
    part = loss.principal_part(x, torch.eye(6)[:, :2])
    centred = part / part.norm(dim=1, keepdim=True)
    assert torch.linalg.matrix_rank(part - 0 * centred, tol=1e-4) <= 3  # two directions and the mean


def test_unknown_labels_teach_nothing():
    prompts = {"a": unit(3, 8), "b": unit(2, 8, 1)}
    x = unit(4, 8, 2)
    known = loss.attribute_loss(x, prompts, {"a": torch.tensor([0, 1, 2, 0]), "b": torch.full((4,), -1)}, 0.1)
    alone = loss.attribute_loss(x, {"a": prompts["a"]}, {"a": torch.tensor([0, 1, 2, 0])}, 0.1)
    assert float(known) == pytest.approx(float(alone) / 2, rel=1e-5)
    nothing = loss.attribute_loss(x, prompts, {k: torch.full((4,), -1) for k in prompts}, 0.1)
    assert float(nothing) == 0.0
