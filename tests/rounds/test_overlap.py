"""Rounds that overlap: the next one's views are seen early and edited meanwhile, and nothing else is different."""

import json

import pytest
import torch

from fasttext2style.editors.local_edit import LocalEditConfig, LocalEditor
from fasttext2style.rounds.config import RoundsConfig
from fasttext2style.rounds.folder import KINDS, RoundsFolder
from fasttext2style.rounds.schedule import Schedule
from fasttext2style.rounds.snapshot import load_tensors
from fasttext2style.rounds.targets import EditConfig
from fasttext2style.rounds.views import to_bytes
from fasttext2style.rounds.workers import About, Crewed, EditingTool, about
from fasttext2style.styling.growth import GrowthConfig
from fasttext2style.workers.in_process import InProcess
from tests.ball import BALL
from tests.rounds.balls import ball_rounds, parameters, run
from tests.rounds.editors import MoodyPainter, Noisy, Painter

STEPS = 6


def schedule(overlap=0.5, rounds=3, **settings):
    return Schedule(rounds=rounds, steps=STEPS, overlap=overlap, **settings)


def started(folder, editor=None, plan=None, **settings):
    rounds = ball_rounds(folder, editor or Painter(), config=RoundsConfig(plan or schedule(), EditConfig()), **settings)
    rounds.start()
    return rounds


def resumed(folder, editor=None, plan=None, **settings):
    rounds = ball_rounds(folder, editor or Painter(), config=RoundsConfig(plan or schedule(), EditConfig()), **settings)
    rounds.resume()
    return rounds


def assert_same(ours, theirs):
    for name, value in parameters(ours).items():
        assert torch.equal(parameters(theirs)[name], value), name
    pictures = [
        {path.relative_to(it.folder.path): path.read_bytes() for path in it.folder.path.rglob("*.png")}
        for it in (ours, theirs)
    ]
    assert pictures[0] and pictures[0] == pictures[1]


class Elsewhere:
    """A crew of one in another place: a piece that was begun is edited by the next look, as by a process of its own."""

    count = 1

    def __init__(self, editor, log=None) -> None:
        self._here, self.log, self.stopped = InProcess(EditingTool(editor)), [] if log is None else log, 0

    def hand_in(self, request):
        self.log.append(f"in {len(request.part_ids)}")
        return request

    def handed_in(self, piece):
        return piece

    def free(self):
        return self._here.free()

    def begin(self, worker, piece, rows, on_step):
        self._here.begin(worker, piece, rows, on_step)

    def wait(self, patient=True):
        self.log.append("waited" if patient else "looked")
        return self._here.wait() if not self._here.free() else []

    def stop(self):
        self.stopped += 1
        self._here.stop()

    def close(self):
        pass


def elsewhere(editor, **settings):
    local = LocalEditor(editor, LocalEditConfig(batch_size=4))
    return Crewed(Elsewhere(local, **settings), about(local))


# --- what is edited ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("overlap", "before_step"), [(0.5, 3), (1.0, 0), (0.34, 3), (0.0, 6)])
def test_the_next_rounds_views_are_as_they_were_when_the_overlap_began(tmp_path, overlap, before_step):
    """The last ceil(6 * overlap) of 6 steps; 0: after the last."""
    painter = Painter()
    rounds = started(tmp_path, painter, schedule(overlap, rounds=2))
    seen = {0: rounds.subject.render(rounds.views.shown)}

    def after_step():
        seen[rounds.step + 1] = rounds.subject.render(rounds.views.shown)

    run(rounds, STEPS, after_step=after_step)
    assert len(painter.requests) == 1, "an editor in this process waits for the round's end"
    rounds.begin_step()
    first, second = painter.requests
    edited = second.images if overlap == 0 else to_bytes(second.images)
    assert torch.equal(edited, seen[before_step] if overlap == 0 else to_bytes(seen[before_step]))
    assert [step for step in seen if torch.equal(to_bytes(seen[step]), to_bytes(second.images))] == [before_step]
    assert second.seed != first.seed and second.view_ids == first.view_ids
    (round_1,) = rounds.folder.rounds()[1:]
    if overlap:
        assert round_1.manifest["ahead"]["step"] == before_step
    shown = RoundsFolder(tmp_path).folder(2) / "before" / "view_0003.png"
    assert shown.is_file() and torch.equal(to_bytes(second.images)[3], to_bytes(seen[before_step])[3])


