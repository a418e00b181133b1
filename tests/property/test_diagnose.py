"""Times, paths and names are known in every form, and words that are none of them are not."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gbuild.check.diagnose.diagnosis import diagnose

FORMS = (
    *("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%a %b %d %H:%M:%S UTC %Y", "%b %d %Y %H:%M:%S"),
    *("%a, %d %b %Y %H:%M:%S +0000", "%d %B %Y, %H:%M", "%d/%m/%Y %H:%M:%S", "%Y%m%d%H%M%S"),
    *("%d.%m.%Y %H:%M:%S", "%m/%d/%y %I:%M:%S %p", "%Y/%m/%d", "%A, %B %d, %Y", "%d-%b-%Y"),
    *("D:%Y%m%d%H%M%SZ", "%Y.%m.%d-%H%M%S", "%s", "%s000", "%Y:%m:%d %H:%M:%S"),
)
FRAMES = (
    *("Built: {}\n", 'const char *build_time = "{}";\n', "<buildDate>{}</buildDate>\n"),
    *('{{"generated_at": "{}"}}\n', "# Generated on {} by mkfoo\n", "BUILD_TIMESTAMP={}\n"),
)
MOMENTS = st.datetimes(datetime(2005, 1, 1), datetime(2035, 1, 1))  # noqa: DTZ001 - as written
LATER = st.integers(60, 900 * 86_400)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=9)
PARTS = st.lists(WORDS, min_size=1, max_size=3).map("/".join)


def causes(one: str, two: str) -> set[str]:
    """The names of the causes that two texts differ by."""
    return {trace.cause for trace in diagnose("f", one.encode(), two.encode()).traces}


@given(MOMENTS, LATER, st.sampled_from(FORMS), st.sampled_from(FRAMES))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_time_of_the_build_is_known_in_every_form(
    first: datetime, later: int, form: str, frame: str
) -> None:
    second = first + timedelta(seconds=later)
    texts = [frame.format(moment.strftime(form)) for moment in (first, second)]
    assume(texts[0] != texts[1])
    found = causes(*texts)
    quarters = not int(later) % 900 or "%S" not in form
    assert found == {"timestamp"} or (quarters and found == {"timezone"}), texts


@given(PARTS, PARTS, PARTS, st.sampled_from(("dir = '{}'\n", "-I{}\n", "[{}]\n", "at {}:12\n")))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_folder_of_builds_is_known_by_what_is_below_it(
    one: str, two: str, below: str, frame: str
) -> None:
    assume(one != two)
    paths = (f"/build/{one}/{below}/x.c", f"/srv/{two}/{below}/x.c")
    assert causes(*(frame.format(path) for path in paths)) == {"build-path"}


@given(st.lists(WORDS, min_size=4, max_size=9, unique=True))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_list_in_another_order_has_an_order_for_a_cause(words: list[str]) -> None:
    moved = [*words[2:], words[1], words[0]]
    found = causes("all: " + ", ".join(words) + "\n", "all: " + ", ".join(moved) + "\n")
    assert found <= {"hash-order", "locale-order"}
    assert found


@given(WORDS, WORDS, st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_words_and_small_numbers_have_no_cause(one: str, two: str, n: int, m: int) -> None:
    assume(one != two)
    assert causes(f"colour_{n} = {one} {n}\n", f"colour_{n} = {two} {m}\n") == set()
