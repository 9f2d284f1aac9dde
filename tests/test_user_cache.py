"""Where the user's cache is."""

from pathlib import Path

import pytest

from td3_hpc.user_cache import user_cache


@pytest.mark.parametrize(("value", "folder"), [("/big/cache", "/big/cache"), ("", "/me/.cache"), (None, "/me/.cache")])
def test_it_is_in_the_users_cache_folder(monkeypatch, value, folder):
    monkeypatch.setenv("HOME", "/me")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert user_cache() == Path(folder) / "td3-hpc"