def test_an_editor_that_sees_depth_sees_that_of_then(tmp_path):
    class Deep(Painter):
        capabilities = frozenset({"depth"})

    editor = Deep()
    rounds = started(tmp_path, editor, schedule(rounds=2))
    seen = []
    run(rounds, STEPS, after_step=lambda: seen.append(rounds.subject.render(rounds.views.shown, with_depth=True)))
    rounds.begin_step()
    depth, then = editor.requests[1].depth, seen[2][..., 3:]
    assert depth.dtype == torch.float32
    assert torch.allclose(depth, then, rtol=1e-3), "in 16 bits it waits"


def test_without_overlap_nothing_is_kept_ahead(tmp_path):
    rounds = run(started(tmp_path, plan=schedule(0.0)))
    assert not list(tmp_path.rglob("ahead_*")) and "ahead" not in rounds.folder.rounds()[1].manifest


def test_the_last_round_looks_no_further(tmp_path):
    painter = Painter()
    run(started(tmp_path, painter, schedule(rounds=2)))
    assert len(painter.requests) == 2
    assert [path.parent.name for path in tmp_path.rglob("ahead_*")] == ["round_0001"]


def test_every_picture_of_a_round_is_kept(tmp_path):
    run(started(tmp_path))
    for number in (1, 2, 3):
        for kind in KINDS:
            assert len(list((RoundsFolder(tmp_path).folder(number) / kind).iterdir())) == 10, (number, kind)


def test_each_view_comes_once_before_any_comes_again_also_over_rounds_seen_ahead(tmp_path):
    rounds = run(started(tmp_path, plan=schedule(rounds=3, views=3, choice="turn")))
    chosen = [view for entry in rounds.folder.rounds()[1:] for view in entry.manifest["edits"][0]["views"]]
    assert len(set(chosen)) == 9
    assert rounds.folder.rounds()[1].manifest["ahead"]["views"] == chosen[3:6]


def test_views_are_chosen_by_the_residuals_that_were_known_then(tmp_path):
    """Those of the round before: none amid the first round."""
    painter = Painter()
    rounds = run(started(tmp_path, painter, schedule(rounds=2, views=3, choice="residual")))
    first, second = (entry.manifest for entry in rounds.folder.rounds()[1:])
    assert first["ahead"]["views"] == second["edits"][0]["views"] == list(painter.requests[1].view_ids)
    waited = run(started(tmp_path / "waited", plan=schedule(0.0, rounds=2, views=3, choice="residual")))
    assert waited.folder.rounds()[2].manifest["edits"][0]["views"] != first["ahead"]["views"]


# --- who edits, and when ----------------------------------------------------------------------------------------------


def test_workers_edit_while_this_process_trains_and_give_the_same_bits(tmp_path):
    theirs = run(started(tmp_path / "here", LocalEditor(Noisy(), LocalEditConfig(batch_size=4))))
    ours = run(started(tmp_path / "elsewhere", elsewhere(Noisy())))
    assert_same(ours, theirs)


def test_pieces_are_handed_out_between_steps_and_none_is_waited_for(tmp_path):
    """3 pieces from the middle of the round on: all there before its end, so that the next round waits for nothing."""
    log = []
    rounds = started(tmp_path, elsewhere(Painter(), log=log), schedule(rounds=2))
    log.clear()
    run(rounds, STEPS, after_step=lambda: log.append("trained"))
    first = log.index("trained")
    meanwhile = [it for it in log[first:] if it.startswith("in")]
    assert meanwhile == ["in 4", "in 4", "in 2"] and "waited" not in log[first:]
    log.clear()
    rounds.begin_step()
    assert not [it for it in log if it.startswith("in")]


