"""Print nginx's whole configuration, as `nginx -T` would, and write its files to a folder.

gixy reads the printed form, so it needs no container engine. The template is filled with the
defaults of docker-compose.yml. Usage: nginx_dump.py FOLDER
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "docker" / "init"))
import nginx_settings  # noqa: E402  pylint: disable=wrong-import-position

SOURCE = ROOT / "docker" / "nginx"
COMPOSE = ROOT / "infrastructure" / "docker-compose.yml"


def defaults() -> dict[str, str]:
    """The first value of each `${NAME:-value}` in the Compose file: nginx's, which come first."""
    found = re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE.read_text(encoding="utf-8"))
    return dict(reversed(found))


if __name__ == "__main__":
    try:
        for path, content in nginx_settings.site(SOURCE, defaults()).items():
            target = Path(sys.argv[1], path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            if target.suffix == ".conf":
                print(f"# configuration file /etc/nginx/{path}:\n{content.decode()}")
    except KeyError as missing:
        sys.exit(f"docker-compose.yml gives no default for {missing.args[0]}")
