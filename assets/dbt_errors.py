"""dbt's and the engine's errors as sentences: which file, which line, what to do."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from assets.mistakes import suggestion
from models.errors import ConfigError, TailraceError

_IN_MODEL = re.compile(r"\bin \w+ (?P<name>\S+) \((?P<path>[^)]+)\)")
_UNKNOWN_NODE = re.compile(r"depends on a (?P<kind>node|source) named '(?P<name>[^']+)'")
_ENGINE_LINE = re.compile(r"^\s*LINE (?P<line>\d+): (?P<text>.*)$", re.MULTILINE)
_YAML_LINE = re.compile(r"line (?P<line>\d+)")
_VARIABLES = re.compile(r":\s*Vars supplied to .*? = \{\n.*\n\s*\}$", re.DOTALL | re.MULTILINE)
_ENGINE = re.compile(r"(\w+ ){1,3}Error: ")
_CANDIDATES = re.compile(r"Candidate bindings: (.*)")
_HEADINGS = re.compile(r"^\s*(Compilation|Runtime|Database|Parsing|Dependency|Validation) Error\b.*$", re.IGNORECASE)
_NOISE = re.compile(r"^\s*(> in macro|> called by|compiled code at|\(at |raise_compiler_error|^$)")


def refusal(error: BaseException, project: Path) -> TailraceError:
    """What stopped dbt before it ran anything, as the user's mistake; a TailraceError passes unchanged."""
    if isinstance(error, TailraceError):
        return error
    text = str(error)
    unknown = _UNKNOWN_NODE.search(text)
    file = _file(text, project)
    shown = file.relative_to(project.parent) if file else None
    if unknown and unknown["kind"] == "source":
        name = unknown["name"].rpartition(".")[2]
        line = _line_of(file, name) if file else None
        return ConfigError(f"there is no source '{unknown['name']}'", file=shown, line=line)
    if unknown and file is not None:
        name = unknown["name"]
        message = f"there is no model '{name}'{suggestion(name, _models(project), 'models')}"
        return ConfigError(message, file=shown, line=_line_of(file, name))
    return ConfigError(readable(text), file=shown, line=_line(text, file))


def engine_words(message: str) -> str | None:
    """What the engine itself said in dbt's message, as it said it; None where it was not the engine."""
    heading, _, rest = message.partition("\n")
    lines = textwrap.dedent(rest).splitlines()
    said = "\n".join(line for line in lines if not line.startswith("compiled code at"))
    is_said = heading.startswith("Database Error") or _ENGINE.match(said) or _ENGINE_LINE.search(said)
    return said if is_said else None


def candidates(said: str) -> list[str]:
    """The columns that the engine offers for one it does not know."""
    listed = _CANDIDATES.search(said)
    return re.findall(r'"([^"]+)"', listed[1]) if listed else []


def readable(text: str) -> str:
    """The message without dbt's headings, compiled paths, blank lines and the list of all variables there are."""
    lines = [line.rstrip() for line in _VARIABLES.sub("", text).splitlines()]
    kept = [line.strip() for line in lines if line and not _HEADINGS.match(line) and not _NOISE.match(line)]
    return "\n".join(kept) or text.strip()


def _file(text: str, project: Path) -> Path | None:
    found = _IN_MODEL.search(text)
    candidates = [found["path"]] if found else re.findall(r"[\w/.-]+\.(?:sql|ya?ml|csv)", text)
    for candidate in candidates:
        for root in (project, project / "models"):
            if (root / candidate).is_file():
                return root / candidate
    named = re.search(r"'?model\.\w+\.(\w+)'?", text)
    return next(project.rglob(f"{named[1]}.sql"), None) if named else None


def _line(text: str, file: Path | None) -> int | None:
    """The engine counts lines of what was compiled: its excerpt is looked for in the file itself."""
    engine = _ENGINE_LINE.search(text)
    if engine and file is not None:
        return _line_of(file, engine["text"].strip().strip(".").strip())
    yaml = _YAML_LINE.search(text)
    return int(yaml["line"]) if yaml and not engine else None


def _line_of(file: Path, excerpt: str) -> int | None:
    lines = file.read_text().splitlines()
    found = [number for number, line in enumerate(lines, 1) if excerpt and excerpt in line]
    return found[0] if found else None


def _models(project: Path) -> list[str]:
    return sorted(path.stem for path in (project / "models").rglob("*.sql"))
