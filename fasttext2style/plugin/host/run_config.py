"""Trainer settings that all our methods share, and the list of what is checked before a run begins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml
from nerfstudio.engine.trainer import TrainerConfig

from fasttext2style.evaluation.timing import Stopwatch
from fasttext2style.plug_ins import names_come_from_others
from fasttext2style.plugin.host.capture import Capture, read_capture
from fasttext2style.plugin.host.checkpoints import check_same_coordinates, checkpoint_path, checkpoints_in
from fasttext2style.plugin.host.pipelines import ScenePipelineConfig
from fasttext2style.plugin.host.start_checks import (
    COPIES_OF_A_RECONSTRUCTION,
    NamedScene,
    check_disk,
    check_machine,
    check_model,
    check_output_folder,
    check_rates,
    check_seen,
    check_tracker,
    scene_of_checkpoint,
)
from fasttext2style.plugin.host.visitors import check_address
from fasttext2style.recipes.written import write_run_recipe
from fasttext2style.scene.files.atomic import atomic_write, remove_left_overs
from fasttext2style.terminal.console import errors_in_words, interrupts_in_words, say
from fasttext2style.trust.lock import WriteLock
from fasttext2style.trust.own_runs import note_written
from fasttext2style.trust.text import check_text
from fasttext2style.trust.typed import check_seed, expanded

LEAST_STEPS = 10
"""Of a reconstruction: densification and SH degrees come at tenths and sixths of its steps."""


@dataclass(frozen=True)
class Started:
    """What the checks found on their way, so that it need not be loaded or asked again."""

    watch: Stopwatch
    """Since the checks began."""
    networks: Any
    lock: WriteLock
    """Of the run's folder: from now on no other program writes there."""


class _Checked:
    """No dataclass: what it holds is no setting, and never in config.yml."""

    _started: Started | None = None
    """After `check_start`, until the trainer takes it."""
    is_new = False
    """The run is called after the present second: if that name is taken, it gets another one."""


