"""The folder of the spool: private, and where the key is not in any name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from segment_librato import SpoolConfig
from segment_librato.errors import ConfigError
from segment_librato.spooling.folder import open_spool
from segment_librato.spooling.spool import Spool

STRANGER = 12345  # the id of a user who is not this one
is_root = getattr(os, "geteuid", int)() == 0
as_root = pytest.mark.skipif(not is_root, reason="only root can give files away")

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


@pytest.mark.parametrize("planted", ["spool", "hash"])
@pytest.mark.parametrize("by", ["mode", pytest.param("owner", marks=as_root)])
def test_a_folder_that_another_user_was_faster_to_make_again_is_not_written_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, planted: str, by: str
) -> None:
    folder = open_spool(tmp_path / "spool", "key", HOST)
    spool = Spool(SpoolConfig(tmp_path / "spool"), folder)
    lane = spool.run.lane()
    assert spool.write(lane, b"1")
    lane.retire(all_of_them=True)
    shutil.rmtree(folder.parent)
    assert open_spool(tmp_path / "spool", "key", HOST) == folder
    strange = folder.parent if planted == "spool" else folder
    if by == "mode":
        strange.chmod(0o777)
        problem = f"other users can write to {strange}; its mode is 0777"
    else:
        os.chown(strange, STRANGER, -1)
        problem = f"{strange} belongs to another user, with the id {STRANGER}"
    assert spool.write(lane, b"2") is None
    assert [*folder.iterdir()] == []
    assert spool.write(lane, b"3") is None
    trouble = f"the spool in {folder} does not work: {problem}; messages stay in memory"
    assert caplog.messages == [trouble]
    shutil.rmtree(folder.parent)
    spool._retry_at = 1e-9  # noqa: SLF001  it is time to look again
    assert spool.write(lane, b"4")
    assert caplog.messages == [trouble, f"the spool in {folder} works again"]
    assert [oct(each.stat().st_mode) for each in (folder.parent, folder)] == ["0o40700"] * 2
    spool.run.close()
