"""What all tests share: one torch thread, and faults that can be repeated."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption(
        "--repeat",
        type=int,
        default=1,
        help="run every test marked `fault` this many times; `make soak` does",
    )


def pytest_generate_tests(metafunc):
    """Give a fault test one turn per repetition."""
    times = metafunc.config.getoption("repeat")
    if times > 1 and metafunc.definition.get_closest_marker("fault"):
        metafunc.fixturenames.append("repetition")
        metafunc.parametrize("repetition", range(times))
