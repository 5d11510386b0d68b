"""Which requests reach a live session."""

import pytest

from fasttext2style.trust.visitors import names_of, refusal

PORT = 7007


@pytest.mark.parametrize("host", ["127.0.0.1:7007", "localhost:7007", "localhost:8888", "[::1]:7007", "LOCALHOST:7007"])
def test_its_own_page_and_programs_may_use_a_session_of_this_machine(host):
    names = names_of("127.0.0.1")
    assert refusal(host, None, names, False) == ""
    assert refusal(host, f"http://{host}", names, False) == ""


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://localhost:3000", "http://127.0.0.1:7007", "http://evil.example:7007", "null", "",
     "file://", "http://localhost:7007.evil.example", "http://localhost", "http://localhost:99999999", "http://["],
)  # fmt: skip
def test_another_page_may_not(origin):
    assert "may not use" in refusal("localhost:7007", origin, names_of("127.0.0.1"), False)


@pytest.mark.parametrize(
    "host", ["evil.example:7007", "evil.example", "192.168.1.5:7007", "", None, "localhost.evil:1", "["]
)
def test_a_name_that_points_here_is_no_name_of_it(host):
    """DNS rebinding: the page is of the same origin as the session, for both are called evil.example."""
    assert "not at" in refusal(host, f"http://{host}", names_of("127.0.0.1"), False)


def test_a_session_for_the_network_is_asked_for_by_number_or_by_the_machines_name():
    names = names_of("0.0.0.0")
    assert refusal("192.168.1.5:7007", "http://192.168.1.5:7007", names, True) == ""
    assert "may not use" in refusal("192.168.1.5:7007", "http://192.168.1.6:7007", names, True)
    assert "not at" in refusal("evil.example:7007", "http://evil.example:7007", names, True)
    assert refusal("box.example:80", "http://box.example", names_of("box.example"), False) == ""
    assert refusal("box.example", "https://box.example", names_of("box.example"), False) != "", "not the same port"
