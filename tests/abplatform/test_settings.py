"""abp.yaml."""

from datetime import date, time, timedelta
from zoneinfo import ZoneInfo

import jsonschema
import pytest

from abplatform.errors import SpecError, WorkspaceError
from abplatform.settings import Channel, Generators, Privacy, Source, settings_schema
from abplatform.workspace import CalendarStretch, Settings, check_settings, open_workspace


@pytest.fixture
def settings_file(tmp_path):
    return tmp_path / "abp.yaml"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}"])
def test_everything_has_a_default(settings_file, text):
    """An empty abp.yaml is a workspace."""
    settings_file.write_text(text)
    assert open_workspace(settings_file.parent).settings == Settings(
        time_zone=ZoneInfo("UTC"), currency="USD", rates={}, holdout=0.0
    )


def test_every_setting_is_read(settings_file):
    """Time zone, currency, rates and holdout arrive as they are written."""
    settings_file.write_text(
        "time_zone: Asia/Shanghai\ncurrency: CNY\nrates: {USD: 7.1, EUR: 8}\nholdout: 2%\n"
    )
    assert open_workspace(settings_file.parent).settings == Settings(
        time_zone=ZoneInfo("Asia/Shanghai"),
        currency="CNY",
        rates={"USD": 7.1, "EUR": 8.0},
        holdout=0.02,
    )


def test_sources_and_privacy_are_read(settings_file):
    """Sources and privacy arrive as they are written, with their defaults."""
    settings_file.write_text(
        "sources:\n"
        "  - {name: app, path: logs/*.jsonl, every: 1h, timezone: Asia/Shanghai,\n"
        "     expect_by: 06:30}\n"
        "  - {name: net, path: 's3://b/*.csv', mapping: net.yaml}\n"
        "privacy: {pseudonyms: {key_file: ../abp.key}, retention: 400d}\n"
    )
    settings = open_workspace(settings_file.parent).settings
    shanghai = ZoneInfo("Asia/Shanghai")
    assert settings.sources == (
        Source("app", "logs/*.jsonl", None, timedelta(hours=1), shanghai, time(6, 30)),
        Source("net", "s3://b/*.csv", "net.yaml"),
    )
    assert [source.is_remote for source in settings.sources] == [False, True]
    assert settings.privacy == Privacy("../abp.key", timedelta(days=400))


def test_channels_add_to_the_built_in_ones(settings_file):
    """A channel that is named replaces or adds one; without any there are three."""
    settings_file.write_text("")
    assert set(open_workspace(settings_file.parent).settings.channels) == {"feed", "story", "wide"}
    settings_file.write_text(
        "generators: {renderer: 'photos:rooms', least_win: 60%}\n"
        "channels:\n"
        "  feed: {sizes: [600x750], max_bytes: 80000, form: webp, safe_area: 5%,\n"
        "         click_url: 'https://shop.example/{product_id}?a={token}', text_length: 30}\n"
        "  tower: {sizes: [160x600]}\n"
    )
    folder = settings_file.parent
    settings = open_workspace(folder).settings
    assert settings.generators == Generators("photos:rooms", "families", 0.6)
    assert settings.generators.within(folder).renderer == f"photos:{folder / 'rooms'}"
    assert Generators("photos:/rooms").within(folder).renderer == "photos:/rooms"
    assert Generators("diffusion:own").within(folder) == Generators("diffusion:own")
    assert set(settings.channels) == {"feed", "story", "wide", "tower"}
    link = "https://shop.example/{product_id}?a={token}"
    assert settings.channels["feed"] == Channel(((600, 750),), 0.05, 80_000, "webp", 30, link)
    assert settings.channels["tower"] == Channel(((160, 600),))


def test_the_schema_is_valid_and_accepts_the_settings():
    """Editors get a JSON Schema of abp.yaml that takes what the reader takes."""
    schema = settings_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(
        {
            "sources": [{"name": "app", "path": "x", "every": "1h", "expect_by": "06:30"}],
            "privacy": {"pseudonyms": {"key_file": "k"}, "retention": "400d"},
        },
        schema,
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"sources": [{"name": "app"}]}, schema)


