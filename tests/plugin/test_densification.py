"""What hangs before a lens goes while a scene is refined, a few times; what was learnt of the rest stays."""

from itertools import pairwise

import torch
from nerfstudio.models.splatfacto import SplatfactoModelConfig

from fasttext2style.plugin.host.densification import LOOKS, splatfacto_densification


def _strategy():
    config = SplatfactoModelConfig(warmup_length=300, stop_split_at=1800, reset_alpha_every=10**6)
    return splatfacto_densification(config, train_views=20)


def test_it_is_looked_for_a_few_times_at_even_steps():
    strategy = _strategy()
    steps = [step for step in range(400, 1800, 100) if strategy._looks_at(step)]
    assert len(steps) in (LOOKS - 1, LOOKS) and max(steps) > 1400
    gaps = {after - before for before, after in pairwise(steps)}
    assert gaps <= {200, 300}


def test_what_is_found_goes_with_all_that_is_known_of_it():
    strategy = _strategy()
    sizes = {"means": (3,), "scales": (3,), "quats": (4,), "opacities": (1,)}
    params = torch.nn.ParameterDict({name: torch.nn.Parameter(torch.ones(6, *size)) for name, size in sizes.items()})
    params["means"].data = torch.arange(6.0)[:, None].repeat(1, 3)
    optimizers = {name: torch.optim.Adam([value], lr=0.0) for name, value in params.items()}
    torch.stack([value.sum() for value in params.values()]).sum().backward()
    for optimizer in optimizers.values():
        optimizer.step()
    state = {"scene_scale": 1.0, "radii": torch.zeros(6), "grad2d": torch.arange(6.0), "count": torch.ones(6)}
    assert strategy._prune_gs(params, optimizers, state, 600) == 0, "nobody knows of cameras"
    strategy.hanging = lambda: torch.tensor([False, True, False, False, True, False])
    assert strategy._prune_gs(params, optimizers, state, 500) == 0, "not at each step"
    assert strategy._prune_gs(params, optimizers, state, 600) == 2
    assert params["means"][:, 0].tolist() == state["grad2d"].tolist() == [0.0, 2.0, 3.0, 5.0]
    for name, optimizer in optimizers.items():
        assert optimizer.param_groups[0]["params"][0] is params[name]
        assert len(optimizer.state[params[name]]["exp_avg"]) == 4
