"""``abp init``, ``abp validate`` and ``abp schema``: what a team writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from abplatform.cli.options import json_option, print_json, workspace_option
from abplatform.domain.spec import check_files, experiment_schema, spec_files
from abplatform.errors import (
    AbplatformError,
    MappingError,
    SpecError,
    WorkspaceError,
)
from abplatform.settings import read_settings, settings_schema
from abplatform.workspace import SETTINGS_FILE, Workspace, check_settings, find_workspace

if TYPE_CHECKING:
    from abplatform.traffic.registry import Edit

__all__ = ["init", "schema", "validate"]

SCHEMA_FILE = "experiment.schema.json"


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@json_option
def init(directory: Path, *, as_json: bool) -> None:
    """Make a workspace in DIR with one commented example.

    An existing workspace gets the files that it lacks and today's schema; nothing else changes.
    """
    complete = (directory / SETTINGS_FILE).is_file()
    if not complete and directory.is_dir() and any(directory.iterdir()):
        raise WorkspaceError(
            "the folder is not empty and is no workspace",
            path=directory,
            remedy="name a new or empty folder",
        )
    written = _write_workspace(directory)
    if as_json:
        print_json({"workspace": str(directory), "written": written})
        return
    click.echo(f"{'Completed' if complete else 'Made'} the workspace {directory}:")
    for name in written:
        click.echo(f"  {directory / name}")
    if not complete:
        click.echo(f"\nNext:\n  cd {directory}\n  abp validate\n  cat README.md")


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@workspace_option
@json_option
@click.pass_context
def validate(
    context: click.Context, paths: tuple[Path, ...], folder: Path | None, *, as_json: bool
) -> None:
    """Check experiment YAML files, or folders of them; default the workspace's own.

    In a workspace it also refuses edits of a running experiment other than of its ramp.
    Exits with 0 when all is well, 1 when there are errors, 2 when the call was wrong.
    """
    for path in paths:
        if not path.exists():
            raise click.BadParameter(f"there is no file or folder '{path}'", param_hint="PATH")
    findings = _check(list(paths) or [_nearby(find_workspace(folder))])
    if as_json:
        print_json(findings.to_json())
    else:
        findings.show()
    context.exit(1 if findings.errors else 0)


@click.command()
@click.option("--settings", is_flag=True, help="The schema of abp.yaml instead.")
def schema(*, settings: bool) -> None:
    """Print the JSON Schema by which editors check and complete experiment YAML."""
    print_json(settings_schema() if settings else experiment_schema())


@dataclass(frozen=True, slots=True)
class _Findings:
    """What a check of several files found."""

    files: int
    experiments: tuple[str, ...]
    errors: tuple[SpecError, ...]
    warnings: tuple[SpecError, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "ok": not self.errors,
            "files": self.files,
            "experiments": list(self.experiments),
            "errors": [_to_json(error) for error in self.errors],
            "warnings": [_to_json(warning) for warning in self.warnings],
        }

    def show(self) -> None:
        for kind, colour, problems in (
            ("error", "red", self.errors),
            ("warning", "yellow", self.warnings),
        ):
            for problem in problems:
                label = click.style(f"{kind} {problem.code}", fg=colour)
                sentence = str(AbplatformError(problem.message, remedy=problem.remedy))
                click.echo(f"{problem.place}: {label}: {' '.join(sentence.split())}")
        click.echo(
            f"{_count(self.files, 'file')}, {_count(len(self.experiments), 'valid experiment')}, "
            f"{_count(len(self.errors), 'error')}, {_count(len(self.warnings), 'warning')}"
        )


def _check(paths: list[Path]) -> _Findings:
    errors: list[SpecError] = []
    specs: dict[Path, Path] = {}
    settings: dict[Path, Path] = {}
    for path in paths:
        found = list(_settings_and_specs(path))
        settings |= {it.resolve(): it for it in found if it.name == SETTINGS_FILE}
        specs |= {it.resolve(): it for it in found if it.name != SETTINGS_FILE}
        if not found:
            errors.append(
                SpecError(
                    "no YAML file in this folder",
                    path=path,
                    code="no_files",
                    remedy="name a folder that holds experiment YAML",
                )
            )
    for file in settings.values():
        problems = check_settings(file)
        errors += problems or _check_mappings(file)
        errors += _check_categories(file.parent / "catalog")
    checked = check_files(list(specs.values()))
    edits = _find_edits(specs)
    edited = [edit for edit in edits if edit.code == "edited_while_running"]
    refused = {error.path for error in edited}
    return _Findings(
        files=len(settings) + len(specs),
        experiments=tuple(
            it.experiment.key
            for path, it in checked.items()
            if it.experiment and path not in refused
        ),
        errors=(*errors, *(error for it in checked.values() for error in it.errors), *edited),
        warnings=(
            *(warning for it in checked.values() for warning in it.warnings),
            *(edit for edit in edits if edit not in edited),
        ),
    )


def _check_categories(catalog: Path) -> list[SpecError]:
    if not (catalog / "categories.yaml").is_file():
        return []
    from abplatform.logs.taxonomy import check_taxonomy

    return check_taxonomy(catalog)


def _check_mappings(file: Path) -> list[SpecError]:
    """Return what is wrong with the mapping files that an abp.yaml's sources name."""
    named = {source.mapping for source in read_settings(file).sources if source.mapping}
    if not named:
        return []
    from abplatform.logs.landing import MappingText
    from abplatform.logs.mapping import parse_mapping

    problems = []
    for path in (file.parent / mapping for mapping in sorted(named)):
        try:
            parse_mapping(MappingText.read(path), path=path)
        except SpecError as problem:
            problems.append(problem)
        except MappingError as error:
            problems.append(
                SpecError(
                    error.message,
                    path=error.path,
                    line=error.line or 1,
                    column=error.column or 1,
                    remedy=error.remedy,
                    code="bad_mapping",
                )
            )
    return problems