def test_progress_is_told_while_somebody_waits_and_not_beside_the_training(tmp_path):
    class Telling(Painter):
        def edit(self, request, on_step=None):
            if on_step is not None:
                on_step(1, 1)
            return super().edit(request, on_step)

    told = []
    rounds = started(tmp_path, elsewhere(Telling()), on_edit_step=lambda done, total: told.append(rounds.step))
    run(rounds)
    assert told and set(told) == {0}


def test_an_editor_that_fails_meanwhile_costs_no_complete_round(tmp_path):
    class Failing(Painter):
        def edit(self, request, on_step=None):
            if self.requests:
                raise RuntimeError("the GPU has fallen off the bus")
            return super().edit(request, on_step)

    log, plan = [], schedule(1.0, views=1, train_on="latest")
    rounds = started(tmp_path, elsewhere(Failing(), log=log), plan)
    run(rounds, STEPS)
    assert log.count("in 1") == 2 and log[-1] == "looked" and len(rounds.folder.rounds()) == 2
    with pytest.raises(ValueError, match="none of the first 1 views: RuntimeError: the GPU has fallen off the bus"):
        rounds.begin_step()
    whole = run(started(tmp_path.with_name("whole"), elsewhere(Painter()), plan))
    assert_same(run(resumed(tmp_path, elsewhere(Painter()), plan)), whole)


def test_a_view_that_fails_meanwhile_is_named_and_keeps_its_last_target(tmp_path):
    class Later(MoodyPainter):
        """Spoils views from the second round on."""

        def edit(self, request, on_step=None):
            first = len(self.requests) < 3
            return Painter.edit(self, request, on_step) if first else super().edit(request, on_step)

    rounds = run(started(tmp_path, elsewhere(Later()), schedule(rounds=2)))
    (_, second) = rounds.folder.rounds()[1:]
    assert set(second.manifest["edits"][0]["failed"]) == {"1", "2"}
    assert second.manifest["edited_in"]["1"] == 1 and second.manifest["edited_in"]["0"] == 2


# --- interruptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [STEPS, STEPS + 2, *(pytest.param(it, marks=pytest.mark.slow) for it in (11, 12))])
@pytest.mark.parametrize("views", [0, 3])
def test_a_resumed_run_ends_as_the_uninterrupted_one(tmp_path, after, views):
    plan = schedule(views=views, train_on="latest", refinement_steps=1) if views else schedule()
    whole = run(started(tmp_path / "whole", plan=plan))
    run(started(tmp_path / "half", plan=plan), after)
    assert_same(run(resumed(tmp_path / "half", plan=plan)), whole)


def test_an_object_that_has_grown_since_is_seen_as_it_was(tmp_path):
    growth = GrowthConfig(every=2, max_factor=1e6, gradient_threshold=0.0)
    plan = Schedule(rounds=2, steps=10, overlap=0.5)
    torch.manual_seed(0)  # growth draws from torch's own generator
    whole = run(started(tmp_path / "whole", plan=plan, mode="replace"), growth=growth)
    torch.manual_seed(0)
    run(started(tmp_path / "half", plan=plan, mode="replace"), 11, growth)
    (early,) = (tmp_path / "half" / "round_0001").glob("ahead_*")
    late = RoundsFolder(tmp_path / "half").rounds()[1].snapshot
    torch.manual_seed(1)
    assert BALL < len(load_tensors(early)["weights"]) < len(load_tensors(late)["weights"])
    assert_same(run(resumed(tmp_path / "half", plan=plan, mode="replace"), growth=growth), whole)


