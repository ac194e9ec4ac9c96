"""A known shift that an adaptation undoes: two quantities, of which the better one is displaced in the target."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ecalnb.training import Outputs
from ecalnb.training.adaptation.penalties import PENALTIES

METHODS: dict[str, dict[str, Any]] = {
    "coral": {"weight": 10.0},
    "mmd": {"weight": 5.0},
    "dann": {"weight": 1.0, "n_features": 8, "hidden": 20},
    "mcc": {"weight": 1.0, "temperature": 2.5},
}


def events(n: int, signal_share: float, displaced: float, generator: torch.Generator) -> tuple[torch.Tensor, ...]:
    """Signal at (2, 1.5), background at (-2, -1.5), the first quantity displaced."""
    target = (torch.arange(n) < signal_share * n).float()
    sign = 2 * target - 1
    noise = torch.randn(n, 2, generator=generator) * torch.tensor([0.5, 0.7])
    return torch.stack([2 * sign + displaced, 1.5 * sign], 1) + noise, target


def background_kept_out(name: str | None, target_share: float = 0.5, *, reweight: bool = False) -> float:
    """Share of the target's background that a small network calls background."""
    torch.manual_seed(1)
    generator = torch.Generator().manual_seed(1)
    (source, labels), (target, truth) = events(1000, 0.5, 0, generator), events(1000, target_share, 4, generator)
    body = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU())
    head = nn.Linear(8, 1)
    parts = [body, head]
    penalty = None
    if name is not None:
        penalty = PENALTIES[name](ramp_epochs=1, source_share=0.5, reweight=reweight, **METHODS[name])
        penalty.target_share.fill_(target_share)
        parts.append(penalty)
    optimiser = torch.optim.Adam([p for part in parts for p in part.parameters()], lr=5e-3)
    unknown = torch.full((128,), torch.nan)
    for step in range(400):
        ours, theirs = (torch.randint(0, 1000, (128,), generator=generator) for _ in range(2))
        features = body(torch.cat([source[ours], target[theirs]]))
        logits = head(features).squeeze(-1)
        loss = nn.functional.binary_cross_entropy_with_logits(logits[:128], labels[ours])
        if penalty is not None:
            batch = {"target": torch.cat([labels[ours], unknown]), "domain": (torch.arange(256) >= 128).float()}
            loss = loss + penalty(Outputs(logits, features), batch, step / 400)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        passed, source_passed = (head(body(x)).squeeze(-1) > 0 for x in (target, source))
    assert (source_passed.float() == labels).float().mean() > 0.98  # the source is still told apart
    assert passed[truth == 1].float().mean() > 0.98
    return float((~passed[truth == 0]).float().mean())


def test_every_method_undoes_the_displacement() -> None:
    assert background_kept_out(None) < 0.3
    for name in PENALTIES:
        assert background_kept_out(name) > 0.7, name


def test_prior_of_the_target_makes_the_alignment_right() -> None:
    """With 5 % of signal, aligned with a source of as many of both, half of the background is taken for signal."""
    assert background_kept_out("mmd", 0.05) < 0.7
    assert background_kept_out("mmd", 0.05, reweight=True) == pytest.approx(0.95, abs=0.05)