def _find_edits(specs: Mapping[Path, Path]) -> list[SpecError]:
    """Say which specs, resolved to as named, say something that is not in force."""
    roots = {file.parent.parent for file in specs}
    workspaces = [Workspace(root) for root in sorted(roots) if (root / SETTINGS_FILE).is_file()]
    problems = []
    for workspace in workspaces:
        if not workspace.journal.is_dir():
            continue
        from abplatform.traffic.registry import Edit, Registry

        for key, edit in Registry(workspace).edits().items():
            # A file that cannot be used at all is among the errors of its own check.
            if isinstance(edit, Edit) and edit.unapplied and edit.path in specs:
                problems.append(_told_edit(edit, key, specs[edit.path]))
    return problems


def _told_edit(edit: Edit, key: str, shown: Path) -> SpecError:
    refusal = edit.refusal(key)
    line = refusal.line or 1
    text = [*shown.read_text(encoding="utf-8").splitlines(), ""][line - 1]
    return SpecError(
        refusal.message,
        path=shown,
        line=line,
        column=len(text) - len(text.lstrip()) + 1,
        remedy=refusal.remedy,
        code="edited_while_running" if edit.of_kind("forbidden") else "unapplied",
    )


def _settings_and_specs(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
    elif (path / SETTINGS_FILE).is_file():
        yield path / SETTINGS_FILE
        yield from spec_files(path / "experiments")
    else:
        yield from spec_files(path)


def _to_json(problem: SpecError) -> dict[str, object]:
    return {
        "code": problem.code,
        "path": str(problem.path),
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "remedy": problem.remedy,
    }


def _nearby(path: Path) -> Path:
    """Write a path below the present folder the short way."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _write_workspace(directory: Path) -> list[str]:
    """Write the files of a new workspace that are not there yet; return their names."""
    contents = dict(_template(resources.files("abplatform.cli") / "new_workspace", ""))
    missing = {name: it for name, it in contents.items() if not (directory / name).exists()}
    schema_name = f"experiments/{SCHEMA_FILE}"
    # The schema belongs to the program, not to the team: it follows every new version.
    missing[schema_name] = json.dumps(experiment_schema(), ensure_ascii=False, indent=2) + "\n"
    for name, text in missing.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return sorted(missing)


def _template(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _template(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")
