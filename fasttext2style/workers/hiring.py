"""From --workers to workers that have loaded their tool.

Ray on this machine is for this run alone: it listens on the loopback interface, asks for a token that only this run
knows, has no dashboard, reports nothing, keeps its files in a folder that goes with it, and ends with the run.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable
from typing import Any

from fasttext2style.workers.choice import WorkersChoice
from fasttext2style.workers.pieces import Crew, Tool
from fasttext2style.workers.worker import AsItIs, Packed


def hire(
    choice: WorkersChoice,
    load: Callable[[str], Tool],
    device: str,
    name: str,
    pack: Callable[[Any], Packed] = AsItIs,
) -> tuple[Crew, Any]:
    """Start Ray, or connect to a cluster, and have every worker load the tool; says what is being waited for.

    Args:
        choice: how many, or which cluster: that has a worker on each GPU, without any one on each machine.
        load: makes the tool on a device; it is sent to the workers.
        device: of this run. On a cluster its own GPUs count.
        name: of the tool, for what is said.
        pack: makes a request small for the way.

    Returns:
        The workers, and what their tool says of itself.

    Raises:
        ValueError: Ray cannot be started or reached, or no worker could load the tool.
    """
    _set_environment(choice)
    from fasttext2style.workers.ray_crew import RayCrew, connected

    crew = RayCrew(connected(choice, device), load, name, pack)
    try:
        return crew, crew.await_start()
    except BaseException:
        crew.close()
        raise


def _set_environment(choice: WorkersChoice) -> None:
    """What Ray reads when it is imported. What somebody has set is not changed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Workers without a GPU of their own see all of them, as later versions have it; no warning that this will change.
    # They are told their device.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # They are for a dashboard, and a process that cannot pass them on says so on the terminal.
    for name in ("RAY_enable_metrics_collection", "RAY_enable_open_telemetry"):
        os.environ.setdefault(name, "0")
    # Ray makes its caller wait for idle workers that it starts ahead: forever, when one of them hangs (seen with 2.53.0
    # on a busy machine). None are needed.
    os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    os.environ.setdefault("RAY_enable_worker_prestart", "0")
    if not choice.address and "RAY_AUTH_MODE" not in os.environ and "ray" not in sys.modules:
        # Others on this machine can reach its ports, and who may talk to Ray can run anything. No file is written:
        # without a token here Ray would make one and leave it in ~/.ray.
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