@dataclass
class RunConfig(_Checked, TrainerConfig):
    """What ns-train does with the settings of our methods before there is a trainer."""

    pipeline: ScenePipelineConfig = field(default_factory=ScenePipelineConfig)
    """Data and model."""

    # --- before a run begins --------------------------------------------------------------------------------------

    def check_start(self) -> Started:
        """Refuse a run that cannot work before anything is written or computed: what costs least comes first.

        Raises:
            ValueError: in words, with what to do.
        """
        watch = Stopwatch()
        # Settings alone.
        self.check_settings()
        check_rates(self.optimizers)
        check_model(self.pipeline.model)
        check_machine(self.machine)
        # The machine.
        check_output_folder(self.get_base_dir())
        if not self.is_new and (self.get_base_dir() / ".lock").exists():
            WriteLock(self.get_base_dir()).release()
        if self.is_viewer_enabled():
            check_address(self.viewer.websocket_host, self.viewer.websocket_port)
        for tracker in ("wandb", "comet"):
            if self.vis.endswith(tracker):
                check_tracker(tracker)
        # Files, by their first bytes.
        scene = self.named_scene()
        if not self.is_new:
            self.check_replaces_nothing()
        # The capture: all photographs are opened; making them would cost more than any network.
        networks = self._networks_timed(watch) if self.makes_capture() else None
        capture = self.named_capture(scene)
        self.check_scene(scene, capture)
        self.check_disk(scene, capture)
        watch.seconds["checks"] = watch.elapsed
        # Networks: seconds.
        return Started(watch, networks or self._networks_timed(watch), self._lock_folder())

    def _networks_timed(self, watch: Stopwatch) -> Any:
        with watch.phase("networks"):
            return self.load_networks()

    def _lock_folder(self) -> WriteLock:
        """Make the run's folder, one of its own if the run is new, and take its lock.

        Raises:
            ValueError: another program is writing there.
        """
        folder, second, count = self.get_base_dir(), self.timestamp, 1
        folder.parent.mkdir(parents=True, exist_ok=True)
        while self.is_new:
            try:
                folder.mkdir()
                self.is_new = False
            except FileExistsError:
                count += 1
                self.timestamp = f"{second}_{count}"
                folder = self.get_base_dir()
        lock = WriteLock(folder)
        remove_left_overs(folder, below=True)
        return lock

    def take_started(self) -> Started:
        """The findings of `check_start`, which is run if it was not yet."""
        started = self._started or self.check_start()
        self._started = None
        return started

    def check_settings(self) -> None:
        """Raises ValueError for settings that are out of range or contradict each other; nothing is read."""
        check_text(self.pipeline.model.prompt or "", "The prompt")
        self.check_steps()
        check_seed(self.machine.seed, "--machine.seed", limit=2**32)
        check_seed(getattr(self.pipeline, "seed", 0), "--pipeline.seed")
        self.pipeline.datamanager.check()
        if self.logging.max_buffer_size < 1:
            raise ValueError(f"--logging.max-buffer-size is 1 or more, got {self.logging.max_buffer_size}.")
        if self.start_paused and not self.is_viewer_enabled():
            raise ValueError(
                f"--start-paused waits for a button in the viewer, but --vis is {self.vis}: add --vis viewer."
            )

    def check_steps(self) -> None:
        if self.max_num_iterations < 1:
            raise ValueError(f"--max-num-iterations must be 1 or more, got {self.max_num_iterations}.")

    def named_scene(self) -> NamedScene | None:
        """The scene that the command line names, None if there is none.

        Raises:
            ValueError: it cannot be read, or is none for this model.
        """
        path = checkpoint_path(self)
        return None if path is None else scene_of_checkpoint(path, self.pipeline.model.sh_degree)

    def check_replaces_nothing(self) -> None:
        """Raises ValueError when another run, that this one does not go on with, has its checkpoints in the folder."""
        models, loaded = self.get_checkpoint_dir(), checkpoint_path(self)
        kept = checkpoints_in(models)
        if kept and (loaded is None or loaded.resolve().parent != models.resolve()):
            raise ValueError(
                f"The run {self.get_base_dir()} is there already, and {kept[-1].name} of it would be lost. Leave "
                "--timestamp out (and --load-config, which repeats a run in its own folder): a new run gets a folder "
                f"of its own. To go on with that one, add --load-dir {models}."
            )

    def makes_capture(self) -> bool:
        """Whether there are no photographs, so that views have to be rendered first."""
        return False

    def named_capture(self, scene: NamedScene | None) -> Capture:
        """The capture that the command line names.

        Raises:
            ValueError: it cannot be read, or not be trained on.
        """
        return read_capture(self.pipeline.datamanager, self.machine.device_type, self.reconstructs(scene))

    def reconstructs(self, scene: NamedScene | None) -> bool:
        """Whether the run reconstructs the scene, as a whole or from `scene` on."""
        return True

    def check_scene(self, scene: NamedScene | None, capture: Capture) -> None:
        """Raises ValueError when the scene that the run starts from does not belong to the capture."""
        if scene is None:
            return
        if scene.some is None:
            check_same_coordinates(scene.path, capture.outputs)
        else:
            check_seen(scene, capture)

    def check_disk(self, scene: NamedScene | None, capture: Capture) -> None:
        """Raises ValueError when the run cannot be kept; warns where that is a guess."""
        known = None if scene is None else scene.gaussians
        degree, device = self.pipeline.model.sh_degree, self.machine.device_type
        copies, pictures = self.copies_kept(self.reconstructs(scene)), self.picture_bytes(capture)
        check_disk(self.get_base_dir(), known, degree, device, copies, pictures)

    def copies_kept(self, reconstructs: bool) -> int:
        """How many times the scene is on the disk at the same time, moments of Adam included."""
        return COPIES_OF_A_RECONSTRUCTION

    def picture_bytes(self, capture: Capture) -> int:
        """Of the pictures that are kept."""
        return 0

    def load_networks(self) -> Any:
        """Frozen networks that the trainer takes; they may be missing.

        Raises:
            ValueError: they cannot be had, or do not understand what they are asked.
        """
        return None

    # --- what nerfstudio calls --------------------------------------------------------------------------------------

    def set_timestamp(self) -> None:
        self.is_new = self.is_new or self.timestamp == "{timestamp}"
        super().set_timestamp()

    def print_to_terminal(self) -> None:
        """Say what begins. All settings stand in config.yml: nerfstudio would print them here, 266 lines."""
        say(
            f"{self.method_name}: {self.pipeline.model.prompt}" if self.pipeline.model.prompt else f"{self.method_name}"
        )

    def save_config(self) -> None:
        """Check everything, then make the run's folder with config.yml and recipe.yaml, which repeats it: a run that is
        refused leaves none.

        Paths are made absolute, so that ns-render and its kin find the run from any folder.
        """
        with interrupts_in_words("nothing was begun"), errors_in_words():
            self._started = self.check_start()
            self.make_paths_absolute()
            path = self.get_base_dir() / "config.yml"
            with atomic_write(path) as stream:
                stream.write(yaml.dump(self).encode("utf8"))
            if not names_come_from_others():  # with another number of rounds, say, it is still what they wrote
                note_written(path)
            write_run_recipe(self, path.parent)
            say(f"Run and settings: {path}")

    def make_paths_absolute(self) -> None:
        for name in ("output_dir", "data", "load_dir", "load_checkpoint", "load_config"):
            if getattr(self, name, None) is not None:
                setattr(self, name, expanded(getattr(self, name)).absolute())
        datamanager = self.pipeline.datamanager
        for name in ("data", "object_masks"):
            if getattr(datamanager, name, None) is not None:
                setattr(datamanager, name, expanded(getattr(datamanager, name)).absolute())

    def __getstate__(self) -> dict[str, Any]:
        """For yaml and copies: settings alone."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_started", "is_new")}
