"""The docker plugins that the peers want (compose v2, buildx), from Debian 13, without touching the system.

The two packages depend on libc6 >= 2.34 alone, so they run on Debian 12 too, which has neither.
"""

import shutil
import subprocess
from pathlib import Path

from peers import ENVIRONMENTS

HOME = ENVIRONMENTS / "docker-plugins"
PACKAGES = ("docker-compose", "docker-buildx")
SOURCE = "deb http://deb.debian.org/debian trixie main\n"


def docker_config() -> Path:
    """A folder for DOCKER_CONFIG that has both plugins; made at the first call, from the package archive."""
    config = HOME / "config"
    plugins = config / "cli-plugins"
    if all((plugins / name).is_file() for name in PACKAGES):
        return config
    work = HOME / "apt"
    for folder in (work / "lists" / "partial", work / "cache" / "archives" / "partial", plugins):
        folder.mkdir(parents=True, exist_ok=True)
    (work / "sources.list").write_text(SOURCE)
    options = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "APT::Get::List-Cleanup": "0",
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    subprocess.run([*apt, "update"], check=True, cwd=work)
    subprocess.run([*apt, "download", *PACKAGES], check=True, cwd=work, stderr=subprocess.DEVNULL)
    for package in work.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, work / "root"], check=True)
    for name in PACKAGES:
        shutil.copy2(work / "root" / "usr" / "libexec" / "docker" / "cli-plugins" / name, plugins / name)
    return config
