"""ns-render needs a program called ffmpeg; pip brings one under another name."""

import os
import shutil
import subprocess
import sys
import tempfile

from fasttext2style.plugin.host.ffmpeg import offer_ffmpeg


def test_nerfstudio_finds_the_wheels_ffmpeg_where_the_machine_has_none(tmp_path):
    program = (
        "import shutil, subprocess\n"
        "from fasttext2style.plugin.host.ffmpeg import offer_ffmpeg\n"
        "from nerfstudio.utils.install_checks import check_ffmpeg_installed\n"
        "offer_ffmpeg()\n"
        "check_ffmpeg_installed()\n"
        "print(shutil.which('ffmpeg'))\n"
        "print(subprocess.run(['ffmpeg', '-hide_banner', '-encoders'], capture_output=True, text=True).stdout)"
    )
    environment = os.environ | {"PATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{tmp_path}/") and "libx264" in done.stdout
    # It lay there for this process alone.
    assert not list(tmp_path.glob("ffmpeg*"))


def test_the_machines_own_ffmpeg_is_taken(tmp_path, monkeypatch):
    own = tmp_path / "ffmpeg"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    offer_ffmpeg()
    assert os.environ["PATH"] == str(tmp_path)
    assert shutil.which("ffmpeg") == str(own)


def test_without_a_temporary_folder_the_other_commands_start(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    offer_ffmpeg()
    assert shutil.which("ffmpeg") is None
