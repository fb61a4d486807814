"""The folder of the spool: private, and where the key is not in any name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from segment_librato.errors import ConfigError
from segment_librato.spooling.folder import open_spool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="permissions are not in the mode there")

HOST = "https://api.segment.io"


def test_it_is_made_for_its_owner_only(tmp_path: Path) -> None:
    folder = open_spool(tmp_path / "a" / "b", "key", HOST)
    assert folder.parent == tmp_path / "a" / "b"
    assert [oct(each.stat().st_mode & 0o777) for each in (folder, folder.parent)] == ["0o700"] * 2
    assert open_spool(tmp_path / "a" / "b", "key", HOST) == folder


def test_the_folders_it_is_in_are_private_too_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = open_spool(tmp_path / "a" / "b" / "spool", "key", HOST)
    finally:
        os.umask(before)
    for each in (folder, *[*folder.parents][:3]):
        assert each.stat().st_mode & 0o777 == 0o700
    assert tmp_path == folder.parents[3]


def test_each_key_and_host_has_its_own_and_neither_is_in_its_name(tmp_path: Path) -> None:
    folders = [
        open_spool(tmp_path, *names)
        for names in [
            ("key1", HOST),
            ("key2", HOST),
            ("key1", "https://other"),
            ("key", f"1{HOST}"),
        ]
    ]
    assert len(set(folders)) == len(folders)
    assert not any("key" in folder.name or "segment" in folder.name for folder in folders)


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "open"
    path.mkdir()
    path.chmod(0o777)
    with pytest.raises(ConfigError, match=r"^spool: other users can write to .*; its mode is 0777"):
        open_spool(path, "key", HOST)


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(ConfigError, match=rf"^spool: .* belongs to another user, .* {owner}$"):
        open_spool(tmp_path, "key", HOST)


def test_a_link_in_place_of_the_inner_folder_is_refused(tmp_path: Path) -> None:
    folder = open_spool(tmp_path / "spool", "key", HOST)
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ConfigError, match=r"^spool: expected a folder, .* is something else$"):
        open_spool(tmp_path / "spool", "key", HOST)


@pytest.mark.parametrize("path", ["/dev/null/spool", "/proc/spool"])
def test_a_path_that_cannot_be_made_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"^spool: cannot make or read the folder /"):
        open_spool(Path(path), "key", HOST)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^spool: "):
        open_spool(tmp_path / "file", "key", HOST)
