"""A server for a whole module, or for one test."""

import pytest

from harness import BINARY, Server


def pytest_sessionstart(session):
    if not BINARY.exists():
        pytest.exit(f"{BINARY} is missing: cargo build -p bellwether", returncode=2)


@pytest.fixture(scope="module")
def server():
    """Shared by the tests of a module: each uses names of its own."""
    one = Server(args=["--set", "host.enabled=false"]).start()
    yield one
    one.stop()
    one.remove()


@pytest.fixture
def fresh():
    """Makes servers that are gone at the end of the test."""
    made = []

    def make(**kwargs):
        kwargs.setdefault("args", ["--set", "host.enabled=false"])
        made.append(Server(**kwargs))
        return made[-1]

    yield make
    for one in made:
        one.remove()