def test_refining_a_round_leaves_what_was_seen_ahead_of_it_behind(tmp_path):
    rounds = started(tmp_path, plan=schedule(rounds=2))
    run(rounds, STEPS)
    painter = Painter()
    again = ball_rounds(tmp_path, painter, config=RoundsConfig(schedule(rounds=2), EditConfig()))
    again.resume(refinement_steps=2)
    run(again)
    manifest = json.loads((RoundsFolder(tmp_path).folder(1) / "manifest.json").read_text("utf8"))
    assert manifest["steps_done"] == STEPS + 2 and "ahead" not in manifest
    assert not list(tmp_path.rglob("ahead_*")) and not painter.requests
    again.begin_step()
    assert torch.equal(to_bytes(painter.requests[0].images), to_bytes(again.subject.render(again.views.shown)))


def test_so_does_refining_it_in_the_same_session(tmp_path):
    painter = Painter()
    crew = Elsewhere(painter)
    rounds = started(tmp_path, Crewed(crew, About("painter", Painter.capabilities, 0, 4)), schedule(0.01, rounds=2))
    run(rounds, STEPS)
    stopped = crew.stopped
    rounds.refine(2)
    assert crew.stopped == stopped + 1, "it is free for others"
    run(rounds)
    painter.requests.clear()
    now = rounds.subject.render(rounds.views.shown)
    rounds.begin_step()
    assert torch.equal(torch.cat([request.images for request in painter.requests]), now)


def test_a_round_that_was_asked_for_by_hand_looks_no_further(tmp_path):
    painter = Painter()
    rounds = started(tmp_path, painter)
    rounds.plan_round(4)
    run(rounds, 4)
    assert not list(tmp_path.rglob("ahead_*"))
    run(rounds, STEPS)
    assert [path.parent.name for path in tmp_path.rglob("ahead_*")] == ["round_0002"]


# --- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", [-0.1, 1.01, float("nan"), float("inf")])
def test_a_share_is_0_to_1(overlap):
    with pytest.raises(ValueError, match=r"schedule\.overlap is a share of a round's steps, 0 to 1, got"):
        Schedule(overlap=overlap).check()


def test_edits_amid_a_round_leave_nothing_to_overlap():
    with pytest.raises(ValueError, match=r"set one of schedule\.overlap and schedule\.edit_every to 0"):
        Schedule(views=1, edit_every=10, overlap=0.5).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"snapshot": "../../scene.safetensors", "views": [0]}, "ahead should be"),
        ({"snapshot": "ahead_000003.safetensors", "views": "all"}, "ahead should be"),
        ({"snapshot": "ahead_000003.safetensors", "views": []}, "ahead should be"),
        ({"snapshot": "ahead_000003.safetensors", "views": [0, 0]}, "ahead should be"),
        ({"snapshot": "gone.safetensors", "views": [0]}, "gone.safetensors is missing"),
        ({"snapshot": "ahead_000003.safetensors", "views": [10]}, "speaks of view 10, and the capture has 10 views"),
    ],
)
def test_a_damaged_book_is_refused_with_the_way_back(tmp_path, change, message):
    run(started(tmp_path), STEPS)
    path = RoundsFolder(tmp_path).folder(1) / "manifest.json"
    manifest = json.loads(path.read_text("utf8"))
    manifest["ahead"] |= change
    path.write_text(json.dumps(manifest), "utf8")
    with pytest.raises(ValueError, match=message):
        resumed(tmp_path)


@pytest.mark.parametrize("name", ["round_views", "edited_in"])
def test_rounds_of_a_larger_capture_are_refused(tmp_path, name):
    run(started(tmp_path, plan=schedule(0.0)), STEPS)
    path = RoundsFolder(tmp_path).folder(1) / "manifest.json"
    manifest = json.loads(path.read_text("utf8"))
    manifest[name] = [12] if name == "round_views" else {"12": 1}
    path.write_text(json.dumps(manifest), "utf8")
    with pytest.raises(ValueError, match=r"speaks of view 12, and the capture has 10 views.*rounds reset"):
        resumed(tmp_path)
