"""Signed words: only ours, only for their purpose, only in their time."""

import hashlib
import stat
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abplatform.errors import WorkspaceError
from abplatform.traffic.service.access import LOCAL, Access, Rate
from abplatform.traffic.service.tokens import KEY_FILE, Expired, Forged, Signer, read_key

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def signer(key=b"k" * 32, at=NOON):
    return Signer(key, lambda: at)


@given(st.binary(max_size=300), st.integers(0, 10_000))
def test_a_token_says_what_was_signed(content, seconds):
    """Reading gives the content back as long as the token is good."""
    expires = int(NOON.timestamp()) + seconds
    token = signer().sign("click", content, expires=expires)
    assert signer().read("click", token).content == content


@given(st.binary(min_size=1, max_size=50), st.data())
def test_no_changed_token_is_read(content, data):
    """Changing any one character, or leaving one out, is found."""
    token = signer().sign("click", content, expires=2**32)
    place = data.draw(st.integers(0, len(token) - 1))
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ é"
    letter = data.draw(st.sampled_from(["", *letters]).filter(lambda one: one != token[place]))
    with pytest.raises(Forged):
        signer().read("click", token[:place] + letter + token[place + 1 :])


def test_a_token_is_good_for_one_purpose_one_key_and_its_time():
    """Another purpose or key is a forgery; a second after its time it has expired."""
    expires = int(NOON.timestamp())
    token = signer().sign("impression", b"x", expires=expires)
    assert signer().read("impression", token).expires == expires
    with pytest.raises(Forged):
        signer().read("click", token)
    with pytest.raises(Forged):
        signer(b"o" * 32).read("impression", token)
    with pytest.raises(Expired):
        signer(at=NOON + timedelta(seconds=1)).read("impression", token)
    with pytest.raises(Forged):
        signer().read("impression", "A" * 20_000)


def test_the_key_is_made_once_and_for_its_user_alone(tmp_path):
    """The first call makes the key with mode 0600, later ones read it; a damaged one is named."""
    key = read_key(tmp_path / "data")
    path = tmp_path / "data" / KEY_FILE
    assert read_key(tmp_path / "data") == key
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("short")
    with pytest.raises(WorkspaceError, match="no key"):
        read_key(tmp_path / "data")


def test_callers_are_known_by_their_token(monkeypatch):
    """A token is compared by its sha256, from abp.yaml or the environment; others are nobody."""
    monkeypatch.setenv("ADS", "open")
    told = f"sha256:{hashlib.sha256(b'sesame').hexdigest()}"
    access = Access.of({"ads": "env:ADS", "bi": told})
    assert access.caller(b"Bearer open") == "ads"
    assert access.caller(b"bearer sesame") == "bi"
    assert access.caller(b"Basic open") is None
    assert access.caller(b"Bearer other") is None
    assert access.caller(None) is None
    assert Access().caller(None) == LOCAL
    with pytest.raises(WorkspaceError, match="NOT_SET"):
        Access.of({"ads": "env:NOT_SET"})


def test_a_caller_gets_its_rate_and_no_more():
    """A full bucket passes at once, an empty one says how long to wait, time fills it."""
    now = [0.0]
    rate = Rate(lambda: now[0])
    assert [rate.wait("a", 1, 10) for _ in range(10)] == [0.0] * 10
    assert rate.wait("a", 1, 10) == pytest.approx(0.1)
    assert rate.wait("b", 1, 10) == 0.0
    now[0] = 0.1
    assert rate.wait("a", 1, 10) == 0.0
    now[0] = 2.0
    assert rate.wait("a", 30, 10) == 0.0  # larger than the bucket: passes when it is full
    assert rate.wait("a", 1, 10) == pytest.approx(2.1)
