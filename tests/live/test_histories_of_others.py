"""What a stranger wrote into the steps of a history: shown as text or left out, and a session on it goes on."""

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fasttext2style.history.delta import Delta
from fasttext2style.live import jobs
from fasttext2style.live.desk import FORMAT, LONGEST_NAME, Desk
from fasttext2style.live.grade import grade_of
from fasttext2style.live.objects import belonging, objects_of
from fasttext2style.live.pointing import ClickAgain, clicks_of
from fasttext2style.live.session import LiveSession
from fasttext2style.live.surroundings import turn_of
from fasttext2style.live.texts import edit_text, selections_text
from fasttext2style.trust.text import one_line
from tests.ball import BALL, ball_on_floor, capture_cameras
from tests.live.plain_host import PlainHost, SelectRows, open_session
from tests.trust.test_escaping import NASTY

SAID = ("clicks", "click", "grade", "threshold", "feather", "round", "object_id", "hides_object", "candidate", "turned")
"""Settings of steps that a session looks at."""
CLICK = {
    **{"origin": [0.0, -1.4, 0.3], "direction": [0.0, 1.4, -0.3], "combine": "add", "tolerance": 2.0, "size": 0.2},
    **{"opening": 1.5, "by_color": False},
}
GRADE = {"brightness": 0.5, "tint_color": [1.0, 0.75, 0.3]}
WHOLE = {
    "clicks": [[0.0, 0.0, 0.3, True]],
    "click": CLICK,
    "grade": GRADE,
    "threshold": 0.5,
    "round": 2,
    "turned": {"yaw": 90, "exposure": -1.0},
}
EDIT = r"\*\*[^*{}<>`\n]*\*\*  \n([0-9]{2}:[0-9]{2})?(, )?(round [0-9]+)?(, )?(took [0-9]+ s)?"
"""Name, and what the file says of it."""
leaves = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from([*NASTY, 10**30, 1e300])
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*CLICK, *GRADE, "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
damaged = st.sampled_from(["clicks", "click", "grade"]).flatmap(
    lambda name: st.tuples(st.just(name), st.sampled_from([*CLICK, *GRADE]), values)
)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> LiveSession:
    """A selection and an edit of it, as the last thing that was done."""
    folder = tmp_path_factory.mktemp("others")
    session = open_session(PlainHost(ball_on_floor(), folder / "scene.pt"), capture_cameras(), folder)
    assert session.do(SelectRows(0, BALL))
    scene = session.scene
    before = {"features_dc": scene.state.columns["features_dc"]}
    delta = Delta.of_rows(scene.state.ids, before, {"features_dc": before["features_dc"] + 0.1})
    scene.history.record(delta, "gold", prompt="a ball made of gold")
    scene.move(lambda state: delta.moved(state, 0.0, 1.0))
    return session


def _say(session: LiveSession, **facts) -> None:
    """Into both steps, as anybody may."""
    for step in session.scene.history.steps:
        path = step.folder / "step.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def _is_shown(session: LiveSession) -> None:
    """What the panel asks for whenever the history has changed, of the types that viser takes."""
    scene = session.scene
    steps = scene.history.steps
    for position, added in clicks_of(scene):
        assert len(position) == 3 and all(abs(float(it)) < 1e9 for it in position) and isinstance(added, bool)
    threshold, feather = jobs.edge_of(scene)
    assert (
        isinstance(threshold, float) and 0 <= threshold <= 0.95 and isinstance(feather, float) and 0 <= feather <= 0.3
    )
    assert len(grade_of(scene).check().tint_color) == 3
    for value, most in zip(turn_of(scene), (180.0, 8.0)):
        assert isinstance(value, float) and abs(value) <= most
    for thing in objects_of(scene):
        assert thing.name == one_line(thing.name) and 0 < len(thing.name) <= LONGEST_NAME
        for edit in thing.edits:
            assert re.fullmatch(EDIT, edit_text(edit)), edit_text(edit)
    belonging(scene)
    shown = selections_text([step for step in steps if step.kind == "selection"])
    assert re.fullmatch(r"([0-9]{2}:[0-9]{2} )?[^*{}<>`\n]*", shown), shown


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(SAID), values, max_size=3))
@example({"round": "\n\nexport const ran = 1\n\n"})
@example({"round": "<img src=x onerror=ran=1>"})
@example({"feather": "0.1", "threshold": []})
@example({"feather": 30.0, "threshold": float("nan")})
@example({"clicks": [[0.0, 0.0, 1e300, True]]})
@example({"clicks": [["a", "b", "c", "d"]]})
@example({"grade": GRADE | {"tint": 1.0, "tint_color": [0.5, 0.5]}})
@example({"grade": {"brightness": 0.5}})
@example({"turned": {"yaw": "east", "exposure": 0.0}})
@example({"turned": {"yaw": 1e9, "exposure": 0.0}})
@example({"turned": {"yaw": 90.0}})
@example({"object_id": True})
@example({"object_id": -5})
def test_settings_of_a_strangers_step_are_ours_or_nothing(session, said):
    _say(session, settings=said)
    _is_shown(session)


@settings(max_examples=150)
@given(damaged)
def test_what_is_nearly_ours_is_ours_or_nothing(session, change):
    name, field, value = change
    if name == "clicks":
        said = WHOLE | {"clicks": [*WHOLE["clicks"], value]}
    else:
        said = WHOLE | {name: WHOLE[name] | {field: value}}
    _say(session, settings=said)
    _is_shown(session)


def test_what_is_ours_counts(session):
    """So that the tests above do not pass because everything is left out."""
    _say(session, settings=WHOLE)
    assert clicks_of(session.scene) == [((0.0, 0.0, 0.3), True)] and jobs.edge_of(session.scene) == (0.5, 0.0)
    assert grade_of(session.scene).brightness == 0.5 and turn_of(session.scene) == (90.0, -1.0)
    assert "round 2" in edit_text(session.scene.history.edits[0])


@pytest.mark.parametrize("text", NASTY)
def test_names_sentences_and_times_of_a_strangers_step_are_text(session, text):
    _say(session, settings={}, name=text, prompt=f"a {text} ball made of gold", created=f"2026-01-31T{text}")
    _is_shown(session)
    _say(session, name="gold", prompt="gold", created=text)
    _is_shown(session)


@pytest.mark.parametrize("click", [{}, [], "x", {"origin": [0, 0, 0]}, CLICK | {"direction": ["x", 0, 0]},
                                   CLICK | {"combine": []}, CLICK | {"by_color": "yes"}])  # fmt: skip
def test_a_click_that_is_none_is_not_clicked_again(session, click):
    _say(session, settings={"click": click})
    assert session.do(ClickAgain(2.0, 0.2)), session.status.message
    assert session.status.message.startswith("The next click has a tolerance of 2"), session.status.message


@pytest.mark.parametrize("text", NASTY)
def test_a_strangers_desk_holds_lines_of_text(tmp_path, text):
    content = {"format": FORMAT, "asked": "", "fields": {"sentence": text}, "names": {"1": text}}
    (tmp_path / "desk.json").write_text(json.dumps(content))
    desk = Desk(tmp_path)
    assert desk.fields("")["sentence"] == desk.name_of(1) == one_line(text)