@pytest.mark.parametrize(
    ("text", "code", "place", "hint"),
    [
        ("timezone: UTC", "unknown_key", "1:1", "time_zone"),
        ("\ntime_zone: Asia/Shangai", "unknown_value", "2:12", "Asia/Shanghai"),
        ("time_zone: America", "unknown_value", "1:12", "America/"),
        ("time_zone: ../../etc/passwd", "unknown_value", "1:12", "Asia/Shanghai"),
        ("time_zone: 8", "wrong_type", "1:12", "Asia/Shanghai"),
        ("currency: usd", "bad_value", "1:11", "USD"),
        ("rates: {EUR: 0}", "out_of_range", "1:14", "number"),
        ("rates: {euro: 1}", "bad_value", "1:9", "EUR"),
        ("holdout: 80%", "out_of_range", "1:10", "50%"),
        ("holdout: on", "wrong_type", "1:10", "40%"),
        ("calendar: [{day: 2026-13-11, name: x}]", "bad_value", "1:18", "2026-11-11"),
        ("calendar: [{day: 11.11., name: x}]", "bad_value", "1:18", "2026-11-11"),
        ("calendar: [{day: 20261111, name: x}]", "wrong_type", "1:18", "2026-11-11"),
        ("calendar: [{dya: 2026-11-11, name: x}]", "unknown_key", "1:13", "'day'"),
        ("calendar:\n  - {day: 2026-11-11}", "missing_key", "2:5", "'name'"),
        ("calendar: [{name: x}]", "missing_key", "1:12", "a day, or from and to"),
        ("calendar: [{from: 2026-11-11, name: x}]", "missing_key", "1:12", "from and to"),
        (
            "calendar: [{day: 2026-11-11, to: 2026-11-12, name: x}]",
            *("missing_key", "1:12", "either a day"),
        ),
        (
            "calendar: [{from: 2026-11-12, to: 2026-11-11, name: x}]",
            *("wrong_order", "1:35", "Exchange"),
        ),
        ("calendar: 2026-11-11", "wrong_type", "1:11", "list"),
        ("calendar: [2026-11-11]", "wrong_type", "1:12", "mapping"),
        ("sources: [{path: a.csv}]", "missing_key", "1:11", "'name'"),
        ("sources:\n  - {name: a, path: b, every: 30s}", "out_of_range", "2:31", "length of time"),
        ("sources: [{name: a b, path: x}]", "bad_value", "1:18", "letters"),
        ("sources: [{name: a, path: x, expect_by: 6:30}]", "bad_value", "1:41", "06:30"),
        ("sources: [{name: a, path: x, timezone: CET8}]", "unknown_value", "1:40", "CET"),
        ("sources: [{name: a, path: x}, {name: a, path: y}]", "duplicate_item", "1:38", "own"),
        ("sources: {name: a, path: x}", "wrong_type", "1:10", "list"),
        ("privacy: {pseudonyms: {}}", "missing_key", "1:23", "'key_file'"),
        ("privacy: {retention: 2y}", "wrong_type", "1:22", "7d"),
        ("generators: {render: studio}", "unknown_key", "1:14", "renderer"),
        ("generators: {least_win: 120%}", "out_of_range", "1:25", "40%"),
        ("channels: {feed: {}}", "missing_key", "1:18", "'sizes'"),
        ("channels: {feed: {sizes: [big]}}", "bad_value", "1:27", "1080x1350"),
        ("channels: {feed: {sizes: [10x9999]}}", "bad_value", "1:27", "64 to 4096"),
        ("channels: {Feed me: {sizes: [64x64]}}", "bad_value", "1:12", "small letters"),
        (
            "channels: {feed: {sizes: [64x64], click_url: 'https://a.example/{name}'}}",
            *("bad_value", "1:46", "{product_id}"),
        ),
        (
            "channels: {feed: {sizes: [64x64], click_url: 'javascript:alert(1)'}}",
            *("bad_value", "1:46", "{token}"),
        ),
        ("roles: {owner: [a]}", "not_available", "1:1", "Delete the key"),
        ("- time_zone", "wrong_type", "1:1", "key: value"),
    ],
)
def test_a_wrong_setting_names_its_place(settings_file, text, code, place, hint):
    """Each mistake in abp.yaml is named with line, column and a remedy."""
    settings_file.write_text(text)
    with pytest.raises(SpecError) as caught:
        open_workspace(settings_file.parent)
    assert caught.value.code == code
    assert caught.value.place == f"{settings_file}:{place}"
    assert hint in str(caught.value)


def test_days_of_the_calendar_come_in_order_of_time(settings_file):
    """A day or a stretch of days each; what stands there twice counts once."""
    settings_file.write_text(
        "calendar:\n"
        "  - {from: 2026-11-27, to: 2026-11-30, name: Cyber week}\n"
        "  - {day: 2026-11-11, name: Singles' Day}\n"
        "  - {day: 2026-11-11, name: Singles' Day}\n"
    )
    single, cyber = open_workspace(settings_file.parent).settings.calendar
    assert single == CalendarStretch(date(2026, 11, 11), date(2026, 11, 11), "Singles' Day")
    assert cyber == CalendarStretch(date(2026, 11, 27), date(2026, 11, 30), "Cyber week")
    assert date(2026, 11, 28) in cyber
    assert date(2026, 12, 1) not in cyber


def test_the_calendar_says_how_much_is_learned(settings_file):
    """Pairs of a sale's week may count less; by default they count whole."""
    settings_file.write_text(
        "calendar:\n"
        "  - {day: 2026-11-11, name: Singles' Day, learn: 20%}\n"
        "  - {from: 2026-11-27, to: 2026-11-30, name: Cyber week}\n"
    )
    single, cyber = open_workspace(settings_file.parent).settings.calendar
    assert single.learn == 0.2
    assert cyber.learn == 1
    settings_file.write_text("calendar:\n  - {day: 2026-11-11, name: Sale, learn: 120%}\n")
    assert [error.code for error in check_settings(settings_file)] == ["out_of_range"]


def test_all_mistakes_are_listed(settings_file):
    """check_settings returns every mistake; a file that is no YAML is one."""
    settings_file.write_text("currency: x\nholdout: 2\n")
    assert [error.line for error in check_settings(settings_file)] == [1, 2]
    settings_file.write_text("a: [")
    assert [error.code for error in check_settings(settings_file)] == ["syntax"]


def test_a_folder_without_settings_is_no_workspace(tmp_path):
    """A folder without abp.yaml is refused, naming the command that makes one."""
    with pytest.raises(WorkspaceError, match="abp init"):
        open_workspace(tmp_path)
